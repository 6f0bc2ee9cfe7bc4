"""ElevenLabs' own oddities: commits that come twice, closes that mean nothing, an end that must be asked for."""

import base64
import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from routeraudio.model.audio import PCM_16K_MONO, SAMPLE_RATES_HZ, AudioFormat
from routeraudio.model.errors import ClientFault, CloseCode, UpstreamFault
from routeraudio.model.events import Failed, Final, Finished, Notice, Partial, Ready, TurnEnd, Word
from routeraudio.model.options import Options
from routeraudio.providers.base import AdapterConfig, Credential
from routeraudio.providers.elevenlabs import ENTRY

from .conversations.elevenlabs import SESSION_ID, error, partial, plain, said, started, timed

KEY = "sk_0123456789abcdef0123456789abcdef0123456789abcdef"


def wishes(**changes: Any) -> Options:
    return msgspec.structs.replace(
        Options(provider="elevenlabs", audio=PCM_16K_MONO, partial_results=True), **changes
    )


def adapter(
    *,
    url: str = ENTRY.default_url,
    key: str | None = KEY,
    is_clients_own: bool = True,
    audio_ms: int = 60_000,
    **changes: Any,
) -> Any:
    """A ready connection that was sent a minute of audio. `Any`: tests call the adapter as the relay does."""
    credential = None if key is None else Credential(key, is_clients_own=is_clients_own)
    opened = ENTRY.adapter(AdapterConfig(options=wishes(**changes), url=url, credential=credential))
    opened.tick(0.0)
    opened.received(started())
    if audio_ms:
        opened.audio(bytes(opened.audio_format.bytes_per_second * audio_ms // 1000))
    return opened


def query(**changes: Any) -> dict[str, str]:
    dialled = ENTRY.adapter(AdapterConfig(options=wishes(**changes), url=ENTRY.default_url)).dial()
    pairs = parse_qsl(urlsplit(dialled.url).query, keep_blank_values=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def heard(opened: Any, *messages: str) -> list[Any]:
    return [event for message in messages for event in opened.received(message)]


def texts(events: Any) -> list[tuple[str, str]]:
    return [(type(event).__name__, event.text) for event in events if isinstance(event, Partial | Final)]


def kinds(events: Any) -> list[type]:
    return [type(event) for event in events]


def sound(messages: Any) -> bytes:
    """The audio in messages."""
    return b"".join(base64.b64decode(json.loads(message)["audio_base_64"]) for message in messages)


def commits(messages: Any) -> list[bool]:
    return [json.loads(message)["commit"] for message in messages]


# Dialling.


def test_address_is_the_configured_base_with_every_wish() -> None:
    """The whole address, in a fixed order of parameters, that of the vendor's SDK."""
    config = AdapterConfig(
        options=wishes(language="pt-BR", diarize=True, endpointing_ms=700), url="wss://host:9/prefix/"
    )
    assert ENTRY.adapter(config).dial().url == (
        "wss://host:9/prefix/v1/speech-to-text/realtime?model_id=scribe_v2_realtime&audio_format=pcm_16000"
        "&commit_strategy=vad&vad_silence_threshold_secs=0.7&language_code=pt&include_timestamps=true"
    )


@pytest.mark.parametrize(
    ("endpointing_ms", "sent"), [(0, "0.3"), (300, "0.3"), (1234, "1.234"), (3000, "3"), (10_000, "3")]
)
def test_endpointing_within_the_vendors_bounds(endpointing_ms: int, sent: str) -> None:
    """Endpointing is the voice detection's silence, from 0.3 to 3 s."""
    assert query(endpointing_ms=endpointing_ms)["vad_silence_threshold_secs"] == sent


@pytest.mark.parametrize(
    ("language", "sent"),
    [("en", "en"), ("EN-us", "en"), ("zh-Hant-TW", "zh"), ("auto", None), ("multi", None)],
)
def test_language_has_no_region(language: str, sent: str | None) -> None:
    """A region would be refused; detection is the absence of a language."""
    assert query(language=language).get("language_code") == sent


@pytest.mark.parametrize("rate", SAMPLE_RATES_HZ)
def test_pcm_passes_untouched_at_every_rate(rate: int) -> None:
    """All six rates are native, and the rate is said in every message too."""
    audio = AudioFormat("pcm_s16le", rate)
    opened = adapter(audio=audio)
    assert opened.audio_format == audio
    assert query(audio=audio)["audio_format"] == f"pcm_{rate}"
    assert json.loads(opened.audio(b"\x01\x00")[0])["sample_rate"] == rate


@pytest.mark.parametrize(
    ("audio", "target", "sent"),
    [
        (AudioFormat("pcm_mulaw", 8000), AudioFormat("pcm_mulaw", 8000), "ulaw_8000"),
        (AudioFormat("pcm_mulaw", 16_000), PCM_16K_MONO, "pcm_16000"),
        (AudioFormat("pcm_s16le", 48_000, 2), PCM_16K_MONO, "pcm_16000"),
        (AudioFormat("pcm_mulaw", 8000, 2), PCM_16K_MONO, "pcm_16000"),
        (AudioFormat("ogg_opus", 48_000), PCM_16K_MONO, "pcm_16000"),
        (AudioFormat("webm", 48_000), PCM_16K_MONO, "pcm_16000"),
        (AudioFormat("mp3", 44_100), PCM_16K_MONO, "pcm_16000"),
    ],
)
def test_what_is_not_native_becomes_pcm(audio: AudioFormat, target: AudioFormat, sent: str) -> None:
    """Mu-law is native at 8 kHz only, and nothing with several channels or in a container is."""
    assert adapter(audio=audio, audio_ms=0).audio_format == target
    assert query(audio=audio)["audio_format"] == sent


def test_key_goes_into_the_header() -> None:
    """A key is a header of the vendor's own."""
    dialled = adapter().dial()
    assert dialled.headers == (("xi-api-key", KEY),)
    assert KEY not in dialled.url
    assert adapter(key=None).dial().headers == ()


def test_single_use_token_goes_into_the_query_and_never_with_a_header() -> None:
    """The vendor tries a token first; the representation hides it."""
    dialled = adapter(key="sutkn_secret").dial()
    assert dialled.headers == ()
    assert dialled.url.endswith("&token=sutkn_secret")
    assert "sutkn" not in repr(dialled)


@pytest.mark.parametrize("key", ["", "a\r\nHost: other", "schlüssel", "a\x00b"])
def test_key_that_cannot_be_sent(key: str) -> None:
    """A key that would break the request head is refused, without being shown."""
    with pytest.raises(ClientFault) as caught:
        adapter(key=key).dial()
    assert caught.value.close_code == CloseCode.UNAUTHORIZED
    assert not key or key not in caught.value.message


# Refusals.


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            b'{"detail":{"status":"invalid_api_key","message":"Invalid API key"}}',
            "invalid_api_key: Invalid API key",
        ),
        (b'{"detail":"Not Found"}', "Not Found"),
        (b'{"detail":[1]}', ""),
        (b"<html>", ""),
    ],
)
def test_refusal_carries_the_vendors_words(body: bytes, words: str) -> None:
    """What an HTTP body says is told; a stored key's refusal is the upstream's fault."""
    fault = adapter(is_clients_own=False).refused(401, body)
    assert isinstance(fault, UpstreamFault)
    assert not fault.is_retryable
    assert fault.message.endswith(f": {words}" if words else "(HTTP 401)")
    assert adapter().refused(401, body).close_code == CloseCode.UNAUTHORIZED


