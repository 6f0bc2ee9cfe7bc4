"""Soniox's stream, as conversations in memory and in virtual time."""

import json
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock
from trio_websocket import ConnectionClosed

from routeraudio.emulators.kit.faults import Faults
from routeraudio.emulators.kit.script import parse_script
from routeraudio.emulators.kit.server import Emulator
from routeraudio.emulators.soniox import Soniox
from tests.emulators.helping import PATIENCE_S, SECOND, FakeHear, Heads, ask, chunks, encoded, heard, talk
from tests.emulators.soniox_talk import (
    ENDPOINTS,
    KEY,
    START,
    TARGET,
    by_key,
    emulate,
    finals,
    guesses,
    started,
)

KEEPALIVE = {"type": "keepalive"}
FINALIZE = {"type": "finalize"}


def wrong(messages: list[Any]) -> tuple[int, str, str]:
    """Code, type and words of the error that the last message must be."""
    return messages[-1]["error_code"], messages[-1]["error_type"], messages[-1]["error_message"]


# Getting in.


@pytest.mark.parametrize(
    ("target", "status"), [("/", 404), (f"{TARGET}/", 404), ("/v1", 404), (f"{TARGET}?model=stt-rt-v5", 400)]
)
async def test_other_addresses(target: str, status: int, autojump_clock: MockClock) -> None:
    """There is one path, and it has no query."""
    answered, _, body = await ask(emulate(), target, KEY)
    assert (answered, json.loads(body)["error_code"]) == (status, status)


@pytest.mark.parametrize("headers", [KEY, (("Authorization", "bearer good"),)])
async def test_a_key_in_the_header(headers: Heads, autojump_clock: MockClock) -> None:
    """The key of a server."""
    async with started(emulate(FakeHear()), headers=headers) as client:
        await client.send(SECOND, "")
        messages, closed = await client.rest()
    assert messages[-1]["finished"]
    assert closed.code == 1000


async def test_a_key_as_subprotocol(autojump_clock: MockClock) -> None:
    """The key of a browser, which gets the first of the two back."""
    async with started(
        emulate(FakeHear()), headers=(), subprotocols=("soniox-api-key", "temp:good")
    ) as client:
        assert client.socket.subprotocol == "soniox-api-key"
        await client.send(SECOND, "")
        messages, _ = await client.rest()
    assert messages[-1]["finished"]


async def test_a_key_in_the_first_message(autojump_clock: MockClock) -> None:
    """The old way, still accepted."""
    async with started(emulate(FakeHear()), {**START, "api_key": "good"}, headers=()) as client:
        await client.send(SECOND, "")
        messages, _ = await client.rest()
    assert messages[-1]["finished"]


@pytest.mark.parametrize(
    ("headers", "api_key", "answer"),
    [
        ((), None, (401, "unauthenticated", "Missing API key.")),
        ((("Authorization", "Token good"),), None, (401, "unauthenticated", "Missing API key.")),
        ((("Authorization", "Bearer bad"),), None, (401, "unauthenticated", "Invalid API key.")),
        ((("Authorization", "Bearer"),), None, (401, "unauthenticated", "Invalid API key.")),
        ((), "bad", (401, "unauthenticated", "Invalid API key.")),
    ],
)
async def test_bad_keys(
    headers: Heads, api_key: str | None, answer: tuple[int, str, str], autojump_clock: MockClock
) -> None:
    """A bad key gets in, is told so by a message, and the close is a normal one."""
    emulator = emulate()
    async with started(emulator, {**START, "api_key": api_key}, headers) as client:
        messages, closed = await client.rest()
    assert wrong(messages) == answer
    assert messages[-1]["tokens"] == []
    assert messages[-1]["request_id"] == emulator.connections[0].request.id
    assert closed.code == 1000


async def test_a_key_given_twice(autojump_clock: MockClock) -> None:
    """In the header and in the message is refused, even if both are good."""
    async with started(emulate(), {**START, "api_key": "good"}) as client:
        messages, _ = await client.rest()
    assert wrong(messages)[:2] == (400, "invalid_request")


async def test_accepted_keys_are_configurable(autojump_clock: MockClock) -> None:
    """An emulator may be told which keys are good."""
    emulator = Emulator(Soniox(accepts=lambda key: key == "only"))
    async with started(emulator) as client:
        messages, _ = await client.rest()
    assert wrong(messages)[0] == 401


