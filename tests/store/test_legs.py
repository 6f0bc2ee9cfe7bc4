# ruff: noqa: F811  (fixtures of another file are named as parameters)
"""A session whose provider changes: each cycle is paid for once, at the price of whoever made it final."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from routeraudio.model.errors import BudgetUsedUp, ClientFault
from routeraudio.policy.access import Principal
from routeraudio.policy.keys import Budget, Terms
from routeraudio.session.legs import Legs
from routeraudio.store.contract import Line, Mark, Node, Settled, UsageQuery
from routeraudio.store.ledger.credit import RunningCredit
from routeraudio.store.ledger.service import Ledger
from routeraudio.store.sql.store import SqlStore
from tests.store.flaky import Flaky
from tests.store.ledgers import ledger, real, spool, store  # noqa: F401
from tests.store.world import CYCLE_USD, PRICE, act, spent

DEAR = 3 * PRICE
UNITS = int(PRICE * 1_000_000)


class Paid:
    """A session with legs, in real time."""

    def __init__(self, ledger: Ledger, first: RunningCredit, principal: Principal) -> None:
        self.legs = Legs(first)
        self._ledger = ledger
        self._principal = principal
        self.cycles = 0

    @classmethod
    async def begun(cls, ledger: Ledger, **terms: Any) -> "Paid":
        principal = Principal("k1", None, "acme", Terms(**terms))
        return cls(ledger, await line(ledger, principal, PRICE, 1), principal)

    async def stream(self, cycles: int) -> None:
        """So many more."""
        for _ in range(cycles):
            self.cycles += 1
            await self.legs.wait_granted(self.cycles)
            self.legs.begun(self.cycles)
            await trio.sleep(5)

    async def move(self, final_ms: int, price: Decimal = DEAR, replayed_ms: int = 300) -> None:
        """To a provider of that price."""

        async def open_leg(number: int) -> RunningCredit:
            return await line(self._ledger, self._principal, price, number)

        await self.legs.move(open_leg, final_ms=final_ms, replayed_ms=replayed_ms, provider_ms=final_ms - 1)

    async def close(self, audio_ms: int) -> None:
        await self.legs.close(audio_ms=audio_ms, connected_ms=audio_ms, provider_ms=audio_ms - 1, ending="ok")
        await trio.sleep(1)


async def line(ledger: Ledger, principal: Principal, price: Decimal, leg: int) -> RunningCredit:
    return await ledger.open(
        session_id="s1",
        principal=principal,
        dialect="listen",
        provider=f"vendor-{leg}",
        model=None,
        price_per_hour_usd=price,
        leg=leg,
    )


def amounts(lines: Sequence[Line]) -> list[tuple[int, int, int, str | None]]:
    return [(one.cycles, one.audio_ms, one.replayed_ms, one.ending) for one in lines]


async def test_what_is_not_final_moves(autojump_clock: MockClock, ledger: Ledger, real: SqlStore) -> None:
    """With the price of whoever makes it final; the sums hold what the lines hold."""
    paid = await Paid.begun(ledger)
    await paid.stream(4)
    await paid.move(8_000, replayed_ms=12_300)
    await paid.stream(2)
    await paid.close(29_000)
    lines = real.lines("s1")
    assert amounts(lines) == [(2, 8_000, 0, "moved"), (4, 21_000, 12_300, "ok")]
    assert [one.provider_ms for one in lines] == [7_999, 21_000]
    assert [one.granted for one in lines] == [2, 4]
    assert sum(one.connected_ms for one in lines) == 29_000
    assert spent(real)[0] == (2 + 4 * 3) * UNITS
    total = real.total(UsageQuery())
    assert (total.sessions, total.cycles, total.audio_ms, total.replayed_ms) == (1, 6, 29_000, 12_300)
    assert total.amount_usd == (2 + 4 * 3) * CYCLE_USD


@pytest.mark.parametrize(
    ("finals_ms", "cycles"),
    [
        ((0,), [0, 6]),
        ((5_000,), [1, 5]),
        ((5_001,), [2, 4]),
        ((30_000,), [6, 0]),
        ((8_000, 8_000, 8_000), [2, 0, 0, 4]),
        ((4_000, 18_000, 18_000, 26_000), [1, 3, 0, 2, 0]),
    ],
)
async def test_moves(
    autojump_clock: MockClock, ledger: Ledger, real: SqlStore, finals_ms: Sequence[int], cycles: list[int]
) -> None:
    """However often: each cycle is one leg's."""
    paid = await Paid.begun(ledger)
    await paid.stream(6)
    for final_ms in finals_ms:
        await paid.move(final_ms)
    await paid.close(30_000)
    assert [one.cycles for one in real.lines("s1")] == cycles
    assert sum(one.audio_ms for one in real.lines("s1")) == 30_000


