"""Parameters of a client's request, from a query or from headers: taken one by one, with all faults gathered.

A reader turns text into a value, raises `ValueError` or `KeyError` for what it does not take, and its docstring says in
the error what it does.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar, cast
from urllib.parse import parse_qsl

from routeraudio.dialects.base import BadRequest
from routeraudio.model.audio import SAMPLE_RATES_HZ
from routeraudio.model.errors import ClientFault, invalid_parameter

T = TypeVar("T")

PARAMETERS_MAX: Final = 64
"""In a query; the richest protocol knows some twenty."""

MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")

LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}")

_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,23}")
"""A parameter's name as it may be logged; shorter than any key."""


def query_pairs(query: str, parameters_max: int = PARAMETERS_MAX) -> list[tuple[str, str]]:
    """Names and values of a query, in order.

    Raises:
        BadRequest: it cannot be read.
    """
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=parameters_max, errors="strict")
    except ValueError as exc:
        problem = f"the query must be UTF-8 and have at most {parameters_max} parameters"
        raise BadRequest([invalid_parameter("query", problem)]) from exc


def ignored(names: Sequence[str]) -> tuple[str, ...]:
    """What to tell a client about parameters that nobody knows; see `Given.unknown`."""
    return tuple(f"{name}: unknown here, has no effect" for name in names if name.isascii())


class Given:
    """The parameters that came, and what was wrong with those taken so far."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self.faults: list[ClientFault] = []
        self._rest = dict(pairs)
        counts = Counter(name for name, _ in pairs)
        self._repeated = {name for name, count in counts.items() if count > 1}

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names that were not taken. What looks like none, a key without its `api_key=` perhaps, is left out."""
        return tuple(name if _NAME.fullmatch(name) else "…" for name in self._rest)

    def take(self, name: str, read: Callable[[str], T], *, default: Any, required: bool = False) -> T:
        """The value of ``name``; ``default`` where it is missing or wrong."""
        text = self._rest.pop(name, None)
        if name in self._repeated:
            # Whichever we took, and front proxies differ, half of all clients would have meant the other one.
            self._complain(name, "given more than once")
            return cast(T, default)
        if text is None:
            if required:
                self._complain(name, f"missing; expected {_expected(read)}")
            return cast(T, default)
        try:
            return read(text)
        except (ValueError, KeyError):
            self._complain(name, f"expected {_expected(read)}")
            return cast(T, default)

    def _complain(self, name: str, what: str) -> None:
        self.faults.append(invalid_parameter(name, f"parameter {name}: {what}"))


def _expected(read: Callable[[str], object]) -> str:
    return read.__doc__ or "text"


def choice(names: Sequence[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in names:
            raise ValueError
        return text

    read.__doc__ = "one of " + ", ".join(names)
    return read


def number(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = integer(text)
        if not low <= value <= high:
            raise ValueError
        return value

    read.__doc__ = f"a whole number from {low} to {high}"
    return read


def integer(text: str) -> int:
    """Plain digits only: Python's `int` also takes blanks, signs, underscores and other scripts."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError
    return int(text)


def matching(pattern: re.Pattern[str], what: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if pattern.fullmatch(text) is None:
            raise ValueError
        return text

    read.__doc__ = what
    return read


def boolean(text: str) -> bool:
    """true or false"""
    return _BOOLEANS[text.lower()]


def one_of(table: Mapping[str, T]) -> Callable[[str], T]:
    """Another vendor's names, and what they mean here."""

    def read(text: str) -> T:
        return table[text]

    read.__doc__ = "one of " + ", ".join(table)
    return read


def sample_rate(text: str) -> int:
    rate = integer(text)
    if rate not in SAMPLE_RATES_HZ:
        raise ValueError
    return rate


sample_rate.__doc__ = "one of " + ", ".join(map(str, SAMPLE_RATES_HZ)) + " (Hz)"
