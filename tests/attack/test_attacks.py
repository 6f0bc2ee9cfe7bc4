"""The short form: nothing an attacker does stops the daemon from answering, or a bystander from being heard."""

from pathlib import Path

import trio

from tests.attack.attacks import ATTACKS
from tests.attack.bystander import BUDGET_USD, attacked, daemon, spend

SECONDS = 1.5

WORST_MS = 2000.0
"""No measure of speed: a loop that is held stands for seconds, where hours were the rule."""


async def test_a_bystander_is_served(tmp_path: Path) -> None:
    """While somebody attacks, one way after the other (`make attack` has the figures); and the ledger is right then.

    What it says was sent is what the provider has counted, and no budget is spent twice.
    """
    broken: list[str] = []
    with trio.fail_after(600):
        async with daemon(tmp_path) as place:
            for name in ATTACKS:
                figures = await attacked(place, name, SECONDS)
                is_held = figures.p99_ms < WORST_MS and figures.worst_health_ms < 2 * WORST_MS
                if figures.messages <= 20 or not is_held:
                    broken.append(f"{name}: {figures}")
            await spend(place)
            usage = await place.settled()
    assert not broken
    assert usage["nova-3"]["audio_seconds"] > len(ATTACKS) * SECONDS / 2
    spent = usage["nova-2"]
    assert 0 < float(spent["amount_usd"]) <= BUDGET_USD
    assert spent["audio_seconds"] <= spent["cycles"] * 5
