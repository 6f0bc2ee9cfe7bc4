"""A process that streams until it is killed: `python -m tests.store.writer URL SPOOL EPOCH`.

Tells on standard output what an emulator would have received: a line `session cycles` before each cycle's first sample,
that is, after it was granted.
"""

import sys
from decimal import Decimal
from pathlib import Path

import structlog
import trio

from routeraudio.policy.access import Principal
from routeraudio.store.connect import open_store
from routeraudio.store.contract import Node
from routeraudio.store.ledger import service as ledgers
from routeraudio.store.ledger.service import Ledger

SESSIONS = 5
CYCLE_S = 0.05


async def stream(ledger: Ledger, session_id: str) -> None:
    """One stream after the other, of ten cycles each."""
    number = 0
    while True:
        number += 1
        name = f"{session_id}-{number}"
        credit = await ledger.open(
            session_id=name,
            principal=Principal("k1", None, "acme"),
            dialect="listen",
            provider="deepgram",
            model=None,
            price_per_hour_usd=Decimal("0.36"),
        )
        for cycles in range(1, 11):
            await credit.wait_granted(cycles)
            sys.stdout.write(f"{name} {cycles}\n")
            sys.stdout.flush()
            credit.begun(cycles)
            await trio.sleep(CYCLE_S)
        await credit.close(audio_ms=50_000, connected_ms=50_000, provider_ms=None, ending="ok")


async def main(url: str, spool: str, epoch: str) -> None:
    """Stream until killed."""
    store = open_store(url)
    ledger = Ledger(store, node=Node("writer", epoch), spool=Path(spool))
    async with trio.open_nursery() as nursery:
        await nursery.start(ledger.run)
        for number in range(SESSIONS):
            nursery.start_soon(stream, ledger, f"{epoch}-{number}")


if __name__ == "__main__":
    # As many moments to be killed at as possible.
    ledgers.GATHER_S = ledgers.HURRY_S = 0.01  # type: ignore[misc]
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    trio.run(main, *sys.argv[1:])
