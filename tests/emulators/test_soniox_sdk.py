"""Soniox's own SDK takes the emulator for the service, and our adapter sends what the SDK sends."""

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
from routeraudio.emulators.soniox import Soniox
from routeraudio.engine.pool import open_pool
from routeraudio.model.audio import PCM_16K_MONO, AudioFormat
from routeraudio.model.events import Event, Failed, Final, Finished, Partial, TurnEnd
from routeraudio.model.options import Options
from routeraudio.providers.base import AdapterConfig, Credential
from routeraudio.providers.soniox import ENTRY
from tests.emulators.helping import Client, FakeHear, chunks, clip, encoded, heard, talk
from tests.emulators.soniox_talk import START, TARGET

pytestmark = pytest.mark.sdk

SDK_S = 120.0
"""For one SDK process, on a machine that is busy with other things."""

SPEECH = clip("goforward.wav") + bytes(32000)
"""Four words, with a second of silence behind them."""

FLAVOURS = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
WISH = Options(
    provider="soniox",
    audio=PCM_16K_MONO,
    language="en-GB",
    diarize=True,
    partial_results=True,
    endpointing_ms=700,
)
CONFIG = START | {
    "language_hints": ["en"],
    "enable_speaker_diarization": True,
    "enable_endpoint_detection": True,
    "max_endpoint_delay_ms": 700,
}
"""The same wish in the SDK's words."""


@pytest.fixture
async def listening() -> AsyncIterator[Emulator]:
    """An emulator with the local engine behind it."""
    async with open_pool(workers_max=2) as pool:
        yield Emulator(Soniox(), hear=EngineHear(pool), keep_audio_bytes=1_000_000)


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """The same as a file."""
    path = tmp_path / "speech.pcm"
    path.write_bytes(SPEECH)
    return path


async def run_sdk(emulator: Emulator, actions: list[str], **plan: Any) -> Any:
    """Have the SDK do ``actions``; its report."""
    defaults: dict[str, Any] = {"key": "good", "is_async": True, "config": CONFIG, "audio": None}
    with trio.fail_after(SDK_S):
        async with trio.open_nursery() as nursery:
            port = await nursery.start(emulator.serve)
            whole = {**defaults, **plan, "port": port, "actions": actions}
            client = Path(__file__).parent / "soniox_sdk_client.py"
            done = await trio.run_process(
                [sys.executable, str(client), json.dumps(whole, default=str)], capture_stdout=True
            )
            nursery.cancel_scope.cancel()
    report = json.loads(done.stdout)
    print(f"soniox {report['sdk']}: {len(report['events'])} events, {report['errors']}")
    return report


async def run_adapter(
    emulator: Emulator, audio: bytes, wish: Options = WISH, key: str = "good"
) -> list[Event]:
    """Have our adapter hear ``audio`` over the emulator; what it tells."""
    credential = Credential(key, is_clients_own=True)
    adapter = ENTRY.adapter(AdapterConfig(options=wish, url="ws://emulator", credential=credential))
    dial = adapter.dial()
    assert dial.url == f"ws://emulator{TARGET}"
    with trio.fail_after(SDK_S):
        async with talk(emulator, TARGET, dial.headers, dial.subprotocols) as client:
            await client.send(*adapter.opened())
            async with trio.open_nursery() as nursery:
                events: list[Event] = []
                nursery.start_soon(_hear, client, adapter, events)
                for chunk in chunks(audio, 3840):
                    await client.send(*adapter.audio(chunk))
                await client.send(*adapter.finalize(), *adapter.finish())
    return events


async def _hear(client: Client, adapter: Any, events: list[Event]) -> None:
    while not (events and isinstance(events[-1], Finished | Failed)):
        events += adapter.received(await client.receive_whatever())


def words(report: Any) -> str:
    """All that was settled, without control tokens."""
    tokens = [token for event in report["events"] for token in event["tokens"] if token["is_final"]]
    return "".join(token["text"] for token in tokens if token["text"] not in ("<end>", "<fin>"))


def texts(record: Record) -> list[Any]:
    """What the client said, decoded; the end is empty."""
    return [json.loads(text) if text else text for text in record.texts]


