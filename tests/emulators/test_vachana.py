"""Vachana's `/stt/v3/stream`, as conversations in memory and in virtual time."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock
from trio_websocket import ConnectionClosed

from routeraudio.emulators.kit.faults import Faults
from routeraudio.emulators.kit.script import parse_script
from routeraudio.emulators.kit.server import Emulator
from routeraudio.emulators.vachana import FRAME_BYTES, Vachana
from tests.emulators.helping import (
    PATIENCE_S,
    SECOND,
    Client,
    FakeHear,
    Heads,
    ask,
    chunks,
    clip,
    heard,
    talk,
)

PATH = "/stt/v3/stream"
KEY: Heads = (("x-api-key-id", "good"), ("lang_code", "en-IN"), ("x-sample-rate", "16000"))
FRAMES = chunks(SECOND[: 31 * FRAME_BYTES], FRAME_BYTES)
"""Most of a second, in the vendor's frames."""


def emulate(hear: FakeHear | None = None, **options: Any) -> Emulator:
    return Emulator(Vachana(), hear=hear, **options)


def with_headers(**changes: str | None) -> Heads:
    """A good request's headers with some changed, or left out; names with dashes for underscores but `lang_code`."""
    headers: dict[str, str | None] = dict(KEY)
    for name, value in changes.items():
        headers[name if name in ("lang_code", "itn_native_numerals") else name.replace("_", "-")] = value
    return tuple((name, value) for name, value in headers.items() if value is not None)


def by_key(fault: str) -> Heads:
    return with_headers(x_api_key_id=f"fault-{fault}")


async def next_messages(client: Client, count: int) -> list[Any]:
    return [await client.receive() for _ in range(count)]


def kinds(messages: Sequence[Any]) -> list[str]:
    return [message["type"] for message in messages]


# Who gets in.


async def test_connected_comes_at_once(autojump_clock: MockClock) -> None:
    """Before any audio: what was configured, the client's own id, a time with milliseconds and `Z`."""
    headers = (*with_headers(x_sample_rate="8000"), ("x-api-request-id", "mine"))
    async with talk(emulate(), PATH, headers) as client:
        message = await client.receive()
    told = message.pop("timestamp")
    assert told.endswith("Z")
    assert datetime.fromisoformat(told).utcoffset() is not None
    assert message == {
        "type": "connected",
        "message": "STT service ready",
        "request_id": "mine",
        "config": {"sample_rate": 8000, "chunk_size": 512},
    }


@pytest.mark.parametrize(
    "headers",
    [
        with_headers(lang_code=None),
        with_headers(lang_code="HI-in"),
        with_headers(x_sample_rate=None),
        with_headers(x_sample_rate="44100"),
        with_headers(x_format="transcribe", itn_native_numerals="true"),
    ],
)
async def test_good_headers(headers: Heads, autojump_clock: MockClock) -> None:
    """Every documented value, and the defaults of those that are left out."""
    async with talk(emulate(), PATH, headers) as client:
        assert (await client.receive())["type"] == "connected"


@pytest.mark.parametrize(
    ("target", "headers", "status", "words"),
    [
        ("/stt/v3", KEY, 404, "NOT_FOUND"),
        (PATH, with_headers(x_api_key_id=None), 401, "Invalid API key"),
        (PATH, with_headers(x_api_key_id="bad-key"), 401, "UNAUTHORIZED"),
        (PATH, with_headers(lang_code="de-DE"), 400, "Unsupported language code"),
        (PATH, with_headers(lang_code="hi"), 400, "Unsupported language code"),
        (PATH, with_headers(lang_code="hi-IN,en-IN"), 400, "Unsupported language code"),
        (PATH, with_headers(lang_code="en-hi-in-cm"), 400, "Unsupported language code"),
        (PATH, with_headers(x_sample_rate="22050"), 400, "Unsupported sample rate"),
        (PATH, with_headers(x_format="pretty"), 400, "Unsupported format"),
        (PATH, with_headers(itn_native_numerals="yes"), 400, "itn_native_numerals"),
        (PATH, by_key("refuse-429"), 429, "RATE_LIMITED"),
        (PATH, by_key("refuse-402"), 402, "credits"),
    ],
)
async def test_refusals(
    target: str, headers: Heads, status: int, words: str, autojump_clock: MockClock
) -> None:
    """Path, key and headers are checked in this order; the body has the shape of the vendor's."""
    emulator = emulate()
    answered, _, body = await ask(emulator, target, headers)
    detail = json.loads(body)["detail"]
    assert (answered, detail["status_code"]) == (status, status)
    assert words in f"{detail['error_code']} {detail['message']}"
    assert emulator.connections[0].refused == status


