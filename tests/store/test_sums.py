"""Sums by day: whatever happens to lines, a report says what the lines say."""

from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st

from routeraudio.store.connect import open_store
from routeraudio.store.contract import Node, ReportTooLong, UsageQuery
from routeraudio.store.sql import migrate, schema
from routeraudio.store.sql.spending import DAY_S
from routeraudio.store.sql.store import SqlStore
from tests.store.world import NODE, Open, add_key, execute, mark, opening, silence

OTHER = Node("there", "1")
LINE = schema.line.c
BY = ("day", "key", "account", "provider", "model")


def of_lines(store: SqlStore, *which: sa.ColumnElement[bool]) -> list[tuple[Any, ...]]:
    """The sums, by reading every line."""
    groups = (LINE.began_day, LINE.key_id, LINE.account, LINE.provider, sa.func.coalesce(LINE.model, ""))
    sums = (
        sa.func.sum(sa.case((LINE.leg == 1, 1), else_=0)),
        sa.func.sum(LINE.cycles),
        sa.func.sum(LINE.audio_ms),
        sa.func.sum(LINE.connected_ms),
        sa.func.sum(LINE.cycles * LINE.micro_usd_per_hour),
    )
    found = execute(store, sa.select(*groups, *sums).where(*which).group_by(*groups).order_by(*groups))
    return [(*row[1:5], *map(int, row[5:])) for row in found]


def told(store: SqlStore, **query: Any) -> list[tuple[Any, ...]]:
    """The sums that a report has; without the day, which it shows as a date."""
    return [
        (
            *(row.group[name] for name in BY[1:]),
            *(row.sessions, row.cycles, row.audio_ms, row.connected_ms, row.amount_units),
        )
        for row in store.usage(UsageQuery(by=BY, **query))
    ]


def begin(store: SqlStore, session_id: str, at_s: float) -> None:
    """The line has begun at that time."""
    which = LINE.session_id == session_id
    execute(
        store,
        sa.update(schema.line).where(which).values(began_at_s=at_s, began_day=int(at_s // DAY_S)),
    )


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.sampled_from(["open", "mark", "late", "end", "end again", "die", "come back", "leg"]), max_size=14
    )
)
def test_whatever_happens_to_a_line(acts: list[str]) -> None:
    """Ended, told again, swept, opened again, with more legs: reports and lines say the same at every step."""
    store = open_store("sqlite://")
    store.migrate()
    add_key(store)
    store.join(OTHER)
    number = 0
    for cycles, act in enumerate(acts, 1):
        session = f"s{number}"
        if act == "open":
            number += 1
            store.open(opening(f"s{number}", node=OTHER, provider=("soniox", "deepgram")[number % 2]))
        elif act == "leg":
            store.open(opening(session, leg=cycles + 1, node=OTHER, model=None))
        elif act == "die":
            silence(store, OTHER)
            store.sweep()
        elif act == "come back":
            store.join(OTHER)
        else:
            ending = {"end": "ok", "end again": "client_gone"}.get(act)
            store.settle(
                OTHER if act != "late" else Node("third", "1"),
                [mark(session, cycles, audio_ms=5000 * cycles, connected_ms=5001 * cycles, ended=ending)],
            )
        # A second leg on which nothing was sent is no row.
        assert [row for row in told(store) if any(row[4:])] == [
            row for row in of_lines(store) if any(row[4:])
        ]
    store.close()


@pytest.mark.parametrize("is_open", [False, True])
def test_whole_days_and_parts_of_days(store: SqlStore, is_open: bool) -> None:
    """Queries that begin and end within days, at midnight, on the same day, before and after all."""
    add_key(store)
    store.join(NODE)
    day = 20_000
    for number in range(8):
        session = f"s{number}"
        store.open(opening(session, model=None if number % 2 else "nova-3"))
        begin(store, session, (day + number / 2) * DAY_S)
        ended = None if is_open and number % 3 else "ok"
        store.settle(NODE, [mark(session, number + 1, ended=ended)])
    assert len(of_lines(store)) > 4
    moments = [None, *((day + quarter / 4) * DAY_S for quarter in range(-2, 18, 3)), (day + 2) * DAY_S]
    for since_s in moments:
        for until_s in moments:
            which = [LINE.began_at_s >= since_s] if since_s is not None else []
            which += [LINE.began_at_s < until_s] if until_s is not None else []
            assert told(store, since_s=since_s, until_s=until_s) == of_lines(store, *which)


def test_lines_from_before_there_were_sums(another: Open) -> None:
    """A migration adds them up; what is open then is added when it ends."""
    store = another()
    config = Config()
    config.set_main_option("script_location", str(migrate._VERSIONS))
    config.set_main_option("path_separator", "os")
    with store._database.write() as transaction:
        config.attributes["connection"] = transaction.connection
        command.upgrade(config, "0002")
    values = {
        "key_id": "k",
        "account": "a",
        "dialect": "listen",
        "provider": "p",
        "model": None,
        "micro_usd_per_hour": 7,
        "node": "here",
        "epoch": "1",
        "began_at_s": 86400.5,
        "began_day": 1,
        "granted": 3,
        "granted_day": 1,
        "audio_ms": 15,
        "connected_ms": 16,
        "is_leased": False,
    }
    for number, status in enumerate(("ended", "aborted", "open")):
        execute(
            store,
            sa.insert(schema.line).values(session_id=f"s{number}", leg=1, status=status, cycles=3, **values),
        )
    store.migrate()
    assert told(store) == of_lines(store) == [("k", "a", "p", "", 3, 9, 45, 48, 63)]
    store.settle(Node("here", "1"), [mark("s2", 4, ended="ok")])
    assert told(store) == of_lines(store) == [("k", "a", "p", "", 3, 10, 45, 48, 70)]


def test_a_report_is_stopped(store: SqlStore) -> None:
    """After its time, whatever it does; the next one and the store's other work are well."""
    add_key(store)
    store.join(NODE)
    store.open(opening())
    rows = sa.select(sa.literal(0).label("n")).cte("rows", recursive=True)
    endless = rows.union_all(sa.select(rows.c.n + 1))
    with pytest.raises(ReportTooLong), store._database.report(0.1) as transaction:
        transaction.connection.execute(sa.select(sa.func.count()).select_from(endless))
    assert store.total(UsageQuery()).sessions == 1
    assert store.key("k1") is not None


def test_no_more_rows_than_wanted(store: SqlStore) -> None:
    """The first ones."""
    add_key(store)
    store.join(NODE)
    for number in range(4):
        store.open(opening(f"s{number}"))
    rows = store.usage(UsageQuery(by=("session",), rows_max=2))
    assert [row.group["session"] for row in rows] == ["s0", "s1"]