@pytest.mark.parametrize("model", ["scribe_v1", "scribe_v2", "scribe_v1_experimental", "whisper", "", "a b"])
def test_impossible_model(model: str) -> None:
    """Batch models and names that no model has are refused with the known ones."""
    with pytest.raises(ClientFault, match="scribe_v2_realtime") as caught:
        ENTRY.check(wishes(model=model or " "))
    assert (caught.value.code, caught.value.parameter) == ("invalid_parameter", "model")


@pytest.mark.parametrize("model", [None, "scribe_v2_realtime", "scribe_v3_live", "scribe_v9_realtime"])
def test_possible_model(model: str | None) -> None:
    """Known models pass, and so do realtime ones that are newer than the data file."""
    ENTRY.check(wishes(model=model, language="pt-BR"))
    ENTRY.check(wishes(model=model, language="multi"))


@pytest.mark.parametrize(
    ("language", "named"),
    [("tlh", "use one of: af, am, ar"), ("eo-XX", "other providers that do: with language=eo speechmatics")],
)
def test_unsupported_language(language: str, named: str) -> None:
    """A language that the model does not speak is refused, naming who does, else some that it does."""
    with pytest.raises(ClientFault, match=named) as caught:
        ENTRY.check(wishes(language=language))
    assert (caught.value.code, caught.value.parameter) == ("unsupported_language", "language")


