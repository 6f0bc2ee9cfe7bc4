"""Many at once: whatever the interleaving, nothing is granted twice and nothing is lost."""

import random
from functools import partial

import pytest

from routeraudio.policy.keys import Budget, Terms
from routeraudio.store.contract import Node, Opened, Refusal, UsageQuery
from routeraudio.store.sql.store import SqlStore
from tests.store.conftest import Open
from tests.store.world import CYCLE_USD, a_key, act, add_key, mark, opening, race, spent

NODES = [Node(f"node-{number}", "1") for number in range(3)]

CYCLE_UNITS = 360_000


@pytest.fixture
def stores(store: SqlStore, another: Open) -> list[SqlStore]:
    """Three nodes, each with connections of its own to one database."""
    add_key(store)
    stores = [store, another(), another()]
    for node, one in zip(NODES, stores, strict=True):
        one.join(node)
    return stores


def test_one_of_a_hundred_burns_a_token(stores: list[SqlStore]) -> None:
    """The others are told that it has been used; five tokens, one after the other."""
    for token in range(5):
        calls = [
            partial(
                stores[number % 3].open,
                opening(
                    f"s{token}-{number}",
                    node=NODES[number % 3],
                    token_jti=f"jti-{token}",
                    token_expires_at_s=2_000_000_000,
                ),
            )
            for number in range(100)
        ]
        answers = race(calls)
        assert answers.count(Opened(1)) == 1
        assert answers.count(Refusal("token_used")) == 99


def test_five_of_forty_get_a_place(stores: list[SqlStore]) -> None:
    """A limit of five is never exceeded, whichever node they come to; and no place stays empty."""
    calls = [
        partial(stores[number % 3].open, opening(f"s{number}", node=NODES[number % 3], concurrency_max=5))
        for number in range(40)
    ]
    answers = race(calls)
    assert answers.count(Opened(1)) == 5
    assert answers.count(Refusal("concurrency")) == 35


def test_a_budget_is_never_overdrawn(stores: list[SqlStore]) -> None:
    """Nine streams of one account ask for cycles at the same time until there is nothing left."""
    budget = Budget(50 * CYCLE_USD)
    stores[0].set_key(a_key(terms=Terms(budget=budget)), act())
    for number in range(9):
        assert stores[number % 3].open(
            opening(f"s{number}", node=NODES[number % 3], budget=budget)
        ) == Opened(1)

    def stream(number: int) -> int:
        """Streams what is granted, until no more is."""
        store, node = stores[number % 3], NODES[number % 3]
        cycles, granted = 0, 1
        while cycles < granted:
            cycles += 1
            (answer,) = store.settle(node, [mark(f"s{number}", cycles)])
            granted = answer.granted
        return cycles

    streamed = race([partial(stream, number) for number in range(9)])
    assert sum(streamed) == 50
    assert stores[0].total(UsageQuery()).cycles == 50
    assert spent(stores[0])[0] == 50 * CYCLE_UNITS


def test_replays_of_eight_writers_come_out_exact(stores: list[SqlStore]) -> None:
    """Each tells overlapping marks of the same streams in an order of its own, as spools do."""
    sessions = 10
    for number in range(sessions):
        stores[0].open(opening(f"s{number}", node=NODES[0]))

    def replay(seed: int) -> None:
        marks = [
            mark(f"s{session}", cycles, audio_ms=5000 * cycles)
            for session in range(sessions)
            for cycles in range(1, session + 5)
        ]
        order = random.Random(seed)
        order.shuffle(marks)
        while marks:
            batch, marks = marks[:7], marks[order.randint(1, 7) :]
            stores[seed % 3].settle(NODES[seed % 3], batch)

    race([partial(replay, seed) for seed in range(8)])
    ends = [mark(f"s{number}", ended="ok") for number in range(sessions)]
    stores[0].settle(NODES[0], ends)
    expected = sum(session + 4 for session in range(sessions))
    assert stores[0].total(UsageQuery()).cycles == expected
    assert spent(stores[0])[0] == expected * CYCLE_UNITS


def test_sweeps_and_settlings_do_not_wait_in_a_circle(stores: list[SqlStore]) -> None:
    """Several accounts in one flush, in every order, while nodes come and go; the sums stay those of the lines."""
    for number in range(4):
        add_key(stores[0], f"key-{number}", f"account-{number}")

    def live(life: int) -> None:
        order = random.Random(life)
        store, node = stores[life % 3], Node(f"restless-{life}", "1")
        for epoch in range(4):
            node = Node(node.id, str(epoch))
            store.join(node)
            names = [f"{life}-{epoch}-{number}" for number in range(4)]
            for number, name in enumerate(names):
                store.open(opening(name, node=node, key_id=f"key-{number}", account=f"account-{number}"))
            order.shuffle(names)
            for cycles in range(1, 4):
                store.settle(node, [mark(name, cycles) for name in names])
                store.sweep()
        store.join(Node(node.id, "last"))

    race([partial(live, life) for life in range(6)])
    for number in range(4):
        total = stores[0].total(UsageQuery(account=f"account-{number}"))
        assert total.cycles == 6 * 4 * 3
        assert spent(stores[0], f"account-{number}")[0] == total.amount_units


def test_several_start_at_once(url: str, another: Open) -> None:
    """Every process of a fleet migrates at its start; one does the work."""
    stores = [another() for _ in range(4)]
    race([one.migrate for one in stores])
    for one in stores:
        assert one.keys() == []
