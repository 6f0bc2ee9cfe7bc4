"""What every store does, whatever is behind it."""

from decimal import Decimal
from fractions import Fraction
from typing import get_args
from uuid import uuid4

import hypothesis.strategies as st
import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings

from routeraudio.policy.keys import Budget, Terms
from routeraudio.policy.pricing import usd
from routeraudio.store.contract import (
    MOVED,
    Group,
    Mark,
    Node,
    Opened,
    Refusal,
    Settled,
    Store,
    StoreUnavailable,
    UsageQuery,
)
from routeraudio.store.sql import schema
from routeraudio.store.sql.store import SqlStore
from tests.store.world import (
    CYCLE_USD,
    NODE,
    PRICE,
    Open,
    a_key,
    act,
    add_key,
    execute,
    mark,
    opening,
    silence,
    spent,
)

CYCLE_UNITS = 360_000


@pytest.fixture(autouse=True)
def joined(store: SqlStore) -> None:
    """The node and one key are there."""
    store.join(NODE)
    add_key(store)


def test_it_is_a_store(store: SqlStore) -> None:
    """The class fits the protocol."""
    fits: Store = store
    assert fits.keys()


# Keys.


def test_a_key_comes_back_as_it_was_stored(store: SqlStore) -> None:
    """Every field, exact decimals included, and the hash."""
    key = a_key(
        "k2",
        "other",
        terms=Terms(
            providers=("deepgram",),
            models=("deepgram/nova-3",),
            own_provider_keys=False,
            streams=True,
            origins=("https://app.example",),
            concurrency_max=5,
            sessions_per_minute_max=60,
            budget=Budget(Decimal("12.345678"), "month"),
            priority="high",
            metadata={"team": "ä"},
        ),
        expires_at_s=1_900_000_000,
    )
    store.add_key(key, b"\x00\xff", act("k2"))
    assert store.key("k2") == (key, b"\x00\xff")
    assert store.key("k3") is None
    assert store.keys("other") == [key]
    everyone = store.keys()
    assert [one.id for one in everyone] == ["k1", "k2"]


def test_a_key_is_replaced(store: SqlStore) -> None:
    """The record changes; the hash only where there is a new one."""
    changed = a_key(is_disabled=True)
    store.set_key(changed, act(action="key.disable"))
    assert store.key("k1") == (changed, b"hash")
    store.set_key(changed, act(action="key.rotate"), b"new")
    assert store.key("k1") == (changed, b"new")


def test_impossible_changes_of_keys(store: SqlStore) -> None:
    """No second key of an id, none changed that is not there, no budget that cannot be counted exactly."""
    with pytest.raises(ValueError, match="key k1 already"):
        store.add_key(a_key(), b"hash", act())
    with pytest.raises(ValueError, match="no key k9"):
        store.set_key(a_key("k9"), act("k9"))
    with pytest.raises(ValueError, match="six decimals"):
        add_key(store, "k8", budget=Budget(Decimal("0.0000001")))
    assert [entry.subject for entry in store.audits()] == ["k1"]


def test_the_audit_log(store: SqlStore) -> None:
    """The newest first, as many as asked for."""
    store.audit(act("jti-1", "token.mint"))
    store.set_key(a_key(), act(action="key.update"))
    assert store.audits(2) == [act(action="key.update"), act("jti-1", "token.mint")]
    assert len(store.audits()) == 3


def test_which_keys_are_refused(store: SqlStore) -> None:
    """Disabled and expired ones, each with its reason. One without a record stands in a configuration file."""
    store.add_key(a_key("off", is_disabled=True), b"", act("off"))
    store.add_key(a_key("old", expires_at_s=1_700_000_001), b"", act("old"))
    assert store.refused(["k1", "off", "old", "gone"]) == {
        "off": Refusal("disabled"),
        "old": Refusal("expired"),
    }


# Openings.


def test_a_stream_begins(store: SqlStore) -> None:
    """Its line is open, with everything that a bill needs, and one cycle granted."""
    assert store.open(opening(price_per_hour_usd=Decimal("0.123456"))) == Opened(granted=1)
    (line,) = store.lines("s1")
    assert (line.status, line.cycles, line.granted, line.ended_at_s) == ("open", 0, 1, None)
    assert (line.key_id, line.account, line.dialect, line.provider, line.model, line.node) == (
        "k1",
        "acme",
        "listen",
        "deepgram",
        "nova-3",
        "here",
    )
    assert line.price_per_hour_usd == Decimal("0.123456")


