"""Runs in the confined decoder process: everything here meets a stranger's bytes."""
