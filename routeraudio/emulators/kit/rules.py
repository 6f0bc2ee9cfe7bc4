"""Rules for query parameters that vendors have in common. A rule reads a value or says what is allowed."""

from collections.abc import Callable
from typing import Any

Rule = Callable[[str], Any]
"""Raises `ValueError` with what is allowed."""


def flag(value: str) -> bool:
    """`true` or `false`, in lower case."""
    if value not in ("true", "false"):
        raise ValueError("allowed: true, false")
    return value == "true"


def integer(low: int, high: int) -> Rule:
    """A whole number in plain digits, within bounds."""

    def read(value: str) -> int:
        if not (value.isascii() and value.isdigit() and len(value) < 10 and low <= int(value) <= high):
            raise ValueError(f"allowed: a whole number from {low} to {high}")
        return int(value)

    return read
