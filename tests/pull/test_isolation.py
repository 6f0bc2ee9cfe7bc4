"""Decoders have no network, or strangers' sources are not read."""

import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path

import pytest
import structlog
import trio

from routeraudio.config.schema import Pull
from routeraudio.pull import isolation
from routeraudio.pull.faults import SourceFault
from routeraudio.pull.guard import Guard
from routeraudio.pull.sandbox import isolate
from tests.pull import namespaces
from tests.pull.sources import ALIVE, PRIVATE, Names, Web, live, serving
from tests.pull.world import LOOPBACK, open_world

UNIT = Path(__file__).parents[2] / "systemd" / "routeraudio.service"


def is_possible() -> bool:
    """Whether this machine lets a process have a network of its own."""
    return subprocess.run(["unshare", "-U", "-n", "true"], check=False).returncode == 0


def may_isolate(*allowed: str) -> bool:
    """Whether a process may leave the network where only these namespaces may be taken."""
    command = [sys.executable, namespaces.__file__, ",".join(allowed)]
    command += [sys.executable, "-I", "-S", isolate.__file__]
    return subprocess.run(command, check=False).returncode == 0


def test_the_unit_lets_decoders_leave_the_network() -> None:
    """What the code needs, the unit allows, and nothing besides."""
    (line,) = [one for one in UNIT.read_text().splitlines() if one.startswith("RestrictNamespaces=")]
    allowed = line.partition("=")[2].split()
    assert sorted(allowed) == sorted(isolate.NAMESPACES)
    assert may_isolate(*allowed) is is_possible()
    assert not may_isolate()
    assert not may_isolate("user")


def test_it_is_found_out_at_the_start() -> None:
    """By a process like a decoder; a daemon that cannot isolate says so, and what to do."""
    with structlog.testing.capture_logs() as logged:
        assert isolation.can_isolate() is is_possible()
    assert bool(logged) is not is_possible()


def test_a_daemon_that_cannot_isolate_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning that says what follows."""
    monkeypatch.setattr(isolation.isolate, "__file__", "/no/such/program")
    with structlog.testing.capture_logs() as logged:
        assert not isolation.can_isolate()
    (warning,) = logged
    assert (warning["event"], warning["log_level"]) == ("decoders_not_isolated", "warning")
    assert "pull.allow_networks" in warning["next"]


async def test_without_isolation() -> None:
    """The internet is refused, what the operator has named is heard, and webhooks may be anywhere."""
    web = Web({"/a": live()})
    pull = Pull(allow_networks=(LOOPBACK,))
    async with serving(web), open_world(pull=pull, is_isolating=False) as world:
        body = {"provider": "deepgram", "callback_url": world.hook.url}
        wishes = (
            {"audio_url": "http://8.8.8.8/a", **body},
            {"audio_url": web.url("/a"), **body},
            # The daemon posts to webhooks itself.
            {"audio_url": web.url("/a"), **body, "callback_url": "https://8.8.8.8/hook"},
        )
        answers = [await world.call("POST", "/audio-stream/start", one) for one in wishes]
    assert [status for status, _ in answers] == [400, 200, 200]
    assert "isolated" in answers[0][1]["message"]


async def test_a_redirect_into_the_internet() -> None:
    """What a source leads to is refused likewise, also where it is a name."""
    guard = Guard([ip_network(ALIVE)], is_isolating=False)
    trio.socket.set_custom_hostname_resolver(
        Names({"radio.example": [["8.8.8.8"]], "in.example": [[PRIVATE]]})
    )
    for host in ("radio.example", "in.example", "8.8.4.4"):
        with pytest.raises(SourceFault) as raised:
            await guard.connect(host, 80)
        assert raised.value.is_refused
    assert await guard.addresses("8.8.8.8", 443) == ["8.8.8.8"]
