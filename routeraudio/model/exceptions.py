"""What an error boundary needs: the one error of a group, and what the log says of a bug, without its words."""

import traceback
from collections.abc import Iterator
from typing import Final, TypeVar

E = TypeVar("E", bound=BaseException)

TRACE_DEPTH: Final = 8
"""Innermost frames of a bug in the log; enough to find it."""


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The plain exceptions of ``error``, which may be one or a group of groups."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from leaves(each)
    else:
        yield error


def first(group: BaseExceptionGroup[E]) -> E:
    """The first plain exception of ``group``; tasks fail one at a time, the rest is cancellation."""
    error: E | BaseExceptionGroup[E] = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def bug_fields(error: Exception, request_id: str | None = None) -> dict[str, object]:
    """What every `…_bug` line says: type, module and place (innermost last) of the first exception, and whose request.

    The exception's text stays out: it may quote audio, transcripts or keys. Where several tasks failed at once, `also`
    has the types of the others.
    """
    one, *others = leaves(error)
    kind = type(one)
    frames = traceback.extract_tb(one.__traceback__)[-TRACE_DEPTH:]
    fields: dict[str, object] = {} if request_id is None else {"request_id": request_id}
    fields |= {
        "error": kind.__name__,
        "module": kind.__module__,
        "where": [
            f"{frame.filename.rpartition('routeraudio/')[2]}:{frame.lineno} {frame.name}" for frame in frames
        ],
    }
    return fields | ({"also": [type(other).__name__ for other in others]} if others else {})
