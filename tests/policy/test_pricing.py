"""What audio costs: begun cycles of five seconds, in exact units."""

from decimal import Decimal, localcontext
from fractions import Fraction

import hypothesis.strategies as st
import pytest
from hypothesis import given

from routeraudio.policy.pricing import (
    CYCLE_S,
    affordable,
    budget_units,
    cycles,
    micro_usd,
    shown_rows_usd,
    shown_usd,
    usd,
)


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


@pytest.mark.parametrize(
    ("amount", "micro"),
    [("0", 0), ("0.000001", 1), ("0.15", 150_000), ("0.39", 390_000), ("999999.999999", 999_999_999_999)],
)
def test_micro_dollars(amount: str, micro: int) -> None:
    """Prices and budgets with at most six decimals are whole numbers, however they are written."""
    assert micro_usd(Decimal(amount)) == micro
    assert micro_usd(Decimal(amount + ("0000" if "." in amount else ".0000"))) == micro
    assert budget_units(Decimal(amount)) == micro * 720


@pytest.mark.parametrize("amount", ["-0.01", "0.0000001", "1000000", "NaN", "Infinity", "-Infinity", "1E+20"])
def test_amounts_that_cannot_be_counted(amount: str) -> None:
    """They are refused, not rounded."""
    with pytest.raises(ValueError, match="six decimals"):
        micro_usd(Decimal(amount))


@given(st.decimals(0, 1000, places=6), st.integers(0, 10**9))
def test_amounts_are_exact(price: Decimal, audio_ms: int) -> None:
    """Begun cycles × 5 s × price per hour ÷ 3600, to the last digit."""
    count = cycles(audio_ms)
    assert usd(count * micro_usd(price)) == Fraction(price) * count * CYCLE_S / 3600


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**9)), max_size=20))
def test_sums_are_exact(lines: list[tuple[int, int]]) -> None:
    """Adding lines up in any order comes to the same as adding up their amounts."""
    units = [count * price for count, price in lines]
    assert usd(sum(units)) == sum((usd(one) for one in units), Fraction(0))
    assert shown_usd(sum(reversed(units))) == shown_usd(sum(units))


@pytest.mark.parametrize(
    ("count", "price", "shown"),
    [
        (1, "0.15", "0.000208333333"),
        (1, "0.39", "0.000541666667"),
        (3, "0.15", "0.000625000000"),
        (720, "0.39", "0.390000000000"),
        (0, "0.39", "0.000000000000"),
        (10**12, "999.999999", "1388888887500.000000000000"),
    ],
)
def test_amounts_are_shown_with_twelve_decimals(count: int, price: str, shown: str) -> None:
    """The price list's own examples among them."""
    assert f"{shown_usd(count * micro_usd(Decimal(price))):f}" == shown


@given(st.integers(0, 100), st.integers(0, 1000), st.integers(-1000, 10_000))
def test_what_is_left_covers_no_more_than_it_does(wanted: int, cycle_units: int, left_units: int) -> None:
    """As many of the wanted cycles as fit, and not one more."""
    count = affordable(wanted, cycle_units, left_units)
    assert 0 <= count <= wanted
    assert count == 0 or cycle_units == 0 or count * cycle_units <= left_units
    assert count == wanted or (count + 1) * cycle_units > left_units


@given(st.lists(st.integers(0, 10**15), max_size=50))
def test_shown_rows_add_up_to_the_shown_total(rows: list[int]) -> None:
    """A reader who adds the rows gets the total to the last digit, and no row is off by a whole last digit."""
    shown = shown_rows_usd(rows)
    with localcontext() as context:
        context.prec = 60
        assert sum(shown, Decimal(0)) == shown_usd(sum(rows))
        for units, amount in zip(rows, shown, strict=True):
            assert abs(Fraction(amount) - usd(units)) < Fraction(1, 10**12)