# Audio.


def test_audio_is_base64_in_json() -> None:
    """One chunk, one message, with every field that is required, in the vendor's spelling."""
    [message] = adapter().audio(b"\x01\x02\x03\x04")
    assert json.loads(message) == {
        "message_type": "input_audio_chunk",
        "audio_base_64": "AQIDBA==",
        "commit": False,
        "sample_rate": 16000,
    }


def test_no_message_holds_more_than_a_second() -> None:
    """Long audio is cut; nothing is held back, changed or reordered."""
    audio = bytes(range(250)) * 400
    messages = adapter().audio(audio)
    assert sound(messages) == audio
    assert [len(sound([message])) for message in messages] == [32_000] * 3 + [4000]
    assert sound(adapter().audio(b"\x01\x00")) == b"\x01\x00"


# Partials and commits.


def test_ready_is_told_once() -> None:
    """The vendor's session id comes with readiness; the free-form configuration in it is not read."""
    opened = ENTRY.adapter(AdapterConfig(options=wishes(), url=ENTRY.default_url))
    assert heard(opened, started(), started()) == [Ready(SESSION_ID)]


def test_every_commit_comes_twice_and_is_told_once() -> None:
    """Partials replace each other, the timed twin is the final, with its words alone, and a turn ends."""
    opened = adapter(audio_ms=2000)
    events = heard(
        opened,
        partial("Two"),
        partial("Two tickets"),
        partial(" Two tickets"),
        plain(" Two tickets."),
        timed(" Two tickets.", 0.4, 1.4),
        partial("So"),
    )
    assert events == [
        Partial("Two", 0, 2000),
        Partial("Two tickets", 0, 2000),
        Final("Two tickets.", 400, 1400, (Word("Two", 400, 900), Word("tickets.", 900, 1400))),
        TurnEnd(1400),
        Partial("So", 1400, 2000),
    ]


def test_final_transcript_replaces_like_a_partial() -> None:
    """Text that is settled and not committed is shown as the open segment."""
    opened = adapter()
    events = heard(opened, said("final_transcript", "Two"), said("final_transcript_with_timestamps", "Two t"))
    assert texts(events) == [("Partial", "Two"), ("Partial", "Two t")]


def test_settled_text_survives_the_connection() -> None:
    """What the vendor called final, and a commit whose twin did not come, are told before the failure."""
    opened = adapter()
    heard(opened, plain("One."), said("final_transcript", "Two"))
    events = opened.closed(None, "")
    assert kinds(events) == [Final, TurnEnd, Final, Failed]
    assert texts(events) == [("Final", "One."), ("Final", "Two")]
    opened = adapter()
    heard(opened, partial("maybe"))
    assert kinds(opened.closed(None, "")) == [Failed]


