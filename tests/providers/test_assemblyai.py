"""AssemblyAI's own oddities."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from routeraudio.model.audio import PCM_16K_MONO, SAMPLE_RATES_HZ, AudioFormat
from routeraudio.model.errors import ClientFault, CloseCode, UpstreamFault
from routeraudio.model.events import Failed, Final, Finished, Notice, Partial, Ready, TurnEnd, Usage, Word
from routeraudio.model.options import Options
from routeraudio.providers.assemblyai import ENTRY, FORCE_ENDPOINT, TERMINATE
from routeraudio.providers.base import AdapterConfig, Credential

from .conversations.assemblyai import (
    SESSION_ID,
    begin,
    ended,
    error,
    final,
    spoken,
    streaming,
    termination,
    turn,
)

KEY = "0123456789abcdef0123456789abcdef"
ENGLISH = "universal-streaming-english"
MULTILINGUAL = "universal-streaming-multilingual"
WHISPER = "whisper-rt"
HEARTBEAT = (
    '{"type":"Heartbeat","total_audio_received_ms":9900,"total_duration_ms":10100,"realtime_factor":0.99}'
)


def wishes(**changes: Any) -> Options:
    return msgspec.structs.replace(
        Options(provider="assemblyai", audio=PCM_16K_MONO, partial_results=True), **changes
    )


def adapter(*, key: str | None = KEY, audio_ms: int = 60_000, own: bool = True, **changes: Any) -> Any:
    """An open connection that was sent a minute of audio. `Any`: tests call the adapter as the relay does."""
    credential = None if key is None else Credential(key, is_clients_own=own)
    opened = ENTRY.adapter(
        AdapterConfig(options=wishes(**changes), url=ENTRY.default_url, credential=credential)
    )
    opened.tick(0.0)
    if audio_ms:
        opened.audio(bytes(opened.audio_format.bytes_per_second * audio_ms // 1000))
    return opened


def query(**changes: Any) -> dict[str, str]:
    dialled = ENTRY.adapter(AdapterConfig(options=wishes(**changes), url=ENTRY.default_url)).dial()
    pairs = parse_qsl(urlsplit(dialled.url).query, keep_blank_values=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def told(opened: Any, *messages: str) -> list[Any]:
    return [event for message in messages for event in opened.received(message)]


def texts(events: Any) -> list[tuple[str, str]]:
    return [(type(event).__name__, event.text) for event in events if isinstance(event, Partial | Final)]


# Dialling.


def test_address_is_the_configured_base_with_every_wish() -> None:
    """The whole address of a Pro model, in a fixed order of parameters."""
    config = AdapterConfig(options=wishes(language="fr-CA", diarize=True), url="wss://host:9/prefix/")
    assert ENTRY.adapter(config).dial().url == (
        "wss://host:9/prefix/v3/ws?speech_model=universal-3-6-pro&encoding=pcm_s16le&sample_rate=16000"
        "&language_codes=%5B%22fr%22%5D&max_turn_silence=500&speaker_labels=true"
    )


def test_address_of_the_other_family() -> None:
    """It takes no language, and formats only when asked to; where it ends turns twice, heartbeats are asked for."""
    config = AdapterConfig(options=wishes(model=ENGLISH), url="ws://127.0.0.1:9")
    assert ENTRY.adapter(config).dial().url == (
        "ws://127.0.0.1:9/v3/ws?speech_model=universal-streaming-english&encoding=pcm_s16le&sample_rate=16000"
        "&format_turns=true&max_turn_silence=500&session_heartbeat=true"
    )


@pytest.mark.parametrize(
    ("model", "language", "speech_model", "codes"),
    [
        (None, "en", "universal-3-6-pro", '["en"]'),
        (None, "en-US", "universal-3-6-pro", '["en"]'),
        (None, "YUE", "universal-3-6-pro", '["yue"]'),
        (None, "auto", "universal-3-6-pro", None),
        (None, "multi", "universal-3-6-pro", None),
        (None, "pl", WHISPER, None),
        ("universal-3-5-pro", "ca", "universal-3-5-pro", '["ca"]'),
        ("universal-3-7-preview", "pl", "universal-3-7-preview", '["pl"]'),
        (ENGLISH, "en-GB", ENGLISH, None),
        (MULTILINGUAL, "fr", MULTILINGUAL, None),
        (MULTILINGUAL, "auto", MULTILINGUAL, None),
        (WHISPER, "haw", WHISPER, None),
    ],
)
def test_model_and_language(model: str | None, language: str, speech_model: str, codes: str | None) -> None:
    """The model is always named; without one the widest serves languages beyond the default's; regions are left out."""
    ENTRY.check(wishes(model=model, language=language))
    sent = query(model=model, language=language)
    assert (sent["speech_model"], sent.get("language_codes")) == (speech_model, codes)