@pytest.mark.parametrize(("key_id", "why"), [("off", "disabled"), ("old", "expired"), ("gone", "unknown")])
def test_no_stream_without_a_good_key(store: SqlStore, key_id: str, why: str) -> None:
    """The store looks at the key itself, which may have changed a moment ago."""
    store.add_key(a_key("off", is_disabled=True), b"", act("off"))
    store.add_key(a_key("old", expires_at_s=1_700_000_001), b"", act("old"))
    answer = store.open(opening(key_id=key_id, concurrency_max=5))
    assert isinstance(answer, Refusal)
    assert answer.why == why
    assert store.lines("s1") == []


@pytest.mark.parametrize(("key_id", "account"), [("own", ""), ("anonymous", ""), ("configured", "acme")])
def test_streams_whose_key_has_no_record(store: SqlStore, key_id: str, account: str) -> None:
    """They have no limits and touch no account's sums, and are in the ledger all the same."""
    assert store.open(opening("s1", key_id=key_id, account=account)) == Opened(1)
    assert store.open(opening("s2", key_id=key_id, account=account)) == Opened(1)
    assert store.settle(NODE, [mark("s1", 1), mark("s2", 1)])[0] == Settled("s1", 1, 2)
    store.settle(NODE, [mark("s1", 1, ended="ok")])
    silence(store, NODE)
    assert store.sweep() == 1
    assert store.total(UsageQuery(key_id=key_id)).cycles == 2
    assert spent(store)[0] == 0


def test_a_token_opens_one_stream(store: SqlStore) -> None:
    """It stays burnt although something else refused the stream."""
    first = opening("s1", token_jti="jti-1", token_expires_at_s=2_000_000_000, concurrency_max=0)
    assert store.open(first) == Refusal("concurrency")
    second = opening("s2", token_jti="jti-1", token_expires_at_s=2_000_000_000)
    assert store.open(second) == Refusal("token_used")
    assert store.open(msgspec.structs.replace(second, token_jti="jti-2")) == Opened(1)


def test_burnt_tokens_are_forgotten_after_they_expired(store: SqlStore) -> None:
    """Not before: an expired one is refused without the store."""
    for jti, expires_at_s in (("old", 1_700_000_000), ("young", 2_000_000_000)):
        store.open(opening(jti, token_jti=jti, token_expires_at_s=expires_at_s))
    store.sweep()
    assert store.open(opening("s3", token_jti="young", token_expires_at_s=2_000_000_000)) == Refusal(
        "token_used"
    )
    assert store.open(opening("s4", token_jti="old", token_expires_at_s=2_000_000_000)) == Opened(1)


def test_concurrency_is_counted_over_the_account(store: SqlStore) -> None:
    """Two keys of one account share the places; another account's streams and ended ones take none."""
    add_key(store, "k2")
    add_key(store, "k3", "other")
    assert store.open(opening("s1", concurrency_max=2)) == Opened(1)
    assert store.open(opening("s2", key_id="k2", concurrency_max=2)) == Opened(1)
    assert store.open(opening("s3", concurrency_max=2)) == Refusal("concurrency")
    assert store.open(opening("s4", key_id="k3", account="other", concurrency_max=1)) == Opened(1)
    store.settle(NODE, [mark("s1", ended="ok")])
    assert store.open(opening("s5", concurrency_max=2)) == Opened(1)


def test_tokens_have_a_concurrency_of_their_own(store: SqlStore) -> None:
    """Streams of the same key with the same limit count, the key's other streams do not."""
    assert store.open(opening("s1")) == Opened(1)
    assert store.open(opening("s2", token_concurrent_max=1)) == Opened(1)
    assert store.open(opening("s3", token_concurrent_max=1)) == Refusal("concurrency")
    assert store.open(opening("s4")) == Opened(1)


def test_tokens_of_a_key_without_a_record(store: SqlStore) -> None:
    """Their limit counts like any other's."""
    whose = {"key_id": "configured", "account": "config"}
    assert store.open(opening("s1", token_concurrent_max=1, **whose)) == Opened(1)
    assert store.open(opening("s2", token_concurrent_max=1, **whose)) == Refusal("concurrency")
    assert store.open(opening("s3", **whose)) == Opened(1)