def test_equal_commits_are_told_each() -> None:
    """Who says no twice is heard twice."""
    events = heard(
        adapter(), plain("No."), timed("No.", 1, 1.3), plain("No."), timed("No.", 2, 2.3), plain("No.")
    )
    assert [event.end_ms for event in events if isinstance(event, Final)] == [1300, 2300]


def test_timed_twin_that_comes_first() -> None:
    """It is told at once, and its plain twin is not a commit of its own; the next plain one is."""
    opened = adapter()
    events = heard(opened, timed("One.", 0, 1), plain("One."), plain("One."), timed("One.", 2, 3))
    assert [event.end_ms for event in events if isinstance(event, Final)] == [1000, 3000]


def test_repeated_twin_is_dropped() -> None:
    """Times never repeat, so the same message again says nothing."""
    opened = adapter()
    events = heard(opened, plain("One."), timed("One.", 0, 1), timed("One.", 0, 1))
    assert texts(events) == [("Final", "One.")]


def test_next_segment_waits_for_the_final_before_it() -> None:
    """A partial between a commit and its twin is told after the final."""
    events = heard(adapter(), plain("One."), partial("Two"), partial("Two b"), timed("One.", 0, 1))
    assert texts(events) == [("Final", "One."), ("Partial", "Two b")]


def test_commit_without_twin_is_told_with_the_next_commit() -> None:
    """Its words and times are lost, not its text; its twin, when it comes late, says nothing new."""
    opened = adapter()
    events = heard(opened, plain("One."), plain("Two."), timed("One.", 0, 1), timed("Two.", 2, 3))
    assert texts(events) == [("Final", "One."), ("Final", "Two.")]
    assert events[0] == Final("One.", 0, 60_000, None)


def test_commit_without_twin_is_told_after_a_second_of_audio() -> None:
    """A partial that comes so late belongs to a later segment; the twin is not waited for any more."""
    opened = adapter(audio_ms=2000)
    assert heard(opened, plain("One."), partial("Two")) == []
    opened.audio(bytes(32_000))
    assert texts(heard(opened, partial("Two b"))) == [("Final", "One."), ("Partial", "Two b")]
    assert heard(opened, timed("One.", 0, 1)) == []


def test_empty_commits_say_nothing() -> None:
    """Silence is committed too, by the vendor, every half minute; a commit that waits is not its twin."""
    opened = adapter()
    assert heard(opened, plain(""), timed("")) == []
    assert heard(opened, timed(" "), plain("")) == []
    assert texts(heard(opened, plain("One."), timed(""), plain(""))) == [("Final", "One.")]


def test_words_are_words_only() -> None:
    """Spaces and sounds are left out; speakers are the vendor's own strings; words may have no times."""
    words = [
        {"text": "(laughs)", "start": 0.1, "end": 0.2, "type": "audio_event", "logprob": -1},
        {"text": "Hi", "start": 0.5, "end": 0.8, "type": "word", "logprob": -1, "speaker_id": "speaker_1"},
        {"text": " ", "start": 0.8, "end": 0.9, "type": "spacing", "logprob": -1},
        {"text": "there", "type": "word", "logprob": -1},
    ]
    [final, _] = heard(adapter(), timed("(laughs) Hi there", words=words))
    assert final.words == (Word("Hi", 500, 800, "speaker_1"), Word("there", 800, 800))
    assert (final.start_ms, final.end_ms) == (500, 800)


def test_words_may_be_null() -> None:
    """The text alone is told, with the time of the audio sent."""
    opened = adapter(audio_ms=2000)
    heard(opened, timed("One.", 0.2, 0.5))
    assert heard(opened, timed("Two.", words=None))[0] == Final("Two.", 500, 2000, None)


def test_times_never_run_backwards() -> None:
    """Drifting times stay inside the audio and behind what is settled."""
    opened = adapter(audio_ms=2000)
    [first, _, second, _] = heard(opened, timed("One.", 0.5, 2.4), timed("Two.", 1.9, 2.6))
    assert (first.start_ms, first.end_ms) == (500, 2000)
    assert (second.start_ms, second.end_ms) == (2000, 2000)


