"""`/stt/v3/stream`: what clients say, and what they are told, byte for byte."""

import json
import wave
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from routeraudio.dialects.base import Command, Control, DialectEvent, HasGreeting, HasTicks, Opening, Request
from routeraudio.dialects.segments import EMPTY_S
from routeraudio.dialects.vachana.messages import schema
from routeraudio.dialects.vachana.protocol import ENTRY, TICK_S, Vachana
from routeraudio.dialects.vachana.request import parse
from routeraudio.model.errors import (
    ClientFault,
    CloseCode,
    Fault,
    InternalFault,
    Overloaded,
    UpstreamFault,
    unauthorized,
)
from routeraudio.model.events import (
    Event,
    Failed,
    Final,
    Finished,
    Notice,
    Partial,
    Ready,
    TurnEnd,
    Usage,
)
from routeraudio.model.message import Message

NOON_S = 1_795_168_800.0
"""2026-11-20T10:00:00Z."""

CLIP = Path(__file__).parent.parent / "assets" / "audio" / "goforward.wav"


def samples() -> bytes:
    """ "go forward ten meters" and a second of silence."""
    with wave.open(str(CLIP)) as file:
        pcm: bytes = file.readframes(file.getnframes())
    return pcm + bytes(32_000)


class Play:
    """A dialect, and the session around it: what it tells itself comes back in order."""

    def __init__(self, provider: str = "deepgram", /, **headers: str) -> None:
        self.now_s = NOON_S
        wish = parse(
            Request("/stt/v3/stream", "", {name.replace("__", "-"): it for name, it in headers.items()})
        )
        options = ENTRY.fit(msgspec.structs.replace(wish.options, provider=provider))
        self.dialect = Vachana(Opening(wish, options, "request-1", lambda: self.now_s))
        self.sent: list[Command] = []
        """To the provider."""
        self.heard: list[dict[str, Any]] = []
        """By the client."""

    def hears(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        told = [json.loads(message) for message in messages]
        for message in told:
            jsonschema.validate(message, schema())
        self.heard += told
        return told

    def says(self, message: Message) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = []
        for part in self.dialect.received(message):
            if isinstance(part, DialectEvent):
                told += self.hears(self.dialect.event(part))
            else:
                self.sent.append(part)
        return told

    def event(self, event: Event) -> list[dict[str, Any]]:
        return self.hears(self.dialect.event(event))

    def ticks(self, seconds: float) -> list[dict[str, Any]]:
        self.now_s += seconds
        return self.hears(self.dialect.event(self.dialect.tick))


def types(told: list[dict[str, Any]]) -> list[str]:
    return [message["type"] for message in told]


def test_connected() -> None:
    """The first message, field by field, with the configuration in force."""
    (text,) = Play(x__sample__rate="8000").dialect.greeting()
    assert text == (
        '{"type":"connected","message":"STT service ready","request_id":"request-1",'
        '"timestamp":"2026-11-20T10:00:00.000Z","config":{"sample_rate":8000,"chunk_size":512,"lang_code":"en-IN",'
        '"format":"verbatim","itn_native_numerals":false,"provider":"deepgram"}}'
    )


def test_connected_repeats_the_clients_request_id() -> None:
    """Its own id is what a client looks for in its log."""
    (text,) = Play(x__api__request__id="req_7").dialect.greeting()
    assert json.loads(text)["request_id"] == "req_7"


@pytest.mark.parametrize(
    ("lang_code", "is_available"), [("en-IN", True), ("hi-IN", False), ("en-IN,hi-IN", False)]
)
def test_connected_says_where_numbers_stay_words(lang_code: str, is_available: bool) -> None:
    """Inverse text normalisation that does not exist for a language is accepted, and said to be missing."""
    (text,) = Play("soniox", lang_code=lang_code, x__format="transcribe").dialect.greeting()
    connected = json.loads(text)
    assert connected["config"]["format"] == "transcribe"
    assert connected["config"].get("itn") == (None if is_available else "unavailable")
    assert ("not available" in connected["message"]) is not is_available


def test_a_segment() -> None:
    """Audio passes on; at the end of speech finals are asked for and `processing` is told, then comes the text."""
    play = Play()
    told = play.says(samples())
    assert [type(part) for part in play.sent] == [bytes, Control, bytes]
    assert b"".join(part for part in play.sent if isinstance(part, bytes)) == samples()
    assert told == [{"type": "processing", "timestamp": "2026-11-20T10:00:00.000Z"}]
    play.now_s += 0.318
    (text,) = play.dialect.event(Final("go forward ten meters", 460, 2120))
    assert text == (
        '{"type":"transcript","timestamp":"2026-11-20T10:00:00.318Z","text":"go forward ten meters",'
        '"audio_duration_ms":2040,"segment_id":"660de255-46f2-5fd4-a696-4e6ea7f839e2","segment_index":"0",'
        '"latency":318,"detected_language":"en-IN"}'
    )


@pytest.mark.parametrize("frame_bytes", [1, 333, 1024, 3200])
def test_any_frame(frame_bytes: int) -> None:
    """Frames of any size, odd ones too, give the same segment and the same audio."""
    play = Play()
    pcm = samples()
    for start in range(0, len(pcm), frame_bytes):
        play.says(pcm[start : start + frame_bytes])
    assert b"".join(part for part in play.sent if isinstance(part, bytes)) == pcm
    assert play.sent.count(Control.FINALIZE) == 1
    before = b"".join(
        part for part in play.sent[: play.sent.index(Control.FINALIZE)] if isinstance(part, bytes)
    )
    assert len(before) == 2840 * 32
    assert types(play.heard) == ["processing"]


def test_segments_are_numbered() -> None:
    """Indexes count from "0", ids differ, and every `processing` has its transcript, in order."""
    play = Play()
    for number in range(3):
        play.says(samples())
        at_ms = number * len(samples()) // 32
        play.event(Final(f"text {number}", at_ms + 460, at_ms + 2120))
    assert types(play.heard) == ["processing", "transcript"] * 3
    transcripts = play.heard[1::2]
    assert [told["segment_index"] for told in transcripts] == ["0", "1", "2"]
    assert [told["text"] for told in transcripts] == ["text 0", "text 1", "text 2"]
    assert len({told["segment_id"] for told in transcripts}) == 3


def test_silence_gives_nothing() -> None:
    """No `processing`, no transcript, at no time."""
    play = Play()
    play.says(bytes(640_000))
    play.ticks(100)
    play.says('{"type":"end_of_stream"}')
    play.event(Finished())
    assert play.heard == []
    assert Control.FINALIZE not in play.sent


def test_nothing_understood() -> None:
    """A segment without text gets an empty transcript when time is up, of which the vendor's clients take no notice."""
    play = Play()
    play.says(samples())
    assert play.ticks(1) == []
    (told,) = play.ticks(2.84 + EMPTY_S)
    assert (told["type"], told["text"]) == ("transcript", "")


def test_end_of_stream() -> None:
    """The open segment is closed, the provider finishes, and what it says last is told."""
    play = Play()
    assert types(play.says(samples()[: 2 * 32_000])) == []
    assert types(play.says('{"type":"end_of_stream"}')) == ["processing"]
    assert play.sent[-1] is Control.FINISH
    assert play.dialect.received(samples()) == ()
    assert play.event(Final("go forward", 460, 1200)) == []
    (told,) = play.event(Finished())
    assert told["text"] == "go forward"


def test_an_end_that_the_client_did_not_ask_for() -> None:
    """A session that we end tells what was said up to then, in the segment that was open."""
    play = Play()
    play.says(samples()[: 2 * 32_000])
    assert play.event(Final("go forward", 460, 1200)) == []
    assert types(play.event(Finished())) == ["processing", "transcript"]


@pytest.mark.parametrize(
    "text", ["", "hello", "[]", '{"type":"finalize"}', '{"type":5}', "[" * 10_000, "\ud800"]
)
def test_other_text_is_ignored(text: str) -> None:
    """Whatever else is said in words means nothing here."""
    assert Play().dialect.received(text) == ()


def test_strict_frames() -> None:
    """A frame of another size is refused with an `error`, and the session goes on."""
    play = Play(strict_frames="true")
    (told,) = play.says(bytes(1000))
    assert (told["type"], told["message"]) == ("error", "audio frames must be 1024 bytes, got 1000")
    assert play.sent == []
    assert play.says(bytes(1024)) == []
    assert play.sent == [bytes(1024)]


def test_vad_events() -> None:
    """Start and end of speech are told to those who ask."""
    play = Play(x__vad__events="true")
    assert types(play.says(samples())) == ["speech_start", "speech_end", "processing"]


def test_partials() -> None:
    """Partials are told to those who ask, with the index their segment will have; finals then say what they are."""
    assert list(Play().dialect.event(Partial("go", 460, 700))) == []
    play = Play(x__partial__results="true")
    play.says(samples()[: 2 * 32_000])
    (partial,) = play.event(Partial("go", 460, 700))
    play.says(samples()[2 * 32_000 :])
    (final,) = play.event(Final("go forward ten meters", 460, 2120))
    assert (partial["is_final"], final["is_final"]) == (False, True)
    assert partial["segment_id"] == final["segment_id"]
    assert partial["segment_index"] == final["segment_index"]


def test_written_numbers() -> None:
    """`transcribe` writes English numbers in digits; `verbatim` leaves words."""
    for x_format, text in (("transcribe", "go forward 10 meters"), ("verbatim", "go forward ten meters")):
        play = Play(x__format=x_format)
        play.says(samples())
        (told,) = play.event(Final("go forward ten meters", 460, 2120))
        assert told["text"] == text


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"x__format": "transcribe", "itn_native_numerals": "true"}, "₹५,०००"),
        ({"x__format": "transcribe"}, "₹5,000"),
        ({"itn_native_numerals": "true"}, "₹5,000"),
    ],
)
def test_native_numerals(headers: dict[str, str], text: str) -> None:
    """Digits in the language's own script, with `transcribe` and on demand."""
    play = Play("soniox", lang_code="hi-IN", **headers)
    play.says(samples())
    (told,) = play.event(Final("₹5,000", 460, 2120))
    assert told["text"] == text


