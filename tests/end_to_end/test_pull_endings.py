"""Whatever dies, the task ends in the documented state, and its owner is told exactly once."""

import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from routeraudio.config.schema import Pull
from routeraudio.emulators.kit.script import Script
from routeraudio.model.errors import BudgetUsedUp
from routeraudio.policy.limits import Limits
from routeraudio.pull import webhook
from tests.pull.daemon import decoder_of_this_process
from tests.pull.sources import PRIVATE, Page, Web, encoded, live, pcm, published, rtmp, serving, wav
from tests.pull.world import LOOPBACK, Hook, NoLedger, World, open_world

from .pull_script import SCRIPT

HASTY = Pull(allow_networks=(LOOPBACK,), retries_max=0, first_audio_s=5.0, stall_s=2.0)
"""A source that is lost is not tried again: the tests wait in real time."""


async def ended(world: World, task_id: str) -> tuple[Any, Any]:
    """The task as it is shown and as its last callback told it."""
    await world.hook.until(lambda hook: hook.finals)
    shown = await world.until(task_id, lambda shown: shown["ended_at"])
    (last,) = world.hook.finals
    assert last is world.hook.callbacks[-1]
    assert last.is_signed_for("config")
    data = last.envelope["data"]
    assert data["status"] == shown["status"]
    return shown, data


async def test_source_killed(tmp_path: Path) -> None:
    """The RTMP server dies: a live source that does not come back has ended, and what was wrong is shown."""
    async with (
        rtmp(tmp_path) as (url, server),
        published(url),
        open_world(script=SCRIPT, pull=HASTY) as world,
    ):
        task_id = await world.start(url)
        await world.hook.until(lambda hook: hook.callbacks)
        server.kill()
        shown, data = await ended(world, task_id)
    assert (shown["state"], shown["status"], data["message"]) == ("ended", 13, "Stream source ended")


async def test_source_comes_back() -> None:
    """A recording that breaks off is heard from there on, without a gap and without an echo."""
    web = Web({"/a": Page(wav(), headers={"accept-ranges": "none"}, breaks_at=60_000)})
    async with serving(web), open_world(script=SCRIPT) as world:
        task_id = await world.start(web.url("/a"))
        shown, _data = await ended(world, task_id)
    assert bytes(world.emulator.connections[0].audio) == pcm()
    assert (shown["state"], web.asked) == ("ended", ["/a", "/a"])


async def test_source_never_there() -> None:
    """The provider is not dialled for a source that is not there, and the task has failed."""
    web = Web({})
    async with serving(web), open_world(pull=HASTY) as world:
        task_id = await world.start(web.url("/a"))
        shown, data = await ended(world, task_id)
    assert (shown["state"], shown["status"]) == ("failed", 15)
    assert shown["last_error"] == data["error"] == "the source answered HTTP 404"
    assert world.emulator.connections == []


async def test_source_leads_inside() -> None:
    """A redirect to a private address fails the task in the words of the rule."""
    inside = Web({"/a": Page(wav())}, PRIVATE)
    pull = msgspec.structs.replace(HASTY, allow_networks=("127.0.0.1/32",))
    async with serving(inside):
        web = Web({"/": Page(status=302, headers={"location": inside.url("/a")})})
        async with serving(web), open_world(pull=pull) as world:
            shown, _data = await ended(world, await world.start(web.url("/")))
    assert shown["status"] == 15
    assert "private" in shown["last_error"]
    assert inside.asked == []


async def test_decoder_killed() -> None:
    """A decoder that dies is started again; when it keeps dying a live task ends."""
    web = Web({"/a": live()})
    pull = msgspec.structs.replace(HASTY, retries_max=1)
    async with serving(web), open_world(script=SCRIPT, pull=pull) as world:
        task_id = await world.start(web.url("/a"))
        await world.hook.until(lambda hook: hook.callbacks)
        first = decoder_of_this_process()
        os.kill(first, signal.SIGSEGV)
        with trio.fail_after(30):
            while (second := await another_decoder(first)) is None:  # noqa: ASYNC110 - nobody tells
                await trio.sleep(0.01)
        assert (await world.status(task_id))["state"] == "running"
        os.kill(second, signal.SIGKILL)
        shown, _data = await ended(world, task_id)
    assert (shown["state"], shown["status"]) == ("ended", 13)
    assert shown["last_error"] == "the decoder has died"


async def another_decoder(than: int) -> int | None:
    """The decoder that runs now, if it is another one."""
    await trio.lowlevel.checkpoint()
    try:
        now = decoder_of_this_process()
    except ValueError:
        return None
    return None if now == than else now


async def test_provider_killed() -> None:
    """The provider goes away: the task has failed, and what it said before has been told."""
    web = Web({"/a": live()})
    limits = Limits(close_upstream_s=0.5, last_words_s=1.0)
    async with serving(web), open_world(script=SCRIPT, pull=HASTY, limits=limits) as world:
        task_id = await world.start(web.url("/a"))
        await world.hook.until(lambda hook: hook.callbacks)
        world.provider_scope.cancel()
        shown, data = await ended(world, task_id)
    assert (shown["state"], shown["status"]) == ("failed", 15)
    assert "Deepgram" in data["error"]


async def test_provider_refuses() -> None:
    """The stored credential is bad: the task fails in the provider's name, without the key."""
    web = Web({"/a": live()})
    async with serving(web), open_world(pull=HASTY, provider_key="bad-key-canary") as world:
        task_id = await world.start(web.url("/a"))
        shown, data = await ended(world, task_id)
    assert shown["status"] == 15
    assert "Deepgram" in data["error"]
    assert "canary" not in str(shown)


