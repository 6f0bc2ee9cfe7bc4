"""`routeraudio backup` and `restore`: keys still open after a restore, and nothing is overwritten by mistake."""

import json
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from routeraudio.cli import main

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command on a store of this name; what it says on standard output, or on standard error when it fails."""

    def run(*arguments: object, store: str = "one", code: int = 0) -> str:
        config = tmp_path / f"{store}.toml"
        config.write_text(f"store.url = 'sqlite://{tmp_path}/{store}/r.db'")
        assert main([*map(str, arguments), "--config", str(config)]) == code
        said = capsys.readouterr()
        return said.err if code else said.out

    return run


def test_keys_and_secret_come_back(run: Run, tmp_path: Path) -> None:
    """Into another place, with the ledger and the secret; the archive is for its owner only."""
    made = json.loads(run("keys", "create", "--name", "first", "--json"))
    archive = tmp_path / "saved.tar.gz"
    assert "saved" in run("backup", archive)
    assert archive.stat().st_mode & 0o777 == 0o600
    assert "restored" in run("restore", archive, store="two")
    (key,) = json.loads(run("keys", "list", "--json", store="two"))["keys"]
    assert key["id"] == made["id"]
    secrets = [(tmp_path / store / "r.db.secret").read_text() for store in ("one", "two")]
    assert secrets[0] == secrets[1]


def test_what_is_there_stays_unless_told(run: Run, tmp_path: Path) -> None:
    """Neither an archive nor a database is overwritten; with --replace the old one is kept beside."""
    archive = tmp_path / "saved.tar.gz"
    run("keys", "create", "--name", "old")
    run("backup", archive)
    assert "exists" in run("backup", archive, code=2)
    run("keys", "create", "--name", "new")
    assert "--replace" in run("restore", archive, code=2)
    assert len(json.loads(run("keys", "list", "--json"))["keys"]) == 2
    run("restore", archive, "--replace")
    assert len(json.loads(run("keys", "list", "--json"))["keys"]) == 1
    assert (tmp_path / "one" / "r.db.replaced").is_file()


def test_a_database_in_use_is_left_alone(run: Run, tmp_path: Path) -> None:
    """A daemon would go on writing to the file that is gone."""
    archive = tmp_path / "saved.tar.gz"
    run("keys", "create", "--name", "old")
    run("backup", archive)
    with closing(sqlite3.connect(tmp_path / "one" / "r.db")) as daemon:
        daemon.execute("SELECT count(*) FROM router_key").fetchone()
        assert "stop the daemon" in run("restore", archive, "--replace", code=2)


@pytest.mark.parametrize("ruin", ["text", "empty", "cut", "other", "damaged"])
def test_a_ruined_archive_changes_nothing(ruin: str, run: Run, tmp_path: Path) -> None:
    """One sentence, and the database that was there."""
    archive = tmp_path / "saved.tar.gz"
    run("keys", "create", "--name", "old")
    run("backup", archive)
    whole = archive.read_bytes()
    match ruin:
        case "text":
            archive.write_text("no archive")
        case "empty":
            archive.write_bytes(b"")
        case "cut":
            archive.write_bytes(whole[: len(whole) // 2])
        case "other":
            with tarfile.open(archive, "w:gz") as other:
                other.add(__file__, "../../escape.py")
        case "damaged":
            rubbish = tmp_path / "rubbish"
            rubbish.write_bytes(b"no database" * 100)
            about = tmp_path / "about.json"
            about.write_text('{"version":"1","made_at_s":0}')
            with tarfile.open(archive, "w:gz") as other:
                other.add(rubbish, "routeraudio.db")
                other.add(about, "about.json")
    said = run("restore", archive, "--replace", code=1 if ruin == "damaged" else 2)
    assert str(archive) in said
    assert len(json.loads(run("keys", "list", "--json"))["keys"]) == 1


def test_another_secret_is_refused(run: Run, tmp_path: Path) -> None:
    """A database whose keys were made with another secret would know none of them: a sentence, not a silence."""
    run("keys", "create", "--name", "old")
    secret = tmp_path / "one" / "r.db.secret"
    kept = secret.read_text()
    secret.unlink()
    assert "another server secret" in run("keys", "list", code=2)
    secret.write_text(f"{'n' * 40}\n{kept}")
    assert "old" in run("keys", "list")
    secret.write_text("n" * 40)  # the old line is retired: the new one is known by now
    assert "old" in run("keys", "list")