async def test_only_a_good_key_holds_a_connection_ready(autojump_clock: MockClock) -> None:
    """With it the first message may come any time; without it there is a deadline."""
    async with talk(emulate(FakeHear()), TARGET, KEY) as client:
        await trio.sleep(3600)
        await client.send(START, SECOND, "")
        messages, _ = await client.rest()
    assert messages[-1]["finished"]
    async with talk(emulate(), TARGET, ()) as client:
        messages, _ = await client.rest()
    assert wrong(messages) == (408, "request_timeout", "Start request timeout")


# The first message.


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b'{"model":"stt-rt-v5"}', "Start request must be a text message."),
        (b"", "Start request must be a text message."),
        ("", "Start request is malformed."),
        ("{", "Start request is malformed."),
        ("[]", "Start request is malformed."),
        ({**START, "sample_rate": "16000"}, "Start request is malformed."),
        ({**START, "enable_endpoint_detection": 1}, "Start request is malformed."),
        ({**START, "interim_results": True}, "interim_results"),
        ({**START, "model": "nova-3"}, "Invalid model specified."),
        ({**START, "model": None}, "Invalid model specified."),
        ({**START, "audio_format": None}, "Missing audio format."),
        ({**START, "audio_format": "avi"}, "Invalid audio data format: avi"),
        ({**START, "audio_format": "pcm_u24be"}, "does not decode pcm_u24be"),
        ({**START, "sample_rate": None}, "Audio data sample rate must be specified for PCM formats"),
        ({**START, "sample_rate": 1}, "Sample rate"),
        ({**START, "num_channels": None}, "Audio data channels must be specified for PCM formats"),
        ({**START, "num_channels": 0}, "channels"),
        ({**START, "audio_format": "mulaw", "sample_rate": None}, "sample rate must be specified"),
        ({**START, "language_hints": ["en-US"]}, "Invalid language hint."),
        ({**START, "language_hints": ["en", "en"]}, "Language hints must be unique."),
        ({**START, "max_endpoint_delay_ms": 499}, "max_endpoint_delay_ms"),
        ({**START, "max_endpoint_delay_ms": 3001}, "max_endpoint_delay_ms"),
        ({**START, "endpoint_sensitivity": 1.1}, "endpoint_sensitivity"),
        ({**START, "endpoint_latency_adjustment_level": 4}, "endpoint_latency_adjustment_level"),
        ({**START, "model": "stt-rt-v4", "endpoint_sensitivity": 0.5}, "not supported by stt-rt-v4"),
        ({**START, "context": {"terms": ["x" * 10_000]}}, "Context is too long (max length 10000)."),
        ({**START, "context": {"words": []}}, "words"),
        ({**START, "context": "about cats"}, "older models"),
        ({**START, "translation": {"type": "one_way", "target_language": "fr"}}, "does not translate"),
        ({**START, "client_reference_id": "x" * 257}, "Client reference ID is too long (max length 256)"),
    ],
)
async def test_first_messages_that_are_refused(message: Any, words: str, autojump_clock: MockClock) -> None:
    """Each is a 400 that says what is wrong, and the end."""
    async with talk(emulate(), TARGET, KEY) as client:
        await client.send(message)
        messages, closed = await client.rest()
    assert wrong(messages)[0] == 400
    assert words in wrong(messages)[2]
    assert closed.code == 1000


@pytest.mark.parametrize(
    "more",
    [
        {"sample_rate": 8000, "audio_format": "mulaw"},
        {"audio_format": "alaw", "num_channels": 2},
        {"audio_format": "pcm_f32le", "sample_rate": 48000},
        {
            "language_hints": ["en", "fr"],
            "language_hints_strict": True,
            "enable_language_identification": True,
        },
        {"enable_endpoint_detection": True, "max_endpoint_delay_ms": 3000, "endpoint_sensitivity": -1},
        {"endpoint_latency_adjustment_level": 3, "model": "stt-rt-v5"},
        {"context": {"general": [{"key": "a", "value": "b"}], "text": "x", "terms": ["y"]}},
        {"language_hints": None, "context": None, "api_key": None, "translation": None},
        {"client_reference_id": "x" * 256, "model": "stt-rt-v4"},
    ],
)
async def test_first_messages_that_work(more: dict[str, Any], autojump_clock: MockClock) -> None:
    """What clients are known to send is taken, nulls included."""
    async with started(emulate(FakeHear()), START | more) as client:
        await client.send(SECOND, "")
        messages, _ = await client.rest()
    assert messages[-1]["finished"]


# Tokens.


