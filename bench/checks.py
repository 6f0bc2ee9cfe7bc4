"""Two questions the table cannot answer: does memory grow with time, and does it grow when nobody reads?"""

import select
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from bench.contestants import Contestant
from bench.load import open_session
from bench.processes import forget_peak, resident_peak_kib, tree
from bench.records import SinkSpec
from bench.run import Bench, Memory, proxy, stage, upstream
from bench.wire import BINARY, CLOSE, frame, take_frames

GROWTH_SESSIONS: Final = 40
STALL_MB: Final = 200
_MESSAGE_BYTES: Final = 32_000
"""One second of 16 kHz PCM: large, so that the check is about bytes, and below every message limit."""
_QUIET_S: Final = 5.0
"""A proxy that takes nothing for so long has stopped taking."""
_STALL_S: Final = 60.0
"""For the whole check."""


class Growth(msgspec.Struct, frozen=True):
    """Memory of a proxy under steady load."""

    contestant: str
    sessions: int
    seconds: float
    slope_kib_per_min: float
    first_kib: float
    last_kib: float
    idle_kib: int


def growth(bench: Bench, contestant: Contestant, seconds: float, tick: Callable[[float], None]) -> Growth:
    """40 sessions with partials, finals and turn ends, for ``seconds``."""
    spec = SinkSpec(finals_every=10)
    with stage(bench, contestant, sessions=GROWTH_SESSIONS, sink_spec=spec) as one:
        outcome = one.slice(seconds, tick)
    memory = outcome.memory
    assert memory
    return Growth(
        contestant=contestant.name,
        sessions=GROWTH_SESSIONS,
        seconds=seconds,
        slope_kib_per_min=memory.slope_kib_per_min,
        first_kib=_mean(memory, 0),
        last_kib=_mean(memory, -10),
        idle_kib=memory.idle_kib,
    )


def _mean(memory: Memory, at: int) -> float:
    some = [kib for _, kib in memory.samples[at:][:10]]
    return sum(some) / len(some)


class Stall(msgspec.Struct, frozen=True):
    """A proxy whose upstream does not read."""

    contestant: str
    offered_mb: float
    taken_mb: float
    """By the proxy and the kernel's buffers in front of it and behind it."""
    seconds: float
    peak_kib_above_idle: int
    end: str
    """How it ended."""


def stall(bench: Bench, contestant: Contestant, tick: Callable[[float], None]) -> Stall:
    """Pushes 200 MB as fast as they are taken into one session whose upstream never reads."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        with (
            upstream(bench, folder, SinkSpec(reads=False)) as (_, upstream_port),
            proxy(bench, contestant, folder, upstream_port) as (child, port),
        ):
            pids = tree(child.pid)
            forget_peak(pids)
            idle_kib = resident_peak_kib(pids)
            start_s = time.monotonic()
            taken_bytes, end = _push(port, contestant.target, tick)
            return Stall(
                contestant=contestant.name,
                offered_mb=STALL_MB,
                taken_mb=taken_bytes / 1e6,
                seconds=time.monotonic() - start_s,
                peak_kib_above_idle=resident_peak_kib(pids) - idle_kib,
                end=end,
            )


def _push(port: int, target: str, tick: Callable[[float], None]) -> tuple[int, str]:
    connection, rest = open_session(port, target, 0)
    with connection:
        connection.setblocking(False)
        return _Push(connection, rest).run(tick)


class _Push:
    """One client that sends as fast as it may."""

    def __init__(self, connection: socket.socket, rest: bytes) -> None:
        self._connection = connection
        self._rest = rest
        self._message = frame(BINARY, bytes(_MESSAGE_BYTES), masked=True)
        self._taken_bytes = 0

    def run(self, tick: Callable[[float], None]) -> tuple[int, str]:
        """Until everything is taken, nothing more is taken, or the session ends."""
        start_s = progress_s = time.monotonic()
        while self._taken_bytes < STALL_MB * 1e6:
            now_s = time.monotonic()
            if now_s > start_s + _STALL_S:
                return self._taken_bytes, f"still taking after {_STALL_S:.0f} s"
            if now_s > progress_s + _QUIET_S:
                return self._taken_bytes, "held back, session open"
            readable, writable, _ = select.select([self._connection], [self._connection], [], 0.2)
            try:
                if readable and (end := self._receive()):
                    return self._taken_bytes, end
                if writable:
                    self._send()
                    progress_s = now_s
            except OSError as error:
                return self._taken_bytes, f"connection lost: {error}"
            tick(self._taken_bytes / 1e6)
        return self._taken_bytes, "everything taken"

    def _send(self) -> None:
        at = self._taken_bytes % len(self._message)  # a message the kernel took half of is continued
        self._taken_bytes += self._connection.send(self._message[at:])

    def _receive(self) -> str | None:
        data = self._connection.recv(65_536)
        if not data:
            return "connection lost"
        frames, self._rest = take_frames(self._rest + data)
        for one in frames:
            if one.opcode == CLOSE:
                return f"session closed with {int.from_bytes(one.payload[:2])}"
        return None
