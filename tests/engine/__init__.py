"""Tests of the local recogniser."""