@pytest.mark.parametrize(
    ("model", "endpointing_ms", "silences"),
    [
        (None, 0, {"max_turn_silence": "50", "min_turn_silence": "50"}),
        (None, 100, {"max_turn_silence": "100", "min_turn_silence": "100"}),
        (None, 128, {"max_turn_silence": "128"}),
        (None, 10_000, {"max_turn_silence": "10000"}),
        (ENGLISH, 300, {"max_turn_silence": "300", "min_turn_silence": "300"}),
        (ENGLISH, 500, {"max_turn_silence": "500"}),
    ],
)
def test_endpointing(model: str | None, endpointing_ms: int, silences: dict[str, str]) -> None:
    """Endpointing is the longest silence in a turn; the model's own is only ever shortened to it."""
    sent = query(model=model, endpointing_ms=endpointing_ms)
    assert {name: value for name, value in sent.items() if name.endswith("_turn_silence")} == silences


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        ({"model": ENGLISH, "punctuate": False}, "format_turns", "false"),
        ({"punctuate": False}, "format_turns", None),
        ({"model": ENGLISH, "punctuate": False}, "session_heartbeat", None),
        ({"model": MULTILINGUAL}, "session_heartbeat", None),
        ({"model": ENGLISH, "parse_json": False}, "session_heartbeat", None),
        ({"model": ENGLISH, "diarize": True}, "speaker_labels", "true"),
        ({"model": WHISPER, "diarize": True}, "speaker_labels", None),
        ({"partial_results": False}, "include_partial_turns", None),
        ({"partial_results": False, "parse_json": False}, "include_partial_turns", "false"),
        ({"parse_json": False}, "include_partial_turns", None),
    ],
)
def test_wishes(changes: dict[str, Any], name: str, value: str | None) -> None:
    """Each wish goes where the model has it; who reads the vendor's messages gets what was asked for."""
    assert query(**changes).get(name) == value


@pytest.mark.parametrize("rate", SAMPLE_RATES_HZ)
@pytest.mark.parametrize("encoding", ["pcm_s16le", "pcm_mulaw"])
def test_raw_audio_passes_untouched(encoding: Any, rate: int) -> None:
    """Both raw encodings at every rate."""
    audio = AudioFormat(encoding, rate)
    assert adapter(audio=audio).audio_format == audio
    sent = query(audio=audio)
    assert (sent["encoding"], sent["sample_rate"]) == (encoding, str(rate))


@pytest.mark.parametrize(
    "audio",
    [
        AudioFormat("webm", 48_000),
        AudioFormat("mp3", 44_100),
        AudioFormat("pcm_s16le", 48_000, 2),
        AudioFormat("ogg_opus", 48_000, 2),
    ],
)
def test_what_is_converted(audio: AudioFormat) -> None:
    """WebM, MP3 and several channels are not taken."""
    assert adapter(audio=audio).audio_format == PCM_16K_MONO


def test_ogg_declares_no_rate() -> None:
    """Opus in Ogg goes as it is; the container says its rate itself."""
    audio = AudioFormat("ogg_opus", 48_000)
    assert adapter(audio=audio, audio_ms=0).audio_format == audio
    assert "sample_rate" not in query(audio=audio)


