"""That the verdict on a run of chaos can be bad."""

import pytest

from tests.fleet.counting import BYTES_PER_MS, Heard
from tests.fleet.riding import Ending, Ride
from tests.fleet.verdict import Line, Verdict, judge


def judged(ending: Ending, heard_ms: int, cycles: int, **line: object) -> Verdict:
    values = {"status": "ended", "granted": cycles, "audio_ms": heard_ms} | line
    found = Line(name="r", cycles=cycles, **values)  # type: ignore[arg-type]  # what the test says
    return judge([Ride(name="r", ending=ending)], [found], {"r": Heard(1, heard_ms * BYTES_PER_MS)})


@pytest.mark.parametrize(
    ("ending", "heard_ms", "cycles"),
    [("finished", 12_000, 3), ("finished", 0, 0), ("left", 5000, 1), ("cut", 12_000, 3), ("cut", 12_000, 2)],
)
def test_right(ending: Ending, heard_ms: int, cycles: int) -> None:
    """A ledger that equals what was heard is right; the cycle in flight of a ride that was cut may be missing."""
    assert judged(ending, heard_ms, cycles).is_good


@pytest.mark.parametrize(
    ("ending", "heard_ms", "cycles"),
    [
        ("finished", 12_000, 2),
        ("finished", 12_000, 4),
        ("told", 5001, 1),
        ("left", 12_000, 2),
        ("cut", 12_000, 1),
        ("cut", 12_000, 4),
    ],
)
def test_wrong(ending: Ending, heard_ms: int, cycles: int) -> None:
    """More than was heard is wrong always, less is wrong but for one cycle of a ride that was cut."""
    (fault,) = judged(ending, heard_ms, cycles).faults
    assert "cycles differ" in fault


def test_left_open() -> None:
    """Lines that nobody closed are wrong, and reservations that were not given back."""
    (fault,) = judged("finished", 12_000, 3, status="open").faults
    assert "still open" in fault
    (fault,) = judged("finished", 12_000, 3, granted=4).faults
    assert "4 granted" in fault


def test_milliseconds() -> None:
    """A line that ended has the very milliseconds that were heard; one that was aborted has no more."""
    (fault,) = judged("finished", 12_000, 3, audio_ms=11_999).faults
    assert "milliseconds differ" in fault
    (fault,) = judged("cut", 12_000, 3, status="aborted", audio_ms=12_001).faults
    assert "milliseconds differ" in fault
    assert judged("cut", 12_000, 3, status="aborted", audio_ms=10_000).is_good


def test_strangers() -> None:
    """Audio without a line, a line without a ride and two lines for one ride are found."""
    ride = Ride(name="r", ending="finished")
    line = Line(name="r", status="ended", cycles=0, granted=0, audio_ms=0)
    assert "no line" in judge([ride], [], {"r": Heard(1, 800)}).faults[0]
    assert "nobody rode" in judge([], [line], {}).faults[0]
    assert "two lines" in judge([ride], [line, line], {}).faults[0]
