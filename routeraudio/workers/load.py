"""The load of a process: event-loop lag, memory, and whether it should accept more sessions.

What is measured here is what clients feel first. A loop that is late delivers every transcript late; a process that
grows beyond its memory is killed with all its sessions. Both are better told to a new client, who can go elsewhere.
"""

import ctypes
import math
import os
import resource
from collections import deque
from pathlib import Path
from typing import Final

LAG_SAMPLES: Final = 200
"""Twenty seconds at ten a second: a single hiccup of another process on the machine is not a trend."""

LAG_S_MAX: Final = 0.1
"""A tenth of a second is what people begin to notice, and a transcript passes the loop twice."""

MEMORY_SHARE_MAX: Final = 0.85
"""The rest is for what running sessions may still take."""

SESSIONS_MIN: Final = 20
"""With fewer sessions than this a late loop has other reasons, and turning clients away would not help it."""

TRIM_LOOKS: Final = 10
"""Seconds between two times that freed memory is given back: it takes up to some tens of milliseconds."""

PAGE_BYTES: Final = resource.getpagesize()


_malloc_trim: Final = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""glibc's; other C libraries have none."""


class Lag:
    """How much later than asked for a loop has woken up, over the last `LAG_SAMPLES` times."""

    def __init__(self) -> None:
        self._samples_s: deque[float] = deque(maxlen=LAG_SAMPLES)

    def add(self, lag_s: float) -> None:
        """One more sample."""
        self._samples_s.append(max(0.0, lag_s))

    @property
    def p99_s(self) -> float:
        """All but one in a hundred samples were this or less; 0 before the first hundred, which tell nothing yet."""
        if len(self._samples_s) < LAG_SAMPLES // 2:
            return 0.0
        ordered = sorted(self._samples_s)
        return ordered[math.ceil(len(ordered) * 0.99) - 1]


class Memory:
    """How much of the memory that this daemon may use is used.

    Where a control group limits it (systemd's `MemoryMax`, a container), the group's account says so for all workers
    and the engine together: its working set, that is without the file cache that the kernel would give back, as a
    share of the limit. Elsewhere it is the resident memory of this process, times the number of workers, as a share
    of the machine's.

    Args:
        workers: processes like this one.
        root: where `proc` and `sys` are.
    """

    def __init__(self, *, workers: int = 1, root: Path = Path("/")) -> None:
        self._workers = workers
        self._statm = root / "proc/self/statm"
        self._machine_bytes = os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES
        self._group = _limited_group(root)

    @property
    def resident_bytes(self) -> int:
        """Of this process."""
        return int(self._statm.read_text().split()[1]) * PAGE_BYTES

    def trim(self) -> None:
        """Give freed memory back to the kernel; glibc keeps what lies between pieces in use (malloc_trim(3))."""
        if _malloc_trim is not None:
            _malloc_trim(0)

    @property
    def share(self) -> float:
        """Used, as a share of what may be used."""
        if self._group is not None:
            limit = _number(self._group / "memory.max")
            if limit is not None:
                return _working_set_bytes(self._group) / limit
        return self.resident_bytes * self._workers / self._machine_bytes


class Load:
    """Whether a process should take more sessions.

    Args:
        memory: says how much of it is used.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._looks = TRIM_LOOKS
        """Since freed memory was given back."""
        self._sessions_most = 0
        """Since then."""
        self.lag = Lag()
        self.lag_p99_s = 0.0
        self.memory_share = 0.0
        self.resident_bytes = 0
        self.strain: str | None = None
        """Why no new sessions should begin here, for people; None: they are welcome."""

    def look(self, sessions: int) -> None:
        """Look again, once a second.

        Args:
            sessions: how many run.
        """
        self.lag_p99_s = self.lag.p99_s
        self.memory_share = self._memory.share
        if self._may_trim(sessions):
            self._memory.trim()
            self.memory_share = self._memory.share
        self.resident_bytes = self._memory.resident_bytes
        # With no session here it is others' memory, and the first one tells.
        if self.memory_share > MEMORY_SHARE_MAX and sessions:
            self.strain = "the daemon is short of memory; try again later"
        elif self.lag_p99_s > LAG_S_MAX and sessions >= SESSIONS_MIN:
            self.strain = "the daemon is behind with its work; try again later"
        else:
            self.strain = None

    def _may_trim(self, sessions: int) -> bool:
        """Whether freed memory should go back to the kernel now: it is short, or a crowd of sessions has left."""
        self._sessions_most = max(self._sessions_most, sessions)
        has_emptied = self._sessions_most >= SESSIONS_MIN and sessions < self._sessions_most // 2
        self._looks += 1
        if self._looks < TRIM_LOOKS or not (has_emptied or self.memory_share > MEMORY_SHARE_MAX):
            return False
        self._looks, self._sessions_most = 0, sessions
        return True


def _limited_group(root: Path) -> Path | None:
    """The nearest control group (version 2) of this process whose memory is limited."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    top = root / "sys/fs/cgroup"
    for line in lines:
        if line.startswith("0::/"):
            group = top / line.removeprefix("0::/")
            groups = [group, *group.parents]
            inside = groups[: groups.index(top) + 1]
            return next((one for one in inside if _number(one / "memory.max") is not None), None)
    return None


def _working_set_bytes(group: Path) -> int:
    used = _number(group / "memory.current") or 0
    lines = (group / "memory.stat").read_text().splitlines()
    cache = next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)
    return max(0, used - cache)


def _number(file: Path) -> int | None:
    """The number a file holds; None: there is none (`max` means no limit)."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
