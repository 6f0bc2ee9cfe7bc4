"""Where the server's secret comes from."""

import stat
import threading
from pathlib import Path

import pytest

from routeraudio.auth.server_secret import open_secrets
from routeraudio.config.schema import Access, Config, Store
from routeraudio.config.secret import Secret
from routeraudio.model.errors import ConfigFault


def at(url: str, secret: str | None = None) -> Config:
    return Config(
        store=Store(url=Secret(url)), access=Access(token_secret=None if secret is None else Secret(secret))
    )


def test_from_the_configuration() -> None:
    """Wins, whatever the store is."""
    assert open_secrets(at("postgresql://h/d", "mine:" + "x" * 32)).signing_kid == "mine"


def test_beside_the_database(tmp_path: Path) -> None:
    """Made at the first start for its owner alone, with its folder, and the same ever after."""
    url = f"sqlite://{tmp_path}/state/r.db"
    first, second = open_secrets(at(url)), open_secrets(at(url))
    assert first.peppers == second.peppers
    file = tmp_path / "state" / "r.db.secret"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["r.db.secret"]
    assert open_secrets(at(f"sqlite://{tmp_path}/other/r.db")).peppers != first.peppers


def test_many_at_once(tmp_path: Path) -> None:
    """Whoever starts together agrees on one secret."""
    found: list[bytes] = []
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait()
        found.append(open_secrets(at(f"sqlite://{tmp_path}/r.db")).peppers[0])

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["r.db.secret"]


def test_in_memory() -> None:
    """A secret that is forgotten with the keys."""
    assert open_secrets(Config()).peppers != open_secrets(Config()).peppers


def test_a_fleet_needs_one() -> None:
    """PostgreSQL without a secret is refused, with what to do."""
    with pytest.raises(
        ConfigFault, match=r"access\.token_secret_file: is missing; .* same file on every node"
    ):
        open_secrets(at("postgresql://h/d"))


@pytest.mark.parametrize("content", ["", "canary", "canary canary canary canary canary canary"])
def test_a_file_that_holds_none(tmp_path: Path, content: str) -> None:
    """Is refused with its name, not its content."""
    (tmp_path / "r.db.secret").write_text(content)
    with pytest.raises(ConfigFault) as raised:
        open_secrets(at(f"sqlite://{tmp_path}/r.db"))
    assert str(raised.value).startswith(f"{tmp_path}/r.db.secret: ")
    assert "canary" not in str(raised.value)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Is refused with the reason."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigFault, match="cannot be kept there"):
        open_secrets(at(f"sqlite://{tmp_path}/file/r.db"))