def test_side_messages_are_notices() -> None:
    """What is neither text nor error is told by its name alone."""
    events = heard(
        adapter(),
        '{"message_type":"warning","warning":"something"}',
        '{"message_type":"diarized_transcript","segment_index":0,"text":"secret","words":[]}',
        '{"message_type":"committed_transcript_entities","text":"secret","entities":[]}',
        '{"message_type":"she said hello"}',
        '{"message_type":7}',
        "[]",
    )
    names = ["warning", "diarized_transcript", "committed_transcript_entities"]
    assert events == [Notice(name) for name in [*names, *["unknown_message"] * 3]]


# Errors and closes.


@pytest.mark.parametrize(
    ("code", "is_retryable"),
    [
        ("error", False),
        ("quota_exceeded", False),
        ("unaccepted_terms", False),
        ("invalid_request", False),
        ("input_error", False),
        ("chunk_size_exceeded", False),
        ("something_new", False),
        ("rate_limited", True),
        ("queue_overflow", True),
        ("resource_exhausted", True),
        ("transcriber_error", True),
        ("session_time_limit_exceeded", True),
    ],
)
def test_errors(code: str, is_retryable: bool) -> None:
    """An error ends the connection with the vendor's words, without our key, and with settled text before it."""
    opened = adapter()
    heard(opened, plain("One."))
    [final, _, failed] = heard(opened, error(code, f"no {KEY}"))
    assert final.text == "One."
    assert failed.fault.message == f"ElevenLabs reported an error: {code}: no …"
    assert failed.fault.is_retryable == is_retryable
    assert opened.closed(1000, code) == ()


def test_refused_key_is_the_clients_to_fix() -> None:
    """A key that the client brought is refused with 3000; our own is the upstream's fault."""
    [failed] = heard(adapter(), error("auth_error", "Invalid API key"))
    assert failed.fault.close_code == CloseCode.UNAUTHORIZED
    assert "auth_error: Invalid API key" in failed.fault.message
    [failed] = heard(adapter(is_clients_own=False), error("auth_error", "Invalid API key"))
    assert isinstance(failed.fault, UpstreamFault)
    assert not failed.fault.is_retryable


def test_error_in_other_fields() -> None:
    """Some have `message` for `error`; a known code needs neither."""
    [failed] = heard(adapter(), '{"message_type":"input_error","message":"bad base64"}')
    assert failed.fault.message == "ElevenLabs reported an error: input_error: bad base64"
    [failed] = heard(adapter(), '{"message_type":"quota_exceeded","error":{"a":1}}')
    assert failed.fault.message == "ElevenLabs reported an error: quota_exceeded"


@pytest.mark.parametrize("code", ["commit_throttled", "insufficient_audio_activity"])
def test_commit_of_nothing_is_no_failure_until_the_close(code: str) -> None:
    """Before the end it is noticed; the close behind it, with 1000, is told with it."""
    opened = adapter()
    assert heard(opened, error(code)) == [Notice(code)]
    [failed] = opened.closed(1000, "")
    assert code in failed.fault.message
    assert failed.fault.is_retryable


@pytest.mark.parametrize(
    ("code", "is_retryable"), [(None, True), (1000, True), (1005, True), (1008, False), (1011, True)]
)
def test_a_close_before_the_end_is_a_failure(code: int | None, is_retryable: bool) -> None:
    """1000 is what the vendor closes an idle line with, and many others; it is no success."""
    [failed] = adapter().closed(code, "")
    assert failed.fault.is_retryable == is_retryable


def test_broken_message_names_the_place() -> None:
    """A known message of a wrong shape is the upstream's fault, unless the client reads the messages itself."""
    broken = '{"message_type":"partial_transcript","text":7}'
    [failed] = heard(adapter(), broken)
    assert "broken partial_transcript" in failed.fault.message
    assert "`$.text`" in failed.fault.message
    assert adapter(parse_json=False).received(broken) == ()


