"""Gradium's `/api/speech/asr`, as conversations in memory and in virtual time."""

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock
from trio_websocket import ConnectionClosed

from routeraudio.emulators.gradium import Gradium
from routeraudio.emulators.kit.script import parse_script
from routeraudio.emulators.kit.server import Emulator
from tests.emulators.helping import (
    SECOND,
    FakeHear,
    Heads,
    ask,
    chunks,
    clip,
    encoded,
    heard,
    talk,
)

PATH = "/api/speech/asr"
KEY: Heads = (("x-api-key", "good"),)
SETUP = {"type": "setup", "model_name": "default", "input_format": "pcm_16000"}
EOS = {"type": "end_of_stream"}


def emulate(hear: FakeHear | None = None, **options: Any) -> Emulator:
    return Emulator(Gradium(), hear=hear, **options)


def audio(data: bytes = SECOND) -> dict[str, str]:
    return {"type": "audio", "audio": base64.b64encode(data).decode()}


def by_key(fault: str) -> Heads:
    return (("x-api-key", f"fault-{fault}"),)


def texts(messages: list[Any]) -> list[str]:
    return [message["text"] for message in messages if message["type"] == "text"]


def kinds(messages: list[Any]) -> list[str]:
    """The types in order, runs of steps as one."""
    found: list[str] = []
    for message in messages:
        if not (message["type"] == "step" and found[-1:] == ["step"]):
            found.append(message["type"])
    return found


async def converse(
    emulator: Emulator, *messages: Any, headers: Heads = KEY, target: str = PATH
) -> tuple[list[Any], int]:
    """Send, one message after the other is digested; all that is said, and the close."""
    async with talk(emulator, target, headers) as client:
        for message in messages:
            with suppress(ConnectionClosed):  # who is refused may still be sending
                await client.send(message)
            await trio.testing.wait_all_tasks_blocked()
        said, closed = await client.rest()
    return said, closed.code


# The course of a stream.


async def test_a_stream_from_setup_to_its_end(autojump_clock: MockClock) -> None:
    """ready, a step for each 80 ms, words as they were heard, end_of_stream, close 1000; audio comes out of base64."""
    emulator = emulate(FakeHear([(800, heard("final", "go forward", 100))]), keep_audio_bytes=10**6)
    said, code = await converse(emulator, SETUP, *map(audio, chunks(SECOND, 6400)), EOS)
    assert [each["type"] for each in said if each["type"] != "step"] == [
        "ready",
        *("text", "end_text") * 2,
        "end_of_stream",
    ]
    assert code == 1000
    ready = said[0]
    assert (ready["sample_rate"], ready["frame_size"], ready["delay_in_frames"]) == (24000, 1920, 10)
    assert [
        (each["start_s"], each["text"]) if each["type"] == "text" else each["stop_s"]
        for each in said
        if each["type"] in ("text", "end_text")
    ] == [(0.1, "Go"), 0.4, (0.4, "forward."), 0.7]
    steps = [each for each in said if each["type"] == "step"]
    assert [each["step_idx"] for each in steps] == list(range(1, 13))
    assert steps[-1]["total_duration_s"] == 0.96
    assert [reading["horizon_s"] for reading in steps[0]["vad"]] == [0.5, 1.0, 2.0, 3.0]
    [record] = emulator.connections
    assert bytes(record.audio) == SECOND


async def test_readings(autojump_clock: MockClock) -> None:
    """Low before any sound, high in silence, low from the first partial to the final."""
    hear = FakeHear([(800, heard("partial", "go", 700)), (1200, heard("final", "go", 700))])
    said, _ = await converse(emulate(hear), SETUP, *map(audio, chunks(SECOND * 2, 2560)), EOS)
    inactive = [each["vad"][1]["inactivity_prob"] > 0.5 for each in said if each["type"] == "step"]
    assert inactive[:9] == [False] * 5 + [True] * 4
    assert not any(inactive[10:14])
    assert all(inactive[16:])


