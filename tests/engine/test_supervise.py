"""The engine as a child process: ready, restarted, stopped, and never left alone."""

import json
import random
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
import trio
from trio_websocket import ConnectionClosed

from routeraudio.engine import loading
from routeraudio.engine import supervise as module
from routeraudio.engine.environment import KEPT
from routeraudio.engine.faults import EngineFault, EngineMissing
from routeraudio.engine.supervise import supervise

from .client import dialled, receive, rest
from .clips import GO, MS_BYTES, pcm
from .processes import is_gone, until


async def _supervise(port: int, workers_max: int = 1, *, task_status: trio.TaskStatus[int]) -> None:
    await supervise(host="127.0.0.1", port=port, workers_max=workers_max, task_status=task_status)


async def hear(port: int) -> str:
    """The text of the clip, heard by the engine at this port."""
    async with dialled(port) as websocket:
        await websocket.send_message(pcm("goforward"))
        await websocket.send_message('{"type":"finish"}')
        (_, final, _), _ = await rest(websocket)
        return str(final["text"])


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_a_killed_engine_comes_back_at_its_port() -> None:
    """The engine serves when `started` has told its port, is replaced when killed, and ends on cancellation."""
    async with trio.open_nursery() as nursery:
        port = await nursery.start(_supervise, 0)
        assert await hear(port) == GO
        (first,) = psutil.Process().children()
        first.kill()
        # A dying process still accepts for a moment: only its successor counts.
        await until(lambda: [child.pid for child in psutil.Process().children()] not in ([], [first.pid]))
        await until(lambda: is_listening(port))
        assert await hear(port) == GO
        family = psutil.Process().children(recursive=True)
        assert len(family) >= 2
        nursery.cancel_scope.cancel()
    await until(lambda: all(map(is_gone, family)))


async def test_an_engine_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped child cannot answer SIGTERM; it is killed after the deadline."""
    monkeypatch.setattr(module, "STOP_S", 0.3)
    async with trio.open_nursery() as nursery:
        await nursery.start(_supervise, 0)
        await until(lambda: psutil.Process().children() != [])
        (child,) = psutil.Process().children()
        family = [child, *child.children()]
        child.suspend()
        nursery.cancel_scope.cancel()
    await until(lambda: all(map(is_gone, family)))


async def test_a_hung_engine_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that is stopped is noticed, its sessions are told, and another one serves at its port."""
    monkeypatch.setattr(module, "SILENT_S", 2.0)
    async with trio.open_nursery() as nursery:
        port = await nursery.start(_supervise, 0)
        assert await hear(port) == GO
        (first,) = psutil.Process().children()
        with trio.fail_after(30):
            async with dialled(port) as websocket:
                await websocket.send_message(pcm("goforward"))
                first.suspend()
                _, code = await rest(websocket)
        assert code != 1000
        await until(lambda: is_gone(first))
        assert await hear(port) == GO
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("seed", [1, 2])
async def test_whoever_is_killed_costs_its_own_sessions_only(seed: int) -> None:
    """Eight sessions; recognisers, zygotes and at last the engine die at random times.

    A session whose recogniser lives gets its words; one whose recogniser was killed an error and 1011; with the
    engine all that are open lose their connection. Afterwards the engine serves as before.
    """
    chance = random.Random(seed)
    audio = pcm("goforward") + bytes(1000 * MS_BYTES)
    endings: dict[int, tuple[str, int]] = {}
    killed: set[int] = set()

    async def session(number: int, port: int, at_work: trio.Event) -> None:
        async with dialled(port) as websocket:
            await receive(websocket)
            at_work.set()
            try:
                for start in range(0, len(audio), 100 * MS_BYTES):
                    await websocket.send_message(audio[start : start + 100 * MS_BYTES])
                    await trio.sleep(0.02)
                await websocket.send_message('{"type":"finish"}')
            except ConnectionClosed:
                pass  # told below
            messages, code = await rest(websocket)
            endings[number] = (str(messages[-1]["type"] if messages else ""), code)
            if code == 1000:
                assert messages[0]["text"] == GO

    async with trio.open_nursery() as nursery:
        port = await nursery.start(_supervise, 0, 8)
        assert await hear(port) == GO
        (engine,) = psutil.Process().children()
        (zygote,) = engine.children()
        async with trio.open_nursery() as sessions:
            for number in range(8):
                before = set(zygote.children())
                at_work = trio.Event()
                sessions.start_soon(session, number, port, at_work)
                await at_work.wait()
                (worker,) = set(zygote.children()) - before
                if chance.random() < 0.4:
                    await trio.sleep(chance.random() * 0.05)
                    worker.kill()
                    killed.add(number)
            zygote.kill()
        assert killed
        assert {number for number, ending in endings.items() if ending == ("error", 1011)} == killed
        assert {number for number, ending in endings.items() if ending == ("done", 1000)} == set(
            range(8)
        ) - killed
        assert await hear(port) == GO  # by another zygote

        endings.clear()
        async with trio.open_nursery() as sessions:
            for number in range(8):
                sessions.start_soon(session, number, port, at_work := trio.Event())
                await at_work.wait()
            engine.kill()
        assert {code for _, code in endings.values()} == {1006}
        await until(lambda: [child.pid for child in psutil.Process().children()] not in ([], [engine.pid]))
        await until(lambda: is_listening(port))
        assert await hear(port) == GO
        nursery.cancel_scope.cancel()


