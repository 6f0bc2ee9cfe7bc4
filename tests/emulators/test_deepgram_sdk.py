"""Deepgram's own SDK takes the emulator for the service; where words matter, the local engine really listens."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from routeraudio.emulators.deepgram import Deepgram
from routeraudio.emulators.kit.hearing import EngineHear
from routeraudio.emulators.kit.server import Emulator
from routeraudio.engine.pool import open_pool
from tests.emulators.helping import FakeHear, clip, encoded, heard

pytestmark = pytest.mark.sdk

SDK_S = 120.0
"""For one SDK process, on a machine that is busy with other things."""

FLAVOURS = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
RAW = {"encoding": "linear16", "sample_rate": 16000}


@pytest.fixture
async def listening() -> AsyncIterator[Emulator]:
    """An emulator with the local engine behind it."""
    async with open_pool(workers_max=2) as pool:
        yield Emulator(Deepgram(), hear=EngineHear(pool))


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """goforward.wav as PCM, with a second of silence behind it."""
    path = tmp_path / "speech.pcm"
    path.write_bytes(clip("goforward.wav") + bytes(32000))
    return path


async def run_sdk(emulator: Emulator, endpoint: str, actions: list[str], **plan: Any) -> Any:
    """Have the SDK do ``actions``; its report."""
    defaults: dict[str, Any] = {"key": "good", "is_async": False, "params": {}, "audio": None}
    with trio.fail_after(SDK_S):
        async with trio.open_nursery() as nursery:
            port = await nursery.start(emulator.serve)
            whole = {**defaults, **plan, "port": port, "endpoint": endpoint, "actions": actions}
            client = Path(__file__).parent / "deepgram_sdk_client.py"
            done = await trio.run_process(
                [sys.executable, str(client), json.dumps(whole, default=str)], capture_stdout=True
            )
            nursery.cancel_scope.cancel()
    report = json.loads(done.stdout)
    print(f"deepgram-sdk {report['sdk']}, {endpoint}: {len(report['messages'])} messages, {report['errors']}")
    return report


def words(report: Any) -> str:
    """All that was settled on v1."""
    finals = [each for each in report["messages"] if each["type"] == "Results" and each["is_final"]]
    return " ".join(each["channel"]["alternatives"][0]["transcript"] for each in finals).strip()


@FLAVOURS
async def test_speech_on_v1(listening: Emulator, speech: Path, is_async: bool) -> None:
    """Real speech gives its words, interims on the way, and an orderly end."""
    params = {"model": "nova-3", **RAW, "interim_results": True, "endpointing": 300}
    report = await run_sdk(
        listening,
        "v1",
        ["keep_alive", "audio", "keep_alive", "finalize", "close_stream"],
        params=params,
        audio=speech,
        is_async=is_async,
    )
    assert words(report) == "go forward ten meters"
    assert report["errors"] == []
    assert report["is_closed"]
    assert any(each["type"] == "Results" and not each["is_final"] for each in report["messages"])
    assert report["messages"][-1]["type"] == "Metadata"
    [record] = listening.connections
    assert [json.loads(text)["type"] for text in record.texts] == [
        "KeepAlive",
        "KeepAlive",
        "Finalize",
        "CloseStream",
    ]
    assert record.audio_bytes == len(clip("goforward.wav")) + 32000


@FLAVOURS
async def test_speech_on_v2(listening: Emulator, speech: Path, is_async: bool) -> None:
    """Real speech is a turn, and the close without a code is a normal end to the SDK."""
    report = await run_sdk(
        listening,
        "v2",
        ["audio", "close_stream"],
        params={"model": "flux-general-en", **RAW},
        audio=speech,
        is_async=is_async,
    )
    turns = [each["transcript"] for each in report["messages"] if each.get("event") == "EndOfTurn"]
    assert turns == ["Go forward ten meters."]
    assert report["errors"] == []
    assert [each["sequence_id"] for each in report["messages"]] == list(range(len(report["messages"])))


@pytest.mark.parametrize(
    "params",
    [
        {"encoding": "linear16", "sample_rate": 8000},
        {"encoding": "linear16", "sample_rate": 16000, "channels": 2},
        {"encoding": "mulaw", "sample_rate": 16000},
    ],
    ids=["rate", "channels", "encoding"],
)
async def test_what_is_declared_wrongly_is_heard_wrongly(
    listening: Emulator, speech: Path, params: dict[str, Any]
) -> None:
    """The declared format is believed, so a mistake shows as other words, not as an error."""
    report = await run_sdk(
        listening, "v1", ["audio", "close_stream"], params={"model": "nova-3", **params}, audio=speech
    )
    assert report["errors"] == []
    assert words(report) != "go forward ten meters"


async def test_a_container_is_recognised(listening: Emulator, tmp_path: Path) -> None:
    """Without an encoding an Ogg file is heard as what it is."""
    path = tmp_path / "speech.ogg"
    path.write_bytes(encoded(clip("goforward.wav"), "ogg", "libopus", 48000))
    report = await run_sdk(listening, "v1", ["audio", "close_stream"], params={"model": "nova-3"}, audio=path)
    assert words(report) == "go forward ten meters"


async def test_force_end_turn(speech: Path) -> None:
    """The newest message of Flux gives a manual end."""
    hear = FakeHear([(500, heard("partial", "go", 100))], held=heard("final", "go forward", 100))
    report = await run_sdk(
        Emulator(Deepgram(), hear=hear),
        "v2",
        ["audio", "force_end_turn", "close_stream"],
        params={"model": "flux-general-en", **RAW},
        audio=speech,
    )
    ends = [each for each in report["messages"] if each.get("event") == "EndOfTurn"]
    assert [(each["trigger"], each["transcript"]) for each in ends] == [("manual", "Go forward.")]


@FLAVOURS
@pytest.mark.parametrize("endpoint", ["v1", "v2"])
async def test_a_bad_key_surfaces(endpoint: str, is_async: bool) -> None:
    """The SDK's user sees the 401."""
    model = {"v1": "nova-3", "v2": "flux-general-en"}[endpoint]
    report = await run_sdk(
        Emulator(Deepgram()), endpoint, [], key="bad", params={"model": model}, is_async=is_async
    )
    assert len(report["errors"]) == 1
    assert "401" in report["errors"][0]