@pytest.mark.parametrize(
    ("lang_code", "detected"), [("hi-IN", "hi-IN"), ("en-hi-in-cm", "en-hi-in-cm"), ("en-IN,hi-IN", None)]
)
def test_detected_language(lang_code: str, detected: str | None) -> None:
    """The one that was asked for; null where nobody knows which of several it was."""
    play = Play("soniox", lang_code=lang_code)
    play.says(samples())
    (told,) = play.event(Final("text", 460, 2120))
    assert told["detected_language"] == detected


@pytest.mark.parametrize(
    "event", [Ready("id"), Usage(1), Notice("warning"), TurnEnd(2000)], ids=lambda it: type(it).__name__
)
def test_what_is_not_told(event: Event) -> None:
    """The session's own business, and turn ends, are not for the client."""
    assert list(Play().dialect.event(event)) == []


FAULTS: list[tuple[Fault, int]] = [
    (UpstreamFault("gone"), 1011),
    (InternalFault("request-1"), 1011),
    (unauthorized("the key was revoked"), 3000),
    (Overloaded("full"), 1013),
    (Overloaded("stopping", close_code=CloseCode.RESTART), 1012),
    (ClientFault("no audio for 60 s", code="timeout", close_code=CloseCode.TIMEOUT), 3008),
    (ClientFault("no", code="audio_error", close_code=CloseCode.UNSUPPORTED_DATA), 1008),
]


