"""What an error boundary needs: the one error of a group, and a bug's place without its words."""

import traceback
from typing import Final, TypeVar

E = TypeVar("E", bound=BaseException)

TRACE_DEPTH: Final = 8
"""Innermost frames of a bug in the log; enough to find it."""


def first(group: BaseExceptionGroup[E]) -> E:
    """The first plain exception of ``group``; tasks fail one at a time, the rest is cancellation."""
    error: E | BaseExceptionGroup[E] = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def where(error: Exception) -> dict[str, object]:
    """A bug's kind and place for the log. Its text stays out: it may quote audio, transcripts or keys."""
    frames = traceback.extract_tb(error.__traceback__)[-TRACE_DEPTH:]
    return {
        "error": type(error).__name__,
        "where": [
            f"{frame.filename.rpartition('routeraudio/')[2]}:{frame.lineno} {frame.name}" for frame in frames
        ],
    }
