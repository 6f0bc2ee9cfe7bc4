# ruff: noqa: F811  (fixtures of another file are named as parameters)
"""The ledger between sessions and a store, in virtual time: what is granted when, and what an outage does."""

import os
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from routeraudio.model.errors import BudgetUsedUp, ClientFault, Overloaded, Unavailable
from routeraudio.policy.keys import Budget, Restriction, Terms
from routeraudio.session.credit import Credit
from routeraudio.store.contract import Mark, Node, Settled, UsageQuery
from routeraudio.store.ledger.journal import Journal
from routeraudio.store.ledger.service import (
    GATHER_S,
    HEARTBEAT_S,
    HURRY_S,
    KEYS_S,
    LEASE_END_S,
    SWEEP_S,
    Ledger,
)
from routeraudio.store.sql.store import SqlStore
from tests.store.flaky import Flaky
from tests.store.ledgers import GRACE_S, ledger, opened, real, spool, store  # noqa: F401
from tests.store.world import CYCLE_USD, NODE, a_key, act, add_key, silence, spent


async def stream(credit: Credit, since: int, until: int) -> None:
    """Cycles in real time, the first of them ``since``."""
    for cycles in range(since, until + 1):
        await credit.wait_granted(cycles)
        credit.begun(cycles)
        await trio.sleep(5)


async def close(credit: Credit, audio_ms: int = 0, ending: str = "ok") -> None:
    """The stream is over, and the ledger has had its time to write it."""
    await credit.close(audio_ms=audio_ms, connected_ms=audio_ms + 100, provider_ms=None, ending=ending)
    await trio.sleep(1)


def files(spool: Path) -> list[str]:
    """What is on the disk."""
    return [path.name for path in spool.iterdir()]


def put_in_the_way(spool: Path) -> None:
    """A file where the directory should be."""
    spool.parent.mkdir()
    spool.write_bytes(b"something else")


async def heartbeat_seen(store: Flaky) -> float:
    """Wait for a heartbeat; when it was, within half a second."""
    count = store.calls["heartbeat"]
    with trio.fail_after(2 * HEARTBEAT_S):
        while store.calls["heartbeat"] == count:  # noqa: ASYNC110  (a store sets no event)
            await trio.sleep(0.5)
    return trio.current_time()


# Grants.


async def test_the_next_cycle_is_granted_when_this_one_is_durable(
    autojump_clock: MockClock, ledger: Ledger, real: SqlStore
) -> None:
    """Seconds before it is needed, by one commit for everything that begins meanwhile."""
    credit = await opened(ledger)
    assert credit.granted == 1
    credit.begun(1)
    await trio.sleep(GATHER_S / 2)
    assert (credit.granted, real.lines("s1")[0].cycles) == (1, 0)
    await trio.sleep(GATHER_S)
    assert (credit.granted, real.lines("s1")[0].cycles) == (2, 1)


async def test_one_commit_for_many(autojump_clock: MockClock, ledger: Ledger, store: Flaky) -> None:
    """A hundred streams that begin a cycle together cost one transaction."""
    credits = [await opened(ledger, f"s{number}") for number in range(100)]
    for credit in credits:
        credit.begun(1)
    await trio.sleep(1)
    assert store.calls["settle"] == 1
    assert {credit.granted for credit in credits} == {2}


async def test_an_idle_ledger_only_keeps_its_lease(
    autojump_clock: MockClock, ledger: Ledger, store: Flaky
) -> None:
    """Heartbeats and sweeps, nothing else."""
    store.calls.clear()
    await trio.sleep(10 * HEARTBEAT_S)
    assert set(store.calls) == {"heartbeat", "sweep"}
    assert 9 <= store.calls["heartbeat"] <= 13
    assert 6 <= store.calls["sweep"] <= 9


async def test_a_flush_of_nothing(autojump_clock: MockClock, ledger: Ledger, real: SqlStore) -> None:
    """Somebody may want everything to be written when nothing is to be; what begins later is written all the same."""
    await trio.sleep(1)
    await ledger.flush()
    credit = await opened(ledger)
    with trio.fail_after(60):
        await stream(credit, 1, 3)
    await close(credit)
    assert real.lines("s1")[0].cycles == 3


