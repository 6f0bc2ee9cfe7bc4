"""Whether the ledger says what an independent counter heard, ride by ride."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from routeraudio.policy.pricing import cycles
from tests.fleet.counting import Heard
from tests.fleet.riding import Ride

UNSURE: Final = ("cut",)
"""Endings after which the cycle in flight may be missing: nobody was left to tell the ledger."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the ledger, as it stands in the table."""

    name: str
    """The ride, which is the model."""
    status: str
    cycles: int
    granted: int
    audio_ms: int


class Verdict(msgspec.Struct):
    """The comparison."""

    lines: int = 0
    ledger_cycles: int = 0
    heard_cycles: int = 0
    missing: int = 0
    """Cycles of rides that were cut, heard and not charged: at most one each."""
    cut: int = 0
    faults: list[str] = msgspec.field(default_factory=list)
    """What must not be, in words; empty: all is well."""

    @property
    def is_good(self) -> bool:
        """Whether the ledger is right."""
        return not self.faults


def judge(rides: Sequence[Ride], lines: Sequence[Line], heard: Mapping[str, Heard]) -> Verdict:
    """Compare what clients saw, what the ledger has and what the provider heard."""
    verdict = Verdict(lines=len(lines))
    by_name: dict[str, Line] = {}
    for line in lines:
        if line.name in by_name:
            verdict.faults.append(f"{line.name}: two lines for one ride")
        by_name[line.name] = line
    endings = {ride.name: ride for ride in rides}
    for name in sorted(by_name.keys() | heard.keys()):
        ride = endings.get(name)
        if ride is None:
            verdict.faults.append(f"{name}: nobody rode it")
        else:
            _judge_one(verdict, ride, by_name.get(name), heard.get(name, Heard()))
    return verdict


def _judge_one(verdict: Verdict, ride: Ride, line: Line | None, heard: Heard) -> None:
    heard_cycles = cycles(heard.audio_ms)
    verdict.heard_cycles += heard_cycles
    verdict.cut += ride.ending in UNSURE
    if line is None:
        verdict.faults.append(f"{ride.name}: {heard_cycles} cycles were heard and there is no line")
        return
    verdict.ledger_cycles += line.cycles
    verdict.missing += heard_cycles - line.cycles
    least = heard_cycles - 1 if ride.ending in UNSURE else heard_cycles
    facts = (
        f"{ride.name} ({ride.ending} {ride.code} {ride.why}): heard {heard.audio_ms} ms = {heard_cycles} cycles, "
        f"ledger {line.status} {line.cycles} cycles, {line.audio_ms} ms"
    )
    if not max(0, least) <= line.cycles <= heard_cycles:
        verdict.faults.append(f"{facts}: cycles differ")
    if line.status == "open":
        verdict.faults.append(f"{facts}: still open")
    elif line.granted != line.cycles:
        verdict.faults.append(f"{facts}: {line.granted} granted")
    if line.audio_ms > heard.audio_ms or (line.status == "ended" and line.audio_ms != heard.audio_ms):
        verdict.faults.append(f"{facts}: milliseconds differ")