def test_streams_per_minute(store: SqlStore) -> None:
    """Tells when the next one may begin; a second leg is no new stream."""
    assert store.open(opening("s1", sessions_per_minute_max=2)) == Opened(1)
    assert store.open(opening("s1", leg=2, sessions_per_minute_max=2)) == Opened(0)
    assert store.open(opening("s2", sessions_per_minute_max=2)) == Opened(1)
    refused = store.open(opening("s3", sessions_per_minute_max=2))
    assert isinstance(refused, Refusal)
    assert refused.why == "rate"
    assert refused.retry_after_s is not None
    assert 30 < refused.retry_after_s <= 60


# Settling.


def test_cycles_are_high_water_marks(store: SqlStore) -> None:
    """A replay and an older mark change nothing."""
    store.open(opening())
    for cycles in (1, 3, 3, 2):
        store.settle(NODE, [mark(cycles=cycles)])
    assert store.lines("s1")[0].cycles == 3
    assert spent(store)[0] == 4 * CYCLE_UNITS  # the fourth is reserved


def test_an_ended_line_gives_its_reservation_back(store: SqlStore) -> None:
    """What is left is what was begun, exactly."""
    store.open(opening())
    store.settle(NODE, [mark(cycles=3)])
    ended = mark(cycles=3, audio_ms=12_000, connected_ms=12_500, provider_ms=11_990, ended="ok")
    assert store.settle(NODE, [ended]) == [Settled("s1", 1, 3)]
    (line,) = store.lines("s1")
    assert (line.status, line.ending, line.granted) == ("ended", "ok", 3)
    assert (line.audio_ms, line.connected_ms, line.provider_ms) == (12_000, 12_500, 11_990)
    assert line.ended_at_s is not None
    assert spent(store) == (3 * CYCLE_UNITS,) * 3


def test_a_line_that_nobody_knows(store: SqlStore) -> None:
    """Nothing is invented for it, and its stream is told to end."""
    assert store.settle(NODE, [mark("never", 5)]) == [Settled("never", 1, 0, Refusal("lease"))]
    assert store.lines("never") == []


def test_a_budget_covers_what_it_covers(store: SqlStore) -> None:
    """Reserved cycles count; the one that no longer fits is refused, and granted when a reservation comes back."""
    budget = Budget(3 * CYCLE_USD)
    add_key(store, "poor", "poor", budget)
    poor = {"key_id": "poor", "account": "poor", "budget": budget}
    assert store.open(opening("s1", **poor)) == Opened(1)
    assert store.open(opening("s2", **poor)) == Opened(1)
    assert store.settle(NODE, [mark("s1", 1)]) == [Settled("s1", 1, 2)]
    assert store.open(opening("s3", **poor)) == Refusal("budget")
    assert store.settle(NODE, [mark("s1", 2)]) == [Settled("s1", 1, 2, Refusal("budget"))]
    store.settle(NODE, [mark("s2", 0, ended="ok")])
    assert store.settle(NODE, [mark("s1", 2)]) == [Settled("s1", 1, 3)]


def test_a_budget_does_not_hold_what_costs_nothing(store: SqlStore) -> None:
    """A provider that is free is free for an account with nothing left."""
    nothing = Budget(Decimal(0))
    add_key(store, "poor", "poor", nothing)
    free = opening(key_id="poor", account="poor", budget=nothing, price_per_hour_usd=Decimal(0))
    assert store.open(free) == Opened(1)
    assert store.settle(NODE, [mark(cycles=1)]) == [Settled("s1", 1, 2)]


def test_a_budget_acts_as_it_is_now(store: SqlStore) -> None:
    """Raised or lowered while a stream runs, it holds for the next cycle."""
    store.open(opening())
    store.set_key(a_key(terms=Terms(budget=Budget(CYCLE_USD))), act())
    assert store.settle(NODE, [mark(cycles=1)]) == [Settled("s1", 1, 1, Refusal("budget"))]
    store.set_key(a_key(terms=Terms(budget=Budget(2 * CYCLE_USD))), act())
    assert store.settle(NODE, [mark(cycles=1)]) == [Settled("s1", 1, 2)]


