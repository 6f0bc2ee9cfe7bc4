"""Vachana's own oddities."""

import json
from importlib import resources
from typing import Any

import msgspec
import pytest

from routeraudio.model.audio import PCM_16K_MONO, SAMPLE_RATES_HZ, AudioFormat
from routeraudio.model.errors import ClientFault, CloseCode, UpstreamFault
from routeraudio.model.events import Failed, Final, Finished, Notice, Partial, Ready, TurnEnd
from routeraudio.model.options import Options
from routeraudio.providers.base import AdapterConfig, Credential
from routeraudio.providers.vachana import ENTRY, check
from routeraudio.providers.vachana.adapter import FRAME_BYTES
from routeraudio.providers.vachana.request import CAPABILITIES

from .conversations.vachana import PROCESSING, REQUEST_ID, TICKETS, connected, error, signal, transcript

KEY = "0123456789abcdef0123456789abcdef01234567"


def wishes(**changes: Any) -> Options:
    return msgspec.structs.replace(
        Options(provider="vachana", audio=PCM_16K_MONO, partial_results=True), **changes
    )


def adapter(
    *,
    url: str = ENTRY.default_url,
    key: str | None = KEY,
    is_own: bool = True,
    audio_ms: int = 5000,
    is_ready: bool = True,
    **changes: Any,
) -> Any:
    """A ready connection that was sent five seconds of audio. `Any`: tests call the adapter as the relay does."""
    credential = None if key is None else Credential(key, is_clients_own=is_own)
    opened = ENTRY.adapter(AdapterConfig(options=wishes(**changes), url=url, credential=credential))
    opened.tick(0.0)
    if is_ready:
        opened.received(connected())
    if audio_ms:
        opened.audio(bytes(opened.audio_format.bytes_per_second * audio_ms // 1000))
    return opened


def hears(vachana: Any, *messages: str) -> list[Any]:
    return [event for message in messages for event in vachana.received(message)]


def fault(events: Any) -> Any:
    assert isinstance(events[-1], Failed)
    return events[-1].fault


def quiet_ms(vachana: Any, frames: Any) -> int:
    """Length of frames that hold nothing but silence."""
    assert all(len(frame) == FRAME_BYTES for frame in frames)
    assert not any(map(any, frames))
    return int(vachana.audio_format.duration_ms(len(frames) * FRAME_BYTES))


# Opening.


def test_dial() -> None:
    """The path below the configured base, without a query; all wishes in headers, in the vendor's spelling."""
    dial = adapter(url="wss://proxy.example/prefix/", language="hi").dial()
    assert dial.url == "wss://proxy.example/prefix/stt/v3/stream"
    assert dial.headers == (("x-api-key-id", KEY), ("lang_code", "hi-IN"), ("x-sample-rate", "16000"))
    assert dict(adapter(key=None).dial().headers) == {"lang_code": "en-IN", "x-sample-rate": "16000"}


def test_nothing_is_said_first() -> None:
    """The upgrade has said it all; a stream takes nothing but audio."""
    assert adapter().opened() == ()


@pytest.mark.parametrize("key", ["", "a\r\nHost: other", "schlüssel", "a\x00b"])
def test_key_that_cannot_be_sent(key: str) -> None:
    """A key that would break the request head is refused, without being shown."""
    with pytest.raises(ClientFault) as caught:
        adapter(key=key).dial()
    assert caught.value.close_code == CloseCode.UNAUTHORIZED
    assert not key or key not in caught.value.message


@pytest.mark.parametrize(
    ("language", "sent"), [("en", "en-IN"), ("EN-in", "en-IN"), ("ta", "ta-IN"), ("pa-IN", "pa-IN")]
)
def test_language(language: str, sent: str) -> None:
    """A language without region is India's."""
    check(wishes(language=language))
    assert dict(adapter(language=language).dial().headers)["lang_code"] == sent


@pytest.mark.parametrize("rate", SAMPLE_RATES_HZ)
def test_pcm_is_native_at_the_vendors_rates(rate: int) -> None:
    """Mono PCM goes as it is at four rates; `x-sample-rate` always says what is sent."""
    vachana = adapter(audio=AudioFormat("pcm_s16le", rate))
    sent_rate = rate if rate in (8000, 16000, 44100, 48000) else 16000
    assert vachana.audio_format == AudioFormat("pcm_s16le", sent_rate)
    assert dict(vachana.dial().headers)["x-sample-rate"] == str(sent_rate)


@pytest.mark.parametrize(
    "audio",
    [
        AudioFormat("pcm_mulaw", 8000),
        AudioFormat("pcm_s16le", 48000, 2),
        AudioFormat("ogg_opus", 48000),
        AudioFormat("webm", 48000),
        AudioFormat("mp3", 44100),
    ],
    ids=str,
)
def test_other_formats(audio: AudioFormat) -> None:
    """The rest becomes 16 kHz mono PCM."""
    assert adapter(audio=audio).audio_format == PCM_16K_MONO


def test_no_limit() -> None:
    """A session has no limit that anybody knows of."""
    assert ENTRY.session_s is None


def test_connected_is_readiness() -> None:
    """`connected` makes the connection ready, once, with the id that older servers tell."""
    vachana = adapter(is_ready=False)
    assert not vachana.is_ready_when_opened
    assert vachana.received(connected()) == (Ready(REQUEST_ID),)
    assert vachana.received(connected()) == ()
    plain = json.loads(connected())
    del plain["request_id"]
    assert adapter(is_ready=False).received(json.dumps(plain)) == (Ready(None),)


@pytest.mark.parametrize(
    ("model", "language", "parameter", "names"),
    [
        ("nova-3", "en", "model", ["nova-3", "use one of: vachana-stt-v3"]),
        ("x" * 500, "en", "model", ["…"]),
        (None, "de", "language", ["'de'", "other providers that do: assemblyai, deepgram"]),
        (None, "en-US", "language", ["'en-US'", "nearest: en-IN"]),
        (None, "auto", "language", ["cannot detect", "hi-IN"]),
        (None, "multi", "language", ["cannot detect"]),
        (None, "en-hi-in-cm", "language", ["en-IN"]),
        (None, "hi-IN,en-IN", "language", ["hi-IN"]),
    ],
)
def test_impossible_wishes(model: str | None, language: str, parameter: str, names: list[str]) -> None:
    """Another model, a language it does not speak and detection, which was withdrawn, are refused with alternatives."""
    with pytest.raises(ClientFault) as caught:
        check(wishes(model=model, language=language))
    assert caught.value.parameter == parameter
    assert len(caught.value.message) < 300
    assert all(name in caught.value.message for name in names)


def test_wishes_without_counterpart_are_left_out() -> None:
    """Speakers, bare text and another silence cannot be had; that is no reason to refuse."""
    changes = {"diarize": True, "punctuate": False, "endpointing_ms": 9000, "model": "vachana-stt-v3"}
    check(wishes(**changes))
    assert adapter(**changes).dial() == adapter().dial()


def test_the_data_file_says_what_the_adapter_does() -> None:
    """Encodings and sample rates are those of the code."""
    data = resources.files("routeraudio.providers").joinpath("vachana", "models.json").read_bytes()
    [model] = json.loads(data)["models"]
    assert tuple(model["native_encodings"]) == CAPABILITIES.encodings
    assert tuple(model["sample_rates"]) == CAPABILITIES.sample_rates


# Audio.


@pytest.mark.parametrize("size", [1, 7, 640, 1024, 1600, 100_003])
def test_frames_are_1024_bytes(size: int) -> None:
    """However audio comes, it goes in the vendor's frames, in order; the silence of the end brings out the rest."""
    vachana = adapter(audio_ms=0)
    data = bytes(i % 251 for i in range(100_003))
    frames = [
        frame for start in range(0, len(data), size) for frame in vachana.audio(data[start : start + size])
    ]
    assert sum(map(len, frames)) == len(data) // FRAME_BYTES * FRAME_BYTES
    frames += vachana.finish()
    assert {len(frame) for frame in frames} == {FRAME_BYTES}
    sent = b"".join(frames)
    assert sent.startswith(data[:-1])  # half a sample is no audio
    assert not any(sent[len(data) - 1 :])


def test_silence_does_not_split_a_sample() -> None:
    """Half a sample waits behind the silence for its other half."""
    vachana = adapter(audio_ms=0)
    sent = b"".join(
        [*vachana.audio(b"\x01\x02\x03"), *vachana.finalize(), *vachana.audio(b"\x04" + bytes(2000))]
    )
    at = sent.index(b"\x03\x04")
    assert at % 2 == 0
    assert not any(sent[2:at])


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_the_end_is_silence(rate: int) -> None:
    """There is no end to be said: 1.5 s of silence close what is open, once, at every rate."""
    vachana = adapter(audio=AudioFormat("pcm_s16le", rate))
    assert 1450 <= quiet_ms(vachana, vachana.finish()) <= 1600
    assert not vachana.finish()
    with pytest.raises(AssertionError):
        vachana.audio(b"\x01\x01")


def test_finals_are_asked_for_with_silence() -> None:
    """Once per stretch of audio; the end then has nothing to add."""
    vachana = adapter()
    assert 1450 <= quiet_ms(vachana, vachana.finalize()) <= 1600
    assert not vachana.finalize()
    vachana.audio(bytes(FRAME_BYTES))
    assert vachana.finalize()
    assert not vachana.finish()
    assert not vachana.finalize()


def test_nothing_is_put_in_before_any_audio() -> None:
    """Neither ticks, nor the wish for finals, nor the end."""
    vachana = adapter(audio_ms=0)
    assert not any(vachana.tick(now_s / 2) for now_s in range(1, 20))
    assert not vachana.finalize()
    assert not vachana.finish()


@pytest.mark.parametrize("parse_json", [True, False])
def test_a_muted_microphone(parse_json: bool) -> None:
    """After a second without audio silence takes its place, in its pace and for as long as an utterance needs."""
    vachana = adapter(parse_json=parse_json)
    frames = [vachana.tick(0.5 * number) for number in range(1, 12)]
    assert [bool(each) for each in frames] == [False, False, True, True, True, *[False] * 6]
    assert all(450 <= quiet_ms(vachana, each) <= 600 for each in frames[2:5])
    vachana.audio(bytes(FRAME_BYTES))
    assert not vachana.tick(6.0)
    assert vachana.due_s() == 6.5
    vachana.finish()
    assert vachana.due_s() is None
    assert vachana.tick(9.0) == ()


# Utterances.


def test_an_utterance_ends_where_processing_came() -> None:
    """Its length counts back from there; the speaker's turn is over with it."""
    vachana = adapter(audio_ms=4000)
    assert not hears(vachana, PROCESSING)
    vachana.audio(bytes(32_000))
    assert hears(vachana, transcript("दो टिकट", 2336, 0)) == [Final("दो टिकट", 1664, 4000), TurnEnd(4000)]


def test_several_utterances_under_way() -> None:
    """Each text takes the oldest end; none begins before the one before it has ended."""
    vachana = adapter(audio_ms=2000)
    hears(vachana, PROCESSING)
    vachana.audio(bytes(64_000))
    hears(vachana, PROCESSING)
    events = hears(vachana, transcript("one", 900, 0), transcript("two", 3000, 1))
    assert events == [Final("one", 1100, 2000), TurnEnd(2000), Final("two", 2000, 4000), TurnEnd(4000)]


def test_without_processing_the_text_itself_counts() -> None:
    """A text that nothing announced ends where the audio stands."""
    assert hears(adapter(audio_ms=2000), transcript("one", 900, 0)) == [
        Final("one", 1100, 2000),
        TurnEnd(2000),
    ]


@pytest.mark.parametrize("kind", ["speech_end", "vad_end"])
def test_voice_activity_messages(kind: str) -> None:
    """The undocumented ends of speech are nearer to it than `processing`; the beginnings change nothing."""
    vachana = adapter(audio_ms=2000)
    assert not hears(vachana, signal("speech_start"), signal("vad_start"), signal(kind))
    vachana.audio(bytes(32_000))
    hears(vachana, PROCESSING)
    assert hears(vachana, transcript("one", 900, 0))[0] == Final("one", 1100, 2000)
    assert hears(vachana, transcript("two", 400, 1))[0] == Final("two", 2600, 3000)


def test_nothing_heard_is_no_final() -> None:
    """An empty text closes its utterance; no turn was taken."""
    vachana = adapter(audio_ms=2000)
    hears(vachana, PROCESSING)
    vachana.audio(bytes(32_000))
    hears(vachana, PROCESSING)
    assert not hears(vachana, transcript("", 300, 0))
    assert hears(vachana, transcript("one", 900, 1))[0] == Final("one", 2100, 3000)


def test_a_repeat_is_dropped() -> None:
    """The same segment twice is told once, and takes no other utterance's end."""
    vachana = adapter(audio_ms=2000)
    first = transcript("one", 900, 0)
    hears(vachana, PROCESSING, first)
    vachana.audio(bytes(32_000))
    hears(vachana, PROCESSING)
    assert not hears(vachana, first)
    assert hears(vachana, transcript("one", 900, 1))[0] == Final("one", 2100, 3000)
    assert hears(vachana, *[transcript("yes", 10, 0, segment_id="")] * 2, PROCESSING)[0].text == "yes"


def test_text_that_is_not_final() -> None:
    """Pipecat's plugin honours `is_final`: such a text replaces the one before, for who wants partials."""
    guess = transcript("one", 900, 0, is_final=False)
    assert hears(adapter(audio_ms=2000), guess) == [Partial("one", 1100, 2000)]
    assert not hears(adapter(audio_ms=2000, partial_results=False), guess)
    vachana = adapter(audio_ms=2000)
    events = hears(vachana, guess, transcript("one two", 1200, 0, is_final=True), guess)
    assert [(type(each), each.end_ms) for each in events] == [(Partial, 2000), (Final, 2000), (TurnEnd, 2000)]


@pytest.mark.parametrize("duration", [None, 0, -5, 1e300, 2**70, 10**9])
def test_mad_lengths(duration: Any) -> None:
    """No length reaches outside the audio that was sent."""
    vachana = adapter(audio_ms=2000)
    final = hears(vachana, transcript("one", 0, 0, audio_duration_ms=duration))[0]
    assert 0 <= final.start_ms <= final.end_ms == 2000


def test_our_silence_is_on_no_ones_timeline() -> None:
    """An utterance that our silence closed ends with the audio; positions behind it are not shifted."""
    vachana = adapter(audio_ms=2000)
    for now_s in (0.5, 1.0, 1.5, 2.0, 2.5):
        vachana.tick(now_s)
    events = hears(vachana, PROCESSING, transcript("one", 1500, 0))
    assert events == [Final("one", 500, 2000), TurnEnd(2000)]  # of 3680 ms that the vendor has heard
    vachana.audio(bytes(64_000))
    assert hears(vachana, PROCESSING, transcript("two", 900, 1))[0] == Final("two", 3100, 4000)


@pytest.mark.parametrize("ask", ["finalize", "finish"])
def test_what_was_cut_is_no_turn(ask: str) -> None:
    """Who asks for finals gets them; that the speaker has stopped nobody knows."""
    vachana = adapter(audio_ms=2000)
    getattr(vachana, ask)()
    events = hears(vachana, PROCESSING, transcript("one", 900, 0))
    assert [type(event) for event in events] == [Final]
    assert events[0].end_ms == 2000


def test_an_unknown_message_is_noticed() -> None:
    """New types are no fault, unlike with the vendor's SDK."""
    assert hears(adapter(), TICKETS.unknown) == [Notice("mood")]


# The end.


def test_quiet_is_the_end() -> None:
    """The vendor says none: with nothing owed, two seconds without a message are it."""
    vachana = adapter(audio_ms=0)
    vachana.tick(0.5)
    vachana.audio(bytes(16_000))
    vachana.finish()
    assert vachana.quiet_s() == 2.0
    hears(vachana, PROCESSING)
    assert vachana.quiet_s() is None  # its text is worth waiting for
    assert hears(vachana, transcript("one", 300, 0))
    assert vachana.quiet_s() == 2.0
    assert vachana.closed(1000, "") == [TurnEnd(500), Finished()]


@pytest.mark.parametrize("heard", ['{"type":"speech_start"}', '{"type":"vad_start"}'])
def test_a_voice_that_was_heard(heard: str) -> None:
    """Its text may take its time; but a voice that was none is no failure."""
    vachana = adapter()
    hears(vachana, heard)
    vachana.finish()
    assert vachana.quiet_s() == 8.0
    hears(vachana, PROCESSING)
    hears(vachana, transcript("one", 300, 0))
    assert vachana.quiet_s() == 7.0


def test_the_end_of_nothing() -> None:
    """Where no audio was sent, or none for seconds, nobody need wait."""
    unused = adapter(audio_ms=0)
    unused.finish()
    assert unused.quiet_s() == 0.0
    muted = adapter()
    for number in range(1, 11):
        muted.tick(number / 2)
    muted.finish()
    assert muted.quiet_s() == 0.0


@pytest.mark.parametrize(("audio_ms", "quiet_s"), [(500, 2.5), (3000, 5.0), (600_000, 8.0)])
def test_a_vendor_that_was_sent_much_at_once(audio_ms: int, quiet_s: float) -> None:
    """Audio faster than real time may still be worked on; the wait stays below the session's for last words."""
    vachana = adapter(audio_ms=audio_ms)
    vachana.finish()
    assert vachana.quiet_s() == quiet_s


@pytest.mark.parametrize("code", [1000, 1005])
def test_a_clean_close_is_an_end_only_where_one_was_due(code: int) -> None:
    """Not before `finish()`, and not while a text is owed."""
    early = adapter()
    assert fault(early.closed(code, "")).is_retryable
    owing = adapter()
    hears(owing, PROCESSING)
    owing.finish()
    assert fault(owing.closed(code, "")).is_retryable
    done = adapter()
    done.finish()
    assert done.closed(code, "") == [Finished()]
    assert not done.closed(code, "")


@pytest.mark.parametrize("code", [None, 1001, 1011])
def test_a_lost_connection_is_no_end(code: int | None) -> None:
    """Also after `finish()`."""
    vachana = adapter()
    vachana.finish()
    assert fault(vachana.closed(code, "")).is_retryable


# Refusals and errors.


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {"detail": {"error_code": "UNAUTHORIZED", "message": "Invalid API key", "status_code": 401}},
            "UNAUTHORIZED: Invalid API key",
        ),
        ({"success": False, "error": {"type": "FORBIDDEN", "message": "No access"}}, "FORBIDDEN: No access"),
        ({"detail": "Not allowed"}, "Not allowed"),
        ({"error": "nope"}, "nope"),
    ],
)
def test_refusals_in_the_vendors_words(body: Any, words: str) -> None:
    """Both shapes of the vendor's own client, and plain text."""
    refused = adapter().refused(401, json.dumps(body).encode())
    assert words in refused.message
    assert refused.close_code == CloseCode.UNAUTHORIZED
    stored = adapter(is_own=False).refused(401, json.dumps(body).encode())
    assert isinstance(stored, UpstreamFault)
    assert not stored.is_retryable


