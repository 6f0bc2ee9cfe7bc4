"""Speechmatics' emulator, as conversations in memory and in virtual time."""

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
from routeraudio.emulators.speechmatics import Speechmatics
from tests.emulators.helping import (
    PATIENCE_S,
    SECOND,
    Client,
    FakeHear,
    Heads,
    ask,
    chunks,
    clip,
    encoded,
    heard,
    talk,
)

GOOD: Heads = (("Authorization", "Bearer good"),)
RAW = {"type": "raw", "encoding": "pcm_s16le", "sample_rate": 16000}
END = {"message": "EndOfTranscript"}
UTTERANCE = [
    (300, heard("partial", "go", 100)),
    (900, heard("final", "go forward ten meters", 100, word_ms=100)),
]


def by_key(fault: str) -> Heads:
    return [("Authorization", f"Bearer fault-{fault}")]


def emulate(hear: FakeHear | None = None, **options: Any) -> Emulator:
    return Emulator(Speechmatics(), hear=hear, **options)


def start(audio: Any = RAW, **config: Any) -> dict[str, Any]:
    config = {"language": "en", "model": "enhanced"} | config
    return {"message": "StartRecognition", "audio_format": audio, "transcription_config": config}


def eos(last: int) -> dict[str, Any]:
    return {"message": "EndOfStream", "last_seq_no": last}


async def begin(client: Client, **wish: Any) -> list[Any]:
    """Start; what is said until audio may follow."""
    await client.send(start(**wish))
    return [await client.receive() for _ in range(3)]


async def converse(hear: FakeHear, *messages: Any, **wish: Any) -> list[Any]:
    """What is said between the start and the close, without the answers to audio."""
    async with talk(emulate(hear), "/v2", GOOD) as client:
        await begin(client, **wish)
        for message in messages:
            await client.send(message)
            await trio.testing.wait_all_tasks_blocked()
        said, closed = await client.rest()
    assert closed.code == 1000
    assert said.pop() == END
    return [each for each in said if each["message"] != "AudioAdded"]


async def ended(
    *messages: Any, emulator: Emulator | None = None, headers: Heads = GOOD
) -> tuple[Any, int, str]:
    """How it ends when these are said without waiting for anything: the last message, close code and reason."""
    async with talk(emulator or emulate(FakeHear()), "/v2", headers) as client:
        await client.send(*messages)
        said, closed = await client.rest()
    return said[-1], closed.code, closed.reason or ""


def told(messages: list[Any]) -> list[tuple[str, str]]:
    return [(each["message"], each.get("metadata", {}).get("transcript", "")) for each in messages]


# Who gets in.


@pytest.mark.parametrize("target", ["/v2", "/v2/", "/v2/en", "/v2?sm-app=x&sm-sdk=y", "/v2?jwt=eyJ.e.J"])
async def test_good_keys(target: str, autojump_clock: MockClock) -> None:
    """A key in the header or in the query; the language in the path is the legacy client's."""
    headers = () if "jwt" in target else GOOD
    assert (await ask(emulate(), target, headers))[0] == 101


@pytest.mark.parametrize("value", ["Bearer", "Bearer badkey", "Token good", "good", None])
async def test_bad_keys(value: str | None, autojump_clock: MockClock) -> None:
    """401 before the upgrade."""
    headers = () if value is None else (("Authorization", value),)
    status, _, body = await ask(emulate(), "/v2", headers)
    assert status == 401
    assert b"key" in body


@pytest.mark.parametrize("target", ["/", "/v1", "/v2/agent", "/v2/en/more"])
async def test_other_paths(target: str, autojump_clock: MockClock) -> None:
    """There is nothing else here; the agents' API is another one."""
    assert (await ask(emulate(), target, GOOD))[0] == 404


async def test_a_bad_temporary_key_is_told_inside(autojump_clock: MockClock) -> None:
    """The upgrade succeeds, then comes an `Error`."""
    async with talk(emulate(), "/v2?jwt=bad", ()) as client:
        said, closed = await client.rest()
    assert [each["type"] for each in said] == ["not_authorised"]
    assert closed.code == 4001