async def test_a_fast_client_waits_for_each_cycle(
    autojump_clock: MockClock, ledger: Ledger, real: SqlStore
) -> None:
    """However fast it sends, it is at most one cycle ahead of what is durable; it does not wait long for that."""
    credit = await opened(ledger)
    for cycles in range(1, 21):
        await credit.wait_granted(cycles)
        assert real.lines("s1")[0].cycles >= cycles - 1
        credit.begun(cycles)
    assert 15 * HURRY_S <= trio.current_time() < 21 * 2 * HURRY_S


async def test_several_cycles_at_once(autojump_clock: MockClock, ledger: Ledger, real: SqlStore) -> None:
    """What cannot be cut is granted whole, in one write, and what was not used is given back."""
    credit = await opened(ledger)
    await credit.wait_granted(27)
    assert credit.granted >= 27
    assert trio.current_time() < 1
    credit.begun(26)
    await close(credit, 130_000)
    assert real.lines("s1")[0].cycles == 26
    assert spent(real)[0] == real.total(UsageQuery()).amount_units


async def test_several_cycles_beyond_the_budget(
    autojump_clock: MockClock, ledger: Ledger, real: SqlStore
) -> None:
    """They are refused together; the budget is not overdrawn by a message of two minutes."""
    budget = Budget(10 * CYCLE_USD)
    real.set_key(a_key(terms=Terms(budget=budget)), act())
    credit = await opened(ledger, budget=budget)
    with pytest.raises(BudgetUsedUp):
        await credit.wait_granted(27)
    await close(credit, 0, "rate_limited")
    assert (real.lines("s1")[0].cycles, spent(real)[0]) == (0, 0)


async def test_several_cycles_in_an_outage(autojump_clock: MockClock, ledger: Ledger, store: Flaky) -> None:
    """They are lent together, as far as the grace time goes; who wants more is not held until the store is back."""
    credit = await opened(ledger)
    await stream(credit, 1, 2)
    store.is_down = True
    await credit.wait_granted(12)
    with trio.fail_after(5), pytest.raises(Overloaded, match="store"):
        await credit.wait_granted(30)
    assert 12 <= credit.granted < 30


async def test_a_stream_ends(autojump_clock: MockClock, ledger: Ledger, real: SqlStore) -> None:
    """Its ending is durable when `close` returns; closing twice changes nothing."""
    credit = await opened(ledger)
    await stream(credit, 1, 3)
    await close(credit, 12_000)
    await close(credit, 99_000, "internal")
    (line,) = real.lines("s1")
    assert (line.status, line.ending, line.cycles, line.audio_ms) == ("ended", "ok", 3, 12_000)
    assert real.total(UsageQuery()).amount_usd == Decimal("0.0015")


async def test_silence_costs_nothing(
    autojump_clock: MockClock, ledger: Ledger, real: SqlStore, store: Flaky
) -> None:
    """A minute on an open stream without audio is no cycle, and no write."""
    credit = await opened(ledger)
    await trio.sleep(60)
    assert store.calls["settle"] == 0
    await close(credit)
    assert real.total(UsageQuery()).cycles == 0
    assert spent(real)[0] == 0


async def test_a_budget_ends_a_stream(autojump_clock: MockClock, ledger: Ledger, real: SqlStore) -> None:
    """At the cycle that it does not cover; what was covered has been streamed."""
    budget = Budget(2 * CYCLE_USD)
    real.set_key(a_key(terms=Terms(budget=budget)), act())
    credit = await opened(ledger, budget=budget)
    await stream(credit, 1, 2)
    with pytest.raises(BudgetUsedUp, match="ask the operator"):
        await credit.wait_granted(3)
    await close(credit, 10_000, "rate_limited")
    assert real.lines("s1")[0].cycles == 2


