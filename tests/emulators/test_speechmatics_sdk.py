"""Speechmatics' own SDK takes the emulator for the service, and sends what our adapter sends."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from routeraudio.emulators.kit.hearing import EngineHear
from routeraudio.emulators.kit.record import Record
from routeraudio.emulators.kit.server import Emulator
from routeraudio.emulators.speechmatics import Speechmatics
from routeraudio.engine.pool import open_pool
from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.events import Event, Failed, Final, Finished, Partial, Ready, TurnEnd
from routeraudio.model.options import Options
from routeraudio.providers.base import AdapterConfig, Credential
from routeraudio.providers.speechmatics import ENTRY
from tests.emulators.helping import FakeHear, chunks, clip, encoded, heard, talk

pytestmark = pytest.mark.sdk

SDK_S = 120.0
"""For one SDK process, on a machine that is busy with other things."""

CHUNK_BYTES = 3200
CONFIG: dict[str, Any] = {
    "language": "en",
    "model": "enhanced",
    "enable_partials": True,
    "max_delay": 0.7,
    "conversation_config": {"end_of_utterance_silence_trigger": 0.5},
}
"""What our adapter asks for when a client wants partials and leaves the rest as it is."""


@pytest.fixture
async def listening() -> AsyncIterator[Emulator]:
    """An emulator with the local engine behind it."""
    async with open_pool(workers_max=2) as pool:
        yield Emulator(Speechmatics(), hear=EngineHear(pool), keep_audio_bytes=1_000_000)


SPEECH = clip("goforward.wav") + bytes(32000)
"""goforward.wav as PCM, with a second of silence behind it."""


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """The same as a file."""
    path = tmp_path / "speech.pcm"
    path.write_bytes(SPEECH)
    return path


async def run_sdk(emulator: Emulator, audio: Path, **plan: Any) -> Any:
    """Have the SDK transcribe ``audio``; its report."""
    defaults: dict[str, Any] = {
        "key": "good",
        "rate": 16000,
        "chunk": CHUNK_BYTES,
        "config": CONFIG,
        "force": False,
    }
    with trio.fail_after(SDK_S):
        async with trio.open_nursery() as nursery:
            port = await nursery.start(emulator.serve)
            whole = {**defaults, **plan, "port": port, "audio": str(audio)}
            client = Path(__file__).parent / "speechmatics_sdk_client.py"
            done = await trio.run_process(
                [sys.executable, str(client), json.dumps(whole)], capture_stdout=True
            )
            nursery.cancel_scope.cancel()
    report = json.loads(done.stdout)
    print(f"speechmatics-rt {report['sdk']}: {len(report['messages'])} messages, {report['errors']}")
    return report


def words(report: Any) -> list[str]:
    """All words that were settled."""
    return [
        result["alternatives"][0]["content"].lower()
        for message in report["messages"]
        if message["message"] == "AddTranscript"
        for result in message["results"]
        if result["type"] == "word"
    ]


async def test_speech(listening: Emulator, speech: Path) -> None:
    """Real speech gives its words, partials on the way, the end of the utterance, and an orderly end."""
    report = await run_sdk(listening, speech)
    assert report["errors"] == []
    assert words(report) == ["go", "forward", "ten", "meters"]
    kinds = [message["message"] for message in report["messages"]]
    assert "AddPartialTranscript" in kinds
    assert kinds.count("EndOfUtterance") == 1
    assert kinds[-1] == "EndOfTranscript"
    [record] = listening.connections
    assert record.audio_bytes == len(SPEECH)
    assert kinds.count("AudioAdded") == record.audio_messages
    assert record.error is None


async def test_a_file_is_recognised(listening: Emulator, tmp_path: Path) -> None:
    """Without an encoding the SDK declares a file, and an Ogg file is heard as what it is."""
    path = tmp_path / "speech.ogg"
    path.write_bytes(encoded(clip("goforward.wav"), "ogg", "libopus", 48000))
    report = await run_sdk(listening, path, rate=0)
    assert words(report) == ["go", "forward", "ten", "meters"]


async def test_what_is_declared_wrongly_is_heard_wrongly(listening: Emulator, speech: Path) -> None:
    """The declared rate is believed, so a mistake shows as other words, not as an error."""
    report = await run_sdk(listening, speech, rate=8000)
    assert report["errors"] == []
    assert words(report) != ["go", "forward", "ten", "meters"]


async def test_forced_end(speech: Path) -> None:
    """The SDK's position is that of all audio sent; what it forces is marked."""
    hear = FakeHear(held=heard("final", "go forward", 2500))
    emulator = Emulator(Speechmatics(), hear=hear)
    report = await run_sdk(emulator, speech, force=True)
    [end] = [each for each in report["messages"] if each["message"] == "EndOfUtterance"]
    assert end["forced"]
    [record] = emulator.connections
    [force] = [json.loads(text) for text in record.texts if "ForceEndOfUtterance" in text]
    assert force == {"message": "ForceEndOfUtterance", "timestamp": len(SPEECH) / 32_000}


