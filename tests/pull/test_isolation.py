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


async def test_it_is_found_out_at_the_start() -> None:
    """By a process like a decoder."""
    assert await isolation.can_isolate() is is_possible()


async def test_without_isolation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning that says what to do; the internet is refused, what the operator has named is heard."""

    async def cannot() -> bool:
        await trio.lowlevel.checkpoint()
        return False

    monkeypatch.setattr("routeraudio.pull.registry.can_isolate", cannot)
    web = Web({"/a": live()})
    with structlog.testing.capture_logs() as logged:
        async with serving(web), open_world(pull=Pull(allow_networks=(LOOPBACK,))) as world:
            body = {"provider": "deepgram", "callback_url": world.hook.url}
            refused = await world.call(
                "POST", "/audio-stream/start", {"audio_url": "http://8.8.8.8/a", **body}
            )
            heard = await world.call("POST", "/audio-stream/start", {"audio_url": web.url("/a"), **body})
            # The daemon posts to webhooks itself: those may be anywhere.
            elsewhere = {"audio_url": web.url("/a"), **body, "callback_url": "https://8.8.8.8/hook"}
            posted = await world.call("POST", "/audio-stream/start", elsewhere)
    assert refused[0] == 400
    assert "isolated" in refused[1]["message"]
    assert (heard[0], posted[0]) == (200, 200)
    (warning,) = [line for line in logged if line["event"] == "decoders_not_isolated"]
    assert "pull.allow_networks" in warning["next"]


async def test_a_redirect_into_the_internet() -> None:
    """What a source leads to is refused likewise, also where it is a name."""
    guard = Guard([ip_network(ALIVE)])
    guard.is_isolating = False
    trio.socket.set_custom_hostname_resolver(
        Names({"radio.example": [["8.8.8.8"]], "in.example": [[PRIVATE]]})
    )
    for host in ("radio.example", "in.example", "8.8.4.4"):
        with pytest.raises(SourceFault) as raised:
            await guard.connect(host, 80)
        assert raised.value.is_refused
    assert await guard.addresses("8.8.8.8", 443) == ["8.8.8.8"]
