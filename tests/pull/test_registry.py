"""Tasks across processes: nobody's last callback is lost, and nobody gets two."""

import errno
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from routeraudio.pull.records import Records
from tests.engine.processes import is_gone, until

from .sources import Web, live, serving
from .world import Hook, open_world


class Child:
    """A daemon in a process of its own, with one running task: `tests.pull.daemon`."""

    def __init__(self, process: trio.Process, task_id: str, decoder: int) -> None:
        self.process = process
        self.task_id = task_id
        self.decoder = decoder


@asynccontextmanager
async def child(state: Path, source: str, hook: Hook) -> AsyncIterator[Child]:
    """Start it, and wait until its task runs and has called back; killed on leaving."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "tests.pull.daemon", str(state), source, hook.url],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    try:
        with trio.fail_after(60):
            said = b""
            while not said.endswith(b"\n"):
                said += await process.stdout.receive_some()
            task_id, decoder = said.decode().split()
            await hook.until(lambda hook: hook.callbacks)
        yield Child(process, task_id, int(decoder))
    finally:
        if process.poll() is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
        await trio.aclose_forcefully(process.stdout)


async def test_a_killed_daemons_task_has_failed(tmp_path: Path) -> None:
    """The next start tells its owner, once, and shows the task as failed; the decoder has gone with the daemon."""
    web, hook = Web({"/a": live()}), Hook()
    async with (
        serving(web),
        open_world(state=tmp_path, hook=hook),
        child(tmp_path, web.url("/a"), hook) as running,
    ):
        assert hook.finals == []
        running.process.kill()
        await running.process.wait()
        await until(lambda: is_gone(running.decoder))
    assert hook.finals == []
    async with open_world(state=tmp_path, hook=hook) as next_start:
        await hook.until(lambda hook: hook.finals)
        shown = await next_start.until(running.task_id, lambda shown: shown["callbacks_sent"])
    assert (shown["state"], shown["status"], shown["last_error"]) == (
        "failed",
        15,
        "the daemon was restarted",
    )
    async with open_world(state=tmp_path, hook=hook) as another_start:
        assert (await another_start.status(running.task_id))["state"] == "failed"
    assert [one.envelope["task_id"] for one in hook.finals] == [running.task_id]
    numbers = [int(one.headers["x-routeraudio-number"]) for one in hook.callbacks]
    assert sorted(set(numbers)) == numbers, "no number twice, whichever process used it"
    assert hook.finals[0].envelope["data"]["error"] == "the daemon was restarted"
    assert hook.finals[0].is_signed_for("config")


async def test_a_task_of_another_process_is_shown_and_stopped(tmp_path: Path) -> None:
    """Whichever worker gets the call: the one that has the task stops it."""
    web, hook = Web({"/a": live()}), Hook()
    async with (
        serving(web),
        open_world(state=tmp_path, hook=hook) as world,
        child(tmp_path, web.url("/a"), hook) as running,
    ):
        shown = await world.status(running.task_id)
        assert shown["state"] in ("starting", "running")
        status, answer = await world.call("POST", "/audio-stream/stop", {"task_id": running.task_id})
        assert status == 200, answer
        await hook.until(lambda hook: hook.finals)
        shown = await world.until(running.task_id, lambda shown: shown["state"] == "stopped")
        assert shown["status"] == 14
        status, _answer = await world.call("POST", "/audio-stream/stop", {"task_id": running.task_id})
        assert status == 400
    assert len(hook.finals) == 1


async def test_an_unusable_disk_does_not_end_a_task(tmp_path: Path) -> None:
    """Records are for restarts; a stream goes on without."""
    web = Web({"/a": live()})
    async with serving(web), open_world(state=tmp_path) as world:
        shutil.rmtree(tmp_path)
        task_id = await world.start(web.url("/a"))
        await world.until(task_id, lambda shown: shown["state"] == "running")
        await world.call("POST", "/audio-stream/stop", {"task_id": task_id})
        await world.hook.until(lambda hook: hook.finals)
        assert (await world.status(task_id))["state"] == "stopped"


async def test_a_disk_that_has_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends neither tasks nor the daemon."""
    looks: list[str] = []

    def gone(_records: Records) -> list[str]:
        looks.append("look")
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr("routeraudio.pull.registry.LOOK_S", 0.01)
    monkeypatch.setattr(Records, "asked_to_stop", gone)
    web = Web({"/a": live()})
    async with serving(web), open_world(state=tmp_path) as world:
        task_id = await world.start(web.url("/a"))
        await world.until(task_id, lambda shown: shown["state"] == "running" and len(looks) > 2)
