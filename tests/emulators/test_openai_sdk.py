"""OpenAI's own SDK takes the emulator for the service; where words matter, the local engine really listens."""

import json
import sys
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from routeraudio.audio.transcode import transcoder
from routeraudio.emulators.kit.hearing import EngineHear
from routeraudio.emulators.kit.record import Record
from routeraudio.emulators.kit.server import Emulator
from routeraudio.emulators.openai import OpenAI
from routeraudio.engine.pool import open_pool
from routeraudio.model.audio import PCM_16K_MONO, AudioFormat
from routeraudio.model.options import Options
from routeraudio.providers.base import AdapterConfig, Credential
from routeraudio.providers.openai import ENTRY
from tests.emulators.helping import Client, clip, talk

SDK = "openai"
"""The distribution that is driven here."""

pytestmark = pytest.mark.sdk

SDK_S = 120.0
"""For one SDK process, on a machine that is busy with other things."""

TARGET = "/v1/realtime?intent=transcription"
TRANSCRIPTION = "conversation.item.input_audio_transcription"
PCM_24K = AudioFormat("pcm_s16le", 24_000)
SERVER_VAD = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}


@pytest.fixture
async def listening() -> AsyncIterator[Emulator]:
    """An emulator with the local engine behind it."""
    async with open_pool(workers_max=4) as pool:
        yield Emulator(OpenAI(), hear=EngineHear(pool), keep_audio_bytes=1_000_000)


@pytest.fixture(scope="module")
def pcm() -> bytes:
    """goforward.wav at 24 kHz, with a second of silence behind it."""
    converter = transcoder(PCM_16K_MONO, PCM_24K)
    return converter.push(clip("goforward.wav") + bytes(32_000)) + converter.finish()


@pytest.fixture
def speech(tmp_path: Path, pcm: bytes) -> Path:
    path = tmp_path / "speech.pcm"
    path.write_bytes(pcm)
    return path


def session(model: str, detection: Any, **hints: Any) -> dict[str, Any]:
    heard = {
        "format": {"type": "audio/pcm", "rate": 24_000},
        "transcription": {"model": model, **hints},
        "turn_detection": detection,
    }
    return {"type": "transcription", "audio": {"input": heard}}


LIVE = session("gpt-live-transcribe", None, languages=["en"])
TURNS = session("gpt-transcribe", SERVER_VAD, languages=["en"])


async def run_sdk(emulator: Emulator, actions: list[str], **plan: Any) -> Any:
    """Have the SDK do ``actions``; its report."""
    defaults: dict[str, Any] = {
        "key": "good",
        "audio": None,
        "until": 1,
        "query": {"intent": "transcription"},
        "model": None,
        "session": LIVE,
    }
    with trio.fail_after(SDK_S):
        async with trio.open_nursery() as nursery:
            port = await nursery.start(emulator.serve)
            whole = {**defaults, **plan, "port": port, "actions": actions}
            client = Path(__file__).parent / "openai_sdk_client.py"
            done = await trio.run_process(
                [sys.executable, str(client), json.dumps(whole, default=str)], capture_stdout=True
            )
            nursery.cancel_scope.cancel()
    report = json.loads(done.stdout)
    print(f"openai {report['sdk']}: {len(report['messages'])} messages, {report['errors']}")
    return report


def of_kind(report: Any, kind: str) -> list[Any]:
    return [message for message in report["messages"] if message["type"] == kind]


async def test_a_live_turn(listening: Emulator, speech: Path) -> None:
    """Deltas come before the whole turn and add up to the right words; every message is of a known type."""
    report = await run_sdk(listening, ["audio", "commit"], audio=speech)
    assert report["errors"] == []
    [whole] = of_kind(report, f"{TRANSCRIPTION}.completed")
    assert whole["transcript"] == "Go forward ten meters."
    deltas = of_kind(report, f"{TRANSCRIPTION}.delta")
    assert "".join(each["delta"] for each in deltas).lower().strip(".").startswith("go forward")
    kinds = [message["type"] for message in report["messages"]]
    assert kinds.index(f"{TRANSCRIPTION}.delta") < kinds.index(f"{TRANSCRIPTION}.completed")
    assert kinds[:2] == ["session.created", "session.updated"]
    assert set(report["kinds"]) == {
        "SessionCreatedEvent",
        "SessionUpdatedEvent",
        "InputAudioBufferCommittedEvent",
        "ConversationItemAdded",
        "ConversationItemDone",
        "ConversationItemInputAudioTranscriptionDeltaEvent",
        "ConversationItemInputAudioTranscriptionCompletedEvent",
    }