@pytest.mark.parametrize(("key", "says"), [("bad", "401"), ("fault-refuse-503", "503")])
async def test_refusals_surface(speech: Path, key: str, says: str) -> None:
    """The SDK's user sees the status."""
    report = await run_sdk(Emulator(Speechmatics()), speech, key=key)
    assert len(report["errors"]) == 1
    assert says in report["errors"][0]


async def test_a_bad_configuration_surfaces(speech: Path) -> None:
    """The SDK's user sees the reason of the `Error`."""
    report = await run_sdk(Emulator(Speechmatics()), speech, config={"language": "xx"})
    assert report["errors"] == ["TranscriptionError: xx is not a language of enhanced"]


# Our adapter beside the SDK.


async def run_adapter(emulator: Emulator, audio: bytes) -> list[Event]:
    """Have our adapter transcribe ``audio`` as the relay drives it."""
    options = Options(provider="speechmatics", audio=PCM_16K_MONO, partial_results=True)
    credential = Credential("good", is_clients_own=True)
    adapter = ENTRY.adapter(AdapterConfig(options=options, url="ws://emulator", credential=credential))
    dial = adapter.dial()
    events: list[Event] = []
    async with talk(emulator, dial.url.removeprefix("ws://emulator"), dial.headers) as client:
        await client.send(*map(str, adapter.opened()))
        while not any(isinstance(event, Ready) for event in events):
            events += adapter.received(await client.receive_whatever())
        for chunk in chunks(audio, CHUNK_BYTES):
            await client.send(
                *(bytes(message) for message in adapter.audio(chunk) if isinstance(message, bytes))
            )
        await client.send(*map(str, adapter.finish()))
        while not isinstance(events[-1], Finished | Failed):
            events += adapter.received(await client.receive_whatever())
    return events


def handshake(record: Record) -> tuple[str, str | None, str | None]:
    request = record.request
    return request.path, request.header("authorization"), request.header("sec-websocket-protocol")


async def test_adapter_and_sdk_send_the_same(listening: Emulator, speech: Path) -> None:
    """For the same wish: handshake, first message, audio in the same messages, and the same end."""
    await run_sdk(listening, speech)
    events = await run_adapter(listening, SPEECH)
    sdk, ours = listening.connections
    assert handshake(sdk) == handshake(ours) == ("/v2", "Bearer good", None)
    assert [name for name, _ in sdk.request.params] == ["sm-sdk"]
    assert ours.request.params == (("sm-app", "routeraudio"),)
    assert json.loads(ours.texts[0]) == json.loads(sdk.texts[0])
    assert (ours.audio_messages, ours.audio) == (sdk.audio_messages, sdk.audio)
    ends = [json.loads(record.texts[-1]) for record in (sdk, ours)]
    assert [end["message"] for end in ends] == ["EndOfStream"] * 2
    # The SDK overwrites its count with the last acknowledged number, so that it may end with a smaller one.
    assert ends[0]["last_seq_no"] <= ends[1]["last_seq_no"] == ours.audio_messages
    [final] = [event for event in events if isinstance(event, Final)]
    assert final.text == "Go forward ten meters."
    assert [word.text for word in final.words or ()] == ["Go", "forward", "ten", "meters."]
    assert 0 < final.start_ms < final.end_ms < len(SPEECH) // 32
    assert any(isinstance(event, Partial) for event in events)
    assert [type(event) for event in events[-2:]] == [TurnEnd, Finished]