@FLAVOURS
async def test_speech(listening: Emulator, speech: Path, is_async: bool) -> None:
    """Real speech gives its words, open tokens on the way, and the service's own end."""
    report = await run_sdk(listening, ["keep_alive", "audio", "finish"], audio=speech, is_async=is_async)
    assert report["errors"] == []
    assert words(report) == "Go forward ten meters."
    tokens = [token for event in report["events"] for token in event["tokens"]]
    assert any(not token["is_final"] for token in tokens)
    assert "<end>" in [token["text"] for token in tokens]
    assert {token["speaker"] for token in tokens if token["text"] != "<end>"} == {"1"}
    assert report["events"][-1]["finished"]
    [record] = listening.connections
    assert texts(record)[1:] == [{"type": "keepalive"}, ""]
    assert record.audio_bytes == len(SPEECH)


async def test_adapter_sends_what_the_sdk_sends(listening: Emulator, speech: Path) -> None:
    """The same wish: the same address and key, first message, audio, finalize and end."""
    await run_sdk(listening, ["audio", "finalize", "finish"], audio=speech)
    events = await run_adapter(listening, SPEECH)
    sdk, ours = listening.connections
    for name in ("authorization", "sec-websocket-protocol"):
        assert ours.request.header(name) == sdk.request.header(name)
    assert (ours.request.path, ours.request.params) == (sdk.request.path, sdk.request.params)
    assert texts(ours) == texts(sdk)
    assert texts(ours)[0] == CONFIG
    assert (ours.audio, ours.audio_messages) == (sdk.audio, sdk.audio_messages)
    [final] = [event for event in events if isinstance(event, Final)]
    assert final.text == "Go forward ten meters."
    assert [word.text for word in final.words or ()] == ["Go", "forward", "ten", "meters."]
    assert {word.speaker for word in final.words or ()} == {"1"}
    assert any(isinstance(event, Partial) for event in events)
    assert any(isinstance(event, TurnEnd) for event in events)


async def test_a_container_goes_through(listening: Emulator, tmp_path: Path) -> None:
    """An Ogg file is heard as what it is, by the SDK and by the adapter."""
    data = encoded(clip("goforward.wav"), "ogg", "libopus", 48000)
    path = tmp_path / "speech.ogg"
    path.write_bytes(data)
    report = await run_sdk(
        listening, ["audio", "finish"], audio=path, config={"model": "stt-rt-v5", "audio_format": "ogg"}
    )
    assert words(report) == "Go forward ten meters."
    wish = Options(provider="soniox", audio=AudioFormat("ogg_opus", 48000))
    events = await run_adapter(listening, data, wish)
    assert [event.text for event in events if isinstance(event, Final)] == ["Go forward ten meters."]


async def test_what_is_declared_wrongly_is_heard_wrongly(listening: Emulator, speech: Path) -> None:
    """The declared rate is believed, so a mistake shows as other words, not as an error."""
    report = await run_sdk(
        listening, ["audio", "finish"], audio=speech, config=CONFIG | {"sample_rate": 8000}
    )
    assert report["errors"] == []
    assert words(report) != "Go forward ten meters."


@FLAVOURS
async def test_pausing_finalizes(speech: Path, is_async: bool) -> None:
    """The SDK's pause asks for the open words, and they come with `<fin>`."""
    hear = FakeHear([(500, heard("partial", "go", 100))], held=heard("final", "go forward", 100))
    emulator = Emulator(Soniox(), hear=hear)
    report = await run_sdk(emulator, ["audio", "pause", "resume", "finish"], audio=speech, is_async=is_async)
    assert words(report) == "Go forward."
    assert texts(emulator.connections[0])[1:] == [{"type": "finalize"}, ""]


@FLAVOURS
async def test_a_bad_key_surfaces(is_async: bool) -> None:
    """The SDK's user sees the 401 as an event; ours, as a fault that says whose key it is."""
    emulator = Emulator(Soniox())
    report = await run_sdk(emulator, [], key="bad", is_async=is_async)
    assert [event["error_code"] for event in report["events"]] == [401]
    [failed] = await run_adapter(emulator, b"", key="bad")
    assert isinstance(failed, Failed)
    assert failed.fault.code == "unauthorized"


async def test_a_refused_upgrade_surfaces() -> None:
    """An HTTP refusal raises in the SDK."""
    report = await run_sdk(Emulator(Soniox()), [], key="fault-refuse-429")
    assert report["errors"] == ["SonioxRealtimeError: Failed to start realtime session"]
