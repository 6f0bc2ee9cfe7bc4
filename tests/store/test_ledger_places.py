# ruff: noqa: F811  (fixtures of another file are named as parameters)
"""Places and budgets are free when a client hears of its stream's end, and a lost telephone's place is its owner's."""

from decimal import Decimal

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

from routeraudio.model.errors import BudgetUsedUp, Overloaded
from routeraudio.policy.keys import Budget, Restriction, Terms
from routeraudio.session.credit import Credit
from routeraudio.store.contract import Node
from routeraudio.store.ledger.service import AGAIN_S, SILENT_S, Ledger
from routeraudio.store.sql.store import SqlStore
from tests.store.flaky import Flaky
from tests.store.ledgers import ledger, opened, real, spool, store  # noqa: F401
from tests.store.world import CYCLE_USD, a_key, act, add_key, spent

ONE_CYCLE = Budget(usd=Decimal(CYCLE_USD), period="total")


def budgeted(real: SqlStore) -> None:
    """Key `k1` may spend one cycle."""
    real.set_key(a_key(terms=Terms(budget=ONE_CYCLE)), act())


async def over(credit: Credit) -> None:
    """As a session ends that has sent nothing."""
    await credit.close(audio_ms=0, connected_ms=10, provider_ms=None, ending="ok")


@pytest.mark.parametrize("terms", [{"concurrency_max": 1}, {"budget": ONE_CYCLE}])
@pytest.mark.parametrize("is_told_before", [False, True])
async def test_who_hears_of_the_end_may_come_back(
    autojump_clock: MockClock, ledger: Ledger, real: SqlStore, terms: dict[str, object], is_told_before: bool
) -> None:
    """At once, also when the last word to the client overtakes the ledger by some milliseconds."""
    if "budget" in terms:
        budgeted(real)
    first = await opened(ledger, "s1", **terms)

    async def end() -> None:
        if is_told_before:
            await trio.sleep(0.05)
        await over(first)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(end)
        if not is_told_before:
            await trio.lowlevel.checkpoint()
        with trio.fail_after(2 * AGAIN_S):
            await opened(ledger, "s2", **terms)
    assert [line.status for line in real.lines("s2")] == ["open"]


@pytest.mark.parametrize("terms", [{"concurrency_max": 1}, {"budget": ONE_CYCLE}])
async def test_on_another_node(
    autojump_clock: MockClock,
    ledger: Ledger,
    store: Flaky,
    real: SqlStore,
    tmp_path: object,
    nursery: trio.Nursery,
    terms: dict[str, object],
) -> None:
    """Behind a balancer the next stream begins elsewhere, while the end of the first one is being written."""
    if "budget" in terms:
        budgeted(real)
    other = Ledger(store, node=Node("there", "1"), spool=tmp_path / "there")  # type: ignore[arg-type,operator]
    await nursery.start(other.run)
    await over(await opened(ledger, "s1", **terms))
    await opened(other, "s2", **terms)


async def test_what_is_really_used_up(autojump_clock: MockClock, ledger: Ledger, real: SqlStore) -> None:
    """Is refused all the same, and nothing is reserved by trying twice; a token is burnt once, for its stream."""
    budgeted(real)
    await opened(ledger, "s1")
    with pytest.raises(BudgetUsedUp):
        await opened(ledger, "s2", budget=ONE_CYCLE)
    assert real.lines("s2") == []
    assert spent(real)[0] == 360_000


async def test_a_token_that_waits_for_its_place(
    autojump_clock: MockClock, ledger: Ledger, real: SqlStore
) -> None:
    """The second attempt is the same stream's: its token has not been used by anybody else."""
    token = Restriction(jti="j2", expires_at_s=2_000_000_000, max_concurrent=1)
    first = await opened(
        ledger, "s1", restriction=Restriction(jti="j1", expires_at_s=2_000_000_000, max_concurrent=1)
    )
    async with trio.open_nursery() as nursery:

        async def end() -> None:
            await trio.sleep(0.05)
            await over(first)

        nursery.start_soon(end)
        await opened(ledger, "s2", restriction=token)
    assert real.lines("s2")[0].status == "open"


async def test_a_lost_telephone(autojump_clock: MockClock, ledger: Ledger, real: SqlStore) -> None:
    """Its stream is silent, and its owner comes back: the new stream gets the place at once, the old one is told."""
    lost = await opened(ledger, "s1", concurrency_max=1)
    lost.begun(1)
    lost.quiet(trio.current_time())
    await trio.sleep(SILENT_S)
    began_s = trio.current_time()
    await opened(ledger, "s2", concurrency_max=1)
    assert trio.current_time() - began_s < AGAIN_S
    with trio.fail_after(1), pytest.raises(Overloaded, match="newer stream of this key"):
        await lost.revoked()
    assert [line.status for line in (*real.lines("s1"), *real.lines("s2"))] == ["ended", "open"]
    # What it still sends until it has ended is charged, and what it took in all is written.
    lost.begun(2)
    await lost.close(audio_ms=9000, connected_ms=60_000, provider_ms=None, ending="overloaded")
    await trio.sleep(1)
    (line,) = real.lines("s1")
    assert (line.status, line.cycles, line.audio_ms, line.connected_ms) == ("ended", 2, 9000, 60_000)
    assert not ledger.marks_waiting


async def test_nobody_is_displaced_who_speaks(
    autojump_clock: MockClock, ledger: Ledger, real: SqlStore
) -> None:
    """Neither a stream that was heard a moment ago, nor one of another key of the account, nor one of another kind."""
    add_key(real, "k2")
    await opened(ledger, "s1", key_id="k2", concurrency_max=2)
    speaking = await opened(ledger, "s2", concurrency_max=2)
    await trio.sleep(10)
    speaking.quiet(trio.current_time() - SILENT_S / 2)
    with pytest.raises(Overloaded, match="as many streams"):
        await opened(ledger, "s3", concurrency_max=2)
    assert {line.status for name in ("s1", "s2") for line in real.lines(name)} == {"open"}


async def test_the_longest_silent_one_goes_first(
    autojump_clock: MockClock, ledger: Ledger, real: SqlStore
) -> None:
    """One for one: a key cannot be emptied by a single newcomer."""
    credits = [await opened(ledger, f"s{number}", concurrency_max=3) for number in range(3)]
    await trio.sleep(60)
    for number, credit in enumerate(credits):
        credit.quiet(trio.current_time() - (30, 50, 40)[number])
    await opened(ledger, "s3", concurrency_max=3)
    await opened(ledger, "s4", concurrency_max=3)
    assert [real.lines(f"s{number}")[0].status for number in range(3)] == ["open", "ended", "ended"]
