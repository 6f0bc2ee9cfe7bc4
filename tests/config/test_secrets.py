"""Credentials: where they come from, and that they are never shown."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest
import rich.console
import rich.pretty

from routeraudio.config.loading import load
from routeraudio.config.schema import Config, credential
from routeraudio.config.secret import Secret
from routeraudio.model.errors import ConfigFault

CANARY = "canary-3f9a77c1"


@pytest.mark.parametrize("way", ["api_key", "api_key_file", "api_key_env"])
def test_one_credential_from_three_places(loaded: Callable[..., Config], tmp_path: Path, way: str) -> None:
    """Configuration, file and environment give the same credential, and no representation shows it."""
    (tmp_path / "deepgram.key").write_text(f"{CANARY}\n")
    value = {"api_key": CANARY, "api_key_file": "deepgram.key", "api_key_env": "DG_KEY"}[way]
    config = loaded(f"[providers.deepgram]\n{way} = '{value}'", {"DG_KEY": CANARY})
    assert credential(config.providers["deepgram"]) == CANARY
    assert CANARY not in shown(config)


def test_the_key_of_a_listener(loaded: Callable[..., Config], tmp_path: Path) -> None:
    """Is a credential like any other."""
    (tmp_path / "wyoming.key").write_text(f"{CANARY}\n")
    table = "[[wyoming]]\nbind = '127.0.0.1:10300'\nprovider = 'local'\napi_key_file = 'wyoming.key'"
    config = loaded(f"[providers.local]\napi_key = '{CANARY}'\n{table}")
    assert config.wyoming[0].api_key == Secret(CANARY)
    assert CANARY not in shown(config)


def shown(config: Config) -> str:
    """Everything that could end in a log or a traceback."""
    out = io.StringIO()
    rich.console.Console(file=out, width=1000).print(rich.pretty.Pretty(config))
    secrets = [provider.api_key for provider in config.providers.values()]
    return f"{config} {config!r} {config.providers} {out.getvalue()} {secrets} {secrets[0]}"


def test_a_secret_is_not_encoded() -> None:
    """Writing a configuration out as JSON fails rather than writes its secrets."""
    with pytest.raises(TypeError, match="unsupported"):
        msgspec.json.encode(Secret(CANARY))


def test_secrets_compare() -> None:
    """A reload can tell whether a credential has changed."""
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_no_credential() -> None:
    """A provider without a key has none."""
    config = load(None, {"ROUTERAUDIO__PROVIDERS__DEEPGRAM__URL": "ws://127.0.0.1:1"})
    assert credential(config.providers["deepgram"]) is None


def test_files_are_looked_for_among_systemds_credentials_first(
    loaded: Callable[..., Config], tmp_path: Path
) -> None:
    """$CREDENTIALS_DIRECTORY wins over the configuration's own folder."""
    (tmp_path / "dg").write_text("beside")
    (tmp_path / "credentials").mkdir()
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    text = "[providers.deepgram]\napi_key_file = 'dg'"
    assert credential(loaded(text, environ).providers["deepgram"]) == "beside"
    (tmp_path / "credentials" / "dg").write_text("systemd")
    assert credential(loaded(text, environ).providers["deepgram"]) == "systemd"


def test_tls_files_become_absolute(loaded: Callable[..., Config], tmp_path: Path) -> None:
    """The daemon gets paths that do not depend on where it was started."""
    for name in ("tls.crt", "tls.key", "ca.pem"):
        (tmp_path / name).touch()
    config = loaded(
        "server = {tls_certificate = 'tls.crt', tls_key = 'tls.key'}\nproviders.deepgram.ca_file = 'ca.pem'"
    )
    assert config.server.tls_certificate == str(tmp_path / "tls.crt")
    assert config.server.tls_key == str(tmp_path / "tls.key")
    assert config.providers["deepgram"].ca_file == str(tmp_path / "ca.pem")


MISPLACED: dict[str, tuple[str, Mapping[str, str]]] = {
    "providers.deepgram.api_key_file: the file it names does not exist in": (
        f"api_key_file = '{CANARY}'",
        {},
    ),
    "providers.deepgram.api_key_file: the file it names does not exist": (f"api_key_file = '/{CANARY}'", {}),
    "providers.deepgram.api_key_file: the file it names does not exist in /": (
        f"api_key_file = '{CANARY * 50}'",
        {},
    ),
    "providers.deepgram.api_key_env: the environment variable it names is not set": (
        f"api_key_env = '{CANARY}'",
        {},
    ),
    "providers.deepgram.api_key: expected a text, got a list": (f"api_key = ['{CANARY}']", {}),
    "providers.deepgram.api_key: expected one word of printable ASCII characters": (
        f"api_key = '{CANARY} x'",
        {},
    ),
    "providers.deepgram.api_key: is empty": ("api_key = ''", {}),
    "providers.deepgram.api_key: is too long": (f"api_key = '{CANARY * 500}'", {}),
    "providers.deepgram.api_key_env: expected one word": (
        "api_key_env = 'DG'",
        {"DG": f"{CANARY}\n{CANARY}"},
    ),
    "providers.deepgram.api_key_file: stands beside api_key": (
        f"api_key = '{CANARY}'\napi_key_file = 'x'",
        {},
    ),
    "providers.deepgram.url: may not carry": (f"url = 'wss://x/?token={CANARY}'", {}),
    "providers.deepgram.url: expected a URL": (f"url = '{CANARY}'", {}),
    "is not TOML": (f"api_key = {CANARY}", {}),
}


@pytest.mark.parametrize("message", MISPLACED)
def test_errors_do_not_quote_secrets(refused: Callable[..., str], message: str) -> None:
    """A secret in the wrong place is not repeated by the error about it."""
    text, environ = MISPLACED[message]
    said = refused(f"[providers.deepgram]\n{text}", environ)
    assert f"routeraudio.toml: {message}" in said
    assert CANARY not in said


@pytest.mark.parametrize("table", ["id = '{}'", "id = 'a'\nhash = '{}'", "id = 'a'\nhash = ['{}']"])
def test_errors_do_not_quote_router_keys(refused: Callable[..., str], table: str) -> None:
    """A router key given instead of its hash or its name is not repeated."""
    assert CANARY not in refused("[[keys]]\n" + table.format(f"router_{CANARY} "))


def test_a_key_file_that_cannot_be_read(refused: Callable[..., str], tmp_path: Path) -> None:
    """A folder in the place of a key file is refused when the configuration is loaded."""
    (tmp_path / "folder").mkdir()
    said = refused("[providers.deepgram]\napi_key_file = 'folder'")
    assert "api_key_file: the file it names cannot be read; check its permissions" in said


def test_a_key_file_with_something_else(refused: Callable[..., str], tmp_path: Path) -> None:
    """A key file that holds no key is refused without quoting it."""
    (tmp_path / "dg").write_text(f"-----BEGIN {CANARY}-----")
    said = refused("[providers.deepgram]\napi_key_file = 'dg'")
    assert said.endswith(
        "api_key_file: expected one word of printable ASCII characters, without spaces or line breaks"
    )


def test_the_environment_as_a_secret(refused: Callable[..., str]) -> None:
    """A wrong override of a credential is not quoted either."""
    with pytest.raises(ConfigFault) as caught:
        load(None, {"ROUTERAUDIO__PROVIDERS__DEEPGRAM__API_KEY": f"{CANARY} {CANARY}"})
    assert CANARY not in str(caught.value)
