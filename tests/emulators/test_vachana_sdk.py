"""Vachana's own SDK takes the emulator for the service, and our adapter sends what the SDK sends."""

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
from routeraudio.emulators.vachana import Vachana
from routeraudio.engine.pool import open_pool
from routeraudio.model.audio import AudioFormat
from routeraudio.model.events import Final, Finished, Ready, TurnEnd
from routeraudio.model.options import Options
from routeraudio.providers.base import Adapter, AdapterConfig, Credential
from routeraudio.providers.vachana import ENTRY
from tests.emulators.helping import FakeHear, clip, encoded, heard

pytestmark = pytest.mark.sdk

SDK_S = 120.0
"""For one SDK process, on a machine that is busy with other things."""

WORDS = "go forward ten meters"


@pytest.fixture
async def listening() -> AsyncIterator[Emulator]:
    """An emulator with the local engine behind it."""
    async with open_pool(workers_max=2) as pool:
        yield Emulator(Vachana(), hear=EngineHear(pool), keep_audio_bytes=10**6)


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """goforward.wav as PCM, with a second of silence behind it."""
    path = tmp_path / "speech.pcm"
    path.write_bytes(clip("goforward.wav") + bytes(32000))
    return path


def samples(path: Path) -> bytes:
    return path.read_bytes()


async def run_sdk(emulator: Emulator, way: str = "events", **plan: Any) -> Any:
    """Have the SDK talk to the emulator; its report."""
    defaults: dict[str, Any] = {"key": "good", "options": {}, "audio": None, "transcripts": 1, "frame": 1024}
    with trio.fail_after(SDK_S):
        async with trio.open_nursery() as nursery:
            port = await nursery.start(emulator.serve)
            whole = {**defaults, **plan, "port": port, "way": way}
            client = Path(__file__).parent / "vachana_sdk_client.py"
            done = await trio.run_process(
                [sys.executable, str(client), json.dumps(whole, default=str)], capture_stdout=True
            )
            await emulator.connections[0].ended.wait()
            nursery.cancel_scope.cancel()
    report = json.loads(done.stdout)
    print(f"gnani-vachana {report['sdk']}, {way}: {len(report['messages'])} messages, {report['errors']}")
    return report


def kinds(report: Any) -> list[str]:
    return [each["type"] for each in report["messages"]]


async def test_speech(listening: Emulator, speech: Path) -> None:
    """Real speech gives its words, announced by `processing`; the SDK's own closing is orderly."""
    report = await run_sdk(listening, audio=speech)
    assert report["errors"] == []
    assert kinds(report) == ["connected", "processing", "transcript"]
    said = report["messages"][-1]
    assert said["text"] == WORDS
    assert 1000 < said["audio_duration_ms"] < 2600
    [record] = listening.connections
    assert record.error is None
    assert record.close_received is not None
    assert record.close_received.code == 1000


async def test_speech_at_48_khz(listening: Emulator, tmp_path: Path) -> None:
    """A browser's rate is heard as well, in the same frames."""
    path = tmp_path / "speech.pcm"
    wav = encoded(clip("goforward.wav") + bytes(32000), "wav", "pcm_s16le", 48000)
    path.write_bytes(wav[wav.index(b"data") + 8 :])
    report = await run_sdk(listening, audio=path, options={"sample_rate": 48000})
    assert (report["errors"], report["messages"][-1]["text"]) == ([], WORDS)


async def test_the_sdks_own_course(speech: Path) -> None:
    """`stream_audio` hears what is said while it sends and in the second after."""
    emulator = Emulator(Vachana(), hear=FakeHear([(300, heard("final", WORDS, 0, word_ms=50))]))
    report = await run_sdk(emulator, "stream", audio=speech)
    assert (report["errors"], kinds(report)) == ([], ["connected", "processing", "transcript"])


@pytest.mark.parametrize(
    ("plan", "status"), [({"key": "bad"}, "401"), ({"key": "fault-refuse-429"}, "429")], ids=["key", "limit"]
)
async def test_refusals_surface(plan: dict[str, Any], status: str) -> None:
    """The SDK's user sees that the connection was refused, and how."""
    report = await run_sdk(Emulator(Vachana()), **plan)
    assert report["messages"] == []
    [error] = report["errors"]
    assert error.startswith("StreamConnectionError")
    assert status in error


async def test_a_wrong_frame_surfaces(speech: Path) -> None:
    """Frames of another size bring the SDK's user an error."""
    report = await run_sdk(Emulator(Vachana()), audio=speech, frame=3200, transcripts=1)
    assert "1024" in json.dumps([report["errors"], report["messages"]])


@pytest.mark.parametrize(("rate", "language"), [(16000, "en-IN"), (48000, "hi-IN")])
async def test_our_adapter_sends_what_the_sdk_sends(rate: int, language: str, speech: Path) -> None:
    """Path, headers and frames are the same; ours has no id of its own, and silence where the SDK just closes."""
    emulator = Emulator(Vachana(), hear=FakeHear(), keep_audio_bytes=10**6)
    its_wish = {"language_code": language, "sample_rate": rate}
    await run_sdk(emulator, audio=speech, options=its_wish, transcripts=0)
    [record] = emulator.connections
    adapter = adapter_for(language, rate)
    dial = adapter.dial()
    assert dial.url == f"ws://127.0.0.1:1{record.request.path}"
    assert not record.request.params
    assert not record.request.subprotocols
    its = {name: value for name, value in record.request.headers if name.startswith("x-") or "_" in name}
    assert its.pop("x-api-request-id") == "req-1"
    assert dict(dial.headers) == its
    assert adapter.opened() == ()
    audio = samples(speech)
    frames = [
        frame for start in range(0, len(audio), 3200) for frame in adapter.audio(audio[start : start + 3200])
    ]
    frames += adapter.finish()
    assert {len(frame) for frame in frames} == {1024}
    assert record.texts == []
    count = -(-len(audio) // 1024)
    assert record.audio_messages == count
    ours = b"".join(frame for frame in frames[:count] if isinstance(frame, bytes))
    assert ours[: len(audio)] == bytes(record.audio) == audio


async def test_our_adapter_hears_the_emulator(listening: Emulator, speech: Path) -> None:
    """What the emulator said to the SDK is one final and one turn to the adapter, within the audio."""
    await run_sdk(listening, audio=speech)
    [record] = listening.connections
    events = replayed(record, samples(speech))
    [final] = [event for event in events if isinstance(event, Final)]
    assert [type(event) for event in events] == [Ready, Final, TurnEnd, Finished]
    assert final.text == WORDS
    assert 0 < final.start_ms < final.end_ms <= len(samples(speech)) // 32


def adapter_for(language: str = "en", rate: int = 16000) -> Adapter:
    leg = AdapterConfig(
        options=Options(provider="vachana", audio=AudioFormat("pcm_s16le", rate), language=language),
        url="ws://127.0.0.1:1",
        credential=Credential("good", is_clients_own=True),
    )
    return ENTRY.adapter(leg)


def replayed(record: Record, audio: bytes) -> list[Any]:
    """What our adapter makes of what an emulator said to the SDK."""
    adapter = adapter_for()
    adapter.audio(audio)
    events = [event for message in record.sent for event in adapter.received(message)]
    adapter.finish()
    return [*events, *adapter.closed(1000, "")]