async def test_accepted_keys_are_configurable(autojump_clock: MockClock) -> None:
    """An emulator may be told which keys are good."""
    emulator = Emulator(Speechmatics(accepts=lambda key: key == "only"))
    answers = [await ask(emulator, "/v2", [("Authorization", f"Bearer {key}")]) for key in ("only", "other")]
    assert [status for status, _, _ in answers] == [101, 401]


async def test_more_sessions_than_agreed(autojump_clock: MockClock) -> None:
    """One too many is told so and closed; when another has gone there is room again."""
    emulator = Emulator(Speechmatics(quota=1), hear=FakeHear())
    async with talk(emulator, "/v2", GOOD) as client:
        info, *_ = await begin(client)
        assert (info["usage"], info["quota"]) == (1, 1)
        said, code, _ = await ended(emulator=emulator)
        assert (said["type"], said["reason"], code) == ("quota_exceeded", "Concurrent Quota Exceeded", 4005)
    async with talk(emulator, "/v2", GOOD) as client:
        assert (await begin(client))[1]["message"] == "RecognitionStarted"


# The beginning.


@pytest.mark.parametrize(("rate", "quality"), [(8000, "telephony"), (16000, "broadcast")])
async def test_the_beginning(rate: int, quality: str, autojump_clock: MockClock) -> None:
    """An `Info` comes before `RecognitionStarted`, another one behind it."""
    emulator = emulate(FakeHear())
    async with talk(emulator, "/v2", GOOD) as client:
        usage, started, info = await begin(client, audio={**RAW, "sample_rate": rate})
    assert (usage["message"], usage["type"]) == ("Info", "concurrent_session_usage")
    assert started["id"] == emulator.connections[0].request.id
    assert started["language_pack_info"]["word_delimiter"] == " "
    assert (info["type"], info["quality"]) == ("recognition_quality", quality)


@pytest.mark.parametrize("first", [SECOND, eos(0), "{", "[]", {"message": "Hello"}])
async def test_the_first_message_is_start_recognition(first: Any, autojump_clock: MockClock) -> None:
    """Anything else ends the session."""
    said, code, reason = await ended(first)
    assert (said["message"], said["type"], code, reason) == (
        "Error",
        "protocol_error",
        1003,
        "protocol_error",
    )


async def test_nothing_is_sent_before_recognition_started(autojump_clock: MockClock) -> None:
    """Who does not wait for readiness loses the session."""
    said, code, _ = await ended(start(), SECOND)
    assert (said["type"], code) == ("protocol_error", 1003)


async def test_recognition_starts_once(autojump_clock: MockClock) -> None:
    """A second start ends the session."""
    async with talk(emulate(FakeHear()), "/v2", GOOD) as client:
        await begin(client)
        await client.send(start())
        said, closed = await client.rest()
    assert (said[0]["type"], closed.code) == ("protocol_error", 1003)


@pytest.mark.parametrize(
    "audio",
    [
        None,
        {},
        {"type": "raw"},
        {"type": "raw", "encoding": "pcm_s16le"},
        {"type": "raw", "encoding": "pcm_s16le", "sample_rate": 1},
        {"type": "raw", "encoding": "pcm_s16le", "sample_rate": "16000"},
        {"type": "raw", "encoding": "opus", "sample_rate": 16000},
        {"type": "file", "encoding": "pcm_s16le", "sample_rate": 16000},
        {**RAW, "channels": 2},
    ],
)
async def test_audio_formats_that_are_refused(audio: Any, autojump_clock: MockClock) -> None:
    """All three fields are required for raw audio, none is allowed for a file."""
    said, code, _ = await ended(start(audio))
    assert (said["type"], code) == ("invalid_audio_type", 1003)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"language": None}, "invalid_config"),
        ({"language": "xx"}, "invalid_language"),
        ({"language": "auto"}, "invalid_language"),
        ({"language": "en-GB"}, "invalid_language"),
        ({"model": "linden-1"}, "invalid_model"),
        ({"operating_point": "enhanced"}, "invalid_config"),
        ({"max_delay": 0.6}, "invalid_config"),
        ({"max_delay": 4.1}, "invalid_config"),
        ({"max_delay_mode": "soft"}, "invalid_config"),
        ({"conversation_config": {"end_of_utterance_silence_trigger": 2.1}}, "invalid_config"),
        ({"speaker_diarization_config": {"max_speakers": 1}}, "invalid_config"),
        ({"diarization": "speakers"}, "invalid_config"),
        ({"enable_partials": "true"}, "invalid_config"),
        ({"enable_partial": True}, "invalid_config"),
    ],
)
async def test_configurations_that_are_refused(config: Any, kind: str, autojump_clock: MockClock) -> None:
    """Values outside their range, names that do not exist, models and languages that are not there."""
    said, code, _ = await ended(start(**config))
    assert (said["type"], code) == (kind, 1003 if kind == "invalid_config" else 4004)


