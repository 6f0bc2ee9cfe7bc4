"""The fleet that `make fleet` starts, and the balancer's configuration that is shipped."""

import os
import signal
import subprocess
from pathlib import Path

import trio

from tests.edge.fakes import AUDIO, WORDS, FakeDeepgram, client, get, whole_session
from tests.fleet.fleet import Fleet, open_fleet
from tests.fleet.processes import HAPROXY, PATIENCE_S, ROOT

CONFIG = ROOT / "conf" / "haproxy.cfg"


def deepgram_at(url: str) -> str:
    return f'[providers.deepgram]\nurl = "{url}"\napi_key = "stored"'


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def test_the_configuration_is_valid() -> None:
    """HAProxy takes the file as it is shipped, without a warning."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("NODE_", "BALANCER"))
    }
    done = subprocess.run(
        [HAPROXY, "-c", "-f", str(CONFIG)], capture_output=True, text=True, env=environ, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


async def test_one_address_for_all(tmp_path: Path) -> None:
    """Streams go to whoever has the fewest; a key made anywhere is known everywhere; metrics stay inside."""
    deepgram = FakeDeepgram()
    async with deepgram.serving() as url, open_fleet(tmp_path, deepgram_at(url)) as fleet:
        port = port_of(fleet.address)
        headers = {"x-api-key": await fleet.new_key()}
        async with (
            client(port, headers=headers) as one,
            client(port, headers=headers) as two,
            client(port, headers=headers) as three,
        ):
            for caller in (one, two, three):
                await caller.send(AUDIO)
            await deepgram.until(3)
            for node in fleet.nodes.values():
                text = (await get(port_of(node.address), "/metrics")).body.decode()
                assert 'routeraudio_sessions_open{dialect="listen",provider="deepgram"} 1.0' in text
            for caller in (one, two, three):
                await caller.finish()
                messages, code = await caller.rest()
                assert code == 1000
                assert [one["transcript"] for one in messages if one["type"] == "transcript"] == [WORDS]
        assert (await get(port, "/metrics")).status == 404


async def test_nobody_notices_a_drain(tmp_path: Path) -> None:
    """A node that drains keeps its streams and gets no new ones; the balancer never refuses."""
    deepgram = FakeDeepgram()
    async with (
        deepgram.serving() as url,
        open_fleet(tmp_path, deepgram_at(url), server="lame_duck_s = 5", names=("one", "two")) as fleet,
    ):
        port = port_of(fleet.address)
        leaving = fleet.nodes["one"]
        async with client(port_of(leaving.address)) as caller:
            await caller.send(AUDIO)
            await deepgram.until_heard(len(AUDIO))
            assert leaving.program.process is not None
            leaving.program.process.send_signal(signal.SIGTERM)
            await until_alone(fleet, "two")
            for _ in range(3):
                await whole_session(port)
            await caller.finish()
            assert (await caller.rest())[1] == 1000


async def test_deaths_are_survived(tmp_path: Path) -> None:
    """One node killed, the database ended and started again: streams go on being served."""
    deepgram = FakeDeepgram()
    async with (
        deepgram.serving() as url,
        open_fleet(tmp_path, deepgram_at(url), names=("one", "two")) as fleet,
    ):
        port = port_of(fleet.address)
        await fleet.nodes["one"].kill()
        await until_alone(fleet, "two")
        await whole_session(port)
        await fleet.restart_postgres()
        await fleet.nodes["two"].until_ready()
        await fleet.nodes["one"].start()
        for _ in range(4):
            await whole_session(port)


async def until_alone(fleet: Fleet, name: str) -> None:
    """Wait until the balancer has noticed that only one node is left."""
    log = fleet.balancer.program.output
    others = [other for other in ("one", "two", "three") if other != name]
    with trio.fail_after(PATIENCE_S):
        while not all(f"Server daemons/{other} is DOWN" in log.read_text() for other in others):  # noqa: ASYNC110
            await trio.sleep(0.1)
