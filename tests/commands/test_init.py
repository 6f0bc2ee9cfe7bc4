"""`routeraudio init`: what it writes can be used as it is."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from routeraudio.cli import main
from routeraudio.commands.init import shipped
from routeraudio.config.loading import load

ROOT = Path(__file__).parents[2]


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
    units = [*map(str, tmp_path.glob("routeraudio*.socket")), *map(str, tmp_path.glob("*.service"))]
    assert str(instance) in units
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_wheel_has_all_of_it(tmp_path: Path) -> None:
    """What a checkout has beside the package comes with it, and nothing else is needed for `init`."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    made = {"systemd/routeraudio@.service"}
    assert {f"routeraudio/share/{name}" for name, _ in shipped() if name not in made} <= inside
