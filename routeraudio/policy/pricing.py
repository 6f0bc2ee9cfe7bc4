"""What audio costs: 5-second cycles, begun cycles counting whole (seed memories.ai audio stream, section 3).

Money is counted in whole *units*, so that sums are exact whatever their order. A price is a whole number of
micro-dollars per hour, and a cycle is 1/720 of an hour: one unit is 1/720 of a micro-dollar, and a cycle costs as many
units as its price has micro-dollars. Amounts are rounded only where they are shown.
"""

from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Final

CYCLE_S: Final = 5
"""Seconds of audio in one billing cycle."""

CYCLES_PER_HOUR: Final = 3600 // CYCLE_S

MICRO: Final = 1_000_000
"""Micro-dollars in a dollar: prices and budgets have at most six decimals."""

UNITS_PER_USD: Final = MICRO * CYCLES_PER_HOUR

MICRO_MAX: Final = 10**12
"""A million dollars: above, a price is a slip of the keyboard, and sums stay far below what 64 bits hold."""

_SHOWN: Final = Decimal("1E-12")
"""How amounts are shown: a unit is 1.4E-9 dollars, so no two sums look alike."""

SHOWN_PER_USD: Final = 10**12


def cycles(audio_ms: int) -> int:
    """Cycles begun by ``audio_ms`` of audio: a cycle counts from its first sample."""
    return -(-audio_ms // (CYCLE_S * 1000))


def micro_usd(amount_usd: Decimal) -> int:
    """A price or a budget in micro-dollars; a price per hour so is the units of one cycle.

    Raises:
        ValueError: negative, more than six decimals, or a million dollars and more.
    """
    micro = amount_usd.scaleb(6) if amount_usd.is_finite() else amount_usd
    if not micro.is_finite() or micro < 0 or micro >= MICRO_MAX or micro != micro.to_integral_value():
        raise ValueError(
            f"{amount_usd} is no amount in dollars: from 0 to below {MICRO_MAX // MICRO}, at most six decimals"
        )
    return int(micro)


def budget_units(amount_usd: Decimal) -> int:
    """A budget in units. Raises what `micro_usd` raises."""
    return micro_usd(amount_usd) * CYCLES_PER_HOUR


def affordable(wanted: int, cycle_units: int, left_units: int) -> int:
    """How many of ``wanted`` cycles what is left covers. What costs nothing is always covered."""
    if cycle_units == 0:
        return wanted
    return min(wanted, max(0, left_units // cycle_units))


def usd(units: int) -> Fraction:
    """Units in dollars, exactly."""
    return Fraction(units, UNITS_PER_USD)


def shown_rows_usd(rows: Sequence[int]) -> list[Decimal]:
    """Units of several rows in dollars for display, rounded so that they add up to their shown total.

    Each alone is right to the last digit shown; where roundings would not add up, those nearest to the next digit go up
    (largest remainders).
    """
    total = int(shown_usd(sum(rows)).scaleb(12))
    parts = [divmod(units * SHOWN_PER_USD, UNITS_PER_USD) for units in rows]
    missing = total - sum(digits for digits, _ in parts)
    nearest = sorted(range(len(rows)), key=lambda row: -parts[row][1])[:missing]
    return [Decimal(digits + (row in nearest)).scaleb(-12) for row, (digits, _) in enumerate(parts)]


def shown_usd(units: int) -> Decimal:
    """Units in dollars, rounded to twelve decimals for display."""
    with localcontext() as context:
        context.prec = 50
        return (Decimal(units) / UNITS_PER_USD).quantize(_SHOWN)