async def test_other_services_are_refused(autojump_clock: MockClock) -> None:
    """There is no translation here."""
    said, _, _ = await ended({**start(), "translation_config": {"target_languages": ["de"]}})
    assert said["type"] == "invalid_config"


# Speech.


async def test_finals_are_fragments(autojump_clock: MockClock) -> None:
    """First one without a word, then some words at a time, then the full stop alone, then the end of the utterance."""
    said = await converse(
        FakeHear(UTTERANCE), SECOND, eos(1), conversation_config={"end_of_utterance_silence_trigger": 0.5}
    )
    assert told(said) == [
        ("AddTranscript", ""),
        ("AddTranscript", "Go forward ten "),
        ("AddTranscript", "meters "),
        ("AddTranscript", ". "),
        ("EndOfUtterance", ""),
    ]
    [stop] = said[3]["results"]
    assert (stop["type"], stop["attaches_to"], stop["is_eos"]) == ("punctuation", "previous", True)
    assert stop["start_time"] == stop["end_time"] == 0.5
    first = said[1]["results"][0]
    assert (first["type"], first["start_time"], first["end_time"]) == ("word", 0.1, 0.2)
    assert first["alternatives"][0]["speaker"] == "UU"
    assert said[0]["metadata"]["end_time"] > said[1]["metadata"]["start_time"]
    assert said[4]["metadata"] == {"start_time": 0.5, "end_time": 0.5}


async def test_partials_follow_finals_with_the_rest(autojump_clock: MockClock) -> None:
    """A partial holds what is not final yet; behind the last final it is empty."""
    said = await converse(FakeHear(UTTERANCE), *chunks(SECOND, 16000), eos(2), enable_partials=True)
    assert told(said) == [
        ("AddPartialTranscript", "Go "),
        ("AddTranscript", ""),
        ("AddPartialTranscript", "Go forward ten meters. "),
        ("AddTranscript", "Go forward ten "),
        ("AddPartialTranscript", "meters. "),
        ("AddTranscript", "meters "),
        ("AddPartialTranscript", ". "),
        ("AddTranscript", ". "),
        ("AddPartialTranscript", ""),
    ]


async def test_partials_are_not_asked_of_the_recogniser_in_vain(autojump_clock: MockClock) -> None:
    """Silence and partials reach the recogniser as they were wished."""
    hear = FakeHear()
    await converse(hear, eos(0), conversation_config={"end_of_utterance_silence_trigger": 0.7})
    await converse(hear, eos(0), enable_partials=True)
    assert hear.opened == [(700, False), (500, True)]


async def test_speakers_and_punctuation_by_wish(autojump_clock: MockClock) -> None:
    """Diarization names speakers; without permitted marks there are none."""
    said = await converse(
        FakeHear(UTTERANCE),
        SECOND,
        eos(1),
        diarization="speaker",
        punctuation_overrides={"permitted_marks": []},
    )
    assert told(said)[-1] == ("AddTranscript", "meters ")
    assert said[-1]["results"][0]["alternatives"][0]["speaker"] == "S1"


async def test_languages_without_spaces(autojump_clock: MockClock) -> None:
    """Nothing stands between words, and `RecognitionStarted` says so."""
    async with talk(emulate(FakeHear(UTTERANCE)), "/v2", GOOD) as client:
        _, started, _ = await begin(client, language="ja")
        await client.send(SECOND, eos(1))
        said, _ = await client.rest()
    assert started["language_pack_info"]["word_delimiter"] == ""
    assert ("AddTranscript", "Goforwardten") in told(said)


