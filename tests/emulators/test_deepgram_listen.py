"""Deepgram `/v1/listen`, as conversations in memory and in virtual time."""

import hashlib
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from routeraudio.emulators.deepgram import Deepgram
from routeraudio.emulators.kit.script import parse_script
from routeraudio.emulators.kit.server import Emulator
from tests.emulators.helping import KEY, RAW, SECOND, FakeHear, heard, talk

V1 = f"/v1/listen?model=nova-3&{RAW}"


def emulate(hear: FakeHear | None = None, **options: Any) -> Emulator:
    return Emulator(Deepgram(), hear=hear, **options)


def transcripts(messages: list[Any]) -> list[tuple[str, bool, bool]]:
    """Text, is_final, speech_final of the Results."""
    return [
        (each["channel"]["alternatives"][0]["transcript"], each["is_final"], each["speech_final"])
        for each in messages
        if each["type"] == "Results"
    ]


async def test_close_stream_brings_last_results_metadata_and_1000(autojump_clock: MockClock) -> None:
    """CloseStream is answered with what is left, then Metadata, then close 1000."""
    emulator = emulate(FakeHear(rest=[heard("final", "go forward", 200)]), keep_audio_bytes=10)
    async with talk(emulator, V1) as client:
        await client.send(SECOND, {"type": "CloseStream"})
        messages, closed = await client.rest()
    assert transcripts(messages) == [("go forward", True, False), ("", True, False)]
    metadata = messages[-1]
    assert (metadata["type"], metadata["duration"], metadata["channels"]) == ("Metadata", 1.0, 1)
    assert metadata["sha256"] == hashlib.sha256(SECOND).hexdigest()
    assert closed.code == 1000
    [record] = emulator.connections
    assert (record.audio_bytes, bytes(record.audio), record.texts) == (
        len(SECOND),
        SECOND[:10],
        ['{"type": "CloseStream"}'],
    )
    assert record.error is None
    assert record.close_sent is not None


async def test_an_empty_binary_message_ends_the_stream(autojump_clock: MockClock) -> None:
    """The old protocol's end of stream does what CloseStream does."""
    async with talk(emulate(FakeHear()), V1) as client:
        await client.send(SECOND, b"")
        messages, closed = await client.rest()
    assert [each["type"] for each in messages] == ["Results", "Metadata"]
    assert closed.code == 1000


async def test_spans_tile_the_timeline(autojump_clock: MockClock) -> None:
    """Interims repeat the start of their span; a settled span's end is the next one's start."""
    hear = FakeHear(
        [
            (500, heard("partial", "go", 100)),
            (900, heard("partial", "go forward", 100)),
            (1400, heard("final", "go forward ten", 100)),
            (2000, heard("final", "meters", 1500)),
        ]
    )
    async with talk(emulate(hear), f"{V1}&interim_results=true") as client:
        for _ in range(10):
            await client.send(SECOND[:6400])
        await client.send({"type": "CloseStream"})
        messages, _ = await client.rest()
    assert transcripts(messages) == [
        ("go", False, False),
        ("go forward", False, False),
        ("go forward ten", True, True),
        ("meters", True, True),
        ("", True, False),
    ]
    spans = [(each["start"], each["duration"]) for each in messages[:-1]]
    assert spans == [(0.0, 0.4), (0.0, 0.7), (0.0, 1.0), (1.0, 0.8), (1.8, pytest.approx(0.2))]
    words = messages[2]["channel"]["alternatives"][0]["words"]
    assert words[0] == {"word": "go", "start": 0.1, "end": 0.4, "confidence": 0.99}


async def test_without_interim_results_only_finals_come(autojump_clock: MockClock) -> None:
    """Partials are neither asked of the recogniser nor sent."""
    hear = FakeHear([(500, heard("partial", "go", 100)), (900, heard("final", "go forward", 100))])
    async with talk(emulate(hear), f"{V1}&endpointing=300") as client:
        await client.send(SECOND, {"type": "CloseStream"})
        messages, _ = await client.rest()
    assert transcripts(messages) == [("go forward", True, True), ("", True, False)]
    assert hear.opened == [(300, False)]