def test_three_hours() -> None:
    """What the vendor allows a session, so that the relay moves on in time."""
    assert ENTRY.session_s == 3 * 3600


def test_key_stands_alone() -> None:
    """No scheme before the key, nor before a temporary token; a server without keys gets none."""
    version = ("AssemblyAI-Version", "2025-05-12")
    assert adapter().dial().headers == (("Authorization", KEY), version)
    assert adapter(key=None).dial().headers == (version,)


@pytest.mark.parametrize("key", ["", "a\r\nHost: other", "schlüssel", "a\x00b"])
def test_key_that_cannot_be_sent(key: str) -> None:
    """A key that would break the request head is refused, without being shown."""
    with pytest.raises(ClientFault) as caught:
        adapter(key=key).dial()
    assert caught.value.close_code == CloseCode.UNAUTHORIZED
    assert not key or key not in caught.value.message


# Refusals.


@pytest.mark.parametrize(
    ("model", "language", "names"),
    [
        (None, "tlh", ["universal-3-6-pro", "tlh", "use one of: af, ar"]),
        ("universal-3-6-pro", "pl", ["models that can: whisper-rt"]),
        (ENGLISH, "fr", ["models that can: universal-3-6-pro"]),
        (ENGLISH, "auto", ["cannot detect", "universal-streaming-multilingual"]),
        (MULTILINGUAL, "nl-BE", ["nl-BE"]),
        (None, "x" * 500, ["…"]),
    ],
)
def test_unsupported_language(model: str | None, language: str, names: list[str]) -> None:
    """A language the model does not speak is refused, naming what would work."""
    with pytest.raises(ClientFault) as caught:
        ENTRY.check(wishes(model=model, language=language))
    assert (caught.value.code, caught.value.parameter) == ("unsupported_language", "language")
    assert len(caught.value.message) < 300
    assert all(name in caught.value.message for name in names)


@pytest.mark.parametrize("model", ["u3-pro", " ", "Universal 3", "whisper-rt&token=x", "x" * 200])
def test_impossible_model(model: str) -> None:
    """The SDK's name that the service refuses, and names that no model has, are refused with the known ones."""
    with pytest.raises(ClientFault, match="u3-rt-pro") as caught:
        ENTRY.check(wishes(model=model))
    assert (caught.value.code, caught.value.parameter) == ("invalid_parameter", "model")


def test_refusal_before_the_upgrade() -> None:
    """What stands before the service may refuse too; its words are told where they can be read."""
    fault = adapter().refused(429, b'{"error":"slow down"}')
    assert (fault.message, fault.is_retryable) == (
        "AssemblyAI refused the connection (HTTP 429): slow down",
        True,
    )
    assert "html" not in adapter().refused(503, b"<html>").message


@pytest.mark.parametrize(
    "words",
    [
        "Unauthorized Connection: Invalid API key",
        "Missing Authorization header",
        "Signature has expired",
    ],
)
def test_bad_key_behind_the_101(words: str) -> None:
    """The client's own key is the client's to fix, ours is not; the close behind the `Error` says nothing new."""
    opened = adapter()
    [failed] = opened.received(error(1008, words))
    assert isinstance(failed.fault, ClientFault)
    assert failed.fault.close_code == CloseCode.UNAUTHORIZED
    assert words in failed.fault.message
    assert not opened.closed(1008, "See Error message for details")
    [failed] = adapter(own=False).received(error(1008, words))
    assert isinstance(failed.fault, UpstreamFault)
    assert not failed.fault.is_retryable
    [failed] = adapter().closed(1008, words)
    assert isinstance(failed.fault, ClientFault)