async def test_flush_brings_the_rest_and_a_straggler(autojump_clock: MockClock) -> None:
    """Outstanding text, `flushed` with the id as it was sent, one more word, then readings that are wrong."""
    for flush_id in (7, "seven"):
        hear = FakeHear([(300, heard("partial", "go", 100))], held=heard("final", "go forward", 100))
        flush = {"type": "flush", "flush_id": flush_id}
        messages = [SETUP, audio(), flush, audio(), EOS]
        said, _ = await converse(emulate(hear), *messages)
        assert kinds(said) == [
            "ready",
            "step",
            "text",
            "end_text",
            "flushed",
            "text",
            "end_text",
            "step",
            "end_of_stream",
        ]
        flushed = next(i for i, each in enumerate(said) if each["type"] == "flushed")
        assert said[flushed]["flush_id"] == flush_id
        after = [each["vad"][1]["inactivity_prob"] > 0.5 for each in said[flushed:] if each["type"] == "step"]
        assert after[:6] == [False] * 5 + [True]


async def test_a_flush_without_speech_is_answered(autojump_clock: MockClock) -> None:
    """Also where a recogniser began to hear something and then says nothing."""
    hear = FakeHear([(300, heard("partial", "go", 100))])
    said, _ = await converse(
        emulate(hear), SETUP, {"type": "flush"}, audio(), {"type": "flush", "flush_id": 2}, EOS
    )
    assert [each["flush_id"] for each in said if each["type"] == "flushed"] == [0, 2]


async def test_the_end_brings_what_was_left(autojump_clock: MockClock) -> None:
    """Text that comes with end_of_stream comes before the answering end_of_stream."""
    said, code = await converse(
        emulate(FakeHear(rest=[heard("final", "ten meters", 100)])), SETUP, audio(), EOS
    )
    assert texts(said) == ["Ten", "meters."]
    assert (said[-1], code) == ({"type": "end_of_stream"}, 1000)


async def test_the_socket_may_stay_open(autojump_clock: MockClock) -> None:
    """With close_ws_on_eos false the session lives on until its time is over."""
    setup = {**SETUP, "close_ws_on_eos": False}
    async with talk(emulate(FakeHear()), PATH, KEY) as client:
        await client.send(setup, EOS)
        await trio.sleep(290)
        said, closed = await client.rest()
    assert [each["type"] for each in said] == ["ready", "end_of_stream", "error"]
    assert (closed.code, trio.current_time()) == (1008, pytest.approx(300))
    said, code = await converse(emulate(FakeHear()), setup, EOS, SETUP)
    assert (said[-1]["type"], code) == ("error", 1008)


async def test_answers_carry_the_clients_id(autojump_clock: MockClock) -> None:
    """client_req_id comes back in everything."""
    said, _ = await converse(emulate(FakeHear()), {**SETUP, "client_req_id": "r7"}, audio(), EOS)
    assert {each["client_req_id"] for each in said} == {"r7"}


# Strictness.


async def fails(*messages: Any, **options: Any) -> Any:
    """The stream ends with an error, and with the close code that it names; the error's text."""
    said, code = await converse(emulate(FakeHear()), *messages, **options)
    assert said[-1]["type"] == "error"
    assert code == said[-1]["code"] == 1008
    return said[-1]["message"]


@pytest.mark.parametrize("headers", [(), (("x-api-key", "badkey"),), (("Authorization", "Token good"),)])
async def test_a_bad_key_is_told_after_the_upgrade(headers: Heads, autojump_clock: MockClock) -> None:
    """101, then an error, then 1008; the vendor's own header only."""
    assert "key" in await fails(headers=headers)


async def test_a_browsers_token(autojump_clock: MockClock) -> None:
    """A token may come in the query."""
    _, code = await converse(emulate(FakeHear()), SETUP, EOS, headers=(), target=f"{PATH}?token=t0")
    assert code == 1000


async def test_accepted_keys_are_configurable(autojump_clock: MockClock) -> None:
    """An emulator may be told which keys are good."""
    emulator = Emulator(Gradium(accepts=lambda key: key == "only"))
    codes = [
        (await converse(emulator, SETUP, EOS, headers=(("x-api-key", key),)))[1] for key in ("only", "other")
    ]
    assert codes == [1000, 1008]


async def test_other_paths(autojump_clock: MockClock) -> None:
    """There is nothing else here."""
    assert (await ask(emulate(), "/api/speech/tts", KEY))[0] == 404