async def test_a_budget_that_is_raised_in_time(
    autojump_clock: MockClock, ledger: Ledger, real: SqlStore
) -> None:
    """Counts although the cycle was refused when it was first asked for."""
    real.set_key(a_key(terms=Terms(budget=Budget(CYCLE_USD))), act())
    credit = await opened(ledger)
    credit.begun(1)
    await trio.sleep(1)
    assert credit.granted == 1
    real.set_key(a_key(), act())
    with trio.fail_after(1):
        await credit.wait_granted(2)


# Refusals at the door.


@pytest.mark.parametrize(
    ("fields", "fault", "says"),
    [
        ({"key_id": "gone", "concurrency_max": 5}, ClientFault, "unknown here"),
        ({"concurrency_max": 0}, Overloaded, "as many streams"),
        ({"sessions_per_minute_max": 0}, Overloaded, "per minute"),
        ({"budget": Budget(Decimal(0), "day")}, BudgetUsedUp, "renewed"),
        ({"budget": Budget(Decimal(0))}, BudgetUsedUp, "ask the operator for more$"),
        ({"restriction": Restriction(jti="used", expires_at_s=2_000_000_000)}, ClientFault, "token"),
    ],
)
async def test_refusals(
    autojump_clock: MockClock, ledger: Ledger, fields: dict[str, Any], fault: type[Exception], says: str
) -> None:
    """Each says whose fault it is and what to do."""
    await opened(ledger, "s0", restriction=Restriction(jti="used", expires_at_s=2_000_000_000))
    with pytest.raises(fault, match=says):
        await opened(ledger, **fields)


async def test_when_to_try_again(autojump_clock: MockClock, ledger: Ledger) -> None:
    """A limit of rate knows."""
    await opened(ledger, "s0", sessions_per_minute_max=1)
    with pytest.raises(Overloaded) as caught:
        await opened(ledger, "s1", sessions_per_minute_max=1)
    assert caught.value.retry_after_s is not None
    assert 0 < caught.value.retry_after_s <= 60


async def test_limits_of_a_token(autojump_clock: MockClock, ledger: Ledger) -> None:
    """Streams of its key's tokens that carry the same limit count together."""
    first = Restriction(jti="one", expires_at_s=2_000_000_000, max_concurrent=1)
    await opened(ledger, "s1", restriction=first)
    with pytest.raises(Overloaded, match="as many streams"):
        await opened(ledger, "s2", restriction=msgspec.structs.replace(first, jti="two"))


# Running streams.


@pytest.mark.parametrize(
    ("change", "says"), [({"is_disabled": True}, "disabled"), ({"expires_at_s": 1}, "expired")]
)
async def test_a_key_that_is_taken_away(
    autojump_clock: MockClock, ledger: Ledger, real: SqlStore, change: dict[str, Any], says: str
) -> None:
    """Ends its streams within five seconds, those that are silent too, and no others."""
    add_key(real, "k2")
    gone, stays = await opened(ledger, "s1"), await opened(ledger, "s2", key_id="k2")
    real.set_key(a_key(**change), act())
    with trio.fail_after(5), pytest.raises(ClientFault, match=says):
        await gone.revoked()
    with trio.move_on_after(2 * KEYS_S) as waiting:
        await stays.revoked()
    assert waiting.cancelled_caught


async def test_a_lost_lease_ends_streams_that_have_a_place(
    autojump_clock: MockClock, ledger: Ledger, real: SqlStore
) -> None:
    """After this node was taken for dead the others go on, and their lines are open again."""
    placed, free = await opened(ledger, "s1", concurrency_max=1), await opened(ledger, "s2")
    silence(real, NODE)
    assert real.sweep() == 2
    with trio.fail_after(HEARTBEAT_S), pytest.raises(Overloaded, match="place"):
        await placed.revoked()
    await trio.sleep(1)
    assert real.lines("s2")[0].status == "open"
    await stream(free, 1, 3)
    await close(free, 15_000)
    assert (real.lines("s2")[0].status, real.lines("s2")[0].cycles) == ("ended", 3)


