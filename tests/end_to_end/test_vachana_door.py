"""`/stt/v3/stream`: the vendor's own SDK takes our daemon for the service, whichever provider stands behind it."""

import json
import re
import wave
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from trio_websocket import ConnectionRejected, WebSocketConnection, wrap_client_stream

from routeraudio import daemon
from routeraudio.audio.transcode import transcoder
from routeraudio.config.schema import Config, Key, Provider, Server
from routeraudio.dialects.catalog import BY_PATH
from routeraudio.emulators.catalog import EMULATORS
from routeraudio.emulators.kit.hearing import EngineHear
from routeraudio.engine.pool import open_pool
from routeraudio.model.audio import PCM_16K_MONO, AudioFormat
from routeraudio.providers.vachana import adapter

from .router import AUDIO, BARE_WORDS, PATIENCE_S, WORDS, rest, run_python

pytestmark = pytest.mark.sdk

PATH = "/stt/v3/stream"
CLIENT = str(Path(__file__).with_name("vachana_client.py"))

CLIPS = ("goforward.wav", "austen-0930.wav", "goforward.wav")
SECOND = bytes(32_000)
THIRD_WORDS = "he might even have been made amiable"
"""What every engine hears of austen-0930.wav; the last word is two to some."""

ROUTER_KEY = "router_" + "k" * 40
KEYS = (Key(id="test", hash="sha256:" + sha256(ROUTER_KEY.encode()).hexdigest()),)


def samples(*names: str) -> bytes:
    """The clips, a second of silence behind each."""
    pcm = b""
    for name in names:
        with wave.open(str(AUDIO / name)) as file:
            pcm += file.readframes(file.getnframes()) + SECOND
    return pcm


@asynccontextmanager
async def open_door(*providers: str, spawn: bool = True, **settings: Any) -> AsyncIterator[str]:
    """A daemon in front of these emulators, with its own engine where ``spawn`` says so; its address."""
    with trio.fail_after(2 * PATIENCE_S):
        async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
            pool = await stack.enter_async_context(open_pool(workers_max=3)) if providers else None
            known = {"local": Provider(spawn=spawn)}
            for name in providers:
                port = await nursery.start(partial(EMULATORS[name], hear=pool and EngineHear(pool)))
                known[name] = Provider(url=f"ws://127.0.0.1:{port}")
            known |= settings.pop("providers", {})
            config = Config(server=Server(bind=("127.0.0.1:0",)), providers=known, **settings)
            addresses = await nursery.start(daemon.serve, config)
            yield addresses[0]
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def connected(address: str, query: str = "", **headers: str) -> AsyncIterator[WebSocketConnection]:
    """A client of the test's own, which may say more than the SDK does."""
    host, _, port = address.partition(":")
    stream = await trio.open_tcp_stream(host, int(port))
    named = [(name.replace("__", "-").encode(), text.encode()) for name, text in headers.items()]
    async with stream, trio.open_nursery() as nursery:
        yield await wrap_client_stream(nursery, stream, address, PATH + query, extra_headers=named)
        nursery.cancel_scope.cancel()


async def run_sdk(address: str, audio: Path, **plan: Any) -> dict[str, Any]:
    """Have the SDK talk to the daemon; its report."""
    defaults: dict[str, Any] = {"key": "any-key", "options": {}, "speed": 20, "transcripts": 3}
    whole = {**defaults, **plan, "address": address, "audio": str(audio)}
    report: dict[str, Any] = json.loads(await run_python(CLIENT, json.dumps(whole)))
    return report


def bare(text: str) -> str:
    """Words only: providers punctuate."""
    return " ".join(re.findall(r"[a-z']+", text.lower()))


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Three utterances as PCM."""
    path = tmp_path / "three.pcm"
    path.write_bytes(samples(*CLIPS))
    return path


@pytest.mark.parametrize("provider", ["local", "deepgram", "vachana"])
async def test_three_utterances_are_three_segments_at_any_speed(
    provider: str, three: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK gets `connected`, then `processing` and `transcript` per utterance, in real time and in a burst."""
    entry = msgspec.structs.replace(BY_PATH[PATH], default_provider=provider)
    monkeypatch.setitem(BY_PATH, PATH, entry)
    # A sender that a busy machine keeps waiting for a second has not paused.
    monkeypatch.setattr(adapter, "_QUIET_TICKS", 60)
    reports: dict[int, dict[str, Any]] = {}

    async def listen(address: str, speed: int) -> None:
        reports[speed] = await run_sdk(address, three, speed=speed)

    async with open_door(*{provider} - {"local"}) as address, trio.open_nursery() as nursery:
        for speed in (1, 20):
            nursery.start_soon(listen, address, speed)
    for report in reports.values():
        assert report["errors"] == []
        kinds = [message["type"] for message in report["messages"]]
        assert kinds[0] == "connected"
        assert sorted(kinds[1:]) == ["processing"] * 3 + ["transcript"] * 3
        assert report["messages"][0]["config"]["provider"] == provider
    slow, fast = (segments(reports[speed]) for speed in (1, 20))
    assert [(duration_ms, index) for duration_ms, index, _ in slow] == [
        (duration_ms, index) for duration_ms, index, _ in fast
    ]
    for told in (slow, fast):
        assert [index for _, index, _ in told] == ["0", "1", "2"]
        first, second, third = (text for _, _, text in told)
        assert (first, third) == (BARE_WORDS, BARE_WORDS)
        assert second.startswith(THIRD_WORDS)


