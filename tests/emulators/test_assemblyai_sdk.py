"""AssemblyAI's own SDK takes the emulator for the service, and our adapter asks for what the SDK asks for."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from routeraudio.emulators.assemblyai import AssemblyAI
from routeraudio.emulators.kit.hearing import EngineHear
from routeraudio.emulators.kit.record import Record
from routeraudio.emulators.kit.server import Emulator
from routeraudio.engine.pool import open_pool
from routeraudio.model.audio import PCM_16K_MONO, AudioFormat
from routeraudio.model.events import Event, Failed, Final, Finished, Partial, TurnEnd
from routeraudio.model.options import Options
from routeraudio.providers.assemblyai import ENTRY
from routeraudio.providers.base import AdapterConfig, Credential
from tests.emulators.helping import FakeHear, chunks, clip, encoded, heard, talk

pytestmark = pytest.mark.sdk

SDK_S = 120.0
"""For one SDK process, on a machine that is busy with other things."""

FLAVOURS = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
ENGLISH = "universal-streaming-english"
RAW = {"sample_rate": 16000, "encoding": "pcm_s16le"}


@pytest.fixture
async def listening() -> AsyncIterator[Emulator]:
    """An emulator with the local engine behind it."""
    async with open_pool(workers_max=2) as pool:
        yield Emulator(AssemblyAI(), hear=EngineHear(pool), keep_audio_bytes=1_000_000)


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """goforward.wav as PCM, with a second of silence behind it."""
    path = tmp_path / "speech.pcm"
    path.write_bytes(spoken())
    return path


def spoken() -> bytes:
    data = clip("goforward.wav") + bytes(32_000)
    return data[: len(data) // 3200 * 3200]  # no short message at the end


async def run_sdk(emulator: Emulator, *actions: str, **plan: Any) -> Any:
    """Have the SDK do ``actions`` and terminate; its report."""
    defaults: dict[str, Any] = {"key": "good", "is_async": False, "params": RAW, "audio": None}
    with trio.fail_after(SDK_S):
        async with trio.open_nursery() as nursery:
            port = await nursery.start(emulator.serve)
            whole = {**defaults, **plan, "port": port, "actions": actions}
            client = Path(__file__).parent / "assemblyai_sdk_client.py"
            done = await trio.run_process(
                [sys.executable, str(client), json.dumps(whole, default=str)],
                capture_stdout=True,
                capture_stderr=True,  # it logs what it also reports
            )
            nursery.cancel_scope.cancel()
    report = json.loads(done.stdout)
    print(f"assemblyai {report['sdk']}: {len(report['messages'])} messages, {report['errors']}")
    return report


def finals(report: Any) -> list[tuple[int, str]]:
    return [
        (each["turn_order"], each["transcript"])
        for each in report["messages"]
        if each["type"] == "Turn" and each["end_of_turn"]
    ]


async def run_adapter(emulator: Emulator, options: Options, data: bytes, piece_bytes: int) -> list[Event]:
    """Drive our adapter as the relay does; all its events."""
    leg = AdapterConfig(
        options=options, url="ws://127.0.0.1:1", credential=Credential("good", is_clients_own=True)
    )
    adapter = ENTRY.adapter(leg)
    dial = adapter.dial()
    events: list[Event] = []
    async with talk(emulator, dial.url.removeprefix("ws://127.0.0.1:1"), dial.headers) as client:
        await client.send(*adapter.opened())
        for piece in chunks(data, piece_bytes):
            await client.send(*adapter.audio(piece))
        await client.send(*adapter.finish())
        with trio.fail_after(SDK_S):
            while not (events and isinstance(events[-1], Failed | Finished)):
                events += adapter.received(await client.receive_whatever())
    return events


# The SDK as client.


@FLAVOURS
async def test_speech(listening: Emulator, speech: Path, is_async: bool) -> None:
    """Real speech gives its words, partials on the way, and an orderly end."""
    report = await run_sdk(
        listening,
        "keep_alive",
        "audio",
        params={**RAW, "speech_model": "universal-3-6-pro"},
        audio=speech,
        is_async=is_async,
    )
    assert finals(report) == [(0, "Go forward ten meters.")]
    assert report["errors"] == []
    kinds = [each["type"] for each in report["messages"]]
    assert kinds[:2] == ["Begin", "SpeechStarted"]
    assert kinds[2:-1].count("Turn") == len(kinds) - 3 > 1
    assert kinds[-1] == "Termination"
    [record] = listening.connections
    assert [json.loads(text)["type"] for text in record.texts] == ["KeepAlive", "Terminate"]
    assert bytes(record.audio) == spoken()


async def test_speech_with_formatted_turns(listening: Emulator, speech: Path) -> None:
    """The English model ends the turn twice, and an empty turn follows."""
    report = await run_sdk(
        listening, "audio", params={**RAW, "speech_model": ENGLISH, "format_turns": True}, audio=speech
    )
    assert finals(report) == [(0, "go forward ten meters"), (0, "Go forward ten meters."), (1, "")]
    assert report["errors"] == []


async def test_ogg(listening: Emulator, tmp_path: Path) -> None:
    """Opus in Ogg needs no rate."""
    path = tmp_path / "speech.ogg"
    path.write_bytes(encoded(spoken(), "ogg", "libopus", 48_000))
    report = await run_sdk(listening, "audio", params={"encoding": "ogg_opus"}, audio=path)
    assert finals(report) == [(0, "Go forward ten meters.")]


async def test_force_endpoint(speech: Path) -> None:
    """The forced end of a turn is a final."""
    hear = FakeHear([(500, heard("partial", "go", 100))], held=heard("final", "go forward", 100))
    report = await run_sdk(Emulator(AssemblyAI(), hear=hear), "audio", "force_endpoint", audio=speech)
    assert finals(report) == [(0, "Go forward.")]


@FLAVOURS
async def test_a_bad_key_surfaces(is_async: bool) -> None:
    """The SDK's user sees the Error behind the 101, once."""
    report = await run_sdk(Emulator(AssemblyAI()), key="bad", is_async=is_async)
    assert report["errors"] == [[1008, "Unauthorized Connection: Invalid API key"]]