async def test_a_move_takes_no_second_place(
    autojump_clock: MockClock, ledger: Ledger, real: SqlStore
) -> None:
    """Of a key that may have one stream, before and after; nor is it one of so many a minute."""
    paid = await Paid.begun(ledger, concurrency_max=1, sessions_per_minute_max=1)
    await paid.stream(2)
    await paid.move(4_000)
    await paid.stream(1)
    await paid.close(15_000)
    assert len(real.lines("s1")) == 2


async def test_a_budget_covers_the_next_price(
    autojump_clock: MockClock, ledger: Ledger, real: SqlStore
) -> None:
    """Or the session ends; what was not final is charged to nobody."""
    paid = await Paid.begun(ledger, budget=Budget(CYCLE_USD * 5, "total"))
    set_budget(real, CYCLE_USD * 5)
    await paid.stream(4)
    with pytest.raises(BudgetUsedUp):
        await paid.move(6_000)  # two cycles at the first price, two at three times that
    await paid.close(6_000)
    assert spent(real)[0] <= 5 * UNITS
    assert [one.cycles for one in real.lines("s1")] == [2, 0]
    assert real.lines("s1")[1].granted == 0


async def test_a_budget_for_just_that(autojump_clock: MockClock, ledger: Ledger, real: SqlStore) -> None:
    """What the first leg gives up is there for the second."""
    set_budget(real, CYCLE_USD * 8)
    paid = await Paid.begun(ledger, budget=Budget(CYCLE_USD * 8, "total"))
    await paid.stream(4)
    await paid.move(6_000)
    with pytest.raises(BudgetUsedUp):
        await paid.stream(1)
    await paid.close(20_000)
    assert spent(real)[0] == 8 * UNITS


def set_budget(store: SqlStore, amount_usd: Decimal) -> None:
    key, _ = store.key("k1") or pytest.fail("no key")
    terms = msgspec.structs.replace(key.terms, budget=Budget(amount_usd, "total"))
    store.set_key(msgspec.structs.replace(key, terms=terms), act())


def disable(store: SqlStore) -> None:
    key, _ = store.key("k1") or pytest.fail("no key")
    store.set_key(msgspec.structs.replace(key, is_disabled=True), act())


async def test_a_key_that_is_gone_does_not_move(
    autojump_clock: MockClock, ledger: Ledger, real: SqlStore
) -> None:
    """Nothing is sent on its behalf any more."""
    paid = await Paid.begun(ledger)
    await paid.stream(2)
    disable(real)
    with pytest.raises(ClientFault):
        await paid.move(4_000)
    await paid.close(10_000)
    assert [one.cycles for one in real.lines("s1")] == [2]


async def test_a_store_that_is_away(
    autojump_clock: MockClock, ledger: Ledger, store: Flaky, real: SqlStore
) -> None:
    """Costs no session its failover: the line that is there goes on."""
    paid = await Paid.begun(ledger)
    await paid.stream(2)
    store.is_down = True
    await paid.move(4_000)
    await paid.stream(1)
    store.is_down = False
    await trio.sleep(30)
    await paid.close(15_000)
    assert amounts(real.lines("s1")) == [(3, 15_000, 0, "ok")]


async def test_the_end_of_a_key_is_heard_on_every_leg(
    autojump_clock: MockClock, ledger: Ledger, real: SqlStore
) -> None:
    """Whoever watched the first leg hears of the second's."""
    paid = await Paid.begun(ledger)
    with pytest.RaisesGroup(ClientFault), trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(paid.legs.revoked)
            await paid.stream(2)
            await paid.move(4_000)
            disable(real)
            await trio.sleep_forever()


async def test_whenever_the_process_dies(
    autojump_clock: MockClock, ledger: Ledger, real: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each commit no cycle is on two lines; on none is at most what is in flight, and what nobody made final."""
    settle: Callable[[Node, Sequence[Mark]], list[Settled]] = real.settle
    paid = await Paid.begun(ledger)
    seen: list[tuple[int, int]] = []

    def watched(node: Node, marks: Sequence[Mark]) -> list[Settled]:
        answer = settle(node, marks)
        seen.append((sum(one.cycles for one in real.lines("s1")), paid.cycles))
        return answer

    monkeypatch.setattr(real, "settle", watched)
    await paid.stream(4)
    await paid.move(8_000)
    await paid.stream(2)
    await paid.move(28_000)
    await paid.stream(1)
    await paid.close(35_000)
    assert all(told <= begun for told, begun in seen)
    # The moves are durable with what they give up; what the next leg takes over follows within one commit.
    assert seen[-1] == (7, 7)
    assert min(told - begun for told, begun in seen) >= -2
