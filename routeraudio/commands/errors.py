"""Errors that end a command, with their exit codes."""

from collections.abc import Iterator
from typing import Final

DONE: Final = 0
FAILED: Final = 1
"""The other side's fault, or the line's."""
USAGE: Final = 2
"""The caller must change an argument, a file or the configuration."""


class Trouble(Exception):
    """One sentence for the person at the terminal, with the next step, and the exit code that fits."""

    def __init__(self, message: str, *, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def usage(message: str) -> Trouble:
    """The caller must change something."""
    return Trouble(message, exit_code=USAGE)


def leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """The errors of a group, however deep it nests."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error
