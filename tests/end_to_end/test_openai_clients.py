"""OpenAI's own, unmodified client in front of other providers: another address, another key, the same program."""

import json
import sys
import wave
from collections.abc import AsyncIterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trio

from routeraudio import daemon
from routeraudio.audio.transcode import transcoder
from routeraudio.config.schema import Config, Key, Provider, Server
from routeraudio.emulators.catalog import EMULATORS
from routeraudio.emulators.kit.hearing import EngineHear
from routeraudio.engine.pool import Pool
from routeraudio.model.audio import PCM_16K_MONO, AudioFormat

from .router import BARE_WORDS, CLIP, PATIENCE_S, bare, open_router

SDK_CLIENT = Path(__file__).parents[1] / "emulators" / "openai_sdk_client.py"

pytestmark = pytest.mark.sdk

TRANSCRIPTION = "conversation.item.input_audio_transcription."

SERVER_VAD = {"type": "server_vad", "silence_duration_ms": 400}


@pytest.fixture
async def address(nursery: trio.Nursery, pool: Pool) -> AsyncIterator[str]:
    """A daemon with its own engine, and two other vendors."""
    async with trio.open_nursery() as nursery:
        providers = {"local": Provider(spawn=True)}
        for name in ("deepgram", "soniox"):
            port = await nursery.start(partial(EMULATORS[name], hear=EngineHear(pool)))
            providers[name] = Provider(url=f"ws://127.0.0.1:{port}")
        config = Config(server=Server(bind=("127.0.0.1:0",)), providers=providers)
        addresses = await nursery.start(daemon.serve, config)
        yield addresses[0]
        nursery.cancel_scope.cancel()


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """The clip with a second of silence behind it, at the vendor's 24 kHz."""
    with wave.open(str(CLIP)) as file:
        samples = file.readframes(file.getnframes())
    converter = transcoder(PCM_16K_MONO, AudioFormat("pcm_s16le", 24_000))
    path = tmp_path / "speech.raw"
    path.write_bytes(converter.push(samples + bytes(32_000)) + converter.finish())
    return path


async def run(address: str, session: Any, audio: Path | None, actions: list[str], **plan: Any) -> Any:
    """Have the SDK stream; its report."""
    whole = {
        "key": "k",
        "port": int(address.partition(":")[2]),
        "session": session,
        "audio": audio,
        "actions": actions,
        "until": 1,
        "query": {"intent": "transcription"},
        "model": None,
        "path": "/as/openai/v1",
        **plan,
    }
    with trio.fail_after(PATIENCE_S):
        done = await trio.run_process(
            [sys.executable, str(SDK_CLIENT), json.dumps(whole, default=str)], capture_stdout=True
        )
    return json.loads(done.stdout)


def wanted(model: str, turn_detection: Any) -> dict[str, Any]:
    """`session.update`."""
    audio = {
        "format": {"type": "audio/pcm", "rate": 24000},
        "transcription": {"model": model, "language": "en"},
        "turn_detection": turn_detection,
    }
    return {"type": "transcription", "audio": {"input": audio}}


def text_of(report: Any) -> str:
    """What was completed; deltas are its beginning, item by item."""
    assert report["errors"] == []
    completed = [one for one in report["messages"] if one["type"] == TRANSCRIPTION + "completed"]
    for one in completed:
        deltas = [
            other["delta"]
            for other in report["messages"]
            if other["type"] == TRANSCRIPTION + "delta" and other["item_id"] == one["item_id"]
        ]
        assert one["transcript"].startswith("".join(deltas))
    return bare(" ".join(one["transcript"] for one in completed))


MODELS = ("local", "deepgram/nova-3", "soniox")


@pytest.mark.parametrize(
    ("turn_detection", "actions"),
    [(SERVER_VAD, ["audio"]), (None, ["audio", "commit"])],
    ids=["server_vad", "commits"],
)
async def test_realtime(address: str, turn_detection: Any, actions: list[str], speech: Path) -> None:
    """`client.realtime`: greeted, confirmed, deltas, and the same words whoever answers."""
    reports: dict[str, Any] = {}

    async def stream(model: str) -> None:
        reports[model] = await run(address, wanted(model, turn_detection), speech, actions)

    async with trio.open_nursery() as nursery:
        for model in MODELS:
            nursery.start_soon(stream, model)
    assert {model: text_of(reports[model]) for model in MODELS} == dict.fromkeys(MODELS, BARE_WORDS)
    for report in reports.values():
        kinds = [one["type"] for one in report["messages"]]
        assert kinds[:2] == ["session.created", "session.updated"]
        assert ("input_audio_buffer.speech_started" in kinds) is (turn_detection is not None)
        assert kinds.index("input_audio_buffer.committed") < kinds.index("conversation.item.done")
        assert kinds[-1] == TRANSCRIPTION + "completed"


async def test_the_beta(address: str, speech: Path) -> None:
    """`client.beta.realtime`: the model in the query, flat members, and items that are created."""
    session = {"input_audio_format": "pcm16", "turn_detection": SERVER_VAD}
    report = await run(address, session, speech, ["audio"], is_beta=True, model="local")
    assert text_of(report) == BARE_WORDS
    kinds = [one["type"] for one in report["messages"]]
    assert kinds[:2] == ["session.created", "transcription_session.updated"]
    assert "conversation.item.created" in kinds
    assert "conversation.item.added" not in kinds