async def test_long_utterances_settle_in_pieces(autojump_clock: MockClock) -> None:
    """Only the last piece of an utterance has speech_final."""
    text = "one two three four five six"
    hear = FakeHear([(900, heard("final", text, 0, word_ms=1000))])
    async with talk(emulate(hear), f"{V1}&punctuate=true") as client:
        await client.send(SECOND, {"type": "CloseStream"})
        messages, _ = await client.rest()
    assert transcripts(messages) == [("One two three four", True, False), ("five six.", True, True)]
    dressed = messages[1]["channel"]["alternatives"][0]["words"][1]
    assert (dressed["word"], dressed["punctuated_word"]) == ("six", "six.")


async def test_endpointing_false_never_says_speech_final(autojump_clock: MockClock) -> None:
    """With endpointing off text settles, but utterances do not end."""
    hear = FakeHear([(900, heard("final", "go forward", 100))])
    async with talk(emulate(hear), f"{V1}&endpointing=false") as client:
        await client.send(SECOND, {"type": "CloseStream"})
        messages, _ = await client.rest()
    assert transcripts(messages)[0] == ("go forward", True, False)


async def test_finalize_brings_a_final_that_says_so(autojump_clock: MockClock) -> None:
    """A Finalize is answered once, with from_finalize; a second one with nothing to say is not answered."""
    hear = FakeHear([(1500, heard("final", "ten meters", 1000))], held=heard("final", "go forward", 100))
    async with talk(emulate(hear), V1) as client:
        await client.send(SECOND, {"type": "Finalize"}, {"type": "Finalize"}, SECOND, {"type": "CloseStream"})
        messages, _ = await client.rest()
    flags = [(each["from_finalize"], each["speech_final"]) for each in messages if each["type"] == "Results"]
    assert flags == [(True, False), (False, True), (False, False)]


async def test_finals_that_silence_closed_before_close_stream(autojump_clock: MockClock) -> None:
    """A recogniser that is late does not take the endpoint from a final."""
    hear = FakeHear(rest=[heard("final", "go forward", 100)])
    async with talk(emulate(hear), V1) as client:
        await client.send(SECOND, SECOND, {"type": "CloseStream"})
        messages, _ = await client.rest()
    assert transcripts(messages)[0] == ("go forward", True, True)


