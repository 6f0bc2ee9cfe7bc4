"""`GET /v1/usage` where a report is long."""

import threading
from pathlib import Path

import sqlalchemy as sa
import trio

from routeraudio.api.usage import ROWS_MAX
from routeraudio.auth.authenticator import PresentedKeys
from routeraudio.auth.server_secret import open_secrets
from routeraudio.store.connect import open_store
from routeraudio.store.contract import ReportTooLong, UsageQuery, UsageRow
from routeraudio.store.sql import schema
from routeraudio.store.sql.store import SqlStore
from tests.api.office import config_of, open_office
from tests.auth.keystore import CLOUD, STORED, KeyStore


class Slow(KeyStore):
    """Reports end when they are told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_end = threading.Event()
        self.running = 0
        self.most = 0

    def usage(self, query: UsageQuery, *, within_s: float = 600) -> list[UsageRow]:
        del query, within_s
        self.running += 1
        self.most = max(self.most, self.running)
        self.may_end.wait(60)
        self.running -= 1
        raise ReportTooLong


async def test_a_long_report_is_nobody_elses_matter(tmp_path: Path) -> None:
    """Reports wait for each other; keys are looked up meanwhile, and nobody thinks that the store is away."""
    store = Slow()
    config = config_of(tmp_path)
    _, text = store.make(open_secrets(config))
    async with open_office(config, store) as office, trio.open_nursery() as nursery:
        statuses: list[int] = []

        async def ask() -> None:
            statuses.append((await office.call("GET", "/v1/usage"))[0])

        for _ in range(12):
            nursery.start_soon(ask)
        while not store.running:  # noqa: ASYNC110 - set by a thread
            await trio.sleep(0.01)
        assert (await office.call("GET", "/v1/keys"))[0] == 200
        await office.access.principal(PresentedKeys(key=text), entry=CLOUD, stored=STORED)
        store.may_end.set()
        while len(statuses) < 12:  # noqa: ASYNC110 - twelve tasks
            await trio.sleep(0.01)
        assert statuses == [429] * 12
        assert store.most == 1
        # Had it been taken for a store that is away, this would be 503.
        assert (await office.call("GET", "/v1/keys"))[0] == 200


async def test_too_many_rows(tmp_path: Path) -> None:
    """Refused, saying how to ask for less."""
    store = open_store(f"sqlite://{tmp_path}/r.db")
    store.migrate()
    lines(store, ROWS_MAX + 1)
    async with open_office(config_of(tmp_path), store) as office:
        status, said = await office.call("GET", "/v1/usage?by=session")
        assert status == 400
        assert "since" in said["error"]
        status, said = await office.call("GET", "/v1/usage?by=session&until=1970-01-01T01:00:00Z")
        assert (status, len(said["rows"]), said["total"]["sessions"]) == (200, 3600, 3600)


def lines(store: SqlStore, number: int) -> None:
    """So many streams, one a second since 1970."""
    values = {
        "leg": 1,
        "key_id": "k",
        "account": "a",
        "dialect": "listen",
        "provider": "p",
        "node": "n",
        "micro_usd_per_hour": 7,
        "epoch": "1",
        "began_day": 0,
        "status": "ended",
        "cycles": 1,
        "granted": 1,
        "granted_day": 0,
        "audio_ms": 1,
        "connected_ms": 1,
        "is_leased": False,
    }
    rows = [{"session_id": f"s{one}", "began_at_s": float(one), **values} for one in range(number)]
    with store._database.write() as transaction:
        transaction.connection.execute(sa.insert(schema.line), rows)
