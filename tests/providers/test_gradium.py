"""Gradium's own oddities."""

import base64
import json
from typing import Any

import msgspec
import pytest

from routeraudio.model.audio import PCM_16K_MONO, SAMPLE_RATES_HZ, AudioFormat
from routeraudio.model.errors import ClientFault, CloseCode, UpstreamFault
from routeraudio.model.events import Failed, Final, Finished, Notice, Partial, Ready, TurnEnd, Usage, Word
from routeraudio.model.options import Options
from routeraudio.providers.base import AdapterConfig, Credential
from routeraudio.providers.gradium import END_OF_STREAM, ENTRY, check

from .conversations.gradium import END_OF_STREAM as THE_END
from .conversations.gradium import REQUEST_ID, end_text, error, flushed, ready, step, text

KEY = "gsk_0123456789abcdef0123456789abcdef"

TOO_OLD = "Session exceeded maximum duration"


def wishes(**changes: Any) -> Options:
    return msgspec.structs.replace(
        Options(provider="gradium", audio=PCM_16K_MONO, partial_results=True), **changes
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
        opened.received(ready())
    if audio_ms:
        opened.audio(bytes(opened.audio_format.bytes_per_second * audio_ms // 1000))
    return opened


def hears(gradium: Any, *messages: str) -> list[Any]:
    return [event for message in messages for event in gradium.received(message)]


def texts(events: Any) -> list[tuple[str, str]]:
    return [(type(event).__name__, event.text) for event in events if isinstance(event, Partial | Final)]


def kinds(events: Any) -> list[type]:
    return [type(event) for event in events]


def read(messages: Any) -> list[Any]:
    return [json.loads(message) for message in messages]


def sound(messages: Any) -> bytes:
    """What is in the `audio` messages."""
    return b"".join(
        base64.b64decode(each["audio"], validate=True) for each in read(messages) if each["type"] == "audio"
    )


def flushes(messages: Any) -> list[int]:
    return [each["flush_id"] for each in read(messages) if each["type"] == "flush"]


def setup(**changes: Any) -> Any:
    [message] = ENTRY.adapter(AdapterConfig(options=wishes(**changes), url=ENTRY.default_url)).opened()
    opened = json.loads(message)
    assert opened["type"] == "setup"
    return opened | {"json_config": json.loads(opened["json_config"])}


# Opening.


def test_dial() -> None:
    """The path below the configured base, without a query; the key in the vendor's header."""
    dial = adapter(url="wss://eu.api.gradium.ai/prefix/").dial()
    assert dial.url == "wss://eu.api.gradium.ai/prefix/api/speech/asr"
    assert dial.headers == (("x-api-key", KEY),)
    assert adapter(key=None).dial().headers == ()


@pytest.mark.parametrize("key", ["", "a\r\nHost: other", "schlüssel", "a\x00b"])
def test_key_that_cannot_be_sent(key: str) -> None:
    """A key that would break the request head is refused, without being shown."""
    with pytest.raises(ClientFault) as caught:
        adapter(key=key).dial()
    assert caught.value.close_code == CloseCode.UNAUTHORIZED
    assert not key or key not in caught.value.message


def test_setup_comes_first() -> None:
    """The whole message, with JSON inside JSON as the vendor's SDK sends it."""
    assert adapter().opened() == (
        '{"type":"setup","model_name":"default","input_format":"pcm_16000","json_config":"{\\"language\\":\\"en\\"}"}',
    )


@pytest.mark.parametrize(
    ("language", "sent"),
    [("en", "en"), ("EN-us", "en"), ("pt-BR", "pt"), ("auto", "any"), ("Multi", "any"), ("de", "de")],
)
def test_language(language: str, sent: str) -> None:
    """Regions are dropped, detection is `any`."""
    check(wishes(language=language))
    assert setup(language=language)["json_config"] == {"language": sent}


@pytest.mark.parametrize("rate", SAMPLE_RATES_HZ)
def test_pcm_is_native_at_every_rate(rate: int) -> None:
    """Mono PCM goes as it is."""
    audio = AudioFormat("pcm_s16le", rate)
    assert adapter(audio=audio).audio_format == audio
    assert setup(audio=audio)["input_format"] == f"pcm_{rate}"


@pytest.mark.parametrize(
    ("audio", "target", "input_format"),
    [
        (AudioFormat("pcm_mulaw", 8000), AudioFormat("pcm_mulaw", 8000), "ulaw_8000"),
        (AudioFormat("pcm_mulaw", 16000), PCM_16K_MONO, "pcm_16000"),
        (AudioFormat("pcm_mulaw", 8000, 2), PCM_16K_MONO, "pcm_16000"),
        (AudioFormat("pcm_s16le", 48000, 2), PCM_16K_MONO, "pcm_16000"),
        (AudioFormat("ogg_opus", 48000), PCM_16K_MONO, "pcm_16000"),
        (AudioFormat("webm", 48000), PCM_16K_MONO, "pcm_16000"),
        (AudioFormat("mp3", 44100), PCM_16K_MONO, "pcm_16000"),
    ],
    ids=str,
)
def test_other_formats(audio: AudioFormat, target: AudioFormat, input_format: str) -> None:
    """Telephone mu-law is native; the rest becomes 16 kHz mono PCM."""
    assert adapter(audio=audio).audio_format == target
    assert setup(audio=audio)["input_format"] == input_format


def test_the_sessions_time() -> None:
    """The vendor kills a session at 300 s."""
    assert ENTRY.session_s == 300.0


def test_ready_is_readiness() -> None:
    """`ready` makes the connection ready, once, with the vendor's id."""
    gradium = adapter(is_ready=False)
    assert not gradium.is_ready_when_opened
    assert gradium.received(ready()) == (Ready(REQUEST_ID),)
    assert gradium.received(ready()) == ()


@pytest.mark.parametrize(
    ("model", "language", "parameter", "names"),
    [
        ("nova-3", "en", "model", ["nova-3", "use one of: default", "deepgram"]),
        ("x" * 500, "en", "model", ["…"]),
        (None, "it", "language", ["'it'", "other providers"]),
        ("default", "zh-CN", "language", ["'zh-CN'"]),
    ],
)
def test_impossible_wishes(model: str | None, language: str, parameter: str, names: list[str]) -> None:
    """A model that is not public and a language that is not spoken are refused, naming what would work."""
    with pytest.raises(ClientFault) as caught:
        check(wishes(model=model, language=language))
    assert caught.value.parameter == parameter
    assert len(caught.value.message) < 300
    assert all(name in caught.value.message for name in names)


def test_wishes_without_counterpart_are_left_out() -> None:
    """Speakers and bare text cannot be had; that is no reason to refuse."""
    options = wishes(diarize=True, punctuate=False, model="default")
    check(options)
    assert setup(diarize=True, punctuate=False) == setup()


# Audio.


def test_audio_travels_in_base64() -> None:
    """One message of JSON text per chunk."""
    assert adapter(audio_ms=0).audio(b"\x01\x02\x03\x04") == ['{"type":"audio","audio":"AQIDBA=="}']


def test_long_chunks_are_cut_and_samples_stay_whole() -> None:
    """At most a second per message; a split sample waits for its other half."""
    gradium = adapter(audio_ms=0)
    data = bytes(i % 251 for i in range(100_002))
    messages = gradium.audio(data[:-1])
    assert [len(sound([message])) for message in messages] == [32_000, 32_000, 32_000, 4000]
    assert sound([*messages, *gradium.audio(data[-1:])]) == data


def test_half_a_sample_at_the_end_is_no_audio() -> None:
    """Only whole samples are ever sent."""
    gradium = adapter(audio_ms=0)
    assert gradium.audio(b"\x01") == []
    assert sound(gradium.audio(b"\x02\x03")) == b"\x01\x02"
    assert gradium.finish() == (END_OF_STREAM,)


# Utterances and turns.


def test_a_turn_from_its_first_word_to_its_end() -> None:
    """Fragments grow a partial; an inactive reading asks for the rest; stragglers behind `flushed` belong to it."""
    gradium = adapter(audio_ms=2000)
    events = hears(
        gradium,
        step(0.4, 0.04),
        text("Good", 0.2),
        end_text(0.5),
        text("morning,", 0.6),
        step(1.2, 0.1),
        step(2.0, 0.9),
    )
    assert events == [
        Partial("Good", 200, 200, (Word("Good", 200, 200),)),
        Partial("Good morning,", 200, 600, (Word("Good", 200, 500), Word("morning,", 600, 600))),
    ]
    sent = gradium.audio(bytes(3200))
    assert flushes(sent[:1]) == [1]
    assert len(sound(sent)) == 3200
    events = hears(gradium, end_text(1.0), flushed(1), text("all.", 1.1), end_text(1.4), step(2.08, 0.1))
    assert texts(events) == [("Partial", "Good morning, all.")]
    gradium.audio(bytes(3200))
    assert hears(gradium, step(2.16, 0.1)) == [
        Final(
            "Good morning, all.",
            200,
            1400,
            (Word("Good", 200, 500), Word("morning,", 600, 1000), Word("all.", 1100, 1400)),
        ),
        TurnEnd(1400),
    ]


def test_readings_without_text_are_no_turn() -> None:
    """Low readings before the first sound, and any in silence, end nothing and flush nothing."""
    gradium = adapter()
    assert not hears(gradium, step(0.08, 0.02), step(0.4, 0.9), step(0.8, 0.02), step(1.2, 0.95))
    assert flushes(gradium.audio(bytes(320))) == []


def test_readings_behind_a_turn_are_not_believed() -> None:
    """For eight steps "speech" and "silence" mean nothing; later they do."""
    gradium = adapter(audio_ms=2000)
    hears(gradium, text("One.", 0.5), step(1.5, 0.9))
    assert flushes(gradium.audio(bytes(320))) == [1]
    hears(gradium, flushed(1), step(1.68, 0.9))
    hears(gradium, text("Two.", 1.6), step(1.76, 0.1), step(2.0, 0.9), step(2.24, 0.9))
    assert flushes(gradium.audio(bytes(320))) == []
    hears(gradium, step(2.4, 0.9))
    assert flushes(gradium.audio(bytes(320))) == [2]


@pytest.mark.parametrize("flush_id", [1, "1"])
def test_the_flushs_id_comes_back_in_either_type(flush_id: Any) -> None:
    """A number as it was sent, or a string."""
    gradium = adapter(audio_ms=2000)
    hears(gradium, text("One.", 0.5), step(1.5, 0.9))
    assert kinds(hears(gradium, flushed(flush_id), step(1.66, 0.9))) == [Final, TurnEnd]


def test_an_answer_to_another_flush_is_not_ours() -> None:
    """Only the latest flush's answer tells that its text is complete."""
    gradium = adapter(audio_ms=2000)
    hears(gradium, text("One.", 0.5), step(1.5, 0.9))
    assert not hears(gradium, flushed(0), flushed("x"), step(1.7, 0.9))


def test_a_flush_without_an_answer() -> None:
    """After the model's delay and a little more the turn ends anyway; the delay is what `ready` said."""
    for message, until_s in (
        (ready(), 3.5),
        (ready(delay_in_frames=None, delay_in_tokens=20.0), 4.3),
        (ready(delay_in_frames=1e9), 6.54),
    ):
        gradium = adapter(is_ready=False)
        gradium.received(message)
        hears(gradium, text("One.", 0.5), step(1.5, 0.9))
        assert not hears(gradium, step(until_s - 0.01, 0.9))
        assert kinds(hears(gradium, step(until_s, 0.9))) == [Final, TurnEnd]


def test_text_behind_the_turns_end_begins_the_next_one() -> None:
    """Audio faster than real time: text that began after the silence closes the turn before it."""
    gradium = adapter()
    hears(gradium, text("One.", 0.5), end_text(0.9), step(1.5, 0.9))
    events = hears(gradium, text("so", 1.2), text("Two.", 1.9))
    assert [type(event).__name__ for event in events] == ["Partial", "Final", "TurnEnd", "Partial"]
    assert texts(events) == [("Partial", "One. so"), ("Final", "One. so"), ("Partial", "Two.")]


def test_a_vendor_that_lags_is_not_flushed() -> None:
    """Where much audio is under way a flush would cut it; the turn ends all the same."""
    gradium = adapter(audio_ms=5000)
    hears(gradium, text("One.", 0.5), step(1.5, 0.9))
    assert flushes(gradium.audio(bytes(320))) == []
    assert flushes(gradium.tick(0.5)) == []
    assert kinds(hears(gradium, step(3.5, 0.9))) == [Final, TurnEnd]


@pytest.mark.parametrize(
    ("endpointing_ms", "horizon_s"),
    [(0, 0.5), (400, 0.5), (401, 1.0), (1000, 1.0), (1001, 2.0), (2500, 2.0), (2501, 3.0), (10_000, 3.0)],
)
def test_the_horizon_follows_endpointing(endpointing_ms: int, horizon_s: float) -> None:
    """The longer the silence asked for, the farther the prediction; looked up by its length, in any order."""
    gradium = adapter(endpointing_ms=endpointing_ms)
    gradium.received(text("One.", 0.5))
    others = dict.fromkeys((3.0, 0.5, 2.0, 1.0), 0.95) | {horizon_s: 0.1}
    it_alone = dict.fromkeys((3.0, 0.5, 2.0, 1.0), 0.1) | {horizon_s: 0.8}
    assert not hears(gradium, *(reading(5 + i * 0.08, others) for i in range(140)), step(30.0, 0.1))
    events = hears(gradium, *(reading(31 + i * 0.08, it_alone) for i in range(119)), step(90.0, 0.1))
    assert kinds(events) == [Final, TurnEnd]


def reading(heard_s: float, horizons: dict[float, float]) -> str:
    message = json.loads(step(heard_s, 0.0))
    vad = [{"horizon_s": each, "inactivity_prob": value} for each, value in horizons.items()]
    return json.dumps(message | {"vad": vad})


def test_the_nearest_horizon_serves() -> None:
    """Three horizons are documented, four live: 3 s falls back to 2 s. Without any reading nothing ends."""
    gradium = adapter(endpointing_ms=3000, audio_ms=9000)
    gradium.received(text("One.", 0.5))
    for i in range(27):  # 38 steps of silence, less the 10 that the text is late anyway
        gradium.received(reading(1 + i * 0.08, {0.5: 0.0, 1.0: 0.0, 2.0: 0.9}))
        gradium.received(reading(1 + i * 0.08, {}))
    assert not hears(gradium, step(60.0, 0.0))
    for i in range(28):
        gradium.received(reading(61 + i * 0.08, {0.5: 0.0, 1.0: 0.0, 2.0: 0.9}))
    assert kinds(hears(gradium, step(90.0, 0.0))) == [Final, TurnEnd]


def test_repeats_are_dropped_and_spaces_are_ours() -> None:
    """The same fragment twice is one; the same word later is another; blanks are nothing."""
    events = hears(
        adapter(), text(" no ", 0.5), text(" no ", 0.5), text("no", 0.9), text("  ", 1.0), text("", 1.1)
    )
    assert texts(events) == [("Partial", "no"), ("Partial", "no no")]


def test_ends_of_fragments() -> None:
    """In order per stream; without one the next start counts; one from before its fragment is ignored."""
    gradium = adapter()
    hears(
        gradium,
        text("two words", 1.0),
        text("left", 1.5, 0),
        end_text(0.2),
        end_text(1.4),
        text("right", 2.0, 1),
        end_text(2.6, 1),
        end_text(9.0, 5),
        text("last", 2.5),
    )
    gradium.finish()
    [final, *_] = hears(gradium, THE_END)
    assert final.words == (
        Word("two words", 1000, 1400),
        Word("left", 1500, 2000),
        Word("right", 2000, 2600),
        Word("last", 2500, 2500),
    )
    assert (final.start_ms, final.end_ms) == (1000, 2600)


def test_an_end_that_comes_after_its_final_is_ignored() -> None:
    """It must not end the next utterance's first word."""
    gradium = adapter(audio_ms=2000)
    hears(gradium, text("One.", 0.5), step(1.4, 0.9), flushed(1), step(1.6, 0.9))
    gradium.audio(bytes(64_000))
    events = hears(gradium, text("Two", 2.5), end_text(0.9), text("three", 3.0))
    assert events[-1].words == (Word("Two", 2500, 3000), Word("three", 3000, 3000))


def test_times_stay_inside_the_audio_and_behind_what_is_settled() -> None:
    """Positions that the vendor invents are brought into the session's timeline."""
    gradium = adapter(audio_ms=2000)
    hears(gradium, text("One.", 0.5), end_text(99.0), step(1.5, 0.9), flushed(1))
    assert hears(gradium, step(1.7, 0.9))[0].end_ms == 2000
    gradium.audio(bytes(32_000))
    assert hears(gradium, text("back", 0.1)) == [
        Partial("back", 2000, 2000, (Word("back", 2000, 2000),)),
    ]


@pytest.mark.parametrize(("count", "length", "step_s"), [(70, 5, 0.5), (9, 1000, 0.01)])
def test_an_utterance_without_end_is_closed(count: int, length: int, step_s: float) -> None:
    """With noise behind the voice no reading is ever inactive: the final comes after 30 s or 4000 characters."""
    gradium = adapter(audio_ms=60_000, partial_results=False)
    events = hears(gradium, *(text("x" * length, i * step_s) for i in range(count)))
    assert kinds(events) == [Final] * len(events)
    assert len(events) in (1, 2)
    gradium.finish()
    rest = hears(gradium, THE_END)
    assert kinds(rest) == [Final, TurnEnd, Usage, Finished]
    assert sum(len(event.words) for event in [*events, rest[0]]) == count


# Finalize.


def test_finalize_flushes_all_that_was_sent() -> None:
    """The flush and a moment of silence, whose steps bring the final; the speaker's turn goes on."""
    gradium = adapter(audio_ms=2000)
    hears(gradium, text("Wait,", 1.0), step(2.0, 0.1))
    sent = gradium.finalize()
    assert flushes(sent[:1]) == [1]
    assert sound(sent) == bytes(240 * 32)
    events = hears(gradium, text("please", 1.5), flushed(1), step(2.08, 0.1), step(2.16, 0.1))
    assert texts(events) == [("Partial", "Wait, please"), ("Final", "Wait, please")]
    assert kinds(events)[-1] is Final
    gradium.audio(bytes(64_000))
    assert kinds(hears(gradium, step(2.9, 0.9))) == [TurnEnd]
    assert not hears(gradium, step(3.0, 0.9))


def test_finalize_without_new_audio_says_nothing() -> None:
    """Who asks twice, or before the first audio, makes us flush nothing."""
    assert not adapter(audio_ms=0).finalize()
    gradium = adapter()
    assert gradium.finalize()
    assert not gradium.finalize()
    gradium.audio(b"\x01\x01")
    assert flushes(gradium.finalize()) == [2]
    gradium.finish()
    assert not gradium.finalize()


def test_finalize_at_a_turns_end_replaces_its_flush() -> None:
    """One flush serves both, and the turn still ends."""
    gradium = adapter(audio_ms=2000)
    hears(gradium, text("One.", 1.0), step(1.9, 0.9))
    assert flushes(gradium.finalize()) == [2]
    assert flushes(gradium.audio(bytes(320))) == []
    assert kinds(hears(gradium, flushed(1), flushed(2), step(2.08, 0.9))) == [Final, TurnEnd]


# A quiet line.


def test_quiet_line_is_sent_silence_until_a_turn_can_end() -> None:
    """No keepalive; silence as long as it takes to notice, then nothing, until the client's audio goes on."""
    gradium = adapter(endpointing_ms=1000)
    ticks = [gradium.tick(0.5 * i) for i in range(1, 30)]
    assert ticks[:2] == [[], []]
    silence = sound([message for messages in ticks for message in messages])
    assert not any(silence)
    assert 5000 <= len(silence) / 32 <= 5600
    assert not any(ticks[-10:])
    gradium.audio(b"\x01\x01")
    assert [bool(gradium.tick(20 + 0.5 * i)) for i in range(3)] == [False, False, True]


def test_a_line_that_never_had_audio_is_left_alone() -> None:
    """The vendor knows no idle timeout below the session's time."""
    gradium = adapter(audio_ms=0)
    assert not any(gradium.tick(0.5 * i) for i in range(1, 30))
    assert gradium.due_s() == 15.0


def test_mulaw_silence() -> None:
    """Silence in mu-law is 0xFF: zeros would be the loudest sample."""
    gradium = adapter(audio=AudioFormat("pcm_mulaw", 8000))
    assert set(sound([m for i in range(1, 5) for m in gradium.tick(0.5 * i)])) == {0xFF}


def test_a_flush_does_not_wait_for_audio_for_ever() -> None:
    """A turn's flush goes with the next tick at the latest."""
    gradium = adapter(audio_ms=2000)
    hears(gradium, text("One.", 0.5), step(1.5, 0.9))
    assert flushes(gradium.tick(0.5)) == [1]
    assert flushes(gradium.tick(1.0)) == []


def test_silence_of_ours_is_not_on_the_sessions_timeline() -> None:
    """Positions behind inserted silence are those of the client's audio."""
    gradium = adapter(audio_ms=2000)
    gradium.tick(0.5)
    gradium.tick(1.0)
    length_s = len(sound(gradium.tick(1.5))) / 32_000
    assert length_s > 0.4
    gradium.audio(bytes(64_000))
    [partial] = hears(gradium, text("On", 2.5 + length_s))
    assert partial.start_ms == 2500


def test_raw_clients_see_only_what_they_asked_for() -> None:
    """With `parse_json=false` no flush at a turn's end and no silence; one flush when audio stops."""
    gradium = adapter(parse_json=False, audio_ms=2000)
    hears(gradium, text("One.", 0.5), step(1.5, 0.9))
    assert flushes(gradium.audio(bytes(320))) == []
    sent = [gradium.tick(0.5 * i) for i in range(1, 10)]
    assert [message for messages in sent for message in messages] == ['{"type":"flush","flush_id":2}']
    assert kinds(hears(gradium, step(4.1, 0.9))) == [Final, TurnEnd]
    assert gradium.received('{"type":"text"}') == ()


# The end.


def test_the_vendors_own_end() -> None:
    """What was left, the turn's end, the audio the vendor counted, and the end; the close says nothing new."""
    gradium = adapter()
    hears(gradium, text("Bye", 1.0))
    assert gradium.finish() == (END_OF_STREAM,)
    assert gradium.due_s() is None
    assert gradium.tick(60.0) == ()
    events = hears(gradium, text("now.", 1.5), end_text(1.9), step(5.0, 0.9), THE_END)
    assert texts(events) == [("Partial", "Bye now."), ("Final", "Bye now.")]
    assert events[-3:] == [TurnEnd(1900), Usage(5000), Finished()]
    assert gradium.closed(1000, "") == ()


def test_turns_still_end_behind_finish() -> None:
    """Readings for audio that was sent faster than real time come after `end_of_stream`."""
    gradium = adapter(audio_ms=5000)
    gradium.finish()
    events = hears(gradium, text("One.", 0.5), step(1.5, 0.9), text("Two.", 3.0), step(5.0, 0.9), THE_END)
    assert [kind.__name__ for kind in kinds(events)] == [
        "Partial",
        "Final",
        "TurnEnd",
        "Partial",
        "Final",
        "TurnEnd",
        "Usage",
        "Finished",
    ]


@pytest.mark.parametrize("code", [None, 1000, 1005, 1011])
@pytest.mark.parametrize("is_finishing", [False, True])
def test_a_close_without_the_vendors_end_is_a_failure(code: int | None, is_finishing: bool) -> None:
    """Even a normal one: only `end_of_stream` says that everything was told. All text is final, the turn goes on."""
    gradium = adapter()
    hears(gradium, text("Settled", 1.0))
    if is_finishing:
        gradium.finish()
    final, failed = gradium.closed(code, "")
    assert final.text == "Settled"
    assert isinstance(failed.fault, UpstreamFault)
    assert failed.fault.is_retryable


def test_an_end_that_nobody_asked_for() -> None:
    """`end_of_stream` before `finish()` is a failure that may be tried again."""
    gradium = adapter()
    hears(gradium, text("Settled", 1.0))
    final, failed = gradium.received(THE_END)
    assert final.text == "Settled"
    assert failed.fault.is_retryable


# Errors.


@pytest.mark.parametrize(
    ("message", "code", "is_retryable"),
    [
        ("Unsupported input format", 1008, False),
        ("Not enough credits", 1008, False),
        (TOO_OLD, 1008, True),
        ("Internal error", 1011, True),
        ("", 1011, True),
        ("Something new", 4000, False),
    ],
)
def test_errors(message: str, code: int, is_retryable: bool) -> None:
    """The vendor's words are told, after the text that was settled; the code says whether to try again."""
    gradium = adapter()
    hears(gradium, text("Settled", 1.0))
    final, failed = gradium.received(error(message, code))
    assert final.text == "Settled"
    assert isinstance(failed.fault, UpstreamFault)
    assert failed.fault.message == f"Gradium reported an error: {message or 'no reason given'}"
    assert failed.fault.is_retryable == is_retryable
    assert gradium.closed(code, "") == ()


def test_errors_carry_no_key() -> None:
    """A vendor that repeats our key is not repeated."""
    [failed] = adapter().received(error(f"bad {KEY}", 1008))
    assert KEY not in failed.fault.message


@pytest.mark.parametrize(("age_s", "is_retryable"), [(289.0, False), (290.0, True)])
def test_a_session_that_dies_of_its_age(age_s: float, is_retryable: bool) -> None:
    """Whatever the words, 1008 at the end of the vendor's 300 s is healed by a new session."""
    for end in (lambda it: it.received(error("policy", 1008)), lambda it: it.closed(1008, "policy")):
        gradium = adapter()
        gradium.tick(age_s)
        [failed] = end(gradium)
        assert failed.fault.is_retryable == is_retryable
    gradium = adapter()
    gradium.tick(age_s)
    assert gradium.closed(1007, "")[0].fault.is_retryable is False


@pytest.mark.parametrize(
    "words", ["Invalid API key", "unauthorized", "key has been revoked", "token expired"]
)
def test_a_refused_key(words: str) -> None:
    """The upgrade succeeds all the same. The client's own key is the client's to fix, a stored one is not."""
    for end in (lambda it: it.received(error(words, 1008)), lambda it: it.closed(1008, words)):
        [failed] = end(adapter(is_ready=False, audio_ms=0))
        assert isinstance(failed.fault, ClientFault)
        assert failed.fault.close_code == CloseCode.UNAUTHORIZED
        assert words in failed.fault.message
        [failed] = end(adapter(is_ready=False, audio_ms=0, is_own=False))
        assert isinstance(failed.fault, UpstreamFault)
        assert not failed.fault.is_retryable


@pytest.mark.parametrize(
    ("words", "is_ready"), [("keywords: too many", False), ("invalid language", False), ("bad key", True)]
)
def test_other_policy_errors_are_no_keys(words: str, is_ready: bool) -> None:
    """A bad setup, and anything once the key was good, is the upstream's fault, with its words."""
    [failed] = adapter(is_ready=is_ready, audio_ms=0).received(error(words, 1008))
    assert isinstance(failed.fault, UpstreamFault)
    assert words in failed.fault.message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"error from server 1008: no", ": error from server 1008: no"),
        (b'{"detail":"No such plan"}', ": No such plan"),
        (b'{"error":"Too many"}', ": Too many"),
        (b"<html>oops</html>", ""),
        (b'{"detail":7}', ""),
        (b"", ""),
    ],
)
def test_a_refused_upgrade(body: bytes, words: str) -> None:
    """Plain text and JSON are told, pages are not."""
    fault = adapter(is_own=False).refused(429, body)
    assert fault.message == f"Gradium refused the connection (HTTP 429){words}"
    assert fault.is_retryable


def test_broken_and_unknown_messages() -> None:
    """A known message of a wrong shape names the place; an unknown one is a notice."""
    [failed] = adapter().received('{"type":"text","text":"x","start_s":"soon"}')
    assert isinstance(failed, Failed)
    assert "`$.start_s`" in failed.fault.message
    assert adapter().received('{"type":"mood"}') == (Notice("mood"),)
    assert adapter(parse_json=False).received('{"type":"text","text":"x","start_s":"soon"}') == ()
