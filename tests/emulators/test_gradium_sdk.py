"""Gradium's own SDK takes the emulator for the service, and our adapter sends what the SDK sends."""

import base64
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from routeraudio.emulators.gradium import Gradium
from routeraudio.emulators.kit.hearing import EngineHear
from routeraudio.emulators.kit.record import Record
from routeraudio.emulators.kit.server import Emulator
from routeraudio.engine.pool import open_pool
from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.options import Options
from routeraudio.providers.base import AdapterConfig, Credential
from routeraudio.providers.gradium import ENTRY
from tests.emulators.helping import AUDIO, FakeHear, clip, encoded

pytestmark = pytest.mark.sdk

SDK_S = 120.0
"""For one SDK process, on a machine that is busy with other things."""

WORDS = "Go forward ten meters."
SPEECH = clip("goforward.wav") + bytes(32000)
PCM = {"model_name": "default", "input_format": "pcm_16000", "json_config": {"language": "en"}}


@pytest.fixture
async def listening() -> AsyncIterator[Emulator]:
    """An emulator with the local engine behind it."""
    async with open_pool(workers_max=2) as pool:
        yield Emulator(Gradium(), hear=EngineHear(pool))


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """goforward.wav as PCM, with a second of silence behind it."""
    path = tmp_path / "speech.pcm"
    path.write_bytes(SPEECH)
    return path


async def run_sdk(emulator: Emulator, way: str, **plan: Any) -> Any:
    """Have the SDK talk to the emulator; its report."""
    defaults: dict[str, Any] = {"key": "good", "setup": PCM, "audio": None, "actions": []}
    with trio.fail_after(SDK_S):
        async with trio.open_nursery() as nursery:
            port = await nursery.start(emulator.serve)
            whole = {**defaults, **plan, "port": port, "way": way}
            client = Path(__file__).parent / "gradium_sdk_client.py"
            done = await trio.run_process(
                [sys.executable, str(client), json.dumps(whole, default=str)], capture_stdout=True
            )
            nursery.cancel_scope.cancel()
    report = json.loads(done.stdout)
    print(f"gradium {report['sdk']}, {way}: {len(report['messages'])} messages, {report['errors']}")
    return report


def words(report: Any) -> str:
    return " ".join(each["text"] for each in report["messages"] if each["type"] == "text")


async def test_speech_in_real_time(listening: Emulator, speech: Path) -> None:
    """Real speech gives its words, readings on the way, an answered flush, and an orderly end."""
    report = await run_sdk(listening, "realtime", audio=speech, actions=["audio", "flush", "eos"])
    assert words(report) == WORDS
    assert report["errors"] == []
    kinds = [each["type"] for each in report["messages"]]
    assert (kinds[0], kinds[-1]) == ("ready", "end_of_stream")
    assert [each["flush_id"] for each in report["messages"] if each["type"] == "flushed"] == [7]
    [record] = listening.connections
    assert kinds.count("step") == record.audio_bytes // 2560


async def test_speech_as_a_stream(listening: Emulator, speech: Path) -> None:
    """The SDK's second interface insists on `ready` first and sends the end itself."""
    report = await run_sdk(listening, "stream", audio=speech)
    assert (words(report), report["errors"]) == (WORDS, [])


@pytest.mark.parametrize("input_format", ["wav", "opus"])
async def test_files(listening: Emulator, input_format: str, tmp_path: Path) -> None:
    """The SDK's third interface sends files."""
    path = AUDIO / "goforward.wav"
    if input_format == "opus":
        path = tmp_path / "speech.ogg"
        path.write_bytes(encoded(clip("goforward.wav"), "ogg", "libopus", 48000))
    report = await run_sdk(listening, "buffered", audio=path, setup={"input_format": input_format})
    assert (words(report), report["errors"]) == (WORDS, [])


@pytest.mark.parametrize(
    "plan",
    [{"key": "bad"}, {"setup": {**PCM, "json_config": {"language": "it"}}}],
    ids=["key", "language"],
)
@pytest.mark.parametrize("way", ["realtime", "stream"])
async def test_refusals_surface(way: str, plan: dict[str, Any]) -> None:
    """The SDK's user sees the error with its code."""
    report = await run_sdk(Emulator(Gradium()), way, **plan)
    assert len(report["errors"]) == 1
    assert "1008" in report["errors"][0]


async def test_the_sessions_time_surfaces() -> None:
    """A session that is ended for its age is an error to the SDK's user."""
    report = await run_sdk(Emulator(Gradium(session_s=0.5)), "realtime")
    assert len(report["errors"]) == 1
    assert "Session exceeded maximum duration" in report["errors"][0]


async def test_our_adapter_sends_what_the_sdk_sends(speech: Path) -> None:
    """Path, key, setup, audio, flush and end are the same messages; only the SDK's label differs."""
    emulator = Emulator(Gradium(), hear=FakeHear())
    await run_sdk(emulator, "realtime", audio=speech, actions=["audio", "flush", "eos"])
    [record] = emulator.connections
    leg = AdapterConfig(
        options=Options(provider="gradium", audio=PCM_16K_MONO),
        url="ws://127.0.0.1:1",
        credential=Credential("good", is_clients_own=True),
    )
    adapter = ENTRY.adapter(leg)
    dial = adapter.dial()
    assert dial.url == f"ws://127.0.0.1:1{record.request.path}"
    assert not record.request.params
    assert not record.request.subprotocols
    its = {name: value for name, value in record.request.headers if name.startswith("x-")}
    assert its.pop("x-api-source") == "python-client/0.6.4"
    assert dict(dial.headers) == its
    sent = [*adapter.opened()]
    audio = SPEECH
    for start in range(0, len(audio), 2560):
        sent += adapter.audio(audio[start : start + 2560])
    sent += adapter.finalize()
    silence = [each for each in sent[-3:] if not any(base64.b64decode(json.loads(each)["audio"]))]
    assert len(silence) == 3  # what the flush's answer waits for; the SDK leaves that to its user
    sent = [*sent[:-3], *adapter.finish()]
    assert parsed(sent, flush_id=1) == parsed(record.texts, flush_id=7)


def parsed(messages: Any, *, flush_id: int) -> list[Any]:
    """The messages, the flush's number taken out: it is free."""
    found = [json.loads(message) for message in messages]
    for message in found:
        if isinstance(config := message.get("json_config"), str):
            message["json_config"] = json.loads(config)
        if message["type"] == "flush":
            assert message.pop("flush_id") == flush_id
    return found


async def test_our_adapter_hears_the_emulator(listening: Emulator, speech: Path) -> None:
    """The whole way round, faster than real time: the adapter makes one final and one turn of what is said."""
    await run_sdk(listening, "realtime", audio=speech, actions=["audio", "flush", "eos"])
    [record] = listening.connections
    texts, ends = replayed(record, SPEECH)
    assert (texts, ends) == ([WORDS], 1)


def replayed(record: Record, audio: bytes) -> tuple[list[str], int]:
    """Finals and turn ends that our adapter makes of what an emulator said to the SDK."""
    options = Options(provider="gradium", audio=PCM_16K_MONO)
    adapter = ENTRY.adapter(AdapterConfig(options=options, url="ws://127.0.0.1:1"))
    adapter.audio(audio)
    adapter.finalize()
    adapter.finish()
    events = [event for message in record.sent for event in adapter.received(message)]
    texts = [event.text for event in events if type(event).__name__ == "Final"]
    return texts, sum(type(event).__name__ == "TurnEnd" for event in events)
