"""What keys and tokens cost: one made, one checked, in one process. No sockets and no HTTP around it."""

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Final

import msgspec
import trio
from rich import box
from rich.table import Table

from routeraudio.auth.authenticator import Authenticator, PresentedKeys
from routeraudio.auth.key_admin import KeyAdmin
from routeraudio.auth.requests import narrowed, token_wish
from routeraudio.auth.server_secret import open_secrets
from routeraudio.config.schema import Config
from routeraudio.policy.keys import Terms, keyed_hash
from routeraudio.policy.tokens import mint, verify
from routeraudio.providers.base import Credential
from routeraudio.providers.catalog import PROVIDERS
from routeraudio.store.connect import open_store

MINTED_PER_S_MIN: Final = 2000
VERIFIED_PER_S_MIN: Final = 10_000
"""What the issue that asked for tokens wants of one process."""

REPEATS: Final = 500
ROUNDS: Final = 9

ASKED: Final = msgspec.json.encode({"ttl_seconds": 60, "providers": ["deepgram"], "max_concurrent": 1})


class Rate(msgspec.Struct, frozen=True):
    """A row of the table."""

    what: str
    per_s: float
    per_s_min: float | None = None


def measure_access() -> list[Rate]:
    """Every row: medians over rounds."""
    return trio.run(_measure)


def access_table(rates: list[Rate]) -> Table:
    """The rates."""
    table = Table("keys and tokens", "per second", "wanted", "µs", box=box.SIMPLE)
    for column in table.columns[1:]:
        column.justify = "right"
    for rate in rates:
        wanted = "" if rate.per_s_min is None else f"{rate.per_s_min:,.0f} {_mark(rate)}"
        table.add_row(rate.what, f"{rate.per_s:,.0f}", wanted, f"{1e6 / rate.per_s:.1f}")
    return table


async def _measure() -> list[Rate]:
    config = Config()
    store, secrets = open_store("sqlite://"), open_secrets(config)
    store.migrate()
    made = KeyAdmin(store, secrets, actor="bench", wall=time.time).create({"name": "bench"})
    access = Authenticator(store, secrets, config)
    now_s = int(time.time())
    token = mint(made.key.id, narrowed(token_wish({}), Terms()), secrets, now_s=now_s, ttl_s=3600).text

    def minted() -> None:
        mint(made.key.id, narrowed(token_wish(msgspec.json.decode(ASKED)), Terms()), secrets, now_s=now_s)

    rates = [
        Rate("token made, with three restrictions", _per_s(minted), MINTED_PER_S_MIN),
        Rate(
            "token's signature and claims checked", _per_s(partial(verify, token, secrets.token_keys, now_s))
        ),
        Rate("key hashed", _per_s(partial(keyed_hash, made.text, secrets.peppers[0]))),
        Rate(
            "client let in by a known key",
            await _admitted_per_s(access, PresentedKeys(key=made.text)),
            VERIFIED_PER_S_MIN,
        ),
        Rate("client let in by a token", await _admitted_per_s(access, PresentedKeys(token=token))),
        Rate(
            "client let in, key read from SQLite",
            await _admitted_per_s(access, PresentedKeys(key=made.text), made.key.id),
        ),
    ]
    store.close()
    return rates


def _per_s(work: Callable[[], object]) -> float:
    spent_s = []
    for _ in range(ROUNDS):
        began_s = time.perf_counter()
        for _ in range(REPEATS):
            work()
        spent_s.append(time.perf_counter() - began_s)
    return REPEATS / median(spent_s)


async def _admitted_per_s(access: Authenticator, shown: PresentedKeys, forgotten: str | None = None) -> float:
    """Clients let in per second; ``forgotten``: the key that is looked up anew for each."""
    stored = Credential("stored", is_clients_own=False)
    spent_s = []
    for _ in range(ROUNDS):
        began_s = time.perf_counter()
        for _ in range(REPEATS):
            if forgotten is not None:
                access.records.forget(forgotten)
            await access.principal(shown, entry=PROVIDERS["deepgram"], stored=stored, model="nova-3")
        spent_s.append(time.perf_counter() - began_s)
    return REPEATS / median(spent_s)


def _mark(rate: Rate) -> str:
    return "✓" if rate.per_s >= (rate.per_s_min or 0) else "✗"
