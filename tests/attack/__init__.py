"""Attacks on a real daemon, and what they cost a bystander. `python -m tests.attack` prints the table."""