async def test_connections_wait_for_the_engine() -> None:
    """The port is known before the engine has started, and who comes then is served when it has."""
    async with trio.open_nursery() as nursery:
        port = await nursery.start(_supervise, 0)
        assert await hear(port) == GO
        nursery.cancel_scope.cancel()


async def test_an_address_that_is_taken_is_told() -> None:
    """An engine that cannot start at all is an error, not an endless loop."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    taken = listeners[0].socket.getsockname()[1]
    with pytest.raises(EngineFault, match="cannot listen"), trio.fail_after(60):
        await supervise(host="127.0.0.1", port=taken, workers_max=1)
    for listener in listeners:
        await listener.aclose()


async def test_where_nothing_is_installed_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is missing nothing is started."""
    monkeypatch.setattr(loading, "is_installed", lambda _: False)
    with pytest.raises(EngineMissing):
        await supervise(host="127.0.0.1", port=0)


async def test_the_engine_ends_with_its_supervisor() -> None:
    """When the supervising process is killed, engine, zygote and workers end by themselves."""
    program = (
        "import functools, trio\n"
        "from routeraudio.engine.supervise import supervise\n"
        "async def main():\n"
        "    async with trio.open_nursery() as nursery:\n"
        "        start = functools.partial(supervise, host='127.0.0.1', port=0, workers_max=1)\n"
        "        async def run(task_status):\n"
        "            await start(task_status=task_status)\n"
        "        await nursery.start(run)\n"
        "        print('up', flush=True)\n"
        "trio.run(main)\n"
    )
    parent = await trio.lowlevel.open_process(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert parent.stdout is not None
    with trio.fail_after(60):
        said = b""
        while not said.endswith(b"up\n"):
            said += await parent.stdout.receive_some(4096)
    await until(lambda: len(psutil.Process(parent.pid).children(recursive=True)) == 2)
    family = psutil.Process(parent.pid).children(recursive=True)
    parent.kill()
    await parent.wait()
    await parent.stdout.aclose()
    await until(lambda: all(map(is_gone, family)))


async def test_the_command_tells_its_port_and_ends_on_sigterm() -> None:
    """`python -m routeraudio.engine` writes one line of JSON, serves, and exits 0 when asked to."""
    child = await trio.lowlevel.open_process(
        [sys.executable, "-m", "routeraudio.engine", "--port", "0", "--workers-max", "1"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    with trio.fail_after(60):
        said = b""
        while not said.endswith(b"\n"):
            said += await child.stdout.receive_some(4096)
        line = json.loads(said)
        assert line["type"] == "listening"
        assert await hear(line["port"]) == GO
        child.terminate()
        assert await child.wait() == 0
        assert await child.stdout.receive_some(1) == b""
    await child.stdout.aclose()


async def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    """An address that cannot be bound is one sentence on standard error and exit code 1."""
    done = await trio.run_process(
        [sys.executable, "-m", "routeraudio.engine", "--host", "203.0.113.1", "--port", "1"],
        stdin=subprocess.DEVNULL,
        capture_stdout=True,
        capture_stderr=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.startswith(b"routeraudio engine: ")
    assert done.stderr.count(b"\n") == 1


async def test_it_inherits_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the engine nor a process that loads a model sees what stands in the daemon's environment."""
    monkeypatch.setenv("ROUTERAUDIO_PROVIDERS_DEEPGRAM_API_KEY", "canary")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    async with trio.open_nursery() as nursery:
        port = await nursery.start(_supervise, 0)
        assert await hear(port) == GO
        seen = []
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                seen.append(set(process.environ()))
        assert len(seen) >= 2
        assert set().union(*seen) <= set(KEPT)
        nursery.cancel_scope.cancel()
