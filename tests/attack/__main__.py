"""`python -m tests.attack [SECONDS]`: every attack, what it cost a bystander, and the verdict, in one table."""

import sys
from pathlib import Path

import trio
from rich.console import Console
from rich.table import Table

from tests.attack.attacks import ATTACKS
from tests.attack.bystander import BUDGET_USD, Figures, attacked, daemon, folder, measure, spend

FACTOR = 3.0
FLOOR_MS = 25.0
"""Below that nobody notices, whatever the ratio; the attacker and the client share two cores with the daemon."""

HEALTH_MS = 250.0

MUTATIONS_S = 60.0


async def run(seconds: float) -> bool:
    """Run them all. Whether every verdict is good."""
    table = Table("attack", "p50 ms", "p99 ms", "/healthz worst ms", "messages", "verdict")
    is_good = True
    with folder() as place:
        async with daemon(Path(place)) as served:
            idle = await measure(served, seconds)
            add(table, "(none)", idle, "")
            for name in ATTACKS:
                lasts_s = MUTATIONS_S if name == "mutations" else seconds
                figures = await attacked(served, name, lasts_s)
                bound_ms = max(FACTOR * idle.p99_ms, FLOOR_MS)
                is_held = figures.p99_ms <= bound_ms and figures.worst_health_ms <= HEALTH_MS
                is_good = is_good and is_held
                add(table, name, figures, "[green]held[/]" if is_held else "[red]broken[/]")
            await spend(served)
            usage = await served.settled()
            spent_usd = float(usage["nova-2"]["amount_usd"])
            is_good = is_good and 0 < spent_usd <= BUDGET_USD
    Console().print(table)
    Console().print(
        f"The ledger has {usage['nova-3']['audio_seconds']:.3f} s of the bystander's and "
        f"{usage['nova-2']['audio_seconds']:.3f} s of the spenders' audio, as the provider has counted; "
        f"of a budget of ${BUDGET_USD}, ${spent_usd} is spent."
    )
    return is_good


def add(table: Table, name: str, figures: Figures, verdict: str) -> None:
    """One row."""
    table.add_row(
        name,
        f"{figures.p50_ms:.1f}",
        f"{figures.p99_ms:.1f}",
        f"{figures.worst_health_ms:.0f}",
        str(figures.messages),
        verdict,
    )


if __name__ == "__main__":
    sys.exit(0 if trio.run(run, float(sys.argv[1]) if len(sys.argv) > 1 else 8.0) else 1)