@pytest.mark.parametrize("period", ["day", "month"])
def test_a_budget_that_is_renewed(store: SqlStore, period: str) -> None:
    """Tells when; and a new day of a new month begins with nothing spent."""
    budget = Budget(CYCLE_USD, period)  # type: ignore[arg-type] # parametrized
    store.set_key(a_key(terms=Terms(budget=budget)), act())
    assert store.open(opening("s1", budget=budget)) == Opened(1)
    refused = store.open(opening("s2", budget=budget))
    assert isinstance(refused, Refusal)
    assert refused.retry_after_s is not None
    assert 0 < refused.retry_after_s <= 31 * 86_400
    execute(store, sa.update(schema.account).values(day=schema.account.c.day - 40))
    assert store.open(opening("s3", budget=budget)) == Opened(1)
    assert spent(store) == (2 * CYCLE_UNITS, CYCLE_UNITS, CYCLE_UNITS)


@pytest.mark.parametrize(
    ("change", "why"), [({"is_disabled": True}, "disabled"), ({"expires_at_s": 1_700_000_001}, "expired")]
)
def test_a_running_stream_hears_of_its_key(store: SqlStore, change: dict[str, int], why: str) -> None:
    """Nothing more is granted to a key that may do nothing any more."""
    store.open(opening())
    store.set_key(a_key(**change), act())
    (answer,) = store.settle(NODE, [mark(cycles=1)])
    assert (answer.granted, answer.refusal) == (1, Refusal(why))  # type: ignore[arg-type] # parametrized


def test_legs_are_lines_of_their_own(store: SqlStore) -> None:
    """A session that changed its provider has two."""
    store.open(opening())
    store.settle(NODE, [mark(cycles=2, ended="ok")])
    store.open(opening(leg=2, provider="soniox"))
    store.settle(NODE, [mark(cycles=1, leg=2)])
    assert [(line.leg, line.provider, line.cycles) for line in store.lines("s1")] == [
        (1, "deepgram", 2),
        (2, "soniox", 1),
    ]
    assert store.total(UsageQuery()).sessions == 1


def a_session() -> st.SearchStrategy[list[Mark]]:
    """The marks of one stream in any order, some of them more than once."""
    some = [mark(cycles=cycles, audio_ms=5000 * (cycles - 1)) for cycles in range(1, 7)]
    end = mark(cycles=6, wanted=6, audio_ms=29_000, connected_ms=31_000, provider_ms=28_900, ended="ok")
    again = st.lists(st.sampled_from(some), max_size=6)
    return again.flatmap(lambda more: st.permutations([*some, end, *more]))


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
def test_marks_in_any_order_come_to_the_same(store: SqlStore, data: st.DataObject) -> None:
    """However they are ordered, repeated and cut into commits."""
    session_id = f"s-{uuid4()}"
    before = spent(store)[0]
    store.open(opening(session_id))
    marks = [msgspec.structs.replace(one, session_id=session_id) for one in data.draw(a_session())]
    cut = data.draw(st.integers(0, len(marks)))
    for batch in (marks[:cut], marks[cut:]):
        store.settle(NODE, batch)
    (line,) = store.lines(session_id)
    assert (line.cycles, line.granted, line.status, line.ending) == (6, 6, "ended", "ok")
    assert (line.audio_ms, line.connected_ms, line.provider_ms) == (29_000, 31_000, 28_900)
    assert spent(store)[0] - before == 6 * CYCLE_UNITS


def a_moved_leg() -> st.SearchStrategy[list[Mark]]:
    """The marks of a leg that had begun six cycles, of which two are its own."""
    some = [mark(cycles=cycles, audio_ms=5000 * (cycles - 1)) for cycles in range(1, 7)]
    end = mark(cycles=2, wanted=2, audio_ms=8000, connected_ms=31_000, ended=MOVED)
    again = st.lists(st.sampled_from([*some, end]), max_size=6)
    return again.flatmap(lambda more: st.permutations([*some, end, *more]))


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
def test_marks_of_a_moved_leg_in_any_order(store: SqlStore, data: st.DataObject) -> None:
    """Its last mark counts, whatever was told before it or is told again."""
    session_id = f"s-{uuid4()}"
    before = spent(store)[0]
    store.open(opening(session_id))
    marks = [msgspec.structs.replace(one, session_id=session_id) for one in data.draw(a_moved_leg())]
    cut = data.draw(st.integers(0, len(marks)))
    for batch in (marks[:cut], marks[cut:]):
        store.settle(NODE, batch)
    (line,) = store.lines(session_id)
    assert (line.cycles, line.granted, line.audio_ms, line.ending) == (2, 2, 8000, MOVED)
    assert spent(store)[0] - before == 2 * CYCLE_UNITS