async def test_a_new_stream_on_a_node_that_was_swept(
    autojump_clock: MockClock, ledger: Ledger, real: SqlStore
) -> None:
    """Is refused once, which makes the node join again."""
    silence(real, NODE)
    real.sweep()
    with pytest.raises(Unavailable):
        await opened(ledger)
    await trio.sleep(1)
    await opened(ledger)


async def test_streams_of_dead_nodes_are_closed(
    autojump_clock: MockClock, ledger: Ledger, real: SqlStore
) -> None:
    """Within one round of sweeping."""
    dead = Node("dead", "1")
    real.join(dead)
    silence(real, dead)
    await trio.sleep(SWEEP_S)
    assert real.join(dead) == 0


# Outages.


async def test_a_store_that_is_down_at_the_start(
    autojump_clock: MockClock, store: Flaky, spool: Path, nursery: trio.Nursery
) -> None:
    """Keeps nobody from starting; there are streams as soon as it answers."""
    store.is_down = True
    ledger = Ledger(store, node=NODE, spool=spool)  # type: ignore[arg-type] # see Flaky
    await nursery.start(ledger.run)
    assert not ledger.is_available
    with pytest.raises(Unavailable):
        await opened(ledger)
    store.is_down = False
    await trio.sleep(2)
    assert ledger.is_available
    await opened(ledger)


@pytest.mark.parametrize("how", ["is_down", "hangs"])
async def test_streams_go_on_without_the_store(
    autojump_clock: MockClock, ledger: Ledger, store: Flaky, real: SqlStore, spool: Path, how: str
) -> None:
    """Within the grace time, whether it fails or is silent; afterwards every cycle is in the ledger."""
    credit = await opened(ledger)
    await stream(credit, 1, 2)
    setattr(store, how, True)
    await stream(credit, 3, 10)
    assert not ledger.is_available
    with trio.fail_after(0.1), pytest.raises(Unavailable, match="try again"):
        await opened(ledger, "s2")
    assert real.lines("s1")[0].cycles == 2
    assert files(spool)
    setattr(store, how, False)
    await trio.sleep(6)
    assert ledger.is_available
    assert real.lines("s1")[0].cycles == 10
    assert not files(spool)
    await stream(credit, 11, 12)
    await close(credit, 60_000)
    assert (real.lines("s1")[0].cycles, real.lines("s1")[0].status) == (12, "ended")
    assert spent(real)[0] == real.total(UsageQuery()).amount_units


async def test_somebody_else_got_no_answer(autojump_clock: MockClock, ledger: Ledger, store: Flaky) -> None:
    """An outage is noticed as soon as it is asked about, not at the next heartbeat."""
    await heartbeat_seen(store)
    store.is_down = True
    await trio.sleep(0.1)
    assert ledger.is_available
    ledger.look_at_store()
    await trio.sleep(0.1)
    assert not ledger.is_available


async def test_a_stream_that_ends_in_an_outage(
    autojump_clock: MockClock, ledger: Ledger, store: Flaky, real: SqlStore
) -> None:
    """Is told to the disk at once, and to the store when it is back."""
    credit = await opened(ledger)
    await stream(credit, 1, 1)
    store.is_down = True
    await stream(credit, 2, 3)
    with trio.fail_after(2):
        await close(credit, 15_000)
    store.is_down = False
    await trio.sleep(3)
    (line,) = real.lines("s1")
    assert (line.status, line.ending, line.cycles, line.audio_ms) == ("ended", "ok", 3, 15_000)


async def test_the_grace_time_ends(autojump_clock: MockClock, ledger: Ledger, store: Flaky) -> None:
    """A minute without the store ends every stream; a fast one gets twelve cycles of it, and is not held for more."""
    slow, fast = await opened(ledger, "s1"), await opened(ledger, "s2")
    store.is_down = True
    began_s = trio.current_time()
    streamed = 0

    async def stream_fast() -> None:
        nonlocal streamed
        while True:
            await fast.wait_granted(streamed + 1)
            streamed += 1
            fast.begun(streamed)

    with pytest.raises(Overloaded, match="60 s"):
        await stream_fast()
    assert trio.current_time() - began_s < HEARTBEAT_S
    assert streamed == 13  # the one that was granted before, and a dozen
    with pytest.raises(Overloaded):
        await slow.revoked()
    assert GRACE_S <= trio.current_time() - began_s < GRACE_S + 2 * HEARTBEAT_S