@pytest.mark.parametrize(
    ("code", "words", "is_retryable"),
    [
        (1008, "Insufficient funds", False),
        (1008, "Too many concurrent sessions", True),
        (1011, "", True),
        (1013, "Temporary server condition", True),
        (3005, "Session Cancelled: An error occurred", True),
        (3006, "Invalid speech_model; expected one of universal-3-6-pro, whisper-rt", False),
        (3006, "Session inactivity timeout", False),
        (3007, "Input Duration Violation: 20.0 ms. Expected between 50 and 1000 ms", False),
        (3008, "Session expired: maximum session duration exceeded", True),
        (3009, "Too many concurrent sessions", True),
        (4000, "Sample rate must be a positive integer", False),
        (None, "something", False),
    ],
)
def test_errors(code: int | None, words: str, is_retryable: bool) -> None:
    """Trouble at the vendor's may be tried again, a bad wish stops at once; both in the vendor's words."""
    message = json.dumps({"type": "Error", "error_code": code, "error": words})
    [failed] = adapter().received(message)
    assert isinstance(failed.fault, UpstreamFault)
    assert failed.fault.message == f"AssemblyAI reported an error: {words or 'no reason given'}"
    assert failed.fault.is_retryable == is_retryable


def test_pace_is_the_clients_to_keep() -> None:
    """Audio that comes too fast for the vendor is no fault of the vendor's."""
    [failed] = adapter().received(error(3007, "Audio Transmission Rate Exceeded"))
    assert isinstance(failed.fault, ClientFault)
    assert (failed.fault.code, failed.fault.close_code) == ("rate_limited", CloseCode.POLICY)


def test_error_hides_our_key() -> None:
    """A vendor that repeats the key does not get it to the client."""
    [failed] = adapter().received(error(3006, f"bad {KEY}"))
    assert failed.fault.message == "AssemblyAI reported an error: bad …"


@pytest.mark.parametrize(
    ("code", "is_retryable"),
    [
        (None, True),
        (1000, True),
        (1009, False),
        (1011, True),
        (1013, True),
        (3005, True),
        (3006, False),
        (3007, False),
        (3008, True),
        (3009, True),
    ],
)
def test_closes_without_an_error(code: int | None, is_retryable: bool) -> None:
    """The codes of closes mean what they mean in an `Error`."""
    [failed] = adapter().closed(code, "why")
    assert isinstance(failed.fault, UpstreamFault)
    assert failed.fault.is_retryable == is_retryable


def test_broken_message_names_the_place() -> None:
    """A known message of a wrong shape is the upstream's fault, unless the client reads messages itself."""
    broken = '{"turn_order":"one","end_of_turn":true,"transcript":"","type":"Turn"}'
    [failed] = adapter().received(broken)
    assert "`$.turn_order`" in failed.fault.message
    assert adapter(parse_json=False).received(broken) == ()


# Audio.


def messages(opened: Any, pieces: list[bytes]) -> list[int]:
    return [len(message) for piece in pieces for message in opened.audio(piece)]


def test_short_pieces_are_gathered() -> None:
    """20 ms pieces become messages of 60 ms: under 50 ms the session would be ended."""
    assert messages(adapter(audio_ms=0), [bytes(640)] * 7) == [1920, 1920]