# What is said.


async def test_utterances(autojump_clock: MockClock) -> None:
    """Each final is told by `processing` and `transcript`, without partials or words; the client ends it."""
    hear = FakeHear(
        [(500, heard("final", "go forward", 100)), (900, heard("final", "ten meters now", 700, word_ms=60))]
    )
    emulator = emulate(hear, keep_audio_bytes=10**6)
    async with talk(emulator, PATH, KEY) as client:
        await client.send(*FRAMES)
        messages = await next_messages(client, 5)
        await client.socket.aclose(1000)
    assert kinds(messages) == ["connected", "processing", "transcript", "processing", "transcript"]
    first, second = messages[2], messages[4]
    assert (first["text"], first["audio_duration_ms"], first["segment_index"]) == ("go forward", 600, "0")
    assert (second["text"], second["audio_duration_ms"], second["segment_index"]) == (
        "ten meters now",
        180,
        "1",
    )
    assert first["segment_id"] != second["segment_id"]
    assert isinstance(first["latency"], int)
    assert hear.opened == [(500, False)]
    [record] = emulator.connections
    assert bytes(record.audio) == b"".join(FRAMES)
    assert record.close_received is not None
    assert record.close_received.code == 1000


async def test_silence_says_nothing(autojump_clock: MockClock) -> None:
    """Where nothing is heard there is no message, however long, and no end but the client's."""
    async with talk(emulate(FakeHear()), PATH, KEY) as client:
        await client.receive()
        await client.send(*FRAMES)
        with trio.move_on_after(3600) as waiting:
            await client.receive_whatever()
        assert waiting.cancelled_caught


async def test_what_is_open_is_lost(autojump_clock: MockClock) -> None:
    """A client that closes without silence behind its last words does not get them."""
    emulator = emulate(FakeHear(rest=[heard("final", "ten meters", 100)]))
    async with talk(emulator, PATH, KEY) as client:
        await client.send(*FRAMES)
        await client.socket.aclose(1000)
    assert kinds([json.loads(message) for message in emulator.connections[0].sent]) == ["connected"]


async def test_the_rate_is_believed(autojump_clock: MockClock) -> None:
    """8 kHz samples are twice as long; declared wrongly they are heard at the wrong pitch."""
    hear = FakeHear()
    async with talk(emulate(hear), PATH, with_headers(x_sample_rate="8000")) as client:
        await client.send(*FRAMES)
        await trio.testing.wait_all_tasks_blocked()
    assert len(hear.pcm[0]) == pytest.approx(2 * len(b"".join(FRAMES)), rel=0.01)


# Strictness.


@pytest.mark.parametrize(
    "messages",
    [
        [b"\x01" * 1026],
        [b"\x01" * 3200],
        [b"\x01" * 1023],
        [b""],
        [b"\x01" * 640, b"\x01" * 640],
        [FRAMES[0], b"\x01" * 512, b"\x01" * 512],
        ['{"type":"end_of_stream"}'],
        ["hello"],
    ],
)
async def test_what_is_no_frame(messages: list[Any], autojump_clock: MockClock) -> None:
    """Too long, half a sample, empty, short again and again, or text: an error and the end."""
    async with talk(emulate(), PATH, KEY) as client:
        for message in messages:
            await client.send(message)
        said, closed = await client.rest()
    assert kinds(said) == ["connected", "error"]
    assert "audio frames" in said[1]["message"]
    assert closed.code == 1008


async def test_one_short_frame_is_let_pass(autojump_clock: MockClock) -> None:
    """The vendor's LiveKit plugin sends its remainder, and goes on."""
    emulator = emulate(FakeHear([(60, heard("final", "go", 10))]))
    async with talk(emulator, PATH, KEY) as client:
        await client.send(FRAMES[0], b"\x01\x00" * 100, FRAMES[0], b"\x01\x00" * 7)
        assert kinds(await next_messages(client, 3)) == ["connected", "processing", "transcript"]


# Faults and scripts.


async def test_an_endless_stream(autojump_clock: MockClock) -> None:
    """Every `processing` comes, no text does."""
    async with talk(emulate(FakeHear([(500, heard("final", "go", 100))])), PATH, by_key("endless")) as client:
        await client.send(*FRAMES)
        assert kinds(await next_messages(client, 2)) == ["connected", "processing"]
        with trio.move_on_after(3600) as waiting:
            await client.receive_whatever()
        assert waiting.cancelled_caught


async def test_a_stalled_service(autojump_clock: MockClock) -> None:
    """Not even `connected` comes."""
    async with talk(emulate(), PATH, by_key("stall")) as client:
        with trio.move_on_after(3600) as waiting:
            await client.receive_whatever()
        assert waiting.cancelled_caught