@pytest.mark.parametrize(
    "first",
    [
        audio(),
        EOS,
        {"type": "flush", "flush_id": 1},
        "hello",
        "[]",
        b"\x00\x00",
        {**SETUP, "model_name": "nova-3"},
        {**SETUP, "input_format": "mp3"},
        {**SETUP, "input_format": "pcm_32000"},
        {**SETUP, "inputformat": "pcm"},
        {**SETUP, "json_config": {"language": "it"}},
        {**SETUP, "json_config": '{"language":"en-US"}'},
        {**SETUP, "json_config": "{"},
        {**SETUP, "json_config": {"delay_in_frames": 9}},
        {**SETUP, "json_config": {"temp": 1.5}},
        {**SETUP, "json_config": {"keywords": {"words": ["a"] * 501}}},
    ],
    ids=lambda first: json.dumps(first)[:60] if isinstance(first, dict) else repr(first),
)
async def test_the_first_message_must_be_a_good_setup(first: Any, autojump_clock: MockClock) -> None:
    """Anything else is an error and the end."""
    assert await fails(first)


@pytest.mark.parametrize(
    "config",
    [
        None,
        {"language": "any", "delay_in_frames": 16, "padding_bonus": 3},
        '{"language": "fr", "delay_in_tokens": 16, "keywords": {"words": ["Zoltan"], "boost": 2}}',
    ],
    ids=["none", "object", "string"],
)
async def test_settings_come_in_either_form(config: Any, autojump_clock: MockClock) -> None:
    """As an object or as JSON in a string; unknown ones are ignored."""
    said, code = await converse(emulate(FakeHear()), {**SETUP, "json_config": config}, EOS)
    assert (said[0]["delay_in_frames"], code) == (10 if config is None else 16, 1000)


@pytest.mark.parametrize(
    "message",
    [
        SETUP,
        {"type": "KeepAlive"},
        {"terminate_session": True},
        {"type": "audio"},
        {"type": "audio", "audio": "no base64!"},
        {"type": "audio", "audio": "Zoltán"},
        {"type": "flush", "flush_id": 1.5},
        "{",
        SECOND,
    ],
    ids=lambda message: repr(message)[:40],
)
async def test_later_messages(message: Any, autojump_clock: MockClock) -> None:
    """A second setup, unknown types, broken base64 and binary messages are errors."""
    assert await fails(SETUP, message)