async def test_a_place_is_left_before_its_lease_ends(
    autojump_clock: MockClock, ledger: Ledger, store: Flaky
) -> None:
    """Others may be given it after 30 s; streams without a limit go on."""
    placed, free = await opened(ledger, "s1", concurrency_max=5), await opened(ledger, "s2")
    seen_s = await heartbeat_seen(store)
    store.is_down = True
    with pytest.raises(Overloaded, match="place"):
        await placed.revoked()
    assert LEASE_END_S - 1 <= trio.current_time() - seen_s <= LEASE_END_S
    with trio.move_on_after(10) as waiting:
        await free.revoked()
    assert waiting.cancelled_caught


async def test_an_outage_lends_nothing_to_an_empty_account(
    autojump_clock: MockClock, ledger: Ledger, store: Flaky, real: SqlStore
) -> None:
    """A budget that was used up before it began stays used up."""
    real.set_key(a_key(terms=Terms(budget=Budget(CYCLE_USD))), act())
    credit = await opened(ledger)
    credit.begun(1)
    await trio.sleep(1)
    store.is_down = True
    with trio.fail_after(2), pytest.raises(BudgetUsedUp):
        await credit.wait_granted(2)


async def test_the_spool_of_a_killed_process(
    autojump_clock: MockClock, store: Flaky, real: SqlStore, spool: Path, nursery: trio.Nursery
) -> None:
    """Is settled by the next one, which closed its lines before, and then removed."""
    before = Node(NODE.id, "0")
    first = Ledger(store, node=before, spool=spool)  # type: ignore[arg-type] # see Flaky
    async with trio.open_nursery() as life:
        await life.start(first.run)
        credit = await opened(first)
        await stream(credit, 1, 2)
        store.is_down = True
        await stream(credit, 3, 5)
        life.cancel_scope.cancel()
    assert first._spool._fd is not None
    os.close(first._spool._fd)  # as the end of the process does
    store.is_down = False
    await nursery.start(Ledger(store, node=NODE, spool=spool).run)  # type: ignore[arg-type] # see Flaky
    (line,) = real.lines("s1")
    assert (line.status, line.cycles) == ("aborted", 5)
    assert not files(spool)
    assert spent(real)[0] == real.total(UsageQuery()).amount_units


async def test_a_spool_that_cannot_be_written(
    autojump_clock: MockClock, ledger: Ledger, store: Flaky, real: SqlStore, spool: Path
) -> None:
    """Nothing is lent that nobody could charge; what is in memory is settled when the store is back."""
    put_in_the_way(spool)
    credit = await opened(ledger)
    store.is_down = True
    credit.begun(1)
    await trio.sleep(5)
    assert credit.granted == 1
    store.is_down = False
    with trio.fail_after(3):
        await credit.wait_granted(2)
    assert real.lines("s1")[0].cycles == 1


# Openings without an answer.


async def test_an_opening_that_was_carried_out_unheard(
    autojump_clock: MockClock, ledger: Ledger, store: Flaky, real: SqlStore
) -> None:
    """The connection broke after the commit: the client is refused, and the place is free again at once."""
    store.breaks_after = "open"
    with pytest.raises(Unavailable):
        await opened(ledger, "s1", concurrency_max=1)
    store.breaks_after = None
    assert real.lines("s1")[0].status == "open"
    await trio.sleep(1)
    (line,) = real.lines("s1")
    assert (line.status, line.ending, line.cycles) == ("ended", "unavailable", 0)
    assert ledger.is_available
    await opened(ledger, "s2", concurrency_max=1)
    assert spent(real)[0] == 360_000


