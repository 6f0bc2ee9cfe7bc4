"""How each provider stands, for all workers of a machine: one record of numbers each, in their shared memory.

A vendor that fails fails for all of them, and its limit of streams is one for all. Records change a few times per
session; each change holds a lock of the kernel's for microseconds, which a worker that is killed gives back.
"""

import fcntl
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Self

import msgspec

from routeraudio.policy.health import Health

RECORDS_MAX: Final = 512
"""Providers, addresses and stored credentials since the daemon's start: eight keys, renewed weekly for a year."""

NAME_BYTES: Final = 16
_NAME: Final = NAME_BYTES // 8
_FIELDS: Final = tuple(field.name for field in msgspec.structs.fields(Health))
_SESSIONS: Final = _NAME + len(_FIELDS)


class SharedHealth:
    """The records of all workers.

    Args:
        number: whose sessions are counted here, from 1.
        descriptor: of the memory, for the lock; None: nobody shares it.
    """

    def __init__(self, memory: mmap.mmap, number: int, descriptor: int | None) -> None:
        self._numbers = memoryview(memory).cast("q")
        self._length = len(self._numbers) // RECORDS_MAX
        self._number = number
        self._descriptor = descriptor

    @classmethod
    def alone(cls) -> Self:
        """For a daemon of one process."""
        return cls(mmap.mmap(-1, _bytes(1)), 1, None)

    @classmethod
    def at(cls, descriptor: int, number: int = 1) -> Self:
        """The memory behind a descriptor from `new_health_descriptor`, which stays open."""
        return cls(mmap.mmap(descriptor, 0), number, descriptor)

    def record(self, name: bytes) -> "SharedRecord | None":
        """The one of this name (`NAME_BYTES`, not all zero); None: there is no room for another."""
        words = memoryview(name).cast("q").tolist()
        with self._locked():
            for begin in range(0, len(self._numbers), self._length):
                found = self._numbers[begin : begin + _NAME].tolist()
                if not any(found):
                    for at, word in enumerate(words):
                        self._numbers[begin + at] = word
                    found = words
                if found == words:
                    return SharedRecord(self, begin)
        return None

    def died(self, number: int) -> None:
        """A worker has ended, and every session with it."""
        for begin in range(0, len(self._numbers), self._length):
            self._numbers[begin + _SESSIONS + number - 1] = 0

    def health(self, begin: int) -> Health:
        """Of one record."""
        return Health(
            **dict(zip(_FIELDS, self._numbers[begin + _NAME : begin + _SESSIONS].tolist(), strict=True))
        )

    def change(self, begin: int, by: Callable[[Health], Health]) -> None:
        """One record, without another worker in between."""
        with self._locked():
            changed = msgspec.structs.astuple(by(self.health(begin)))
            for at, number in enumerate(changed, begin + _NAME):
                self._numbers[at] = number

    def count(self, begin: int, difference: int) -> None:
        """Sessions of our own have begun or ended."""
        self._numbers[begin + _SESSIONS + self._number - 1] += difference

    def sessions(self, begin: int) -> int:
        """Of all workers."""
        return sum(self._numbers[begin + _SESSIONS : begin + self._length].tolist())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self._descriptor is None:
            yield
            return
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN)


class SharedRecord:
    """One provider's, as all workers have seen it."""

    def __init__(self, shared: SharedHealth, begin: int) -> None:
        self._shared = shared
        self._begin = begin

    @property
    def health(self) -> Health:
        """How it stands."""
        return self._shared.health(self._begin)

    @property
    def sessions(self) -> int:
        """Connections to it."""
        return self._shared.sessions(self._begin)

    def change(self, by: Callable[[Health], Health]) -> None:
        """Replace `health`, with nobody in between."""
        self._shared.change(self._begin, by)

    def count(self, difference: int) -> None:
        """Connections of our own have begun or ended."""
        self._shared.count(self._begin, difference)


def new_health_descriptor(workers: int) -> int:
    """Memory for the records of so many workers."""
    descriptor = os.memfd_create("routeraudio-health")
    os.ftruncate(descriptor, _bytes(workers))
    return descriptor


def _bytes(workers: int) -> int:
    return 8 * RECORDS_MAX * (_SESSIONS + workers)