# Leases.


def test_a_dead_node_loses_its_places(store: SqlStore, another: Open) -> None:
    """Its streams count no more after the lease, and a sweep by another node closes them and returns reservations."""
    dead, alive = Node("dead", "1"), another()
    alive.join(dead)
    alive.open(opening("s1", node=dead, concurrency_max=1))
    alive.settle(dead, [mark("s1", 2)])
    assert store.open(opening("s2", concurrency_max=1)) == Refusal("concurrency")
    silence(store, dead)
    assert store.open(opening("s2", concurrency_max=1)) == Opened(1)
    assert store.sweep() == 1
    (line,) = store.lines("s1")
    assert (line.status, line.ending, line.cycles, line.granted) == ("aborted", "node_lost", 2, 2)
    assert line.ended_at_s is not None
    assert line.ended_at_s >= line.began_at_s
    assert spent(store)[0] == 3 * CYCLE_UNITS  # two, and the reservation of s2
    assert store.sweep() == 0


def test_a_node_that_was_swept_is_told(store: SqlStore) -> None:
    """Its heartbeat changes nothing, and it begins no stream before it has joined again."""
    assert store.heartbeat(NODE)
    silence(store, NODE)
    store.sweep()
    assert not store.heartbeat(NODE)
    assert store.open(opening()) == Refusal("lease")
    store.join(NODE)
    assert store.heartbeat(NODE)
    assert store.open(opening()) == Opened(1)


def test_a_restarted_node_closes_its_own_lines(store: SqlStore) -> None:
    """At once, without waiting for the lease; those of other nodes stay."""
    other = Node("other", "1")
    store.join(other)
    store.open(opening("s1"))
    store.open(opening("s2", node=other))
    assert store.join(Node(NODE.id, "2")) == 1
    assert [store.lines(one)[0].status for one in ("s1", "s2")] == ["aborted", "open"]


def test_cycles_of_a_swept_line_still_count(store: SqlStore) -> None:
    """They were streamed: a spool tells of them later. Nothing is reserved for a line that is closed."""
    store.open(opening())
    store.settle(NODE, [mark(cycles=2)])
    successor = Node(NODE.id, "2")
    store.join(successor)
    assert store.settle(successor, [mark(cycles=4)]) == [Settled("s1", 1, 4, Refusal("lease"))]
    assert spent(store)[0] == 4 * CYCLE_UNITS
    store.settle(successor, [mark(cycles=5, ended="ok")])
    assert [(line.status, line.ending, line.cycles) for line in store.lines("s1")] == [("ended", "ok", 5)]


def test_a_stream_that_lives_opens_its_line_again(store: SqlStore) -> None:
    """After its node was taken for dead; but not if its place may be somebody else's."""
    store.open(opening("free"))
    store.open(opening("leased", concurrency_max=5))
    silence(store, NODE)
    store.sweep()
    store.join(NODE)
    answers = store.settle(NODE, [mark("free", 1), mark("leased", 1)])
    assert answers == [Settled("free", 1, 2), Settled("leased", 1, 1, Refusal("lease"))]
    assert [store.lines(one)[0].status for one in ("free", "leased")] == ["open", "aborted"]


def test_an_ended_line_stays_ended(store: SqlStore) -> None:
    """Neither a late mark nor a sweep touches it."""
    store.open(opening())
    store.settle(NODE, [mark(cycles=1, ended="ok")])
    store.settle(NODE, [mark(cycles=1, ended="provider_error"), mark(cycles=1)])
    silence(store, NODE)
    assert store.sweep() == 0
    assert [(line.status, line.ending) for line in store.lines("s1")] == [("ended", "ok")]


# Usage.


