"""`routeraudio keys`, `token` and `usage` on a real SQLite file."""

import csv
import io
import json
import sqlite3
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import jwt
import pytest

from routeraudio.auth.server_secret import open_secrets
from routeraudio.cli import KEYS, main
from routeraudio.config.loading import load
from routeraudio.policy.tokens import verify
from routeraudio.store.connect import open_store
from routeraudio.store.contract import Mark, Node, Opened, Opening

PATIENCE_S = 120


class Shell:
    """Runs commands on one configuration."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.config = folder / "routeraudio.toml"
        self.database = folder / "state" / "r.db"
        self.config.write_text(f"store.url = 'sqlite://{self.database}'")
        self._capsys = capsys

    def run(self, *arguments: str, code: int = 0) -> str:
        """Standard output, or standard error of a command that fails."""
        assert main([*arguments, "--config", str(self.config)]) == code
        said = self._capsys.readouterr()
        return said.err if code else said.out

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json"))


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("COLUMNS", "200")
    return Shell(tmp_path, capsys)


def test_the_life_of_a_key(shell: Shell) -> None:
    """Made, listed, shown, changed, rotated, disabled and enabled; the key itself is printed twice, never again."""
    made = shell.json("keys", "create", "--name", "first", "--account", "acme", "--streams")
    assert made["key"].startswith(f"router_{made['id']}_")
    record = {name: value for name, value in made.items() if name != "key"}
    assert (record["account"], record["streams"], record["disabled"]) == ("acme", True, False)
    assert shell.json("keys", "list") == {"keys": [record]}
    assert shell.json("keys", "list", "--account", "other") == {"keys": []}
    assert shell.json("keys", "show", made["id"]) == record
    changed = shell.json("keys", "update", made["id"], "--no-streams", "--concurrency", "5", "--name", "x")
    assert changed == {**record, "streams": False, "concurrency_max": 5, "name": "x"}
    rotated = shell.json("keys", "rotate", made["id"])
    assert rotated["id"] == made["id"]
    assert rotated["key"] != made["key"]
    assert shell.json("keys", "disable", made["id"])["disabled"] is True
    assert shell.json("keys", "update", made["id"], "--enabled")["disabled"] is False


def test_the_secret_of_callbacks(shell: Shell) -> None:
    """Is the account's, the same for all its keys and another for every other account."""
    one, two, other = (
        shell.json("keys", "create", "--name", "n", "--account", account)["id"] for account in ("a", "a", "b")
    )
    secret = shell.run("keys", "webhook-secret", one).strip()
    expected = open_secrets(load(shell.config, {})).webhook_secret("a").hex()
    assert secret == expected
    assert shell.json("keys", "webhook-secret", two) == {"account": "a", "webhook_secret": expected}
    assert shell.json("keys", "webhook-secret", other)["webhook_secret"] != expected


def test_every_option(shell: Shell) -> None:
    """Reaches the record, and "none" takes it back."""
    made = shell.json(
        *("keys", "create", "--name", "all", "--providers", "deepgram,soniox", "--models", "nova-3"),
        *("--budget", "10.5/month", "--concurrency", "5", "--rate", "60", "--priority", "high"),
        *("--expires", "2099-01-01", "--origin", "https://a.example", "--origin", "https://b.example"),
        *("--metadata", "a=1", "--metadata", "b=2=3", "--no-tokens", "--no-own-provider-keys"),
        *("--default-provider", "local", "--webhook-url", "https://a.example/hook"),
    )
    terms = {
        "providers": ["deepgram", "soniox"],
        "models": ["nova-3"],
        "budget": {"usd": "10.5", "period": "month"},
        "concurrency_max": 5,
        "sessions_per_minute_max": 60,
        "priority": "high",
        "expires_at": "2099-01-01T00:00:00Z",
        "origins": ["https://a.example", "https://b.example"],
        "metadata": {"a": "1", "b": "2=3"},
        "tokens": False,
        "own_provider_keys": False,
        "default_provider": "local",
        "webhook_url": "https://a.example/hook",
    }
    assert terms.items() <= made.items()
    limits = {
        "providers": "providers",
        "models": "models",
        "budget": "budget",
        "concurrency": "concurrency_max",
        "rate": "sessions_per_minute_max",
        "expires": "expires_at",
        "origin": "origins",
        "default-provider": "default_provider",
        "webhook-url": "webhook_url",
    }
    for option, field in limits.items():
        assert shell.json("keys", "update", made["id"], f"--{option}", "none")[field] is None


