"""ElevenLabs' own SDK takes the emulator for the service, and says what our adapter says for the same wish."""

import base64
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from trio_websocket import open_websocket_url

from routeraudio.emulators.elevenlabs import ElevenLabs
from routeraudio.emulators.kit.hearing import EngineHear
from routeraudio.emulators.kit.record import Record
from routeraudio.emulators.kit.server import Emulator
from routeraudio.engine.pool import open_pool
from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.events import Failed, Final, Finished
from routeraudio.model.options import Options
from routeraudio.providers.base import AdapterConfig, Credential
from routeraudio.providers.elevenlabs import ENTRY
from tests.emulators.helping import FakeHear, chunks, clip, heard

pytestmark = pytest.mark.sdk

SDK_S = 120.0
"""For one SDK process, on a machine that is busy with other things."""

SPEECH = "Go forward ten meters."


@pytest.fixture
async def listening() -> AsyncIterator[Emulator]:
    """An emulator with the local engine behind it."""
    async with open_pool(workers_max=2) as pool:
        yield Emulator(ElevenLabs(), hear=EngineHear(pool), keep_audio_bytes=1_000_000)


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """goforward.wav as PCM."""
    path = tmp_path / "speech.pcm"
    path.write_bytes(clip("goforward.wav"))
    return path


async def run_sdk(emulator: Emulator, actions: list[str], **plan: Any) -> Any:
    """Have the SDK do ``actions``; its report."""
    defaults: dict[str, Any] = {"key": "good", "options": {}, "audio": None, "until": None}
    with trio.fail_after(SDK_S):
        async with trio.open_nursery() as nursery:
            port = await nursery.start(emulator.serve)
            whole = {**defaults, **plan, "port": port, "actions": actions}
            client = Path(__file__).parent / "elevenlabs_sdk_client.py"
            done = await trio.run_process(
                [sys.executable, str(client), json.dumps(whole, default=str)], capture_stdout=True
            )
            await emulator.connections[-1].ended.wait()
            nursery.cancel_scope.cancel()
    report = json.loads(done.stdout)
    print(f"elevenlabs {report['sdk']}: {len(report['messages'])} messages, {report['errors']}")
    return report


def committed(report: Any, kind: str = "committed_transcript") -> list[str]:
    return [each["text"] for each in report["messages"] if each["message_type"] == kind]


async def test_speech_with_manual_commit(listening: Emulator, speech: Path) -> None:
    """Real speech gives its words once committed, and partials on the way."""
    report = await run_sdk(listening, ["audio", "commit", "wait"], audio=speech, until=SPEECH)
    assert committed(report) == [SPEECH]
    assert report["errors"] == []
    assert "partial_transcript" in {each["message_type"] for each in report["messages"]}
    [record] = listening.connections
    assert record.audio == clip("goforward.wav")
    assert (record.error, record.close_sent) == (None, None)


async def test_speech_with_voice_detection(listening: Emulator, speech: Path) -> None:
    """Silence commits; with timestamps twice, and the words of the twin are those of the text."""
    report = await run_sdk(
        listening,
        ["audio", "silence", "commit", "wait"],
        audio=speech,
        options={
            "commit_strategy": "vad",
            "include_timestamps": True,
            "vad_silence_threshold_secs": 0.5,
            "language_code": "en",
        },
        until="",
    )
    assert committed(report) == [SPEECH, ""]
    assert committed(report, "committed_transcript_with_timestamps") == [SPEECH, ""]
    twin = next(each for each in report["messages"] if each.get("words"))
    assert "".join(word["text"] for word in twin["words"]) == SPEECH
    assert report["errors"] == []


async def test_what_is_declared_wrongly_is_heard_wrongly(listening: Emulator, speech: Path) -> None:
    """The declared format is believed, so a mistake shows as other words, not as an error."""
    report = await run_sdk(
        listening,
        ["audio", "commit", "wait"],
        audio=speech,
        options={"audio_format": "pcm_8000", "sample_rate": 8000},
    )
    assert report["errors"] == []
    assert committed(report) != [SPEECH]


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        ({"key": "bad"}, "auth_error"),
        ({"options": {"language_code": "pt-BR"}}, "invalid_request"),
        ({"options": {"include_timestamps": True, "filter_background_audio": True}}, "invalid_request"),
    ],
)
async def test_refusals_surface(plan: dict[str, Any], code: str) -> None:
    """A bad key and bad parameters are told inside the session, then comes the close with 1000."""
    report = await run_sdk(Emulator(ElevenLabs()), ["wait"], **plan)
    assert [each["message_type"] for each in report["errors"]] == [code]
    assert report["close"] == {"code": 1000, "reason": code}


