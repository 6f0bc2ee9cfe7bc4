"""What audio costs: begun cycles of five seconds."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from routeraudio.policy.pricing import CYCLE_S, cycles


@pytest.mark.parametrize(
    ("audio_ms", "expected"),
    [
        (0, 0),
        (1, 1),
        (4999, 1),
        (5000, 1),
        (5001, 2),
        (10_000, 2),
        (10_001, 3),
        (12_000, 3),
        (3_600_000, 720),
        (14_400_000, 2880),
    ],
)
def test_begun_cycles(audio_ms: int, expected: int) -> None:
    """A cycle counts whole from its first millisecond; none counts before."""
    assert cycles(audio_ms) == expected


@given(st.integers(0, 10**15))
def test_cycles_just_cover_the_audio(audio_ms: int) -> None:
    """As many cycles as the audio needs and not one more, exactly, however long it is."""
    count = cycles(audio_ms)
    assert isinstance(count, int)
    assert (count - 1) * CYCLE_S * 1000 < audio_ms or count == 0
    assert audio_ms <= count * CYCLE_S * 1000


def test_a_cycle() -> None:
    """The length that the price list names."""
    assert CYCLE_S == 5