async def test_tokens_of_an_utterance(autojump_clock: MockClock) -> None:
    """Partials are open tokens; finals come once, in pieces, and `<end>` closes the utterance."""
    hear = FakeHear(
        [
            (400, heard("partial", "go", 100)),
            (700, heard("partial", "go forward", 100)),
            (1600, heard("final", "go forward ten", 100)),
            (2000, heard("partial", "meters", 1700)),
        ],
        rest=[heard("final", "meters", 1700)],
    )
    async with started(emulate(hear), ENDPOINTS) as client:
        for chunk in chunks(SECOND * 2, 6400):
            await client.send(chunk)
        await client.send("")
        messages, closed = await client.rest()
    assert finals(messages) == ["Go", " for", "ward", " ten", ".", "<end>", " Met", "ers", "."]
    assert {"Go", "Go forward", " ten", " Meters", ""} == set(guesses(messages))
    assert messages[-1] == {
        "tokens": [],
        "final_audio_proc_ms": 2000,
        "total_audio_proc_ms": 2000,
        "finished": True,
    }
    assert closed.code == 1000
    assert hear.opened == [(500, True)]
    ten = next(token for each in messages for token in each["tokens"] if token["text"] == " ten")
    assert (ten["start_ms"], ten["end_ms"]) == (700, 1000)
    for each in messages:
        flags = [token["is_final"] for token in each["tokens"]]
        assert flags == sorted(flags, reverse=True)
        assert each["final_audio_proc_ms"] <= each["total_audio_proc_ms"]


async def test_progress_repeats_what_is_open(autojump_clock: MockClock) -> None:
    """Audio without news brings messages too, none of which takes open tokens back."""
    hear = FakeHear([(300, heard("partial", "yes", 100))])
    async with started(emulate(hear)) as client:
        for chunk in chunks(SECOND, 3200):
            await client.send(chunk)
            await trio.testing.wait_all_tasks_blocked()
        await client.send("")
        messages, _ = await client.rest()
    assert guesses(messages)[-3:-1] == ["Yes", "Yes"]
    assert [each["total_audio_proc_ms"] for each in messages] == sorted(
        each["total_audio_proc_ms"] for each in messages
    )


async def test_what_was_asked_for_stands_in_the_tokens(autojump_clock: MockClock) -> None:
    """Speakers with diarization, languages with identification, neither otherwise."""
    hear = FakeHear(rest=[heard("final", "yes", 100)])
    more = {"enable_speaker_diarization": True, "enable_language_identification": True}
    for start, names in ((START, set()), (START | more, {"speaker", "language"})):
        async with started(emulate(hear), start) as client:
            await client.send(SECOND, "")
            messages, _ = await client.rest()
        token = next(token for each in messages for token in each["tokens"])
        assert {"speaker", "language"} & set(token) == names
        assert token.get("speaker", "1") == "1"


async def test_without_endpoint_detection_nothing_ends(autojump_clock: MockClock) -> None:
    """Text settles, but no `<end>` is said."""
    hear = FakeHear([(900, heard("final", "go", 100))])
    async with started(emulate(hear)) as client:
        await client.send(SECOND, "")
        messages, _ = await client.rest()
    assert finals(messages) == ["Go", "."]


async def test_finalize_brings_the_open_words(autojump_clock: MockClock) -> None:
    """What was open is final, then `<fin>`; the stream goes on, and the cut is no endpoint."""
    hear = FakeHear([(1500, heard("final", "ten", 1100))], held=heard("final", "go", 700))
    async with started(emulate(hear), ENDPOINTS) as client:
        await client.send(SECOND, {**FINALIZE, "trailing_silence_ms": 300})
        await trio.sleep(5)
        await client.send(SECOND, "")
        messages, _ = await client.rest()
    assert finals(messages) == ["Go", ".", "<fin>", " Ten", ".", "<end>"]


async def test_finalize_with_nothing_to_say(autojump_clock: MockClock) -> None:
    """`<fin>` comes all the same, once."""
    async with started(emulate(FakeHear())) as client:
        await client.send(SECOND, FINALIZE, FINALIZE)
        await trio.sleep(10)
        await client.send("")
        messages, _ = await client.rest()
    assert finals(messages) == ["<fin>"]


async def test_a_finalize_cut_short_by_the_end(autojump_clock: MockClock) -> None:
    """A `<fin>` that is owed comes before `finished`."""
    async with started(emulate(FakeHear())) as client:
        await client.send(SECOND, FINALIZE, "")
        messages, _ = await client.rest()
    assert finals(messages) == ["<fin>"]
    assert messages[-1]["finished"]


async def test_an_empty_binary_message_ends_too(autojump_clock: MockClock) -> None:
    """Both kinds of empty messages are documented."""
    async with started(emulate(FakeHear())) as client:
        await client.send(SECOND, b"")
        messages, closed = await client.rest()
    assert messages[-1]["finished"]
    assert closed.code == 1000


