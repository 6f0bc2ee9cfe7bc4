"""Overrides from the environment."""

from collections.abc import Callable

import pytest

from routeraudio.config.loading import load
from routeraudio.config.schema import Config, Key, Log, Provider, Server, credential
from routeraudio.config.secret import Secret
from routeraudio.policy.limits import Limits
from routeraudio.providers.catalog import PROVIDERS
from tests.config.expected import ENVIRON, expected

HASH = "sha256:" + "0123456789abcdef" * 4

READ = {
    ("SERVER__BIND", '["0.0.0.0:8080"]'): expected(server=Server(bind=("0.0.0.0:8080",))),
    ("SERVER__BIND", "0.0.0.0:80, [::1]:80"): expected(server=Server(bind=("0.0.0.0:80", "[::1]:80"))),
    ("SERVER__MAX_SESSIONS", "7"): expected(server=Server(max_sessions=7)),
    ("LIMITS__IDLE_S", "2.5"): expected(limits=Limits(idle_s=2.5)),
    ("LOG__LEVEL", "debug"): expected(log=Log(level="debug")),
    ("LOG__FORMAT", ""): expected(),
    ("PROVIDERS__LOCAL__SPAWN", "True"): expected(providers={"local": Provider(spawn=True)}),
    ("PROVIDERS__LOCAL__SPAWN", "1"): expected(providers={"local": Provider(spawn=True)}),
    ("KEYS", f'[{{"id": "a", "hash": "{HASH}"}}]'): expected(keys=(Key(id="a", hash=HASH),)),
}

REFUSED = {
    (
        "SERVER__BNID",
        "x",
    ): "bnid: unknown key; allowed here: bind, certificates, drain_s, lame_duck_s, max_sessions, metrics, node, "
    'tls_certificate, tls_key, trusted_proxies, workers; did you mean "bind"?',
    ("SERVER__BIND__0", "x"): "0: unknown key; allowed here: ",
    ("SERVER", "{}"): "names a table; add __ and the name of a key in it",
    ("PROVIDERS", "{}"): "names a table; add __ and the name of a key in it",
    ("PROVIDERS__LOCAL", "{}"): "names a table; add __ and the name of a key in it",
    ("SERVER__MAX_SESSIONS", "many"): "server.max_sessions: expected a whole number from 1 to 1000000, "
    "got the text 'many'",
    (
        "SERVER__MAX_SESSIONS",
        "0",
    ): "server.max_sessions: expected a whole number from 1 to 1000000, got the number 0",
    (
        "SERVER__BIND",
        "[8080",
    ): "server.bind: expected a list of texts with 1 to 64 entries, got the text '[8080'",
    ("SERVER__BIND", "nowhere"): 'server.bind: expected "host:port", "[IPv6]:port" or "unix:/absolute/path", '
    "got 'nowhere'",
    (
        "PROVIDERS__LOCAL__SPAWN",
        "maybe",
    ): "providers.local.spawn: expected true or false, got the text 'maybe'",
    ("PROVIDERS__NOBODY__URL", "ws://x"): (
        f"providers.nobody: unknown provider; allowed here: {', '.join(sorted(PROVIDERS))}"
    ),
    ("KEYS", "router_x"): "keys: expected tables, got the text 'router_x'",
    (
        "",
        "x",
    ): ": unknown key; allowed here: access, failover, keys, limits, log, providers, pull, routes, server, store, "
    "wyoming",
}


@pytest.mark.parametrize(("name", "text"), READ)
def test_values_are_read_by_type(name: str, text: str) -> None:
    """A variable's text is read as its key's type wants it."""
    assert load(None, {**ENVIRON, f"ROUTERAUDIO__{name}": text}) == READ[name, text]


@pytest.mark.parametrize(("name", "text"), REFUSED)
def test_errors_name_the_variable(refused: Callable[..., str], name: str, text: str) -> None:
    """A wrong override is the variable's fault, not the file's."""
    message = refused("", {f"ROUTERAUDIO__{name}": text})
    assert message == f"environment variable ROUTERAUDIO__{name}: {REFUSED[name, text]}"


def test_the_environment_wins_over_the_file(loaded: Callable[..., Config]) -> None:
    """An override replaces one key and leaves its neighbours."""
    config = loaded("[log]\nlevel = 'error'\nformat = 'json'", {"ROUTERAUDIO__LOG__LEVEL": "debug"})
    assert config.log == Log(level="debug", format="json")


def test_an_empty_override_unsets_an_optional_key(loaded: Callable[..., Config]) -> None:
    """What the file set can be taken back."""
    assert loaded("[log]\nformat = 'json'", {"ROUTERAUDIO__LOG__FORMAT": ""}).log.format is None


def test_a_key_from_the_environment_replaces_the_files_way_to_it(loaded: Callable[..., Config]) -> None:
    """The file's key file and the environment's key are not a contradiction."""
    config = loaded(
        "[providers.deepgram]\napi_key_file = 'missing'",
        {"ROUTERAUDIO__PROVIDERS__DEEPGRAM__API_KEY": "dg-1"},
    )
    assert credential(config.providers["deepgram"]) == "dg-1"


def test_an_admin_key_from_the_environment_replaces_the_files_way_to_it(
    loaded: Callable[..., Config],
) -> None:
    """As with a provider's key."""
    config = loaded(
        "[access]\nadmin_key_file = 'missing'", {"ROUTERAUDIO__ACCESS__ADMIN_KEY": "admin-of-this-one"}
    )
    assert config.access.admin_key == Secret("admin-of-this-one")


def test_two_ways_to_a_key_in_the_environment_contradict(refused: Callable[..., str]) -> None:
    """Two overrides of one credential are refused."""
    names = [f"ROUTERAUDIO__PROVIDERS__DEEPGRAM__{key}" for key in ("API_KEY", "API_KEY_ENV")]
    message = refused("", dict.fromkeys(names, "X"))
    assert message.startswith(f"environment variable {names[1]}: ")
    assert message.endswith("api_key_env: stands beside api_key; keep one of the two")


def test_a_file_with_a_text_for_a_table(refused: Callable[..., str]) -> None:
    """An override inside something that is no table leaves the error to the file's value."""
    assert "log: expected a table, got the text 'x'" in refused(
        "log = 'x'", {"ROUTERAUDIO__LOG__LEVEL": "info"}
    )
