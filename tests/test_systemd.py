"""The units agree with the daemon."""

import shlex
import subprocess
from pathlib import Path

import pytest

from routeraudio.cli import COMMANDS
from routeraudio.config.schema import Server
from routeraudio.daemon import FINISH_S
from routeraudio.engine.command import PORT
from routeraudio.providers.catalog import PROVIDERS

UNITS = Path(__file__).parents[1] / "systemd"
UNIT = UNITS / "routeraudio.service"
ENGINE = UNITS / "routeraudio-engine.service"

SPARE_S = 10.0
"""For ending the engine and the interpreter."""


@pytest.fixture(scope="module")
def service() -> dict[str, str]:
    """The [Service] section; of keys that repeat, the last."""
    section = UNIT.read_text().split("[Service]\n")[1].split("\n[")[0]
    lines = [line for line in section.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_the_command_exists(service: dict[str, str]) -> None:
    """The unit starts a command that there is."""
    program, command, option, _ = shlex.split(service["ExecStart"])
    assert Path(program).name == "routeraudio"
    assert command in COMMANDS
    assert option == "--config"


def test_a_drain_is_not_cut_short(service: dict[str, str]) -> None:
    """systemd waits longer than the daemon takes to let running streams end."""
    server = Server()
    needed_s = server.lame_duck_s + server.drain_s + FINISH_S + SPARE_S
    assert float(service["TimeoutStopSec"]) >= needed_s


@pytest.mark.parametrize(("unit", "exposure"), [(UNIT, 15), (ENGINE, 12)])
def test_it_may_do_little(unit: Path, exposure: int) -> None:
    """systemd's judgement of what a service could do to the machine, in tenths from 0 (nothing) to 100.

    The daemon's is 0.3 more than the engine's, for namespaces of users and networks: without them its decoders of
    strangers' files would have a network.
    """
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", f"--threshold={exposure}", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Overall exposure level" in done.stdout


def test_the_database_has_a_place(service: dict[str, str]) -> None:
    """The daemon keeps its books in a directory that outlives it, though its user does not."""
    assert service["StateDirectory"]


def test_the_engine_has_a_unit_of_its_own() -> None:
    """It listens where the configuration says that one started by hand does."""
    (command,) = [line for line in ENGINE.read_text().splitlines() if line.startswith("ExecStart=")]
    _, name, *options = shlex.split(command)
    assert name == "engine"
    assert options == ["--host", "127.0.0.1", "--port", str(PORT)]
    assert PROVIDERS["local"].default_url.endswith(f":{PORT}")


def test_programs_are_there_on_a_minimal_debian(service: dict[str, str]) -> None:
    """`/bin/kill` is in no essential package; a shell is."""
    assert shlex.split(service["ExecReload"])[0] == "/bin/sh"


def test_the_engine_outlives_the_signal(service: dict[str, str]) -> None:
    """SIGTERM reaches the daemon alone, else a drain would have no recogniser."""
    assert service["KillMode"] == "mixed"
    assert service["Type"] == "notify"