# The end.


@pytest.mark.parametrize("endpointing_ms", [0, 500, 10_000])
def test_finish_is_silence_and_a_commit(endpointing_ms: int) -> None:
    """The silence outlasts the voice detection by more than the 0.3 s that a commit needs, however it was late."""
    messages = adapter(endpointing_ms=endpointing_ms).finish()
    threshold_ms = min(max(endpointing_ms, 300), 3000)
    silence = sound(messages)
    assert not any(silence)
    assert threshold_ms + 1000 <= len(silence) / 32 < threshold_ms + 1100
    assert commits(messages) == [False] * (len(messages) - 1) + [True]
    assert json.loads(messages[-1])["audio_base_64"] == ""


def test_mulaw_silence() -> None:
    """Silence in mu-law is 0xFF: zeros would be the loudest sample."""
    assert set(sound(adapter(audio=AudioFormat("pcm_mulaw", 8000)).finish())) == {0xFF}


def test_the_last_words_end_the_session() -> None:
    """Words at the end of the audio were committed in our silence: nothing can come behind them."""
    opened = adapter(audio_ms=2000)
    opened.finish()
    assert kinds(heard(opened, plain("Bye."), timed("Bye.", 1.2, 1.9))) == [Final, TurnEnd, Finished]
    assert opened.closed(1000, "") == ()


def test_earlier_words_do_not_end_the_session() -> None:
    """A commit that was under way says nothing of the rest; the empty answer to our own does."""
    opened = adapter(audio_ms=6000)
    opened.finish()
    assert kinds(heard(opened, plain("One."), timed("One.", 0.5, 1.0))) == [Final, TurnEnd]
    assert kinds(heard(opened, partial("Two"), plain("Two."), timed("Two.", 2.0, 3.0))) == [
        Partial,
        Final,
        TurnEnd,
    ]
    assert heard(opened, plain("")) == [Finished()]


def test_drifted_words_do_not_end_the_session() -> None:
    """After several commits times may be late by more than a silence: only the empty answer ends."""
    opened = adapter(audio_ms=20_000)
    for i in range(5):
        heard(opened, timed("One.", i, i + 0.5))
    opened.finish()
    assert kinds(heard(opened, timed("Two.", 19.0, 19.9))) == [Final, TurnEnd]
    assert heard(opened, timed("")) == [Finished()]


def test_a_late_empty_twin_does_not_end_the_session() -> None:
    """An empty commit from before the end is not the answer to our own."""
    opened = adapter()
    heard(opened, plain(""))
    opened.finish()
    assert heard(opened, timed("")) == []
    assert heard(opened, plain("")) == [Finished()]


@pytest.mark.parametrize("code", ["commit_throttled", "insufficient_audio_activity"])
def test_nothing_to_commit_is_the_end(code: str) -> None:
    """The vendor's refusal of the last commit means that nothing was left."""
    opened = adapter()
    opened.finish()
    assert heard(opened, error(code)) == [Finished()]
    opened = adapter()
    opened.finish()
    assert opened.closed(1000, code) == [Finished()]


def test_nothing_to_commit_does_not_hide_what_is_on_its_way() -> None:
    """An open segment is waited for until the connection closes, which is then a failure."""
    opened = adapter()
    heard(opened, partial("Two"))
    opened.finish()
    assert heard(opened, error("commit_throttled")) == [Notice("commit_throttled")]
    assert kinds(opened.closed(1000, "commit_throttled")) == [Failed]
    opened = adapter()
    opened.finish()
    heard(opened, plain("Two."), error("commit_throttled"))
    assert kinds(opened.closed(1000, "commit_throttled")) == [Final, TurnEnd, Finished]