def test_for_people(shell: Shell) -> None:
    """The key once, with a word about that; tables for the rest, without it."""
    shown = shell.run("keys", "create", "--name", "first")
    assert "the only time that the key is shown" in shown
    key = next(word for word in shown.split() if word.startswith("router_"))
    key_id = key.split("_")[1]
    for command in (["list"], ["show", key_id], ["disable", key_id]):
        table = shell.run("keys", *command)
        assert key_id in table
        assert "first" in table
        assert key[20:] not in table


REFUSED = [
    (["keys", "create", "--name", "n", "--budget", "ten"], "budget.usd: expected dollars"),
    (["keys", "create", "--name", "n", "--budget", "1/week"], 'budget.period: expected one of "day"'),
    (["keys", "create", "--name", "n", "--providers", "deepgarm"], 'did you mean "deepgram"?'),
    (["keys", "create", "--name", "n", "--concurrency", "many"], "concurrency_max: expected a whole number"),
    (["keys", "create", "--name", "n", "--expires", "soon"], "expires_at: expected a date or time"),
    (["keys", "create", "--name", "n", "--metadata", "x"], "--metadata: expected name=value"),
    (["keys", "update", "nobody", "--streams"], "there is no key of that id"),
    (["keys", "update", "nobody"], "nothing to change"),
    (["keys", "show", "nobody"], "there is no key of that id"),
    (["token", "nobody"], "there is no key of that id"),
    (["usage", "--by", "colour"], "--by: expected some of key, account"),
    (["usage", "--since", "soon"], "--since: expected a date or time"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_what_is_refused(shell: Shell, arguments: list[str], message: str) -> None:
    """Exit 2 and one sentence that names the field."""
    said = shell.run(*arguments, code=2)
    assert said.splitlines()[-1].startswith("routeraudio: ")
    assert message in said


def test_the_store_is_named(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, so that output stays what programs read."""
    assert main(["keys", "list", "--config", str(shell.config), "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == f"store: {shell.database}\n"
    assert json.loads(said.out) == {"keys": []}


def test_a_store_in_memory(shell: Shell) -> None:
    """Belongs to its daemon alone."""
    shell.config.write_text("store.url = 'sqlite://'")
    assert "in the daemon's memory" in shell.run("keys", "list", code=2)


def test_a_store_that_is_away(shell: Shell) -> None:
    """Exit 1: it may be there the next time. No password is told."""
    secret = "s" * 32
    url = "postgresql://me:canary@127.0.0.1:1/d"
    shell.config.write_text(f"store.url = '{url}'\naccess.token_secret = '{secret}'")
    said = shell.run("keys", "list", code=1)
    assert "connection was refused" in said
    assert "canary" not in said


def test_a_fleet_without_a_secret(shell: Shell) -> None:
    """Exit 2, with what to do."""
    shell.config.write_text("store.url = 'postgresql://127.0.0.1:1/d'")
    assert "access.token_secret_file: is missing" in shell.run("keys", "list", code=2)


def test_a_token(shell: Shell) -> None:
    """Is one that the daemon of this configuration takes, and is noted in the audit log."""
    made = shell.json("keys", "create", "--name", "n", "--providers", "deepgram")
    text = shell.run("token", made["id"], "--ttl", "5", "--max-concurrent", "1", "--metadata", "u=1").strip()
    secrets = open_secrets(load(shell.config, {}))
    token = verify(text, secrets.token_keys, _issued_s(text))
    assert (token.key_id, token.restriction.max_concurrent) == (made["id"], 1)
    assert token.restriction.metadata == {"u": "1"}
    body = shell.json("token", made["id"])
    assert (body["token_type"], body["expires_in"]) == ("jwt", 60)
    assert "cannot have more than its key" in shell.run("token", made["id"], "--providers", "soniox", code=2)
    with sqlite3.connect(shell.database) as database:
        acts = [row[0] for row in database.execute("SELECT action FROM audit ORDER BY at_s")]
    database.close()
    assert acts == ["key.create", "token.mint", "token.mint"]
    shell.run("keys", "disable", made["id"])
    assert "disabled" in shell.run("token", made["id"], code=2)


def _issued_s(token: str) -> float:
    issued: int = jwt.decode(token, options={"verify_signature": False})["iat"]
    return issued


def used(shell: Shell) -> str:
    """A key whose account has begun 3 + 4 cycles at 39 cents an hour, of two providers."""
    made = shell.json("keys", "create", "--name", "n", "--account", "acme")
    node = Node("n", "e")
    store = open_store(f"sqlite://{shell.database}")
    store.join(node)
    for provider, cycles in (("deepgram", 3), ("soniox", 4)):
        opening = Opening(
            session_id=f"s-{provider}",
            node=node,
            key_id=made["id"],
            account="acme",
            dialect="listen",
            provider=provider,
            model=None,
            price_per_hour_usd=Decimal("0.39"),
        )
        assert isinstance(store.open(opening), Opened)
        mark = Mark(session_id=opening.session_id, cycles=cycles, wanted=cycles, audio_ms=cycles * 4000 + 1)
        store.settle(node, [mark])
    store.close()
    return str(made["id"])


def test_usage(shell: Shell) -> None:
    """Rows and a total, the same digits as JSON, as CSV and in the table."""
    key_id = used(shell)
    report = shell.json("usage", "--by", "key,provider")
    assert report["rows"][0] == {
        "key": key_id,
        "provider": "deepgram",
        "sessions": 1,
        "cycles": 3,
        "audio_seconds": 12.001,
        "connected_seconds": 0.0,
        "replayed_seconds": 0.0,
        "amount_usd": "0.001625",
    }
    total = report["total"]
    assert (total["cycles"], total["audio_seconds"], total["sessions"]) == (7, 28.002, 2)
    assert Decimal(total["amount_usd"]) == (7 * 5 * Decimal("0.39") / 3600).quantize(Decimal("1E-12"))
    rows = list(csv.reader(io.StringIO(shell.run("usage", "--by", "key,provider", "--csv"))))
    assert rows[0][:3] == ["key", "provider", "sessions"]
    assert rows[1] == [str(value) for value in report["rows"][0].values()]
    assert rows[-1] == ["total", "", *map(str, total.values())]
    assert f"{Decimal(total['amount_usd']):.6f}" in shell.run("usage")
    assert shell.json("usage", "--account", "other")["total"]["cycles"] == 0
    assert shell.json("usage", "--until", "2001-01-01")["rows"] == []


@pytest.mark.parametrize("command", KEYS)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command explains itself."""
    assert main(["keys", command, "--help"]) == 0
    assert "--config" in capsys.readouterr().out


def test_as_people_run_it(tmp_path: Path, shell: Shell) -> None:
    """In a process of its own, standard output is the JSON and nothing else."""
    command = [sys.executable, "-m", "routeraudio", "keys", "create", "--name", "n", "--json"]
    done = subprocess.run(
        [*command, "--config", str(shell.config)], capture_output=True, timeout=PATIENCE_S, check=True
    )
    made = json.loads(done.stdout)
    assert list(made)[:2] == ["id", "key"]
    assert shell.json("keys", "show", made["id"])["name"] == "n"