def test_a_filter_is_not_the_key() -> None:
    """A 403 that is not the vendor's own says that the key need not be wrong."""
    assert "refuses clients it does not know" in adapter().refused(403, b"<html>Forbidden</html>").message
    assert "does not know" not in adapter().refused(401, b"<html></html>").message


@pytest.mark.parametrize("said", ["Invalid API key", "UNAUTHORIZED", "API key revoked", "Missing api_key"])
def test_a_refused_key(said: str) -> None:
    """A client's own key is the client's to fix, a stored one the operator's; by message or by close."""
    for events in (adapter(is_ready=False).received(error(said)), adapter().closed(3000, said)):
        assert isinstance(fault(events), ClientFault)
        assert fault(events).close_code == CloseCode.UNAUTHORIZED
    stored = fault(adapter(is_ready=False, is_own=False).received(error(said)))
    assert isinstance(stored, UpstreamFault)
    assert not stored.is_retryable


@pytest.mark.parametrize(
    ("said", "is_retryable"),
    [
        ("Unsupported sample rate", False),
        ("Unsupported language code", False),
        ("Insufficient credits", False),
        ("technical difficulties, try again later", True),
        ("Rate limit exceeded", True),
        ("SERVICE_UNAVAILABLE", True),
        ("Internal server error", True),
        ("", False),
    ],
)
@pytest.mark.parametrize("is_ready", [True, False])
def test_errors(said: str, is_retryable: bool, is_ready: bool) -> None:
    """An error ends the connection, as in the vendor's plugins; only passing troubles are worth another try."""
    vachana = adapter(is_ready=is_ready)
    problem = fault(vachana.received(error(said)))
    assert isinstance(problem, UpstreamFault)
    assert problem.is_retryable == is_retryable
    assert (said or "no reason given") in problem.message
    assert vachana.received(transcript("late", 100, 0)) == ()
    assert vachana.tick(1.0) == ()


def test_our_key_is_not_repeated() -> None:
    """Whatever the vendor's words hold."""
    for events in (adapter().received(error(f"bad {KEY}")), adapter().closed(1008, f"bad {KEY}")):
        assert KEY not in fault(events).message


def test_broken_messages_do_not_end_who_reads_them_himself() -> None:
    """With `parse_json=false` the client judges them."""
    broken = '{"type":"transcript","text":7}'
    assert isinstance(fault(adapter().received(broken)), UpstreamFault)
    assert adapter(parse_json=False).received(broken) == ()