@pytest.fixture
def used(store: SqlStore) -> None:
    """Streams of three keys, two accounts, two providers at odd prices."""
    add_key(store, "k2")
    add_key(store, "k3", "other")
    streams = [
        ("s1", "k1", "acme", "deepgram", "nova-3", "0.15", 3),
        ("s2", "k1", "acme", "soniox", None, "0.39", 7),
        ("s3", "k2", "acme", "deepgram", "nova-3", "0.000001", 11),
        ("s4", "k3", "other", "deepgram", "nova-2", "0.333333", 13),
    ]
    for session_id, key_id, account, provider, model, price, cycles in streams:
        store.open(
            opening(
                session_id,
                key_id=key_id,
                account=account,
                provider=provider,
                model=model,
                price_per_hour_usd=Decimal(price),
            )
        )
        store.settle(
            NODE,
            [mark(session_id, cycles, audio_ms=5000 * cycles - 1, connected_ms=5000 * cycles, ended="ok")],
        )


@pytest.mark.usefixtures("used")
def test_usage_by_key_provider_and_model(store: SqlStore) -> None:
    """One row per group, in order, with exact amounts."""
    rows = store.usage(UsageQuery())
    assert [(*row.group.values(), row.cycles) for row in rows] == [
        ("k1", "deepgram", "nova-3", 3),
        ("k1", "soniox", "", 7),
        ("k2", "deepgram", "nova-3", 11),
        ("k3", "deepgram", "nova-2", 13),
    ]
    assert rows[0].amount_usd == Decimal("0.000625")  # 15 s at 0.15 USD/h
    assert usd(rows[1].amount_units) == Fraction("0.39") * 35 / 3600


@pytest.mark.usefixtures("used")
@pytest.mark.parametrize("group", get_args(Group))
def test_totals_equal_the_ledger(store: SqlStore, group: Group) -> None:
    """Whatever the lines are added up by, to the last unit."""
    rows = store.usage(UsageQuery(by=(group,)))
    total = store.total(UsageQuery(by=(group,)))
    exact = sum(
        Fraction(price) * cycles * 5 / 3600
        for price, cycles in (("0.15", 3), ("0.39", 7), ("0.000001", 11), ("0.333333", 13))
    )
    assert usd(total.amount_units) == exact
    for field in ("cycles", "audio_ms", "connected_ms", "amount_units", "sessions"):
        assert sum(getattr(row, field) for row in rows) == getattr(total, field)


@pytest.mark.usefixtures("used")
def test_usage_of_some(store: SqlStore) -> None:
    """By account, key, provider and time; a day is written as a date."""
    assert store.total(UsageQuery(account="acme")).cycles == 21
    assert store.total(UsageQuery(key_id="k1")).cycles == 10
    assert store.total(UsageQuery(provider="soniox")).cycles == 7
    began_at_s = store.lines("s3")[0].began_at_s
    assert store.total(UsageQuery(since_s=began_at_s)).cycles == 24
    assert store.total(UsageQuery(until_s=began_at_s)).cycles == 10
    (row,) = store.usage(UsageQuery(by=("day",)))
    assert len(row.group["day"].split("-")) == 3


def test_usage_of_nothing(store: SqlStore) -> None:
    """No rows, and a total of zeros."""
    assert store.usage(UsageQuery()) == []
    total = store.total(UsageQuery())
    assert (total.sessions, total.cycles, total.amount_usd) == (0, 0, 0)


def test_twelve_seconds_are_three_cycles(store: SqlStore) -> None:
    """Charged as fifteen seconds × rate ÷ 3600, exactly."""
    store.open(opening(price_per_hour_usd=Decimal("0.15")))
    store.settle(NODE, [mark(cycles=3, audio_ms=12_000, ended="ok")])
    assert usd(store.total(UsageQuery()).amount_units) == Fraction("0.15") * 15 / 3600


def test_a_price_that_cannot_be_counted(store: SqlStore) -> None:
    """More than six decimals are refused, not rounded."""
    with pytest.raises(ValueError, match="six decimals"):
        store.open(opening(price_per_hour_usd=PRICE / 7))


def test_a_database_without_tables(another: Open, store: SqlStore) -> None:
    """Tells that the store cannot be used, in words of ours."""
    execute(store, sa.text("DROP TABLE line"))
    with pytest.raises(StoreUnavailable, match=r"does not answer|has lost tables"):
        store.lines("s1")