async def test_audio_is_acknowledged_by_number(autojump_clock: MockClock) -> None:
    """Every binary message is answered; the first is 1."""
    async with talk(emulate(FakeHear()), "/v2", GOOD) as client:
        await begin(client)
        await client.send(*chunks(SECOND, 8000))
        assert [(await client.receive())["seq_no"] for _ in range(4)] == [1, 2, 3, 4]
        await client.send(eos(4))
        said, closed = await client.rest()
    assert (said, closed.code) == ([END], 1000)


async def test_forced_ends(autojump_clock: MockClock) -> None:
    """What the client forces is marked, also where silence ends no utterance; without speech nothing is said."""
    for config in ({}, {"conversation_config": {"end_of_utterance_silence_trigger": 2}}):
        hear = FakeHear(held=heard("final", "go", 600))
        force = {"message": "ForceEndOfUtterance", "timestamp": 1.0}
        said = await converse(hear, SECOND, force, {"message": "ForceEndOfUtterance"}, eos(1), **config)
        assert told(said) == [
            ("AddTranscript", ""),
            ("AddTranscript", "Go "),
            ("AddTranscript", ". "),
            ("EndOfUtterance", ""),
        ]
        assert all(each["forced"] for each in said)


async def test_the_end_of_the_stream_is_no_end_of_an_utterance(autojump_clock: MockClock) -> None:
    """What `EndOfStream` cut off is final without `EndOfUtterance`; what silence had ended before is not."""
    config = {"conversation_config": {"end_of_utterance_silence_trigger": 0.5}}
    hear = FakeHear(rest=[heard("final", "go", 100), heard("final", "forward", 1600)])
    said = await converse(hear, SECOND, SECOND, eos(2), **config)
    assert [name for name, _ in told(said)] == ["AddTranscript"] * 3 + ["EndOfUtterance"] + [
        "AddTranscript"
    ] * 3


async def test_a_session_without_audio(autojump_clock: MockClock) -> None:
    """It starts and ends in order."""
    assert await converse(FakeHear(), eos(0)) == []


async def test_files() -> None:
    """A container needs no declaration; what is none ends the session."""
    hear = FakeHear(rest=[heard("final", "go", 100)])
    data = encoded(clip("goforward.wav"), "ogg", "libopus", 48000)
    said = await converse(hear, data, eos(1), audio={"type": "file"})
    assert ("AddTranscript", "Go ") in told(said)
    async with talk(emulate(FakeHear()), "/v2", GOOD) as client:
        await begin(client, audio={"type": "file"})
        await client.send(SECOND)
        messages, closed = await client.rest()
    assert (messages[-1]["type"], closed.code) == ("invalid_audio_type", 1003)


@pytest.mark.parametrize(("encoding", "width"), [("pcm_f32le", 4), ("mulaw", 1)])
async def test_other_raw_encodings(encoding: str, width: int, autojump_clock: MockClock) -> None:
    """A second is a second in each of them."""
    hear = FakeHear([(990, heard("final", "go", 100))])
    audio = {"type": "raw", "encoding": encoding, "sample_rate": 8000}
    said = await converse(hear, bytes(8000 * width), bytes(8000 * width), eos(2), audio=audio)
    assert ("AddTranscript", "Go ") in told(said)


# Control messages.


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("{", "invalid_message"),
        ({"message": "KeepAlive"}, "invalid_message"),
        ({"message": "AddChannelAudio", "channel": "left", "data": ""}, "invalid_message"),
        ({"message": "ForceEndOfUtterance", "timestamp": "now"}, "invalid_message"),
        ({"message": "ForceEndOfUtterance", "timestamp": -1}, "invalid_message"),
        (eos(2), "protocol_error"),
        ({"message": "EndOfStream"}, "protocol_error"),
        ({"message": "EndOfStream", "last_seq_no": "1"}, "protocol_error"),
        ({"message": "SetRecognitionConfig", "transcription_config": {"language": "de"}}, "invalid_config"),
        (
            {"message": "SetRecognitionConfig", "transcription_config": {"diarization": "speaker"}},
            "invalid_config",
        ),
    ],
)
async def test_messages_that_end_the_session(message: Any, kind: str, autojump_clock: MockClock) -> None:
    """Unknown ones, malformed ones, and a last number beyond what was sent."""
    async with talk(emulate(FakeHear()), "/v2", GOOD) as client:
        await begin(client)
        await client.send(SECOND, message)
        said, closed = await client.rest()
    assert (said[-1]["type"], closed.code) == (kind, 1003)


