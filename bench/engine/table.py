"""The figures as tables."""

from collections.abc import Sequence
from typing import Final

from rich.table import Table

from bench.engine.measure import Figures

GOALS: Final = (
    "goals: words wrong ≤ 9 %, clean ≤ 5 %; CPU ≤ 0.13; partial ≤ 450 ms; final ≤ 800 ms at 8; invented ≤ 4"
)


def heard_table(figures: Sequence[Figures]) -> Table:
    """Words wrong, by condition, and what was invented."""
    table = Table(title="What the local engine hears", caption=GOALS)
    table.add_column("back end")
    for name in [*figures[0].word_errors, "all", "CPU s per audio s", "MiB idle"]:
        table.add_column(name, justify="right")
    minutes = figures[0].invented_minutes
    table.add_column(f"invented words in {minutes:.0f} min", justify="right")
    for each in figures:
        invented = ", ".join(f"{name} {count}" for name, count in each.invented.items() if count)
        table.add_row(
            each.backend,
            *(f"{error:.1%}" for error in each.word_errors.values()),
            f"{each.word_error:.1%}",
            f"{each.cpu_share:.3f}",
            f"{each.engine_mib:.0f}",
            f"{sum(each.invented.values())}" + (f" ({invented})" if invented else ""),
        )
    return table


def delay_table(figures: Sequence[Figures]) -> Table:
    """How soon, by number of sessions."""
    table = Table(title="How soon, in real time with partials (p50 / p95), endpointing 500 ms")
    for name in ("back end", "sessions", "first partial, ms", "end of speech to final, ms"):
        table.add_column(name, justify="left" if name == "back end" else "right")
    table.add_column("CPU s per audio s", justify="right")
    table.add_column("MiB per session", justify="right")
    for each in figures:
        for delay in each.delays:
            table.add_row(
                each.backend,
                f"{delay.sessions}",
                "{:.0f} / {:.0f}".format(*delay.first_partial_ms),
                "{:.0f} / {:.0f}".format(*delay.final_ms),
                f"{delay.cpu_share:.3f}",
                f"{delay.kib_per_session / 1024:.0f}",
            )
    return table
