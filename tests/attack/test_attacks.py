"""The short form: nothing an attacker does stops the daemon from answering, or a bystander from being heard."""

from pathlib import Path

import pytest
import trio

from tests.attack.attacks import ATTACKS
from tests.attack.bystander import attacked, daemon

SECONDS = 2.0

WORST_MS = 2000.0
"""No measure of speed: a loop that is held stands for seconds, where hours were the rule."""


@pytest.mark.parametrize("name", ATTACKS)
async def test_a_bystander_is_served(name: str, tmp_path: Path) -> None:
    """While somebody attacks: `make attack` has the figures."""
    with trio.fail_after(120):
        async with daemon(tmp_path) as port:
            figures = await attacked(port, name, SECONDS)
    assert figures.messages > 20
    assert figures.p99_ms < WORST_MS
    assert figures.worst_health_ms < 2 * WORST_MS
