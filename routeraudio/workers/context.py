"""One process among the workers of a daemon: what its parent has passed to it.

`ROUTERAUDIO_WORKER` is the worker's number, from 1; `ROUTERAUDIO_PLACE` the rest. Both are set by `workers` and by
nobody else. A daemon of one process has the place `ALONE`.
"""

import ctypes
import os
import signal
from collections.abc import Mapping
from typing import Final

import msgspec

NUMBER: Final = "ROUTERAUDIO_WORKER"
DETAILS: Final = "ROUTERAUDIO_PLACE"

PR_SET_PDEATHSIG: Final = 1
"""prctl(2)."""


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One process of a daemon."""

    number: int = 1
    workers: int = 1
    """How many there are in all."""
    parent: int = 0
    """The process id of the parent."""
    listening: tuple[int, ...] = ()
    """Descriptors of the sockets that all workers share."""
    shared: int | None = None
    """Descriptor of the memory that all workers share."""
    health: int | None = None
    """Descriptor of the memory with what they know of providers."""
    folder: str | None = None
    """Where only this daemon's processes find each other's sockets."""
    engine_url: str | None = None
    """Where the local engine is reached that the parent has started."""

    def share(self, total: int) -> int:
        """This worker's part of ``total``, at least 1; all parts add up to ``total``."""
        return max(1, total // self.workers + (self.number <= total % self.workers))

    def environ(self) -> dict[str, str]:
        """What to add to the environment of the worker at this place."""
        return {NUMBER: str(self.number), DETAILS: msgspec.json.encode(self).decode()}


ALONE: Final = Place()


def place_of(environ: Mapping[str, str]) -> Place | None:
    """The place that the environment tells; None: this process has no parent that supervises it."""
    details = environ.get(DETAILS)
    return None if details is None else msgspec.json.decode(details, type=Place)


def die_with(parent: int) -> None:
    """End this process when its parent does: nobody else could stop it, and it would keep the port.

    SIGKILL, because a parent that has not stopped its workers was killed itself, and a successor wants the port now.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)  # it died before we could ask