async def test_an_end_without_audio(autojump_clock: MockClock) -> None:
    """There was nothing to hear."""
    async with started(emulate(FakeHear())) as client:
        await client.send("")
        messages, _ = await client.rest()
    assert wrong(messages) == (400, "invalid_request", "No audio received.")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"type":"KeepAlive"}', "Control request invalid type."),
        ('{"kind":"keepalive"}', "Control request invalid type."),
        ("[1]", "Control request invalid type."),
        (json.dumps(START), "Control request invalid type."),
        ("finalize", "Control request is malformed."),
        (" ", "Control request is malformed."),
    ],
)
async def test_other_text_messages(text: str, words: str, autojump_clock: MockClock) -> None:
    """What is no control message ends the stream."""
    async with started(emulate(FakeHear())) as client:
        await client.send(text)
        messages, closed = await client.rest()
    assert wrong(messages) == (400, "invalid_request", words)
    assert closed.code == 1000


# Audio.


async def test_raw_audio_declared_as_auto_cannot_be_decoded() -> None:
    """PCM has no header to be recognised by."""
    async with started(emulate(FakeHear()), {**START, "audio_format": "auto"}) as client:
        await client.send(SECOND)
        messages, _ = await client.rest()
    assert wrong(messages) == (408, "request_timeout", "Audio data decode timeout")


async def test_audio_that_is_not_what_was_declared() -> None:
    """WebM that is none."""
    async with started(emulate(FakeHear()), {**START, "audio_format": "webm"}) as client:
        await client.send(SECOND)
        messages, _ = await client.rest()
    assert wrong(messages) == (400, "invalid_request", "Audio decode error")


@pytest.mark.parametrize("audio_format", ["ogg", "auto"])
async def test_containers_are_decoded(audio_format: str) -> None:
    """Named or recognised, an Ogg file is heard."""
    hear = FakeHear()
    async with started(emulate(hear), {"model": "stt-rt-v5", "audio_format": audio_format}) as client:
        await client.send(encoded(SECOND, "ogg", "libopus", 48000), "")
        messages, _ = await client.rest()
    assert messages[-1]["finished"]
    assert len(hear.pcm[0]) == pytest.approx(len(SECOND), rel=0.1)


# Time.


async def test_silence_of_twenty_seconds_ends_the_stream(autojump_clock: MockClock) -> None:
    """Keepalives hold the stream, their absence ends it."""
    hear = FakeHear()
    async with started(emulate(hear)) as client:
        await client.send(SECOND)
        for _ in range(5):
            await trio.sleep(19)
            await client.send(KEEPALIVE)
        began = trio.current_time()
        messages, closed = await client.rest()
        assert trio.current_time() - began == pytest.approx(20)
    assert wrong(messages) == (408, "request_timeout", "Request timeout.")
    assert closed.code == 1000
    assert hear.open_now == 0


async def test_the_first_audio_is_waited_for(autojump_clock: MockClock) -> None:
    """Twenty seconds, without keepalives."""
    async with started(emulate(FakeHear())) as client:
        messages, _ = await client.rest()
    assert wrong(messages) == (408, "request_timeout", "Timed out while waiting for the first audio chunk")


async def test_the_longest_stream(autojump_clock: MockClock) -> None:
    """After its time a stream is ended, however lively."""
    emulator = Emulator(Soniox(session_s=100), hear=FakeHear())
    async with started(emulator) as client:
        for _ in range(11):
            await client.send(SECOND)
            await trio.sleep(9)
        messages, _ = await client.rest()
        assert trio.current_time() == pytest.approx(100)
    assert wrong(messages)[:2] == (413, "max_duration_reached")


# Scripts and faults.


async def test_a_script_speaks_instead_of_the_recogniser(autojump_clock: MockClock) -> None:
    """Steps are sent when their moment comes, with the service's own end behind them."""
    script = parse_script(
        b"""{"steps": [
          {"on": "finish", "send": {"tokens": [], "n": 3}},
          {"after_ms": 500, "send": {"tokens": [], "n": 1}},
          {"on": "open", "send_text": "{\\"tokens\\":[],\\"n\\":0}"},
          {"on": "finalize", "send": {"tokens": [], "n": 2}}
        ]}""",
        "script",
    )
    hear = FakeHear([(0, heard("final", "unheard", 0))])
    async with started(emulate(hear, script=script)) as client:
        await client.send(SECOND, FINALIZE)
        await trio.sleep(10)
        await client.send("")
        messages, closed = await client.rest()
    assert [each.get("n") for each in messages] == [0, 1, 2, 3, None]
    assert messages[-1]["finished"]
    assert closed.code == 1000
    assert hear.opened == []