async def test_a_commit_of_too_little_ends_the_session(speech: Path) -> None:
    """A second commit with nothing between is throttled and closes with 1000."""
    hear = FakeHear(rest=[heard("final", "go", 100)])
    actions = ["audio", "commit", "commit", "wait"]
    report = await run_sdk(Emulator(ElevenLabs(), hear=hear), actions, audio=speech, until="not yet")
    assert committed(report) == ["Go."]
    [error] = report["errors"]
    assert error["error"].startswith("Commit request ignored: only 0.00s of uncommitted audio.")
    assert report["close"] == {"code": 1000, "reason": "commit_throttled"}


async def run_adapter(emulator: Emulator, audio: bytes) -> list[Any]:
    """Our adapter with this audio, to its end; its events."""
    events: list[Any] = []
    with trio.fail_after(SDK_S):
        async with trio.open_nursery() as nursery:
            port = await nursery.start(emulator.serve)
            wish = Options(provider="elevenlabs", audio=PCM_16K_MONO, endpointing_ms=500)
            leg = AdapterConfig(
                options=wish, url=f"ws://127.0.0.1:{port}", credential=Credential("good", is_clients_own=True)
            )
            adapter = ENTRY.adapter(leg)
            dial = adapter.dial()
            headers = [(name.encode(), value.encode()) for name, value in dial.headers]
            async with open_websocket_url(dial.url, extra_headers=headers) as socket:
                events += adapter.received(await socket.get_message())
                sent = [message for chunk in chunks(audio, 8192) for message in adapter.audio(chunk)]
                for message in (*sent, *adapter.finish()):
                    await socket.send_message(message)
                while not isinstance(events[-1], Finished | Failed):
                    events += adapter.received(await socket.get_message())
            await emulator.connections[-1].ended.wait()
            nursery.cancel_scope.cancel()
    return events


@pytest.mark.parametrize("pause_ms", [0, 2000])
async def test_the_adapter_hears_the_same(listening: Emulator, pause_ms: int) -> None:
    """Real speech through our adapter gives the same words, also with a pause and more speech behind them."""
    clip_audio = clip("goforward.wav")
    audio = clip_audio + bytes(pause_ms * 32) + (clip_audio if pause_ms else b"")
    events = await run_adapter(listening, audio)
    finals = [event for event in events if isinstance(event, Final)]
    assert [final.text for final in finals] == [SPEECH] * (2 if pause_ms else 1)
    assert finals[0].words is not None
    assert " ".join(word.text for word in finals[0].words) == SPEECH
    assert events[-1] == Finished()


async def test_the_adapter_speaks_as_the_sdk_does(speech: Path) -> None:
    """For the same wish: the same path, key, query and messages, but for the silence before the last commit."""
    hear = FakeHear(rest=[heard("final", "go", 100)])
    emulator = Emulator(ElevenLabs(), hear=hear, keep_audio_bytes=1_000_000)
    await run_sdk(
        emulator,
        ["audio", "commit", "wait"],
        audio=speech,
        options={
            "commit_strategy": "vad",
            "vad_silence_threshold_secs": 0.5,
            "language_code": "en",
            "include_timestamps": True,
        },
        until="Go.",
    )
    await run_adapter(emulator, clip("goforward.wav"))
    theirs, ours = emulator.connections
    assert ours.request.path == theirs.request.path
    assert ours.request.params == theirs.request.params
    assert ours.request.header("xi-api-key") == theirs.request.header("xi-api-key") == "good"
    assert ours.request.subprotocols == theirs.request.subprotocols == ()
    count = len(theirs.texts) - 1
    assert messages(ours)[:count] == messages(theirs)[:count]
    assert messages(ours)[-1] == messages(theirs)[-1]
    assert messages(ours)[-1] == ("input_audio_chunk", b"", True, 16000)
    assert not any(b"".join(audio for _, audio, _, _ in messages(ours)[count:]))


def messages(record: Record) -> list[tuple[str, bytes, bool, int]]:
    """What a client sent; the SDK's `previous_text`, always null, says nothing."""
    sent = [json.loads(text) for text in record.texts]
    assert all(each.pop("previous_text", None) is None for each in sent)
    names = {"message_type", "audio_base_64", "commit", "sample_rate"}
    assert all(set(each) == names for each in sent)
    return [
        (each["message_type"], base64.b64decode(each["audio_base_64"]), each["commit"], each["sample_rate"])
        for each in sent
    ]