def test_a_close_with_1000_after_the_end_is_no_success_by_itself() -> None:
    """Unless the vendor said that all was committed, something may be lost."""
    opened = adapter()
    opened.finish()
    assert kinds(opened.closed(1000, "")) == [Failed]
    opened = adapter()
    heard(opened, error("insufficient_audio_activity"))
    opened.finish()
    assert kinds(opened.closed(1000, "")) == [Failed]


# A quiet line.


def test_quiet_line_brings_out_the_last_words_and_is_kept_open() -> None:
    """When audio stops: silence longer than the voice detection's, once, then a little every 3 s."""
    opened = adapter()
    assert opened.tick(3.0) == ()
    assert 1000 <= len(sound(opened.tick(6.0))) / 32 < 1100
    assert [sound(opened.tick(now_s)) for now_s in (9.0, 12.0)] == [bytes(2560)] * 2
    assert opened.due_s() == 15.0
    opened.audio(b"\x01\x01")
    assert opened.tick(15.0) == ()
    assert len(sound(opened.tick(18.0))) > 2560


def test_line_without_first_audio_is_kept_open_once_it_is_ready() -> None:
    """Before `session_started` nothing is sent, behind it a little silence."""
    opened = ENTRY.adapter(AdapterConfig(options=wishes(), url=ENTRY.default_url))
    assert [opened.tick(now_s) for now_s in (0.0, 3.0, 6.0)] == [()] * 3
    opened.received(started())
    assert [len(sound(opened.tick(now_s))) for now_s in (9.0, 12.0)] == [0, 2560]


def test_who_reads_the_vendors_times_gets_no_silence() -> None:
    """Empty audio keeps the line open, and a commit brings out the last words if there is enough to commit."""
    opened = adapter(parse_json=False)
    heard(opened, partial("Two"))
    opened.tick(3.0)
    messages = [opened.tick(6.0), opened.tick(9.0)]
    assert [sound(each) for each in messages] == [b"", b""]
    assert [commits(each) for each in messages] == [[True, False], [False]]


def test_silence_of_ours_is_not_on_the_sessions_timeline() -> None:
    """Positions behind inserted silence are those of the client's audio; inside it, the place where it began."""
    opened = adapter(audio_ms=2000)
    opened.tick(3.0)
    length_s = len(sound(opened.tick(6.0))) / 32_000
    [final, _] = heard(opened, timed("Held.", 1.0, 2.0 + length_s / 2))
    assert (final.start_ms, final.end_ms) == (1000, 2000)
    opened.audio(bytes(64_000))
    [final, turn_end] = heard(opened, timed("On.", 2.5 + length_s, 3.5 + length_s))
    assert (final.start_ms, final.end_ms, turn_end.end_ms) == (2500, 3500, 3500)


def test_finalize_is_silence_once_per_segment() -> None:
    """A commit would race with the voice detection's own; silence only makes that come at once."""
    opened = adapter()
    first = opened.finalize()
    assert 1000 <= len(sound(first)) / 32 < 1100
    assert not any(commits(first))
    assert opened.finalize() == ()
    heard(opened, partial("Yes"))
    assert opened.finalize()
    assert opened.finalize() == ()
    heard(opened, timed("Yes.", 1, 2))
    assert opened.finalize()


def test_finalize_without_silence_needs_enough_audio() -> None:
    """Where no silence may be put in, nothing is committed that the vendor would throttle."""
    opened = adapter(parse_json=False)
    assert opened.finalize() == ()
    heard(opened, timed("One.", 1, 2), partial("Two"))
    opened.audio(bytes(9598))
    assert opened.finalize() == ()
    opened.audio(bytes(2))
    assert commits(opened.finalize()) == [True]


def test_nothing_is_sent_after_finish() -> None:
    """No keepalive, no finalize and no further tick behind the last commit."""
    opened = adapter()
    opened.finish()
    assert opened.due_s() is None
    assert opened.tick(100.0) == ()
    assert opened.finalize() == ()
    assert opened.finish() == ()