def segments(report: dict[str, Any]) -> list[tuple[int, str, str]]:
    """Duration, index and words of every transcript."""
    return [
        (message["audio_duration_ms"], message["segment_index"], bare(message["text"]))
        for message in report["messages"]
        if message["type"] == "transcript"
    ]


async def test_other_rates(tmp_path: Path) -> None:
    """The vendor's other sample rates are heard as well, in the same frames of 1,024 bytes."""
    reports: list[dict[str, Any]] = []

    async def listen(address: str, rate: int) -> None:
        path = tmp_path / f"speech-{rate}.pcm"
        converter = transcoder(PCM_16K_MONO, AudioFormat("pcm_s16le", rate))
        path.write_bytes(converter.push(samples("goforward.wav")) + converter.finish())
        reports.append(await run_sdk(address, path, options={"sample_rate": rate}, transcripts=1))

    async with open_door() as address, trio.open_nursery() as nursery:
        for rate in (8000, 44_100, 48_000):
            nursery.start_soon(listen, address, rate)
    assert len(reports) == 3
    for report in reports:
        assert report["errors"] == []
        kinds = [message["type"] for message in report["messages"]]
        assert kinds == ["connected", "processing", "transcript"]
        assert len(bare(report["messages"][-1]["text"]).split()) >= 3


async def test_numbers_in_digits(tmp_path: Path) -> None:
    """`transcribe` writes ten as 10, and `connected` repeats what is in force and the client's request id."""
    path = tmp_path / "speech.pcm"
    path.write_bytes(samples("goforward.wav"))
    async with open_door() as address:
        report = await run_sdk(address, path, options={"format": "transcribe"}, transcripts=1)
    greeting, _, transcript = report["messages"]
    assert greeting["request_id"] == "req-1"
    assert greeting["config"]["format"] == "transcribe"
    assert transcript["text"] == "Go forward 10 meters."


async def test_end_of_stream() -> None:
    """The marker closes the open segment, brings its text, and closes with 1000."""
    speech = samples("goforward.wav")[: -len(SECOND)]
    async with open_door() as address, connected(address, x__api__key__id="any") as client:
        await client.send_message(speech)
        await client.send_message('{"type":"end_of_stream"}')
        messages, code = await rest(client)
    told = [json.loads(message) for message in messages]
    assert [message["type"] for message in told] == ["connected", "processing", "transcript"]
    assert told[-1]["text"] == WORDS
    assert code == 1000


async def test_silence() -> None:
    """Silence alone is answered by nothing."""
    async with open_door() as address, connected(address, x__api__key__id="any") as client:
        await client.send_message(SECOND * 5)
        await client.send_message('{"type":"end_of_stream"}')
        messages, code = await rest(client)
    assert [json.loads(message)["type"] for message in messages] == ["connected"]
    assert code == 1000


async def test_a_browsers_query() -> None:
    """Browsers, which cannot set headers, say the same in the query."""
    query = "?x-api-key-id=own&lang_code=hi-IN&x-provider=soniox&x-format=transcribe"
    async with open_door("soniox", spawn=False) as address, connected(address, query) as client:
        greeting = json.loads(await client.get_message())
    assert greeting["config"]["lang_code"] == "hi-IN"
    assert greeting["config"]["provider"] == "soniox"
    assert greeting["config"]["itn"] == "unavailable"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "MISSING_API_KEY"),
        ({"x__api__key__id": "router_wrong"}, 401, "UNAUTHORIZED"),
        ({"x__api__key__id": ROUTER_KEY, "lang_code": "fr-FR"}, 400, "BAD_REQUEST"),
        ({"x__api__key__id": ROUTER_KEY, "x__sample__rate": "22050"}, 400, "BAD_REQUEST"),
        ({"x__api__key__id": ROUTER_KEY, "lang_code": "hi-IN"}, 400, "BAD_REQUEST"),
    ],
)
async def test_refusals(headers: dict[str, str], status: int, code: str) -> None:
    """Keys and values are refused before the upgrade, in the vendor's words; the engine speaks no Hindi."""
    async with open_door(spawn=False, keys=KEYS) as address:
        with pytest.RaisesGroup(ConnectionRejected, allow_unwrapped=True, flatten_subgroups=True) as raised:
            async with connected(address, **headers):
                pass
    (rejected,) = raised.value.exceptions
    assert isinstance(rejected, ConnectionRejected)
    assert rejected.status_code == status
    assert rejected.body is not None
    detail = json.loads(rejected.body)["detail"]
    assert (detail["error_code"], detail["status_code"]) == (code, status)
    assert ROUTER_KEY not in str(detail)


async def test_a_refusal_surfaces_in_the_sdk(three: Path) -> None:
    """The SDK's user sees what was wrong with the key."""
    async with open_door(spawn=False, keys=KEYS) as address:
        report = await run_sdk(address, three, key="router_wrong")
    assert report["messages"] == []
    assert "401" in report["errors"][0]


async def test_a_provider_out_of_reach() -> None:
    """`connected` comes at once; a provider that cannot be reached is an `error` and 1011."""
    unreachable = {"deepgram": Provider(url="ws://127.0.0.1:1")}
    headers = {"x__api__key__id": "own", "x__provider": "deepgram"}
    async with (
        open_door(spawn=False, providers=unreachable) as address,
        connected(address, **headers) as client,
    ):
        messages, code = await rest(client)
    told = [json.loads(message) for message in messages]
    assert [message["type"] for message in told] == ["connected", "error"]
    assert "Deepgram" in told[1]["message"]
    assert code == 1011