async def test_a_client_that_leaves_while_its_stream_is_opened(
    autojump_clock: MockClock, ledger: Ledger, store: Flaky
) -> None:
    """Cancelling is safe: whatever the store does with it, the line is ended, and nothing waits for it any more."""
    store.hangs = True
    with trio.move_on_after(0.5) as left:
        await opened(ledger)
    assert left.cancelled_caught
    store.hangs = False
    await trio.sleep(HEARTBEAT_S)
    assert store.calls["settle"] >= 1
    assert not ledger._doubtful


async def test_an_opening_that_overtakes_its_own_end(
    autojump_clock: MockClock, ledger: Ledger, store: Flaky, real: SqlStore
) -> None:
    """Given up, and carried out right behind the mark that was to end it: it is ended with a later one."""
    store.hangs = True
    with trio.move_on_after(0.5):
        await opened(ledger, concurrency_max=1)
    store.hangs = False
    [attempt] = ledger._doubtful.values()
    attempt.is_running = True  # its thread goes on

    def settle(node: Node, marks: Sequence[Mark]) -> list[Settled]:
        answers = real.settle(node, marks)
        if attempt.is_running:
            real.open(attempt._opening)
            attempt.is_running = False
        return answers

    store.settle = settle  # type: ignore[method-assign, assignment] # see Flaky
    await trio.sleep(2 * HEARTBEAT_S)
    assert [line.status for line in real.lines("s1")] == ["ended"]
    assert not ledger._doubtful


# The end.


async def test_a_ledger_that_is_stopped_writes_what_it_has(
    autojump_clock: MockClock, store: Flaky, real: SqlStore, spool: Path
) -> None:
    """And whoever closes a credit after that writes it down himself."""
    async with trio.open_nursery() as nursery:
        ledger = Ledger(store, node=NODE, spool=spool)  # type: ignore[arg-type] # see Flaky
        await nursery.start(ledger.run)
        first, second = await opened(ledger, "s1"), await opened(ledger, "s2")
        first.begun(1)
        nursery.cancel_scope.cancel()
    assert real.lines("s1")[0].cycles == 1
    second.begun(1)
    await close(second, 3000)
    assert (real.lines("s2")[0].status, real.lines("s2")[0].cycles) == ("ended", 1)


async def test_closing_while_cancelled(autojump_clock: MockClock, ledger: Ledger, real: SqlStore) -> None:
    """A session that is cancelled tells its ending all the same."""
    credit = await opened(ledger)
    credit.begun(1)
    with trio.CancelScope() as scope:
        scope.cancel()
        await credit.close(audio_ms=4000, connected_ms=4000, provider_ms=None, ending="ok")
    await trio.sleep(1)
    assert (real.lines("s1")[0].status, real.lines("s1")[0].cycles) == ("ended", 1)


async def test_who_comes_back_at_once_finds_his_place(autojump_clock: MockClock, ledger: Ledger) -> None:
    """One stream at a time, one after the other, without a pause between them."""
    for number in range(5):
        credit = await opened(ledger, f"s{number}", concurrency_max=1)
        credit.begun(1)
        await credit.close(audio_ms=100, connected_ms=100, provider_ms=None, ending="ok")


async def test_closing_is_bounded(
    autojump_clock: MockClock, ledger: Ledger, store: Flaky, spool: Path
) -> None:
    """Neither store nor disk: the session ends nevertheless."""
    put_in_the_way(spool)
    credit = await opened(ledger)
    store.hangs = True
    with trio.fail_after(6):
        await close(credit, 4000)


def test_marks_are_small(spool: Path) -> None:
    """An outage of a minute with 500 streams writes a megabyte or two."""
    one = Journal(spool, NODE)
    one.append(
        [Mark(session_id="5f0c6a80-9a40-4b4e-bb7e-0d6c4a3b1f10", cycles=12, wanted=13, audio_ms=55_000)]
    )
    (file,) = spool.iterdir()
    assert file.stat().st_size < 300
    one.clear()