@pytest.mark.parametrize(
    ("input_format", "data", "duration_ms"),
    [
        ("pcm", bytes(48_000), 1000),
        ("pcm_8000", bytes(16_000), 1000),
        ("pcm_22050", bytes(44_100), 1000),
        ("pcm_48000", bytes(96_000), 1000),
        ("ulaw_8000", b"\xff" * 8000, 1000),
        ("mulaw_8000", b"\xff" * 8000, 1000),
        ("alaw_8000", b"\xd5" * 8000, 1000),
        ("opus", encoded(bytes(32_000), "ogg", "libopus", 48000), 1000),
        ("wav", encoded(bytes(32_000), "wav", "pcm_s16le", 16000), 1000),
        (None, encoded(bytes(32_000), "wav", "pcm_s16le", 16000), 1000),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else str(value),
)
async def test_formats(input_format: str | None, data: bytes, duration_ms: int) -> None:
    """Every documented format is decoded as what it is; WAV where none is named."""
    hear = FakeHear()
    setup = {"type": "setup"} if input_format is None else {**SETUP, "input_format": input_format}
    _, code = await converse(emulate(hear), setup, audio(data), EOS)
    assert code == 1000
    assert len(hear.pcm[0]) / 32 == pytest.approx(duration_ms, abs=60)


async def test_audio_that_is_not_what_was_declared() -> None:
    """Containers show it."""
    assert "wav" in await fails({**SETUP, "input_format": "wav"}, audio(clip("goforward.wav")))


async def test_a_session_has_its_time(autojump_clock: MockClock) -> None:
    """It is ended after so many seconds by the clock, talking or silent, with the words of the live service."""
    for session_s, setup in ((300, ()), (300, (SETUP,)), (30, (SETUP,))):
        started = trio.current_time()
        emulator = Emulator(Gradium(session_s=session_s), hear=FakeHear())
        async with talk(emulator, PATH, KEY) as client:
            await client.send(*setup)
            for _ in range(session_s // 5 - 1):
                await trio.sleep(5)
                await client.send(*((audio(),) if setup else ()))
            messages, closed = await client.rest()
        assert messages[-1] == {
            "type": "error",
            "message": "Session exceeded maximum duration",
            "code": 1008,
        }
        assert (closed.code, trio.current_time() - started) == (1008, pytest.approx(session_s))


# Scripts and faults.


async def test_a_script_speaks_instead_of_the_recogniser(autojump_clock: MockClock) -> None:
    """Steps come from the script alone; ready, flushed and the end are still said."""
    script = parse_script(
        b"""{"steps": [
          {"on": "open", "send": {"type": "text", "text": "zero", "start_s": 0}},
          {"after_ms": 500, "send": {"type": "text", "text": "one", "start_s": 0.4}},
          {"on": "finalize", "send": {"type": "text", "text": "two", "start_s": 0.6}},
          {"on": "finish", "send": {"type": "text", "text": "three", "start_s": 0.9}}
        ]}""",
        "script",
    )
    said, code = await converse(
        emulate(FakeHear(), script=script), SETUP, audio(), {"type": "flush", "flush_id": 5}, EOS
    )
    assert [each.get("text", each["type"]) for each in said] == [
        "ready",
        "zero",
        "one",
        "two",
        "flushed",
        "three",
        "end_of_stream",
    ]
    assert code == 1000


async def test_a_refused_upgrade(autojump_clock: MockClock) -> None:
    """Plain text, with the status that was asked for, after the delay that was asked for."""
    status, headers, body = await ask(emulate(), PATH, by_key("delay-5+refuse-429"))
    assert (status, headers["content-type"], trio.current_time()) == (429, "text/plain", pytest.approx(5))
    assert body.startswith(b"error from server 1008")


@pytest.mark.parametrize(("fault", "said"), [("stall", []), ("endless", ["ready", "step"])])
async def test_a_service_that_says_nothing(fault: str, said: list[str], autojump_clock: MockClock) -> None:
    """Stalled it says nothing at all; endless it does not answer the end; neither notices the session's time."""
    emulator = emulate(FakeHear())
    async with talk(emulator, PATH, by_key(fault)) as client:
        await client.send(SETUP, audio(), EOS)
        await trio.sleep(3600)
        assert client.socket.closed is None
    [record] = emulator.connections
    assert kinds([json.loads(message) for message in record.sent]) == said


@pytest.mark.parametrize(
    ("kind", "first"),
    [("text", "<html>502 Bad Gateway</html>"), ("binary", b"\x00\xffnot expected")],
)
async def test_nonsense(kind: str, first: str | bytes, autojump_clock: MockClock) -> None:
    """The first audio is answered with nonsense; then all goes on as usual."""
    async with talk(emulate(FakeHear()), PATH, by_key(f"garbage-{kind}")) as client:
        await client.send(SETUP, audio(), EOS)
        assert (await client.receive())["type"] == "ready"
        assert await client.receive_whatever() == first
        messages, closed = await client.rest()
    assert (kinds(messages), closed.code) == (["step", "end_of_stream"], 1000)


async def test_nonsense_of_the_wrong_types(autojump_clock: MockClock) -> None:
    """A text whose fields are something else."""
    said, _ = await converse(emulate(FakeHear()), SETUP, audio(), EOS, headers=by_key("garbage-types"))
    assert (said[1]["type"], said[1]["text"]) == ("text", 42)


async def test_invalid_utf8(autojump_clock: MockClock) -> None:
    """A WebSocket library stumbles over it."""
    said, code = await converse(emulate(FakeHear()), SETUP, audio(), headers=by_key("garbage-utf8"))
    assert (kinds(said), code) == (["ready"], 1007)


async def test_an_early_close_and_a_drop(autojump_clock: MockClock) -> None:
    """Close 1000, or none at all, in the middle; what was heard is lost."""
    hear = FakeHear(rest=[heard("final", "go", 100)])
    for fault, code in (("early-0.5", 1000), ("drop-0.5", 1006)):
        said, closed = await converse(emulate(hear), SETUP, audio(), headers=by_key(fault))
        assert (kinds(said), closed) == (["ready"], code)


async def test_a_deaf_service_pushes_back(autojump_clock: MockClock) -> None:
    """When nobody reads any more, nothing more is counted."""
    emulator = emulate(FakeHear())
    async with talk(emulator, PATH, by_key("deaf-0.5")) as client:
        await client.send(SETUP)
        for _ in range(20):
            await client.send(audio())
        await trio.sleep(60)
        assert emulator.connections[0].audio_bytes == len(SECOND)