async def test_a_smaller_last_number_is_borne(autojump_clock: MockClock) -> None:
    """The vendor's SDK counts what is acknowledged, not what it has sent."""
    assert await converse(FakeHear(), SECOND, SECOND, eos(1)) == []


async def test_partials_can_be_switched_off_later(autojump_clock: MockClock) -> None:
    """`SetRecognitionConfig` changes what it may."""
    change = {
        "message": "SetRecognitionConfig",
        "transcription_config": {"language": "en", "enable_partials": False},
    }
    said = await converse(FakeHear(UTTERANCE), change, SECOND, eos(1), enable_partials=True)
    assert {name for name, _ in told(said)} == {"AddTranscript"}


async def test_speakers_can_be_asked_for(autojump_clock: MockClock) -> None:
    """With diarization there is an answer, without it a warning."""
    ask_speakers = {"message": "GetSpeakers", "final": False}
    [answer] = await converse(FakeHear(), ask_speakers, eos(0), diarization="speaker")
    assert answer["speakers"][0]["label"] == "S1"
    [answer] = await converse(FakeHear(), ask_speakers, eos(0))
    assert (answer["message"], answer["type"]) == ("Warning", "speaker_id")


async def test_audio_behind_the_end_is_ignored(autojump_clock: MockClock) -> None:
    """With a warning each, and the transcript ends all the same."""
    emulator = emulate(FakeHear())
    async with talk(emulator, "/v2", GOOD) as client:
        await begin(client)
        await client.send(eos(0), SECOND, SECOND)
        said, closed = await client.rest()
    assert [each.get("type") for each in said] == ["add_audio_after_eos"] * 2 + [None]
    assert closed.code == 1000
    assert emulator.connections[0].audio_bytes == 0


# Time.


async def test_an_hour_without_audio(autojump_clock: MockClock) -> None:
    """Three warnings, then the end; audio starts the hour again."""
    async with talk(emulate(FakeHear()), "/v2", GOOD) as client:
        began_s = trio.current_time()
        await begin(client)
        await trio.sleep(1000)
        await client.send(SECOND)
        await client.receive()
        messages = []
        for _ in range(4):
            message = json.loads(await client.receive_whatever())
            messages.append((message["message"], message["type"], round(trio.current_time() - began_s)))
        _, closed = await client.rest()
    assert messages == [
        ("Warning", "idle_timeout", 3700),
        ("Warning", "idle_timeout", 4000),
        ("Warning", "idle_timeout", 4300),
        ("Error", "idle_timeout", 4600),
    ]
    assert closed.code == 1008


async def test_two_days_are_the_longest_session(autojump_clock: MockClock) -> None:
    """Three warnings, then the end, whatever is said."""
    async with talk(emulate(FakeHear()), "/v2", GOOD) as client:
        await begin(client)
        for _ in range(48 * 2):
            await client.send(b"\x01\x00")
            await trio.sleep(1800)
        said, closed = await client.rest()
    kinds = [(each["message"], each["type"]) for each in said if each["message"] != "AudioAdded"]
    assert kinds == [("Warning", "session_timeout")] * 3 + [("Error", "session_timeout")]
    assert closed.code == 1008


# Faults and scripts.


async def test_scripts_replace_hearing(autojump_clock: MockClock) -> None:
    """Fixed answers come at their moments, between the service's own beginning and end."""
    script = parse_script(
        b'{"steps":[{"on":"open","send":{"message":"Info","n":1}},{"after_ms":500,"send":{"message":"Info","n":2}},'
        b'{"on":"finalize","send":{"message":"Info","n":3}},{"on":"finish","send":{"message":"Info","n":4}}]}',
        "script",
    )
    async with talk(emulate(script=script), "/v2", GOOD) as client:
        await begin(client)
        await client.send(SECOND, {"message": "ForceEndOfUtterance"}, eos(1))
        said, _ = await client.rest()
    assert [each.get("n", each["message"]) for each in said] == [1, 2, "AudioAdded", 3, 4, "EndOfTranscript"]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 429, 500, 502, 503])
