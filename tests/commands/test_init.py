"""`routeraudio init`: what it writes can be used as it is."""

import subprocess
from pathlib import Path

import pytest

from routeraudio.cli import main
from routeraudio.config.loading import load


def test_the_configuration_loads(tmp_path: Path) -> None:
    """Alone by default, into a folder that is made."""
    assert main(["init", str(tmp_path / "new")]) == 0
    assert [one.name for one in (tmp_path / "new").iterdir()] == ["routeraudio.toml"]
    assert load(tmp_path / "new" / "routeraudio.toml", {}).server.bind == ("127.0.0.1:8080",)


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not one file, when another one is there already."""
    (tmp_path / "haproxy.cfg").write_text("mine")
    assert main(["init", str(tmp_path), "--everything"]) == 2
    assert "haproxy.cfg" in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ["haproxy.cfg"]


def test_the_units_are_valid(tmp_path: Path) -> None:
    """By systemd's own checker, the one for instances too."""
    assert main(["init", str(tmp_path), "--everything"]) == 0
    for file in tmp_path.glob("*.service"):
        file.write_text(file.read_text().replace("/opt/routeraudio/bin/routeraudio", "/bin/true"))
    instance = (tmp_path / "routeraudio@.service").rename(tmp_path / "routeraudio@a.service")
    units = [str(tmp_path / "routeraudio.service"), str(tmp_path / "routeraudio.socket"), str(instance)]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