@pytest.mark.parametrize("status", [401, 402, 429, 500, 503])
async def test_refusals_on_request(status: int, autojump_clock: MockClock) -> None:
    """The fault `refuse` answers the upgrade, for all connections or for one key."""
    for emulator, headers in (
        (emulate(faults=Faults(refuse=status)), KEY),
        (emulate(), by_key(f"refuse-{status}")),
    ):
        answered, _, body = await ask(emulator, TARGET, headers)
        assert (answered, json.loads(body)["error_code"]) == (status, status)


async def test_a_slow_handshake(autojump_clock: MockClock) -> None:
    """The upgrade takes as long as it was told to."""
    async with started(emulate(FakeHear()), headers=by_key("delay-5")) as client:
        assert trio.current_time() == pytest.approx(5)
        await client.send(SECOND, "")
        _, closed = await client.rest()
    assert closed.code == 1000


@pytest.mark.parametrize("fault", ["stall", "endless"])
async def test_a_service_that_does_not_end(fault: str, autojump_clock: MockClock) -> None:
    """Everything is read, and no end is ever said."""
    emulator = emulate(FakeHear(rest=[heard("final", "go", 100)]))
    async with started(emulator, headers=by_key(fault)) as client:
        await client.send(SECOND, "", SECOND)
        with trio.move_on_after(3600) as waiting:
            while True:
                message = await client.receive_whatever()
                assert fault == "endless"
                assert "finished" not in json.loads(message)
        assert waiting.cancelled_caught
    assert emulator.connections[0].audio_bytes == 2 * len(SECOND)


async def test_an_early_close(autojump_clock: MockClock) -> None:
    """Close 1000 in the middle, without finals and without `finished`."""
    hear = FakeHear(rest=[heard("final", "go", 100)])
    async with started(emulate(hear), headers=by_key("early-0.5")) as client:
        await client.send(*chunks(SECOND, 3200)[:5])
        messages, closed = await client.rest()
    assert finals(messages) == []
    assert not any("finished" in each for each in messages)
    assert closed.code == 1000


@pytest.mark.parametrize(
    ("kind", "first"), [("text", "<html>502 Bad Gateway</html>"), ("binary", b"\x00\xffnot expected")]
)
async def test_nonsense_of_the_wrong_kind(kind: str, first: str | bytes, autojump_clock: MockClock) -> None:
    """The first audio is answered with nonsense; then all goes on as usual."""
    async with started(emulate(FakeHear()), headers=by_key(f"garbage-{kind}")) as client:
        await client.send(SECOND, "")
        assert await client.receive_whatever() == first
        messages, _ = await client.rest()
    assert messages[-1]["finished"]


async def test_nonsense_of_the_wrong_types(autojump_clock: MockClock) -> None:
    """A message of the one shape there is, whose fields are something else."""
    async with started(emulate(FakeHear()), headers=by_key("garbage-types")) as client:
        await client.send(SECOND)
        message = await client.receive()
    assert isinstance(message["tokens"], str)


async def test_nonsense_that_is_no_text(autojump_clock: MockClock) -> None:
    """Invalid UTF-8 in a text message makes a WebSocket library stumble."""
    async with started(emulate(FakeHear()), headers=by_key("garbage-utf8")) as client:
        await client.send(SECOND)
        with pytest.raises(ConnectionClosed) as closed, trio.fail_after(PATIENCE_S):
            await client.socket.get_message()
    assert closed.value.reason is not None
    assert closed.value.reason.code == 1007


async def test_a_dropped_connection(autojump_clock: MockClock) -> None:
    """The connection ends in the middle of the audio without a close frame."""
    emulator = emulate(FakeHear())
    async with started(emulator, headers=by_key("drop-0.5")) as client:
        await client.send(SECOND)
        _, closed = await client.rest()
    assert closed.code == 1006
    assert emulator.connections[0].close_sent is None


async def test_a_deaf_service_reads_no_more(autojump_clock: MockClock) -> None:
    """After its audio nothing is read until the connection is dropped."""
    emulator = emulate(FakeHear())
    async with started(emulator, headers=by_key("deaf-0.5")) as client:
        await client.send(SECOND)
        await trio.testing.wait_all_tasks_blocked()
        await client.send(*[SECOND] * 50)
        with trio.fail_after(3600):
            await emulator.connections[0].ended.wait()
        assert trio.current_time() > 500
    assert emulator.connections[0].audio_bytes < 25 * len(SECOND)