async def test_refusals(status: int, autojump_clock: MockClock) -> None:
    """Every status comes in plain words."""
    found, _, body = await ask(emulate(), "/v2", by_key(f"refuse-{status}"))
    assert found == status
    assert body


async def test_a_slow_handshake(autojump_clock: MockClock) -> None:
    """The answer to the upgrade takes as long as it was told to."""
    began_s = trio.current_time()
    assert (await ask(emulate(), "/v2", by_key("delay-5")))[0] == 101
    assert trio.current_time() - began_s == pytest.approx(5)


@pytest.mark.parametrize("fault", ["stall", "endless"])
async def test_services_that_do_not_answer(fault: str, autojump_clock: MockClock) -> None:
    """Stalled from the beginning, or deaf to the end of the stream."""
    async with talk(emulate(FakeHear()), "/v2", by_key(fault)) as client:
        await client.send(start())
        if fault == "endless":
            await trio.sleep(1)
            await client.send(eos(0))
            assert [(await client.receive())["message"] for _ in range(3)] == [
                "Info",
                "RecognitionStarted",
                "Info",
            ]
        with trio.move_on_after(3000) as waiting:
            await client.receive_whatever()
        assert waiting.cancelled_caught


async def test_an_early_close(autojump_clock: MockClock) -> None:
    """Close 1000 in the middle, without `EndOfTranscript`."""
    async with talk(emulate(FakeHear(UTTERANCE)), "/v2", by_key("early-0.5")) as client:
        await begin(client)
        await client.send(*chunks(SECOND, 3200)[:5])
        said, closed = await client.rest()
    assert {each["message"] for each in said} == {"AudioAdded"}
    assert closed.code == 1000


@pytest.mark.parametrize("kind", ["text", "binary", "types"])
async def test_nonsense(kind: str, autojump_clock: MockClock) -> None:
    """The first audio is answered with nonsense; then all goes on as usual."""
    async with talk(emulate(FakeHear()), "/v2", by_key(f"garbage-{kind}")) as client:
        await begin(client)
        await client.send(SECOND, eos(1))
        nonsense = await client.receive_whatever()
        said, closed = await client.rest()
    assert [each["message"] for each in said] == ["AudioAdded", "EndOfTranscript"]
    assert closed.code == 1000
    if kind == "types":
        broken = json.loads(nonsense)
        assert broken["message"] == "AddTranscript"
        assert not isinstance(broken["results"], list)
    else:
        assert nonsense in ("<html>502 Bad Gateway</html>", b"\x00\xffnot expected")


async def test_nonsense_that_is_no_text(autojump_clock: MockClock) -> None:
    """Invalid UTF-8 makes a WebSocket library stumble."""
    async with talk(emulate(FakeHear()), "/v2", by_key("garbage-utf8")) as client:
        await begin(client)
        await client.send(SECOND)
        with pytest.raises(ConnectionClosed) as closed, trio.fail_after(PATIENCE_S):
            await client.socket.get_message()
    assert closed.value.reason is not None
    assert closed.value.reason.code == 1007


async def test_a_dropped_connection(autojump_clock: MockClock) -> None:
    """The connection is gone in the middle of the audio, without a close frame."""
    async with talk(emulate(FakeHear()), "/v2", by_key("drop-0.5")) as client:
        await begin(client)
        await client.send(SECOND)
        _, closed = await client.rest()
    assert closed.code == 1006


async def test_a_deaf_service(autojump_clock: MockClock) -> None:
    """After half a second of audio nothing is read any more."""
    emulator = emulate(FakeHear())
    async with talk(emulator, "/v2", by_key("deaf-0.5")) as client:
        await begin(client)
        for _ in range(40):
            await client.send(SECOND)
        with trio.move_on_after(60) as waiting:
            await client.receive_whatever()
        assert waiting.cancelled_caught
        assert emulator.connections[0].audio_bytes <= 20 * len(SECOND)


async def test_faults_of_the_whole_emulator(autojump_clock: MockClock) -> None:
    """What an emulator is started with holds for every key."""
    emulator = emulate(FakeHear(), faults=Faults(refuse=503))
    assert (await ask(emulator, "/v2", GOOD))[0] == 503