async def test_webhook_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """A webhook that never answers does not slow the provider; every callback is tried and given up, the last too."""
    monkeypatch.setattr(webhook, "RETRIES_S", (0.01, 0.01, 0.01))
    web = Web({"/a": Page(wav())})
    async with serving(web), open_world(script=SCRIPT, hook=Hook([503] * 1000)) as world:
        task_id = await world.start(web.url("/a"))
        sent = len(SCRIPT.steps) + 1
        shown = await world.until(task_id, lambda shown: shown["callbacks_failed"] == sent + 1)
    assert (shown["state"], shown["status"], shown["callbacks_sent"]) == ("ended", 13, 0)
    assert bytes(world.emulator.connections[0].audio) == pcm()


async def test_webhook_killed_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callbacks that could not be delivered at once come later, in order, each once."""
    monkeypatch.setattr(webhook, "RETRIES_S", (0.2, 0.2, 0.2))
    web = Web({"/a": Page(wav())})
    async with serving(web), open_world(script=SCRIPT, hook=Hook([None, 500, 200, None, None])) as world:
        task_id = await world.start(web.url("/a"))
        shown, _data = await ended(world, task_id)
    assert [one.number for one in world.hook.callbacks] == list(range(1, len(world.hook.callbacks) + 1))
    assert shown["callbacks_failed"] == 0


async def test_webhook_too_slow_for_finals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finals are never dropped: when they do not fit, the task ends and says why."""
    monkeypatch.setattr(webhook, "RETRIES_S", (0.05, 0.05, 0.05))
    big = {"type": "Other", "n": "x" * 40_000}
    steps = tuple(msgspec.structs.replace(step, send_text=None, send=big) for step in SCRIPT.steps)
    pull = msgspec.structs.replace(HASTY, queue_bytes=1 << 16)
    web = Web({"/a": live()})
    async with serving(web), open_world(script=Script(steps=steps), pull=pull, hook=Hook([503] * 8)) as world:
        task_id = await world.start(web.url("/a"))
        shown, data = await ended(world, task_id)
    assert shown["status"] == 15
    assert "webhook" in data["error"]


async def test_balance_used_up() -> None:
    """When the next cycle is not granted the task ends with 17, after the paid audio."""

    class Poor:
        granted: float = 0
        is_leased = False

        @property
        def is_closed(self) -> bool:
            return bool(closed)

        def begun(self, cycles: int) -> None:
            pass

        async def wait_granted(self, cycles: int) -> None:
            raise BudgetUsedUp("the budget is used up")

        async def revoked(self) -> None:
            await trio.sleep_forever()

        def quiet(self, since_s: float) -> None:
            pass

        async def close(self, **_: object) -> None:
            closed.append(True)

    closed: list[bool] = []
    web = Web({"/a": live()})
    async with serving(web), open_world(ledger=NoLedger(credit=Poor)) as world:
        task_id = await world.start(web.url("/a"))
        shown, data = await ended(world, task_id)
    assert (shown["state"], shown["status"], data["message"]) == ("failed", 17, "Balance used up")
    assert world.hook.finals[0].envelope["code"] == 402
    assert closed == [True]


async def test_daemon_stops(tmp_path: Path) -> None:
    """A daemon that is stopped in order ends its tasks itself, and the next one has nothing to tell."""
    web, hook = Web({"/a": live()}), Hook()
    async with serving(web):
        async with open_world(script=SCRIPT, state=tmp_path, hook=hook) as world:
            task_id = await world.start(web.url("/a"))
            await hook.until(lambda hook: hook.callbacks)
            world.registry.finish_all()
            await world.registry.posted()
            shown, data = await ended(world, task_id)
        async with open_world(state=tmp_path, hook=hook) as after:
            assert (await after.status(task_id))["state"] == "failed"
    assert (shown["state"], shown["status"], data["error"]) == ("failed", 15, "the daemon is stopping")
    assert len(hook.finals) == 1


async def test_stopped_before_there_is_audio() -> None:
    """A task without a session yet is stopped like any other."""
    web = Web({"/a": Page(wav()[:44], live_s=60.0)})
    async with serving(web), open_world() as world:
        task_id = await world.start(web.url("/a"))
        assert (await world.status(task_id))["state"] == "starting"
        await world.call("POST", "/audio-stream/stop", {"task_id": task_id})
        shown, _data = await ended(world, task_id)
    assert (shown["state"], shown["status"], shown["cycles"]) == ("stopped", 14, 0)
    assert world.emulator.connections == []


async def test_two_sources_of_one_kind(tmp_path: Path) -> None:
    """Tasks do not disturb each other: one is killed, the other one goes on to its end."""
    mp3 = await encoded(tmp_path, "a.mp3", "-b:a", "64k")
    web = Web({"/a": live(), "/b": Page(mp3)})
    async with serving(web), open_world(script=SCRIPT, pull=HASTY) as world:
        long = await world.start(web.url("/a"))
        short = await world.start(web.url("/b"))
        await world.until(short, lambda shown: shown["ended_at"])
        assert (await world.status(long))["state"] == "running"
        await world.call("POST", "/audio-stream/stop", {"task_id": long})
        await world.hook.until(lambda hook: len(hook.finals) == 2)
    assert {one.envelope["task_id"] for one in world.hook.finals} == {long, short}
