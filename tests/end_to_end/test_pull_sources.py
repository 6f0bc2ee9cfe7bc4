"""From every kind of source to the webhook: exactly what the provider sent, in order, signed."""

import json
from pathlib import Path

import msgspec
import trio

from routeraudio.config.schema import Pull
from routeraudio.emulators.kit.script import Script, parse_script
from tests.pull.sources import Page, Rtsp, Web, encoded, live, pcm, playlist, published, rtmp, serving, wav
from tests.pull.world import LOOPBACK, World, open_world

ANYTHING = Pull(schemes=("http", "rtmp", "rtsp"), allow_networks=(LOOPBACK,))


def result(text: str, at_ms: int, *, is_final: bool) -> dict[str, object]:
    """A result of Deepgram's, with blanks and an order of fields that no encoder of ours would choose."""
    words = json.dumps({"transcript": text, "confidence": 0.90, "words": []}, ensure_ascii=True)
    sent = (
        f'{{"type" : "Results","start":{at_ms / 1000:.3f}, "duration":0.50, "is_final":{json.dumps(is_final)},'
        f'"speech_final":false,  "channel_index":[0,1],"channel":{{"alternatives":[{words}]}}}}'
    )
    return {"after_ms": at_ms, "send_text": sent}


SCRIPT: Script = parse_script(
    json.dumps(
        {
            "steps": [
                result("go", 300, is_final=False),
                result("go forw\u00e4rd", 800, is_final=False),
                result("go forw\u00e4rd ten", 1500, is_final=True),
                result("meters", 2000, is_final=True),
            ]
        }
    ).encode(),
    "script",
)


async def check(world: World, task_id: str, *, is_whole: bool) -> None:
    """The webhook has got what the emulator has sent, and nothing else."""
    await world.hook.until(lambda hook: hook.finals)
    callbacks = world.hook.callbacks
    assert [callback.number for callback in callbacks] == list(range(1, len(callbacks) + 1))
    assert all(callback.is_signed_for("config") for callback in callbacks)
    assert [callback.is_final for callback in callbacks] == [False] * (len(callbacks) - 1) + [True]
    sent = world.emulator.connections[0].sent
    bodies = [callback.body for callback in callbacks[:-1]]
    assert len(bodies) == (len(sent) if is_whole else len(bodies))
    assert len(bodies) >= len(SCRIPT.steps)
    for body, text in zip(bodies, sent, strict=False):
        assert body.endswith(b'"message":"transcript","transcript":' + text.encode() + b"}}")
    last = callbacks[-1].envelope
    assert last["task_id"] == task_id
    assert last["data"]["transcript"] is None


async def test_http_file() -> None:
    """A recording: all of its audio reaches the provider, and its end ends the task."""
    web = Web({"/a.wav": Page(wav())})
    async with serving(web), open_world(script=SCRIPT) as world:
        task_id = await world.start(web.url("/a.wav"))
        await check(world, task_id, is_whole=True)
        shown = await world.until(task_id, lambda shown: shown["callbacks_sent"] == len(world.hook.callbacks))
    assert bytes(world.emulator.connections[0].audio) == pcm()
    assert (shown["state"], shown["status"], shown["cycles"]) == ("ended", 13, 1)
    assert shown["audio_seconds"] == round(len(pcm()) / 32_000, 3)
    assert world.hook.finals[0].envelope["data"]["status"] == 13


async def test_raw() -> None:
    """With raw=true a body is the provider's message, byte for byte."""
    web = Web({"/a.wav": Page(wav())})
    async with serving(web), open_world(script=SCRIPT) as world:
        task_id = await world.start(web.url("/a.wav"), raw=True)
        await world.hook.until(lambda hook: hook.finals)
    bodies = [callback.body.decode() for callback in world.hook.callbacks if not callback.is_final]
    assert bodies == world.emulator.connections[0].sent
    assert {callback.headers["x-routeraudio-task-id"] for callback in world.hook.callbacks} == {task_id}
    assert all(callback.is_signed_for("config") for callback in world.hook.callbacks)


async def test_http_live() -> None:
    """A station without a length is live; its listener is stopped, and hears nothing but the last callback then."""
    web = Web({"/a": live()})
    async with serving(web), open_world(script=SCRIPT) as world:
        task_id = await world.start(web.url("/a"))
        await world.hook.until(lambda hook: len(hook.callbacks) == len(SCRIPT.steps))
        await world.call("POST", "/audio-stream/stop", {"task_id": task_id})
        await check(world, task_id, is_whole=False)
    assert len(world.hook.callbacks) == len(SCRIPT.steps) + 1
    assert world.hook.finals[0].envelope["data"]["status"] == 14


async def test_hls(tmp_path: Path) -> None:
    """A playlist and its segments."""
    web = Web(await playlist(tmp_path))
    async with serving(web), open_world(script=SCRIPT) as world:
        await check(world, await world.start(web.url("/live.m3u8")), is_whole=True)
    assert abs(world.emulator.connections[0].audio_bytes - len(pcm())) < 32 * 200


async def test_rtmp(tmp_path: Path) -> None:
    """What FFmpeg publishes at nginx."""
    async with rtmp(tmp_path) as (url, _server), published(url), open_world(script=SCRIPT) as world:
        task_id = await world.start(url)
        await world.hook.until(lambda hook: len(hook.callbacks) >= len(SCRIPT.steps))
        await world.call("POST", "/audio-stream/stop", {"task_id": task_id})
        await check(world, task_id, is_whole=False)


async def test_rtsp(tmp_path: Path) -> None:
    """Switched on by the operator. A live source that does not come back has ended."""
    server = Rtsp(await encoded(tmp_path, "a.ul", "-f", "mulaw", "-ar", "8000"))
    pull = msgspec.structs.replace(ANYTHING, retries_max=0)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        async with open_world(script=SCRIPT, pull=pull) as world:
            task_id = await world.start(server.url)
            await check(world, task_id, is_whole=True)
            assert (await world.status(task_id))["state"] == "ended"
        nursery.cancel_scope.cancel()