async def test_speech_started_and_utterance_end(autojump_clock: MockClock) -> None:
    """SpeechStarted opens an utterance; UtteranceEnd follows enough silence, -1 behind a speech_final."""
    hear = FakeHear([(400, heard("partial", "go", 100)), (900, heard("final", "go forward", 100))])
    target = f"{V1}&interim_results=true&vad_events=true&utterance_end_ms=1000"
    async with talk(emulate(hear), target) as client:
        for _ in range(10):
            await client.send(SECOND[:6400])
        await client.send({"type": "CloseStream"})
        messages, _ = await client.rest()
    kinds = [each["type"] for each in messages]
    assert kinds == ["SpeechStarted", "Results", "Results", "UtteranceEnd", "Results", "Metadata"]
    assert messages[0]["timestamp"] == 0.1
    assert messages[3] == {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": -1}


async def test_utterance_end_names_the_last_word_when_nothing_else_ended_it(
    autojump_clock: MockClock,
) -> None:
    """With endpointing off UtteranceEnd is the only end there is, also when the next utterance comes first."""
    hear = FakeHear([(900, heard("final", "go forward", 100)), (950, heard("partial", "ten", 3000))])
    target = f"{V1}&interim_results=true&utterance_end_ms=1000&endpointing=false"
    async with talk(emulate(hear), target) as client:
        await client.send(SECOND, {"type": "CloseStream"})
        messages, _ = await client.rest()
    assert [each["type"] for each in messages][:3] == ["Results", "UtteranceEnd", "Results"]
    assert messages[1]["last_word_end"] == 0.7


async def test_utterance_end_needs_interim_results(autojump_clock: MockClock) -> None:
    """utterance_end_ms alone is accepted and does nothing."""
    hear = FakeHear([(400, heard("final", "go", 100))])
    async with talk(emulate(hear), f"{V1}&utterance_end_ms=1000") as client:
        await client.send(SECOND, SECOND, {"type": "CloseStream"})
        messages, _ = await client.rest()
    assert [each["type"] for each in messages] == ["Results", "Results", "Metadata"]


async def test_multichannel_hears_each_channel(autojump_clock: MockClock) -> None:
    """Interleaved channels are taken apart in order, and results say which channel of how many."""
    hear = FakeHear(rest=[heard("final", "yes", 100)])
    async with talk(emulate(hear), f"{V1}&channels=2&multichannel=true") as client:
        await client.send(b"\x01\x00\x02\x00" * 8000, {"type": "CloseStream"})
        messages, _ = await client.rest()
    assert [bytes(pcm) for pcm in hear.pcm] == [b"\x01\x00" * 8000, b"\x02\x00" * 8000]
    said = sorted(each["channel_index"] for each in messages if each["type"] == "Results")
    assert said == [[0, 2], [0, 2], [1, 2], [1, 2]]
    assert messages[-1]["channels"] == 2


async def test_language_and_diarization_show_in_words(autojump_clock: MockClock) -> None:
    """multi adds languages, diarize adds speakers."""
    hear = FakeHear(rest=[heard("final", "yes", 100)])
    async with talk(emulate(hear), f"{V1}&language=multi&diarize=true") as client:
        await client.send(SECOND, {"type": "CloseStream"})
        messages, _ = await client.rest()
    alternative = messages[0]["channel"]["alternatives"][0]
    assert alternative["languages"] == ["en"]
    assert (alternative["words"][0]["language"], alternative["words"][0]["speaker"]) == ("en", 0)


async def test_control_json_in_a_binary_message_is_audio(autojump_clock: MockClock) -> None:
    """A KeepAlive sent as binary is heard, not obeyed."""
    emulator = emulate(FakeHear())
    async with talk(emulator, V1) as client:
        await client.send(b'{"type":"CloseStream"}', {"type": "CloseStream"})
        _, closed = await client.rest()
    assert closed.code == 1000
    assert emulator.connections[0].audio_bytes == 22


@pytest.mark.parametrize("text", ['{"type":"Hello"}', "not JSON", "[1]", '{"kind":"KeepAlive"}'])
async def test_other_text_messages_are_a_schema_error(text: str, autojump_clock: MockClock) -> None:
    """What is not a control message is answered with an Error and a close."""
    async with talk(emulate(FakeHear()), V1) as client:
        await client.send(text)
        messages, closed = await client.rest()
    assert [(each["type"], each["variant"]) for each in messages] == [("Error", "SchemaError")]
    assert closed.code == 1008


@pytest.mark.parametrize(
    ("model", "keyterms", "kind", "code"),
    [
        ("nova-3", ["Zoltan"], "ConfigureSuccess", None),
        ("nova-3", ["a"] * 501, "ConfigureFailure", "CONFIGURE_KEYTERM_LIMIT_EXCEEDED"),
        ("nova-3", [1], "ConfigureFailure", "CONFIGURE_INTERNAL_ERROR"),
        ("nova-2", ["Zoltan"], "ConfigureFailure", "CONFIGURE_KEYTERMS_NOT_SUPPORTED"),
    ],
)
async def test_configure_is_answered_once(
    model: str, keyterms: list[Any], kind: str, code: str | None, autojump_clock: MockClock
) -> None:
    """Configure succeeds on nova-3 within the key terms' limit."""
    async with talk(emulate(FakeHear()), f"/v1/listen?model={model}&{RAW}") as client:
        await client.send({"type": "Configure", "keyterms": keyterms})
        answer = await client.receive()
    assert (answer["type"], answer.get("code")) == (kind, code)


async def test_first_audio_must_come_within_ten_seconds(autojump_clock: MockClock) -> None:
    """KeepAlive alone does not hold a stream that never had audio."""
    async with talk(emulate(FakeHear()), V1) as client:
        started = trio.current_time()
        for _ in range(3):
            await trio.sleep(3)
            await client.send({"type": "KeepAlive"})
        _, closed = await client.rest()
        assert trio.current_time() - started == pytest.approx(10)
    assert (closed.code, (closed.reason or "")[:8]) == (1011, "NET-0001")


async def test_silence_of_ten_seconds_ends_the_stream(autojump_clock: MockClock) -> None:
    """After the first audio, KeepAlive holds the stream and its absence ends it; time stands still meanwhile."""
    hear = FakeHear()
    async with talk(emulate(hear), V1) as client:
        await client.send(SECOND)
        for _ in range(5):
            await trio.sleep(9)
            await client.send({"type": "KeepAlive"})
        started = trio.current_time()
        messages, closed = await client.rest()
        assert trio.current_time() - started == pytest.approx(10)
    assert (messages, closed.code) == ([], 1011)
    assert len(hear.pcm[0]) == len(SECOND)
    assert hear.open_now == 0


async def test_raw_audio_without_encoding_cannot_be_decoded() -> None:
    """Without an encoding the bytes must open a container that is known."""
    async with talk(emulate(FakeHear()), "/v1/listen?model=nova-3") as client:
        await client.send(SECOND)
        _, closed = await client.rest()
    assert (closed.code, (closed.reason or "")[:9]) == (1008, "DATA-0000")


async def test_a_script_speaks_instead_of_the_recogniser(autojump_clock: MockClock) -> None:
    """Steps are sent when their moment comes, with the service's own closing around them."""
    script = parse_script(
        b"""{"steps": [
          {"on": "finish", "send": {"type": "Results", "n": 4}},
          {"after_ms": 1500, "send_text": "{\\"n\\":2}"},
          {"after_ms": 500, "send": {"n": 1}},
          {"after_ms": 9000, "send": {"n": 9}},
          {"on": "open", "send": {"n": 0}},
          {"on": "finalize", "send": {"n": 3}}
        ]}""",
        "script",
    )
    hear = FakeHear([(0, heard("final", "unheard", 0))])
    async with talk(emulate(hear, script=script), V1) as client:
        assert await client.receive() == {"n": 0}
        await client.send(SECOND[:1600])
        await client.send(SECOND)
        assert await client.receive() == {"n": 1}
        await client.send(SECOND, {"type": "Finalize"}, {"type": "CloseStream"})
        messages, closed = await client.rest()
    assert [each.get("n") for each in messages] == [2, 3, 4, None]
    assert (messages[-1]["type"], closed.code) == ("Metadata", 1000)
    assert hear.opened == []


async def test_a_script_can_close(autojump_clock: MockClock) -> None:
    """A close step is sent as it stands, with or without a code."""
    for text, code in (
        (b'{"steps":[{"after_ms":0,"close":{"code":1011,"reason":"NET-0000"}}]}', 1011),
        (b'{"steps":[{"after_ms":0,"close":{"code":null}}]}', 1005),
    ):
        async with talk(emulate(script=parse_script(text, "script")), V1) as client:
            await client.send(SECOND)
            _, closed = await client.rest()
        assert closed.code == code


async def test_the_key_may_come_as_a_subprotocol(autojump_clock: MockClock) -> None:
    """Browsers offer `token, KEY`, and get one of the two back."""
    async with talk(emulate(FakeHear()), V1, headers=(), subprotocols=("token", "good")) as client:
        assert client.socket.subprotocol == "token"


async def test_accepting_names_the_request(autojump_clock: MockClock) -> None:
    """The 101 carries the id that messages carry."""
    hear = FakeHear(rest=[heard("final", "yes", 100)])
    async with talk(emulate(hear), V1, KEY) as client:
        ids = [value.decode() for name, value in client.socket.handshake_headers if name == b"dg-request-id"]
        await client.send(SECOND, {"type": "CloseStream"})
        messages, _ = await client.rest()
    assert ids == [messages[0]["metadata"]["request_id"]]