@pytest.mark.parametrize(
    ("turn_detection", "actions"),
    [(SERVER_VAD, ["audio"]), (None, ["audio", "commit"])],
    ids=["server_vad", "commits"],
)
async def test_as_the_vendor_does(turn_detection: Any, actions: list[str], pool: Pool, speech: Path) -> None:
    """The same client at the vendor's emulator and, through the daemon, in front of it: the same messages and words."""
    session = wanted("gpt-4o-transcribe", turn_detection)
    reports = []
    async with trio.open_nursery() as nursery:
        port = await nursery.start(partial(EMULATORS["openai"], hear=EngineHear(pool)))
        config = Config(
            server=Server(bind=("127.0.0.1:0",)),
            providers={"openai": Provider(url=f"ws://127.0.0.1:{port}")},
        )
        addresses = await nursery.start(daemon.serve, config)
        for address, path in ((f"127.0.0.1:{port}", "/v1"), (addresses[0], "/as/openai/v1")):
            reports.append(await run(address, session, speech, actions, path=path))
        nursery.cancel_scope.cancel()
    assert [text_of(report) for report in reports] == [BARE_WORDS] * 2
    assert sequence(reports[1]) == sequence(reports[0])


def sequence(report: Any) -> list[str]:
    """Kinds of messages; how a text is cut into deltas is nobody's business."""
    kinds = [one["type"] for one in report["messages"]]
    return [kind for kind in kinds if not kind.endswith(".delta")]


async def test_a_secret(pool: Pool, speech: Path) -> None:
    """`client.realtime.client_secrets`: it opens one session, with the options that it was made with."""
    keys = (Key(id="one", hash="sha256:" + sha256(b"router_test").hexdigest()),)
    config = Config(
        server=Server(bind=("127.0.0.1:0",)), providers={"local": Provider(spawn=True)}, keys=keys
    )
    async with trio.open_nursery() as nursery:
        (address,) = await nursery.start(daemon.serve, config)
        secret = {"session": wanted("local", SERVER_VAD)}
        report = await run(address, None, speech, ["audio"], key="router_test", secret=secret)
        nursery.cancel_scope.cancel()
    assert text_of(report) == BARE_WORDS
    assert report["messages"][0]["session"]["audio"]["input"]["transcription"]["model"] == "local"


async def test_options_that_never_come(address: str, speech: Path) -> None:
    """Audio alone: path or query say who serves, and the vendor's defaults hold."""
    for path, query in (
        ("/v1", {"model": "local"}),
        ("/as/openai/soniox/v1", {}),
        ("/as/openai/local/v1", {"model": "whisper-1"}),
    ):
        report = await run(address, None, speech, ["audio"], path=path, query=query)
        assert text_of(report) == BARE_WORDS


async def test_what_cannot_be_is_told() -> None:
    """As the vendor tells it: an error and the end; what is known from the query, before the upgrade.

    Clients that were greeted connect again and again.
    """
    async with open_router(spawn=True) as router:
        for session, param in (
            ({"type": "realtime"}, "session.type"),
            (wanted("local", {"type": "client_vad"}), "session"),
            (wanted("local/nobody-knows-it", SERVER_VAD), "model"),
        ):
            report = await run(router.address, session, None, [])
            assert [one["type"] for one in report["messages"]] == ["session.created", "error"]
            error = report["messages"][-1]["error"]
            assert (error["type"], error["param"]) == ("invalid_request_error", param)
        report = await run(router.address, None, None, [], query={"intent": "conversation"})
        assert report["messages"] == []
        assert "400" in " ".join(report["errors"])
        assert router.emulator.connections == []


async def test_files(address: str) -> None:
    """`client.audio.transcriptions` in every format and from every provider, and `client.models`."""
    formats = ("json", "text", "srt", "vtt", "verbose_json", "diarized_json")
    file = {"file": str(CLIP), "language": "en"}
    calls = [
        *({**file, "model": "local", "response_format": name} for name in formats),
        *({**file, "model": model} for model in MODELS),
        {**file, "model": "soniox", "stream": True},
        {**file, "model": "local", "timestamp_granularities": ["word"], "response_format": "verbose_json"},
        {"file": __file__, "model": "local"},
    ]
    plan = {"base_url": f"http://{address}/as/openai/v1", "key": "k", "calls": calls}
    with trio.fail_after(PATIENCE_S):
        done = await trio.run_process(
            [sys.executable, str(SDK_CLIENT.with_name("openai_files_client.py")), json.dumps(plan)],
            capture_stdout=True,
        )
    report = json.loads(done.stdout)
    told = dict(zip(formats, report["calls"], strict=False))
    for name in ("json", "verbose_json", "diarized_json"):
        assert bare(told[name]["text"]) == BARE_WORDS
    assert bare(told["text"]) == BARE_WORDS
    assert told["srt"].startswith("1\n00:00:0")
    assert told["vtt"].startswith("WEBVTT\n\n00:00:0")
    others, (events, words, refused) = report["calls"][6:9], report["calls"][9:]
    assert [bare(one["text"]) for one in others] == [BARE_WORDS] * 3
    assert bare("".join(one["delta"] for one in events[:-1])) == bare(events[-1]["text"]) == BARE_WORDS
    assert bare(" ".join(one["word"] for one in words["words"])) == BARE_WORDS
    assert (refused["status"], refused["error"]["param"]) == (400, "file")
    assert "deepgram/nova-3" in [one["id"] for one in report["models"]]