@pytest.mark.parametrize("rate", SAMPLE_RATES_HZ)
def test_messages_hold_50_to_1000_ms(rate: int) -> None:
    """At every rate and whatever the client sends, and never more than 128 KiB."""
    for size_ms in (1, 7, 20, 49, 50, 99, 999, 1000, 1049, 1051, 5000):
        opened = adapter(audio=AudioFormat("pcm_s16le", rate), audio_ms=0)
        size = rate * 2 * size_ms // 1000
        lengths = messages(opened, [bytes(size)] * (6000 // size_ms))
        assert all(50 <= length / 2 / rate * 1000 <= 1000 for length in lengths)
        assert max(lengths) <= 128 * 1024


def test_messages_hold_whole_samples() -> None:
    """A client's odd bytes wait for their other half; what never gets one is dropped."""
    opened = adapter(audio_ms=0)
    assert messages(opened, [bytes(1601), bytes(1600), bytes(1600)]) == [1600, 1600, 1600]
    assert opened.finish() == (TERMINATE,)


def test_rest_is_padded_with_silence() -> None:
    """Less than 50 ms at the end goes with silence behind it, which is not on the session's timeline."""
    opened = adapter(audio_ms=0)
    assert opened.audio(b"\x01\x01" * 320) == []
    rest, end = opened.finalize()
    assert end == FORCE_ENDPOINT
    assert rest == b"\x01\x01" * 320 + bytes(2560)
    opened.audio(bytes(32_000))
    [told_final, _] = opened.received(final(0, "On.", 600, 1100))
    assert (told_final.start_ms, told_final.end_ms) == (520, 1020)


def test_mulaw_rest_is_padded_with_mulaw_silence() -> None:
    """Silence in mu-law is 0xFF."""
    opened = adapter(audio=AudioFormat("pcm_mulaw", 8000), audio_ms=0)
    opened.audio(b"\x00" * 100)
    rest, _ = opened.finish()
    assert rest == b"\x00" * 100 + b"\xff" * 640


def test_raw_clients_audio_is_not_shifted() -> None:
    """Who reads the vendor's own times gets no silence of ours: a rest waits, and goes as it is at the end."""
    opened = adapter(parse_json=False, audio_ms=0)
    opened.audio(b"\x01\x01" * 100)
    assert opened.finalize() == (FORCE_ENDPOINT,)
    assert opened.finish() == (b"\x01\x01" * 100, TERMINATE)


def test_ogg_is_gathered_by_bytes() -> None:
    """A container's duration is not known here: messages are of a size that speech has in 50–1000 ms."""
    opened = adapter(audio=AudioFormat("ogg_opus", 48_000), audio_ms=0)
    lengths = messages(opened, [b"OggS" * 10] * 20) + messages(opened, [b"OggS" * 1250])
    assert all(400 <= length <= 2000 for length in lengths)
    opened.audio(b"OggS")
    assert opened.finish() == (b"OggS", TERMINATE)


# Turns of Pro models.


def test_pro_turn() -> None:
    """The whole turn so far in each partial, unchanged text once, then final and turn end."""
    opened = adapter()
    assert opened.received(begin()) == (Ready(SESSION_ID),)
    events = told(
        opened,
        turn(0, "", 0, 0),
        turn(0, "Could", 6208, 6430),
        turn(0, "Could", 6210, 6430),
        turn(0, "Could you", 6208, 6608),
        final(0, "Could you?", 7104, 7304),
        final(0, "Could you?", 7104, 7304),
        turn(0, "Could you?", 7104, 7304),
    )
    assert events == [
        Partial("Could", 6208, 6430, (Word("Could", 6208, 6430),)),
        Partial("Could you", 6208, 6608, (Word("Could", 6208, 6408), Word("you", 6408, 6608))),
        Final("Could you?", 7104, 7304, (Word("Could", 7104, 7204), Word("you?", 7204, 7304))),
        TurnEnd(7304),
    ]


def test_first_pending_word_of_a_pro_turn() -> None:
    """While `transcript` is still empty, the pending word is told."""
    assert texts(told(adapter(), turn(0, "", 0, 0, words=spoken("Hm", 100, 200)))) == [("Partial", "Hm")]


def test_text_without_spaces() -> None:
    """Pro partials are the vendor's own text, not words joined."""
    message = turn(0, "你好", 0, 400, words=spoken("你 好", 0, 400))
    assert texts(told(adapter(language="zh"), message)) == [("Partial", "你好")]


def test_speakers_come_from_finals_only() -> None:
    """`PENDING` and `UNKNOWN` are nobody; a word without a speaker has its turn's."""
    words = [
        *spoken("Could", 0, 100, speaker="A"),
        *spoken("you", 100, 200, speaker="PENDING"),
        *spoken("hold", 200, 300, speaker="UNKNOWN"),
        *spoken("on?", 300, 400),
    ]
    opened = adapter(diarize=True)
    [partial] = told(opened, turn(0, "Could you hold on?", 0, 400, words=words, speaker_label="B"))
    [told_final, _] = told(opened, final(0, "Could you hold on?", 0, 400, words=words, speaker_label="B"))
    assert [word.speaker for word in partial.words] == [None] * 4
    assert [word.speaker for word in told_final.words] == ["A", None, None, "B"]


def test_empty_finals_say_nothing() -> None:
    """Behind `Terminate` an empty final of a further turn may come."""
    opened = adapter()
    assert told(opened, final(0, "", 0, 0), final(1, "", 0, 0)) == []
    assert texts(told(opened, final(2, "Yes.", 100, 200))) == [("Final", "Yes.")]


def test_the_same_word_again_is_told_again() -> None:
    """Only repeats within a turn are dropped: who says yes twice is heard twice."""
    for opened in (adapter(), adapter(model=ENGLISH, punctuate=False)):
        for i in range(2):
            said = told(opened, turn(i, "yes", i, i), final(i, "yes", i * 1000, i * 1000 + 500))
            assert [type(event) for event in said] == [Partial, Final, TurnEnd]


def test_turn_without_an_end_gives_way_to_the_next() -> None:
    """A Pro partial is not settled: when another turn begins, it is forgotten."""
    events = told(adapter(), turn(0, "hm", 0, 100), turn(1, "yes", 500, 600), final(1, "Yes.", 500, 600))
    assert texts(events) == [("Partial", "hm"), ("Partial", "yes"), ("Final", "Yes.")]


def test_mad_times_stay_inside_the_audio() -> None:
    """Positions behind what was sent, backwards or beyond any number, are brought inside."""
    words = [
        {"text": "a", "start": 10**300, "end": -5},
        {"text": "b", "start": 1e308, "end": 1e308},
        {"text": "c", "start": 3, "end": 2},
    ]
    opened = adapter(audio_ms=1000)
    [told_final, _] = told(opened, final(0, "a b c", 0, 0, words=words))
    assert [(word.start_ms, word.end_ms) for word in told_final.words] == [(1000, 1000)] * 3


# Turns of Universal-Streaming models.


def test_partials_are_read_from_words() -> None:
    """`transcript` holds settled words only; the pending ones belong to the partial too."""
    events = told(
        adapter(model=ENGLISH),
        streaming(0, "", "two", 560, 640),
        streaming(0, "two tickets", "pl", 560, 1160),
        turn(0, "two tickets please", 0, 0, words=[]),
    )
    assert texts(events) == [
        ("Partial", "two"),
        ("Partial", "two tickets pl"),
        ("Partial", "two tickets please"),
    ]
    assert events[1].words[2] == Word("pl", 960, 1160)
    assert (events[2].start_ms, events[2].end_ms, events[2].words) == (560, 1160, None)


def test_two_finals_become_one() -> None:
    """The unformatted final waits for its formatted copy, and no partial comes between."""
    opened = adapter(model=ENGLISH)
    assert told(opened, ended(0, "two tickets please"), ended(0, "two tickets please")) == []
    assert told(opened, streaming(0, "two tickets", "please", 0, 900)) == []
    events = told(opened, final(0, "Two tickets, please.", 560, 1460))
    assert texts(events) == [("Final", "Two tickets, please.")]
    assert events[-1] == TurnEnd(1460)


def test_formatted_copy_without_words_has_known_positions() -> None:
    """Words of the last partial tell where the turn was; they are not the words of a text that reads otherwise."""
    opened = adapter(model=ENGLISH)
    [told_final, _] = told(
        opened,
        streaming(0, "two", "tickets", 560, 960),
        ended(0, "two tickets"),
        ended(0, "Two tickets.", turn_is_formatted=True),
    )[1:]
    assert told_final == Final("Two tickets.", 560, 960, None)


def test_unformatted_final_without_words_has_those_of_its_partial() -> None:
    """Where they read the same, they are the same."""
    opened = adapter(model=ENGLISH, punctuate=False)
    events = told(opened, streaming(0, "two", "tickets", 560, 960), ended(0, "two tickets"))
    assert events[1].words == (Word("two", 560, 760), Word("tickets", 760, 960))


def test_final_of_a_turn_never_seen_before() -> None:
    """Without any words it lies in all that was sent since the last final."""
    opened = adapter(model=ENGLISH, punctuate=False, audio_ms=5000)
    told(opened, final(0, "One.", 500, 2000))
    [told_final, turn_end] = told(opened, ended(1, "two"))
    assert told_final == Final("two", 2000, 5000, None)
    assert turn_end == TurnEnd(5000)


@pytest.mark.parametrize(
    ("after", "told_then"),
    [
        ([streaming(1, "", "next", 2000, 2100)], [("Final", "one two"), ("Partial", "next")]),
        ([ended(1, "next")], [("Final", "one two")]),
        ([HEARTBEAT], []),
        ([HEARTBEAT, HEARTBEAT, HEARTBEAT], [("Final", "one two")]),
        ([error(3005, "")], [("Final", "one two")]),
        (['{"type":"Warning","warning_code":1,"warning":"x"}'], []),
    ],
)
def test_held_final_comes_out_without_its_copy(after: list[str], told_then: list[Any]) -> None:
    """With the next turn, with the second heartbeat, or with the end of the connection; then its copy is dropped."""
    opened = adapter(model=ENGLISH)
    opened.received(ended(0, "one two"))
    events = told(opened, *after)
    assert texts(events) == told_then
    assert not told_then or isinstance(events[1], TurnEnd)
    if told_then:
        assert texts(told(opened, final(0, "One, two.", 0, 900))) == []


def test_heartbeats_alone_say_nothing() -> None:
    """They bring out nothing that is not final."""
    opened = adapter(model=ENGLISH)
    opened.received(streaming(0, "one", "two", 0, 900))
    assert told(opened, HEARTBEAT, HEARTBEAT, HEARTBEAT) == []


@pytest.mark.parametrize("code", [None, 1000, 3005])
def test_held_final_is_not_lost(code: int | None) -> None:
    """A fallen connection tells what waited for its copy, with its turn's end."""
    opened = adapter(model=ENGLISH)
    opened.received(ended(0, "one two"))
    assert [type(event) for event in opened.closed(code, "")] == [Final, TurnEnd, Failed]


def test_settled_words_are_not_lost() -> None:
    """Finalised words of an open turn are told when the connection falls; pending ones are not, nor is a turn's end."""
    opened = adapter(model=ENGLISH)
    opened.received(streaming(0, "two tickets", "pl", 600, 1500))
    [told_final, failed] = opened.closed(None, "")
    assert told_final == Final("two tickets", 600, 1200, (Word("two", 600, 900), Word("tickets", 900, 1200)))
    assert isinstance(failed, Failed)
    opened = adapter()
    opened.received(turn(0, "not settled", 0, 500))
    assert [type(event) for event in opened.closed(None, "")] == [Failed]


def test_settled_words_stand_in_for_an_empty_final() -> None:
    """A turn that ends without text is what was settled of it."""
    opened = adapter(model=MULTILINGUAL)
    events = told(opened, streaming(0, "two tickets", "pl", 600, 1500), ended(0, ""))
    assert texts(events) == [("Partial", "two tickets pl"), ("Final", "two tickets")]
    assert isinstance(events[-1], TurnEnd)


@pytest.mark.parametrize(
    ("model", "punctuate"), [(ENGLISH, False), (MULTILINGUAL, True), ("universal-3-6-pro", True)]
)
def test_where_no_copy_comes_none_is_waited_for(model: str, punctuate: bool) -> None:
    """An unformatted final is the final, and a second one is dropped."""
    opened = adapter(model=model, punctuate=punctuate)
    assert texts(told(opened, ended(0, "yes"), ended(0, "Yes.", turn_is_formatted=True))) == [
        ("Final", "yes")
    ]


def test_what_is_no_speech_is_not_told() -> None:
    """`whisper-rt` names music and silence in brackets: neither that nor its bare word is text."""
    opened = adapter(model=WHISPER, punctuate=False)
    music = spoken("music", 0, 500, confidence=0.0)
    assert (
        told(
            opened,
            turn(0, "music", 0, 500, words=music),
            turn(0, "music", 0, 500, words=music, utterance="[Music]"),
            ended(0, "music"),
            ended(0, "music"),
            ended(1, "silence", utterance="[Silence]"),
            ended(1, "silence"),
        )
        == []
    )
    assert texts(told(opened, ended(2, "music", utterance="music"))) == [("Final", "music")]
    assert texts(told(adapter(), final(0, "[Music]", 0, 500))) == [("Final", "[Music]")]


# The end, and a quiet line.


def test_termination_is_the_end() -> None:
    """Last words, the vendor's own count of audio, then the end, without waiting for the close."""
    opened = adapter(model=ENGLISH)
    opened.received(ended(0, "bye"))
    assert opened.finish() == (TERMINATE,)
    events = opened.received(termination(61))
    assert texts(events) == [("Final", "bye")]
    assert events[1:] == [TurnEnd(60_000), Usage(61_000), Finished()]
    assert opened.closed(1000, "Session Ended") == ()


def test_termination_that_was_not_asked_for_only_counts() -> None:
    """The close behind it is a failure that may be tried again."""
    opened = adapter()
    assert opened.received(termination(61)) == [Usage(61_000)]
    assert opened.received('{"type":"Termination"}') == []
    [failed] = opened.closed(1000, "Session Ended")
    assert failed.fault.is_retryable


def test_close_without_termination_is_a_failure() -> None:
    """Nothing else says that all audio was transcribed: not even 1000 after `Terminate`."""
    opened = adapter()
    opened.received(final(0, "Bye.", 0, 500))
    opened.finish()
    assert [type(event) for event in opened.closed(1000, "Session Ended")] == [Failed]


@pytest.mark.parametrize(("endpointing_ms", "ticks"), [(0, 1), (500, 2), (1000, 2), (1001, 3)])
def test_quiet_line_ends_the_turn_once(endpointing_ms: int, ticks: int) -> None:
    """When audio has stopped for longer than a turn may be silent, the turn is ended, once until audio comes again."""
    opened = adapter(endpointing_ms=endpointing_ms)
    for _ in range(2):
        sent = [opened.tick(float(i)) for i in range(1, 10)]
        assert sent == [()] * ticks + [(FORCE_ENDPOINT,)] + [()] * (8 - ticks)
        opened.audio(bytes(3200))


def test_quiet_line_without_audio_needs_nothing() -> None:
    """No message keeps the line alive, and there is no turn to end."""
    opened = adapter(audio_ms=0)
    assert [opened.tick(float(i)) for i in range(1, 100)] == [()] * 99
    assert opened.finalize() == ()


def test_nothing_is_sent_after_finish() -> None:
    """No forced end and no further tick behind `Terminate`."""
    opened = adapter()
    opened.finish()
    assert opened.due_s() is None
    assert opened.tick(100.0) == ()
    assert opened.finalize() == ()


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ('{"type":"SpeechStarted","timestamp":6208,"confidence":0.93}', "SpeechStarted"),
        ('{"type":"SpeakerRevision","revisions":[]}', "SpeakerRevision"),
        ('{"type":"Warning","warning_code":4001,"warning":"text"}', "Warning"),
        ('{"type":"she said hello"}', "unknown_message"),
    ],
)
def test_notices_carry_names_only(message: str, name: str) -> None:
    """Messages without text for the client are noticed by their type."""
    assert adapter().received(message) == (Notice(name),)
