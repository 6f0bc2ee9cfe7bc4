"""What the workers of a daemon know of each other: one row of numbers each, in shared memory.

A worker writes its own row ten times a second, and reads all of them when a connection waits to be accepted (the one
with the fewest takes it), when somebody asks `/readyz`, and for metrics. The parent writes what it knows: that a worker
has started, and that one has died. Every number is one aligned 64-bit store; nobody needs two of them to agree.
"""

import mmap
import os
import time
from enum import IntEnum
from typing import Final, Self

import msgspec

FIELDS: Final = 6
ROW_BYTES: Final = 8 * FIELDS

STALE_MS: Final = 3000
"""A worker whose loop has stood still for this long can be counted on for nothing."""


class State(IntEnum):
    """What a worker says of itself, best first."""

    READY = 1
    STRAINED = 2
    """It is behind with its work, or short of memory."""
    FULL = 3
    CUT_OFF = 4
    """The store of keys and usage does not answer."""
    LEAVING = 5
    ABSENT = 6
    """Dead, or not ready yet."""


class Row(msgspec.Struct, frozen=True):
    """One worker."""

    beat_ms: int
    """When it wrote last, on the machine's monotonic clock."""
    state: int
    connections: int
    sessions: int
    places: int
    """Sessions it may have."""
    starts: int
    """How often it has been started."""

    @property
    def has_room(self) -> bool:
        """Whether it can make a session of one more connection, when all it has become sessions."""
        return self.state == State.READY and self.connections < self.places


class SharedState:
    """Rows of all workers.

    Args:
        number: whose row `tell` writes, from 1.
    """

    def __init__(self, memory: mmap.mmap, number: int) -> None:
        self._numbers = memoryview(memory).cast("Q")
        self._number = number

    @classmethod
    def alone(cls) -> Self:
        """For a daemon of one process."""
        shared = cls(mmap.mmap(-1, ROW_BYTES), 1)
        shared.started(1)
        return shared

    @classmethod
    def at(cls, descriptor: int, number: int = 1) -> Self:
        """The shared memory behind a descriptor from `new_descriptor`."""
        return cls(mmap.mmap(descriptor, 0), number)

    def tell(self, state: State, *, connections: int, sessions: int, places: int) -> None:
        """Write our own row."""
        begin = (self._number - 1) * FIELDS
        numbers = self._numbers
        numbers[begin] = now_ms()
        numbers[begin + 1] = state
        numbers[begin + 2] = connections
        numbers[begin + 3] = sessions
        numbers[begin + 4] = places

    def has_one_more(self) -> None:
        """We have accepted a connection: the others may be about to compare."""
        self._numbers[(self._number - 1) * FIELDS + 2] += 1

    def started(self, number: int) -> None:
        """A worker is being started: it has nothing yet and counts as absent until it tells otherwise."""
        begin = (number - 1) * FIELDS
        self._numbers[begin + 5] += 1
        self.died(number)

    def died(self, number: int) -> None:
        """A worker has ended, and everything it had with it."""
        begin = (number - 1) * FIELDS
        self._numbers[begin + 1] = State.ABSENT
        for field in (0, 2, 3, 4):
            self._numbers[begin + field] = 0

    def rows(self) -> list[Row]:
        """All workers in order; one that has not written for `STALE_MS` is absent."""
        oldest_ms = now_ms() - STALE_MS
        rows = [Row(*self._numbers[at : at + FIELDS]) for at in range(0, len(self._numbers), FIELDS)]
        return [
            row if row.beat_ms >= oldest_ms else msgspec.structs.replace(row, state=State.ABSENT)
            for row in rows
        ]

    def best_other(self) -> State:
        """What the best of the other workers is."""
        rows = self.rows()
        del rows[self._number - 1]
        return State(min((row.state for row in rows), default=State.ABSENT))

    def lead(self) -> int | None:
        """How many connections fewer another worker has, which has room: by so much better a right to the next one.

        None: the next one belongs to another worker, here it would be refused.
        """
        rows = self.rows()
        own = rows.pop(self._number - 1)
        roomy = [row.connections for row in rows if row.has_room]
        if roomy and not own.has_room:
            return None
        return max(0, own.connections - min(roomy, default=own.connections))


def new_descriptor(workers: int) -> int:
    """Memory for so many rows; the caller closes it."""
    descriptor = os.memfd_create("routeraudio-board")
    os.ftruncate(descriptor, workers * ROW_BYTES)
    return descriptor


def now_ms() -> int:
    """The machine's monotonic clock, the same for all its processes."""
    return time.monotonic_ns() // 1_000_000