async def test_a_bad_model_surfaces() -> None:
    """The SDK still lists a model that is refused, with those that are not."""
    report = await run_sdk(Emulator(AssemblyAI()), params={**RAW, "speech_model": "u3-pro"})
    [[code, words]] = report["errors"]
    assert code == 3006
    assert "universal-3-6-pro" in words


# Our adapter beside the SDK.


def asked(record: Record) -> tuple[Any, ...]:
    """Path, query (booleans in one spelling) and the headers that matter."""
    query = {
        name: value.lower() if value in ("True", "False") else value for name, value in record.request.params
    }
    header = record.request.header
    return record.request.path, query, header("authorization"), header("assemblyai-version")


@pytest.mark.parametrize(
    ("options", "params"),
    [
        (
            {"language": "fr", "diarize": True},
            {
                **RAW,
                "speech_model": "universal-3-6-pro",
                "language_codes": ["fr"],
                "max_turn_silence": 500,
                "speaker_labels": True,
            },
        ),
        (
            {"model": ENGLISH, "endpointing_ms": 300, "parse_json": False, "partial_results": False},
            {
                **RAW,
                "speech_model": ENGLISH,
                "format_turns": True,
                "max_turn_silence": 300,
                "min_turn_silence": 300,
                "include_partial_turns": False,
            },
        ),
        (
            {"model": "whisper-rt", "language": "pl"},
            {
                **RAW,
                "speech_model": "whisper-rt",
                "format_turns": True,
                "max_turn_silence": 500,
                "session_heartbeat": True,
            },
        ),
        (
            {"audio": AudioFormat("ogg_opus", 48_000), "language": "auto"},
            {"encoding": "ogg_opus", "speech_model": "universal-3-6-pro", "max_turn_silence": 500},
        ),
    ],
    ids=["pro", "english", "whisper", "ogg"],
)
async def test_the_adapter_asks_as_the_sdk_does(options: dict[str, Any], params: dict[str, Any]) -> None:
    """The same wish is the same address, the same key in the same place, and the same end."""
    wish = msgspec.structs.replace(
        Options(provider="assemblyai", audio=PCM_16K_MONO, partial_results=True), **options
    )
    emulator = Emulator(AssemblyAI(), hear=FakeHear())
    await run_sdk(emulator, params=params)
    await run_adapter(emulator, wish, b"", 1)
    theirs, ours = emulator.connections
    assert asked(ours) == asked(theirs)
    assert ours.texts == theirs.texts == ['{"type":"Terminate"}']


async def test_the_adapter_frames_as_the_sdk_does(speech: Path) -> None:
    """Pieces of 20 ms arrive as messages that are long enough, and as the same audio."""
    wish = Options(provider="assemblyai", audio=PCM_16K_MONO)
    emulator = Emulator(AssemblyAI(), hear=FakeHear(), keep_audio_bytes=1_000_000)
    await run_sdk(emulator, "audio", audio=speech)
    events = await run_adapter(emulator, wish, spoken(), 640)
    theirs, ours = emulator.connections
    assert isinstance(events[-1], Finished)
    assert ours.audio.startswith(theirs.audio)
    assert not any(ours.audio[len(theirs.audio) :])  # silence behind a short rest
    assert ours.audio_messages <= len(spoken()) // 1600 + 1


@pytest.mark.parametrize(
    "model", ["universal-3-6-pro", ENGLISH, "universal-streaming-multilingual", "whisper-rt"]
)
async def test_the_adapter_hears_real_speech(listening: Emulator, model: str) -> None:
    """Through the emulator every model gives the words once, with partials and a turn end, inside the audio."""
    wish = Options(provider="assemblyai", audio=PCM_16K_MONO, model=model, partial_results=True, diarize=True)
    events = await run_adapter(listening, wish, spoken(), 1000)
    [final] = [event for event in events if isinstance(event, Final)]
    assert final.text == "Go forward ten meters."
    assert [word.text for word in final.words or ()] == ["Go", "forward", "ten", "meters."]
    assert 0 < final.start_ms < final.end_ms <= len(spoken()) // 32
    assert TurnEnd(final.end_ms) in events
    assert any(isinstance(event, Partial) for event in events)
    assert isinstance(events[-1], Finished)