@pytest.mark.parametrize(("fault", "close_code"), FAULTS, ids=lambda it: getattr(it, "code", it))
def test_faults(fault: Fault, close_code: int) -> None:
    """One `error` with the sentence and a timestamp, and this protocol's close codes."""
    dialect = Play().dialect
    (text,) = dialect.error(fault)
    assert json.loads(text) == {
        "type": "error",
        "message": fault.message,
        "timestamp": "2026-11-20T10:00:00.000Z",
    }
    assert dialect.close_code(fault) == close_code


def test_text_before_a_fault_is_told() -> None:
    """What was final is told, also of the open segment; a segment without text has the error for an answer."""
    play = Play()
    play.says(samples())
    play.event(Final("go forward", 460, 1200))
    play.says(samples()[: 2 * 32_000])
    play.event(Final("and on", 4900, 5200))
    assert types(play.event(Failed(UpstreamFault("gone")))) == ["processing", "transcript"]
    assert [told["text"] for told in play.heard if told["type"] == "transcript"] == ["go forward", "and on"]
    assert types(play.hears(play.dialect.error(UpstreamFault("gone")))) == ["error"]


def test_timestamps_never_go_back() -> None:
    """Each message says when it was made."""
    play = Play()
    play.hears(play.dialect.greeting())
    play.now_s += 3.0005
    play.says(samples())
    play.now_s += 1.25
    play.event(Final("text", 460, 2120))
    stamps = [told["timestamp"] for told in play.heard]
    assert stamps == ["2026-11-20T10:00:00.000Z", "2026-11-20T10:00:03.000Z", "2026-11-20T10:00:04.250Z"]
    assert all(earlier < later for earlier, later in pairwise(stamps))


def test_the_session_greets_and_keeps_time() -> None:
    """The dialect asks for both."""
    dialect = Play().dialect
    assert isinstance(dialect, HasGreeting)
    assert isinstance(dialect, HasTicks)
    assert dialect.tick_s == TICK_S