async def test_a_slow_handshake(autojump_clock: MockClock) -> None:
    """The answer to the upgrade takes as long as it was told to."""
    started = trio.current_time()
    async with talk(emulate(), PATH, by_key("delay-5")):
        assert trio.current_time() - started == pytest.approx(5)


async def test_an_early_close(autojump_clock: MockClock) -> None:
    """Close 1000 in the middle."""
    async with talk(emulate(), PATH, by_key("early-0.5")) as client:
        await client.send(*FRAMES[:16])
        said, closed = await client.rest()
    assert (kinds(said), closed.code) == (["connected"], 1000)


@pytest.mark.parametrize(
    ("kind", "first"), [("text", "<html>502 Bad Gateway</html>"), ("binary", b"\x00\xffnot expected")]
)
async def test_nonsense(kind: str, first: str | bytes, autojump_clock: MockClock) -> None:
    """The first audio is answered with nonsense; then all goes on as usual."""
    emulator = emulate(FakeHear([(500, heard("final", "go", 100))]))
    async with talk(emulator, PATH, by_key(f"garbage-{kind}")) as client:
        await client.receive()
        await client.send(*FRAMES)
        assert await client.receive_whatever() == first
        assert kinds(await next_messages(client, 2)) == ["processing", "transcript"]


async def test_nonsense_of_the_wrong_types(autojump_clock: MockClock) -> None:
    """A `transcript` whose fields are something else."""
    async with talk(emulate(), PATH, by_key("garbage-types")) as client:
        await client.send(FRAMES[0])
        message = (await next_messages(client, 2))[1]
    assert message["type"] == "transcript"
    assert not isinstance(message["text"], str)


async def test_nonsense_that_is_no_text(autojump_clock: MockClock) -> None:
    """Invalid UTF-8 in a text message, where a WebSocket library stumbles over it."""
    async with talk(emulate(), PATH, by_key("garbage-utf8")) as client:
        await client.receive()
        await client.send(FRAMES[0])
        with pytest.raises(ConnectionClosed) as closed, trio.fail_after(PATIENCE_S):
            await client.socket.get_message()
    assert closed.value.reason is not None
    assert closed.value.reason.code == 1007


async def test_a_dropped_connection(autojump_clock: MockClock) -> None:
    """The connection falls in the middle of the audio, without a close frame."""
    async with talk(emulate(), PATH, by_key("drop-0.5")) as client:
        await client.send(*FRAMES[:16])
        said, closed = await client.rest()
    assert (kinds(said), closed.code) == (["connected"], 1006)


async def test_a_deaf_service(autojump_clock: MockClock) -> None:
    """After so much audio nothing is read any more, and nothing said."""
    emulator = emulate(FakeHear([(900, heard("final", "go", 100))]), faults=Faults(deaf_after_s=0.5))
    async with talk(emulator, PATH, KEY) as client:
        await client.receive()
        await client.send(*FRAMES)
        with trio.move_on_after(60) as waiting:
            await client.receive_whatever()
        assert waiting.cancelled_caught
    assert emulator.connections[0].audio_bytes < len(b"".join(FRAMES))


async def test_a_script(autojump_clock: MockClock) -> None:
    """Fixed answers in place of hearing: at the opening, on the audio clock, verbatim, and a close."""
    script = {
        "steps": [
            {"on": "open", "send": {"type": "speech_start"}},
            {"after_ms": 400, "send": {"type": "processing"}},
            {"after_ms": 500, "send_text": '{"type":  "transcript","text":"नमस्ते"}'},
            {"after_ms": 900, "close": {"code": 1011, "reason": "provider lost"}},
        ]
    }
    emulator = emulate(script=parse_script(json.dumps(script).encode(), "test"))
    async with talk(emulator, PATH, KEY) as client:
        await client.send(*FRAMES)
        said, closed = await client.rest()
    assert kinds(said) == ["connected", "speech_start", "processing", "transcript"]
    assert emulator.connections[0].sent[3] == '{"type":  "transcript","text":"नमस्ते"}'
    assert (closed.code, closed.reason) == (1011, "provider lost")


async def test_the_clip_arrives_whole(autojump_clock: MockClock) -> None:
    """Real speech in the vendor's frames reaches the recogniser sample by sample."""
    hear = FakeHear()
    samples = clip("goforward.wav")
    async with talk(emulate(hear), PATH, KEY) as client:
        await client.send(*chunks(samples, FRAME_BYTES))
        await trio.testing.wait_all_tasks_blocked()
    assert bytes(hear.pcm[0]) == samples
