"""The configuration file: what loads, what is refused, and in which words."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from routeraudio.config.loading import FILE_BYTES_MAX, load
from routeraudio.config.schema import Access, Config, Key, Log, Provider, Server, Store
from routeraudio.config.secret import Secret
from routeraudio.model.errors import ConfigFault
from routeraudio.policy.limits import Limits
from routeraudio.providers.catalog import PROVIDERS
from tests.config.expected import ENVIRON, expected

HASH = "sha256:" + "0123456789abcdef" * 4

PRICE = "expected a number from 0 to 1000 with at most six decimals (dollars per hour)"

# ruff: noqa: E501 — a message reads better on one line than in pieces

REFUSED = {
    "[sever]": "sever: unknown key; allowed here: access, failover, keys, limits, log, providers, pull, routes, server, store, wyoming; "
    'did you mean "server"?',
    "[log]\nlevle = 'info'": 'log.levle: unknown key; allowed here: format, level; did you mean "level"?',
    "[log]\nlevel = 'loud'": 'log.level: expected one of "debug", "info", "warning", "error", got the text \'loud\'',
    "[log]\nformat = 3": 'log.format: expected one of "console", "json", got the number 3',
    "server = 5": "server: expected a table, got the number 5",
    "providers = [1]": "providers: expected a table, got a list",
    "providers.local = true": "providers.local: expected a table, got the boolean true",
    "keys = 'router_x'": "keys: expected tables, got the text 'router_x'",
    "[server]\nmax_sessions = 0": "server.max_sessions: expected a whole number from 1 to 1000000, got the number 0",
    "[server]\nmax_sessions = 1.5": "server.max_sessions: expected a whole number from 1 to 1000000, "
    "got the number 1.5",
    "[server]\nmax_sessions = true": "server.max_sessions: expected a whole number from 1 to 1000000, "
    "got the boolean true",
    "[server]\ndrain_s = nan": "server.drain_s: expected a number from 0 to 604800, got the number nan",
    "[server]\ndrain_s = 1979-05-27": "server.drain_s: expected a number from 0 to 604800, got a date or time",
    "[server]\nbind = '127.0.0.1:80'": "server.bind: expected a list of texts with 1 to 64 entries, "
    "got the text '127.0.0.1:80'",
    "[server]\nbind = []": "server.bind: expected a list of texts with 1 to 64 entries, got a list",
    "[server]\nbind = ['8080']": 'server.bind: expected "host:port", "[IPv6]:port" or "unix:/absolute/path", '
    "got '8080'",
    "[server]\ntrusted_proxies = ['10.0.0.1/8']": "server.trusted_proxies: expected addresses or networks such as "
    "\"10.0.0.0/8\", got '10.0.0.1/8'",
    "[server]\ntls_certificate = 'a'": "server.tls_key: is missing; TLS needs certificate and key",
    "[server]\ntls_key = 'a'": "server.tls_certificate: is missing; TLS needs certificate and key",
    "[access]\nown_provider_keys = 'yes'": "access.own_provider_keys: expected true or false, got the text 'yes'",
    "[server]\nworkers = 65": "server.workers: expected a whole number from 0 to 64, got the number 65",
    "[access]\nfailures_per_minute_max = 0": "access.failures_per_minute_max: expected a whole number from 1 to 1000000, "
    "got the number 0",
    "[store]\nurl = 'mysql://u:canary@h/d'": 'store.url: expected "sqlite:///absolute/path" or '
    '"postgresql://user@host/database"',
    "[store]\nurl = 'sqlite:///a.db?mode=ro'": 'store.url: expected "sqlite:///absolute/path" or '
    '"postgresql://user@host/database"',
    "[store]\nurl = 5": "store.url: expected a text, got the number",
    "[store]\nstatement_s = 0": "store.statement_s: expected a number above 0, at most 604800, got the number 0",
    "[providers.deepgram]\nprice_per_hour_usd = -0.1": f"providers.deepgram.price_per_hour_usd: {PRICE}, "
    "got the text '-0.1'",
    "[providers.deepgram]\nprice_per_hour_usd = 1000.5": f"providers.deepgram.price_per_hour_usd: {PRICE}, "
    "got the text '1000.5'",
    "[providers.deepgram]\nprice_per_hour_usd = 1e-7": f"providers.deepgram.price_per_hour_usd: {PRICE}, "
    "got the text '1E-7'",
    "[providers.deepgram]\nprice_per_hour_usd = '1e999999'": f"providers.deepgram.price_per_hour_usd: {PRICE}, "
    "got the text '1E+999999'",
    "[providers.deepgram]\nprice_per_hour_usd = 'NaN'": f"providers.deepgram.price_per_hour_usd: {PRICE}, "
    "got the text 'NaN'",
    "[providers.deepgram]\nprice_per_hour_usd = true": f"providers.deepgram.price_per_hour_usd: {PRICE}, "
    "got the boolean true",
    "[providers.deepgram]\ngateway_price_per_hour_usd = 'free'": "providers.deepgram.gateway_price_per_hour_usd: "
    f"{PRICE}, got the text 'free'",
    "[limits]\nidle_s = 0": "limits.idle_s: expected a number above 0, at most 604800, got the number 0.0",
    "[limits]\nidle_s = 1e9": "limits.idle_s: expected a number above 0, at most 604800, got the number 1000000000.0",
    f"[limits]\nidle_s = 1{'0' * 400}": f"limits.idle_s: expected a number, got the number 1{'0' * 59}",
    "[limits]\nidle_s = -inf": "limits.idle_s: expected a number, got the number -inf",
    "[limits]\nhead_bytes = -1": "limits.head_bytes: expected a number above 0, at most 1073741824, got the number -1",
    "[limits]\nhead_headers_max = 2000000": "limits.head_headers_max: expected a number above 0, at most 1000000, "
    "got the number 2000000",
    "[limits]\nflood_per_s = 2000000": "limits.flood_per_s: expected a number above 0, at most 1000000, "
    "got the number 2000000.0",
    "[providers.deepgarm]": "providers.deepgarm: unknown provider; allowed here: "
    f"{', '.join(sorted(PROVIDERS))}; "
    'did you mean "deepgram"?',
    "[providers.deepgram]\nspawn = true": "providers.deepgram.spawn: only [providers.local] has this key",
    "[providers.deepgram]\nworkers_max = 2": "providers.deepgram.workers_max: only [providers.local] has this key",
    "[providers.deepgram]\nurl = 'https://x'": "providers.deepgram.url: expected a URL such as "
    '"wss://api.example.com"',
    "[providers.deepgram]\nurl = 'ws://x:99999'": "providers.deepgram.url: expected a URL such as "
    '"wss://api.example.com"',
    "[providers.deepgram]\nurl = 'ws://u:p@x'": "providers.deepgram.url: may not carry a user, a password, a query "
    "or a fragment; keys go to api_key_file",
    "[[wyoming]]\nbind = '127.0.0.1:1'": "wyoming[0].provider: is missing; expected a text",
    "[[wyoming]]\nbind = '1'\nprovider = 'local'": 'wyoming[0].bind: expected "host:port", "[IPv6]:port" or '
    "\"unix:/absolute/path\", got '1'",
    "[[wyoming]]\nbind = '127.0.0.1:1'\nprovider = 'locla'": "wyoming[0].provider: unknown provider; allowed here: "
    "assemblyai, deepgram, elevenlabs, gradium, local, openai, soniox, speechmatics, vachana; did you mean "
    '"local"?',
    "[[wyoming]]\nbind = '127.0.0.1:1'\nprovider = 'local'\nallow_networks = ['x']": "wyoming[0].allow_networks: "
    "expected networks such as \"10.0.0.0/8\", got 'x'",
    "[[wyoming]]\nbind = '127.0.0.1:1'\nprovider = 'local'\napi_key = 'a'\napi_key_env = 'B'": "wyoming[0].api_key_env: "
    "stands beside api_key; keep one of the two",
    "[[keys]]\nid = 'a'": 'keys[0].hash: is missing; expected "sha256:" and 64 lower-case hexadecimal digits',
    "[[keys]]\nid = 'a b'\nhash = ''": "keys[0].id: expected up to 64 letters, digits, dots, dashes and underscores, got the text",
    "[[keys]]\nid = 'a'\nhash = 'router_x'": 'keys[0].hash: expected "sha256:" and 64 lower-case hexadecimal digits, '
    "got the text",
    f"[[keys]]\nid = 'a'\nhash = '{HASH}'\n[[keys]]\nid = 'b'\nhash = '{HASH}'": "keys[1].hash: is the same as in an "
    "earlier [[keys]] table",
    "[server\n": "is not TOML: Expected ']' at the end of a table declaration (at line 1, column 8)",
    "a = " + "[" * 20_000: "is nested too deeply",
}


def test_everything_that_can_be_said(loaded: Callable[..., Config]) -> None:
    """Every table of a file reaches its struct."""
    config = loaded(
        f"""
        server = {{ bind = ["[::1]:80", "unix:/run/r.sock"], trusted_proxies = ["10.0.0.0/8"], drain_s = 5 }}
        access = {{ own_provider_keys = false, failures_per_minute_max = 5 }}
        store = {{ url = "postgresql://me@here/db", statement_s = 1, outage_grace_s = 0, spool_dir = "/spool" }}
        providers.local = {{ spawn = true, workers_max = 2, url = "ws://127.0.0.1:7071" }}
        limits.idle_s = 5
        log = {{ level = "debug", format = "json" }}
        keys = [{{ id = "team.a", hash = "{HASH}" }}]
        """
    )
    assert config == expected(
        server=Server(bind=("[::1]:80", "unix:/run/r.sock"), trusted_proxies=("10.0.0.0/8",), drain_s=5.0),
        access=Access(own_provider_keys=False, failures_per_minute_max=5),
        store=Store(
            url=Secret("postgresql://me@here/db"), statement_s=1.0, outage_grace_s=0.0, spool_dir="/spool"
        ),
        providers={"local": Provider(spawn=True, workers_max=2, url="ws://127.0.0.1:7071")},
        limits=Limits(idle_s=5.0),
        log=Log(level="debug", format="json"),
        keys=(Key(id="team.a", hash=HASH),),
    )


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("0.15", "0.15"),
        ("'0.15'", "0.15"),
        ("1", "1"),
        ("0", "0"),
        ("0.000001", "0.000001"),
        ("1000", "1000"),
    ],
)
def test_prices_are_exact(loaded: Callable[..., Config], text: str, price: str) -> None:
    """A number or a text, to the last decimal as it is written."""
    provider = loaded(f"[providers.deepgram]\nprice_per_hour_usd = {text}").providers["deepgram"]
    assert provider.price_per_hour_usd == Decimal(price)


def test_no_file_means_defaults() -> None:
    """Without a file everything has its default."""
    assert load(None, ENVIRON) == expected()


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused(refused: Callable[..., str], text: str) -> None:
    """An error names file, key, what came and what is allowed."""
    assert refused(text) == f"routeraudio.toml: {REFUSED[text]}"


def test_a_file_that_is_no_text(loaded: Callable[..., Config], tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are refused with their position."""
    file = tmp_path / "latin.toml"
    file.write_bytes(b"[log]\n# \xe9")
    with pytest.raises(ConfigFault, match=r"latin\.toml: is not UTF-8 text \(byte 8\)"):
        load(file, {})


def test_a_file_that_is_no_configuration(tmp_path: Path) -> None:
    """A huge file is refused without being read to its end."""
    file = tmp_path / "huge"
    file.write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    with pytest.raises(ConfigFault, match="expected a configuration in TOML"):
        load(file, {})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing file is named."""
    with pytest.raises(ConfigFault, match=r"none\.toml: cannot be read: No such file or directory"):
        load(tmp_path / "none.toml", {})
