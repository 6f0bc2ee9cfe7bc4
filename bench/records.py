"""What the measuring processes are told and what they answer, one JSON document per line."""

import math
from collections.abc import Sequence

import msgspec


class SinkSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The upstream's orders."""

    certificate: str | None = None
    """PEM file with chain and key: the upstream speaks TLS."""
    reads: bool = True
    """False: opens the WebSocket and never reads again."""
    finals_every: int = 0
    """Every so many replies one is a final; 0: interims only."""


class Listening(msgspec.Struct, frozen=True):
    """The upstream's first line."""

    port: int


class Delays(msgspec.Struct, frozen=True):
    """Milliseconds from sent to received."""

    p50_ms: float
    p99_ms: float
    max_ms: float


class SinkReport(msgspec.Struct, frozen=True):
    """What of the measured audio reached the upstream since the last report."""

    blocks: int
    messages: int
    """WebSocket messages the blocks came in; fewer than blocks when the proxy gathers."""
    disordered: int
    """Blocks that were not the next one of their session: lost, repeated or damaged."""
    replies: int
    delays: Delays | None
    """None: nothing arrived."""


class LoadSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The generator's orders."""

    port: int
    sessions: int
    target: str
    """Path and query that the sessions ask for."""
    warm_s: float
    """Audio sent in every session before anything is measured."""
    pids: tuple[int, ...]
    """Processes of the proxy, whose processor time is read around the measured part."""
    drain_s: float = 30.0
    """How long replies may be missing after the last block was sent."""


class Warm(msgspec.Struct, frozen=True):
    """The generator's first line: all sessions are open and every reply is back."""

    failure: str | None = None
    """Why not. The generator has ended then."""


class LoadReport(msgspec.Struct, frozen=True):
    """The generator's answer to an order, which is a number of seconds: what one slice cost."""

    failure: str | None = None
    """Why the slice ended early; every other field is then what was known by then. The generator has ended."""
    sent: int = 0
    replies: int = 0
    cpu_ns: int = 0
    """Processor time of the proxy from the first block to the last reply."""
    wall_s: float = 0.0
    drained_s: float = 0.0
    """From the last block sent to the last reply received."""
    late: int = 0
    """Blocks sent noticeably later than planned."""
    late_max_ms: float = 0.0
    delays: Delays | None = None


def delays(samples_ns: Sequence[int]) -> Delays | None:
    """Percentiles by nearest rank."""
    if not samples_ns:
        return None
    ordered = sorted(samples_ns)
    p50, p99 = (ordered[math.ceil(len(ordered) * part) - 1] / 1e6 for part in (0.50, 0.99))
    return Delays(p50, p99, ordered[-1] / 1e6)


def say(line: msgspec.Struct) -> None:
    """Writes one line to the harness."""
    print(msgspec.json.encode(line).decode(), flush=True)