async def test_a_turn_that_the_service_ends(listening: Emulator, speech: Path) -> None:
    """Server detection frames the speech and commits it; text comes afterwards."""
    report = await run_sdk(listening, ["audio"], audio=speech, session=TURNS)
    assert report["errors"] == []
    kinds = [message["type"].removeprefix("input_audio_buffer.") for message in report["messages"]]
    assert kinds[2:7] == [
        "speech_started",
        "speech_stopped",
        "committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    [start] = of_kind(report, "input_audio_buffer.speech_started")
    [stop] = of_kind(report, "input_audio_buffer.speech_stopped")
    assert 0 <= start["audio_start_ms"] <= 500
    assert 2500 <= stop["audio_end_ms"] <= 3200
    assert of_kind(report, f"{TRANSCRIPTION}.completed")[0]["transcript"] == "Go forward ten meters."


async def test_a_bad_key_surfaces(speech: Path) -> None:
    """The SDK's user is let in, told, and sees the close 3000."""
    report = await run_sdk(Emulator(OpenAI()), ["audio"], key="bad", audio=speech)
    assert [message["error"]["code"] for message in of_kind(report, "error")] == ["invalid_api_key"]
    assert "3000" in " ".join(report["errors"])
    assert "invalid_request_error.invalid_api_key" in " ".join(report["errors"])


async def test_a_model_in_the_address_surfaces() -> None:
    """What conversation sessions need is refused here."""
    report = await run_sdk(Emulator(OpenAI()), [], model="gpt-live-transcribe")
    assert [message["error"]["code"] for message in of_kind(report, "error")] == ["invalid_model"]


# What our adapter sends, beside what the SDK sends for the same wish.


async def adapt(emulator: Emulator, pcm: bytes, model: str) -> None:
    """Have our adapter transcribe ``pcm`` in pieces of 50 ms, as the relay would."""
    options = Options(provider="openai", audio=PCM_24K, model=model, partial_results=True)
    credential = Credential("good", is_clients_own=True)
    adapter = ENTRY.adapter(AdapterConfig(options=options, url=ENTRY.default_url, credential=credential))
    dial = adapter.dial()
    target = dial.url.removeprefix(ENTRY.default_url)
    async with talk(emulator, target, dial.headers) as client:
        await client.send(*adapter.opened())
        await until(client, adapter, "Ready")
        for start in range(0, len(pcm), 2400):
            await client.send(*adapter.audio(pcm[start : start + 2400]))
        events = await until(client, adapter, "Final")
        await client.send(*adapter.finish())
        events += await until(client, adapter, "Finished")
    assert [event.text for event in events if type(event).__name__ == "Final"] == ["Go forward ten meters."]


async def until(client: Client, adapter: Any, kind: str) -> list[Any]:
    events: list[Any] = []
    with trio.fail_after(SDK_S):
        while kind not in {type(event).__name__ for event in events}:
            events += adapter.received(await client.receive_whatever())
    return events


def sent(record: Record) -> tuple[list[Any], bytes, list[str]]:
    """The messages that are not audio, the audio, and how its messages look."""
    messages = [json.loads(text) for text in record.texts]
    others = [{name: value for name, value in each.items() if name != "event_id"} for each in messages]
    appends = [each for each in others if each["type"] == "input_audio_buffer.append"]
    return (
        [each for each in others if each not in appends],
        b"".join(b64decode(each["audio"]) for each in appends),
        sorted({name for each in appends for name in each}),
    )


@pytest.mark.parametrize(
    ("settings", "actions"), [(LIVE, ["audio", "commit"]), (TURNS, ["audio"])], ids=["live", "turns"]
)
async def test_the_adapter_sends_what_the_sdk_sends(
    listening: Emulator, speech: Path, pcm: bytes, settings: dict[str, Any], actions: list[str]
) -> None:
    """Address, key, settings, the framing of audio and the commit are those of the vendor's own client."""
    report = await run_sdk(listening, actions, audio=speech, session=settings)
    assert report["errors"] == []
    await adapt(listening, pcm, settings["audio"]["input"]["transcription"]["model"])
    theirs, ours = listening.connections
    assert ours.request.path == theirs.request.path
    assert ours.request.params == theirs.request.params
    for header in ("authorization", "openai-beta", "sec-websocket-protocol"):
        assert ours.request.header(header) == theirs.request.header(header)
    their_messages, their_audio, their_fields = sent(theirs)
    our_messages, our_audio, our_fields = sent(ours)
    end = {"type": "session.update", "session": {"type": "transcription"}}
    assert [each for each in our_messages if each != end] == their_messages
    assert (our_audio, our_fields) == (their_audio, their_fields)
