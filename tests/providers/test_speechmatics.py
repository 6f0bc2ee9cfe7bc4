"""Speechmatics' own oddities."""

import json
import re
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from routeraudio.model.audio import PCM_16K_MONO, SAMPLE_RATES_HZ, AudioFormat
from routeraudio.model.errors import ClientFault, CloseCode, UpstreamFault
from routeraudio.model.events import Failed, Final, Finished, Notice, Partial, Ready, TurnEnd, Word
from routeraudio.model.options import Options
from routeraudio.providers.base import AdapterConfig, Credential
from routeraudio.providers.speechmatics import ENTRY
from routeraudio.providers.speechmatics.request import ALIASES, PACKS, check, models, spelled_language

from .conversations.speechmatics import (
    END,
    SESSION_ID,
    audio_added,
    end_of_utterance,
    error,
    final,
    info,
    mark,
    partial,
    started,
    transcript,
    word,
)

KEY = "0123456789abcdefghijklmnopqrstuv"


def wishes(**changes: Any) -> Options:
    return msgspec.structs.replace(
        Options(provider="speechmatics", audio=PCM_16K_MONO, partial_results=True), **changes
    )


def fresh(*, key: str | None = KEY, is_own: bool = True, url: str = ENTRY.default_url, **changes: Any) -> Any:
    """`Any`: tests call the adapter as the relay does."""
    credential = None if key is None else Credential(key, is_clients_own=is_own)
    return ENTRY.adapter(AdapterConfig(options=wishes(**changes), url=url, credential=credential))


def adapter(*, audio_ms: int = 60_000, delimiter: str = " ", **changes: Any) -> Any:
    """An open connection that is ready and was sent a minute of audio."""
    opened = fresh(**changes)
    opened.opened()
    opened.tick(0.0)
    opened.received(started(delimiter))
    if audio_ms:
        opened.audio(bytes(opened.audio_format.bytes_per_second * audio_ms // 1000))
    return opened


def start(**changes: Any) -> Any:
    [message] = fresh(**changes).opened()
    return json.loads(message)


def config(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = start(**changes)["transcription_config"]
    return found


def hear(opened: Any, *messages: str) -> list[Any]:
    return [event for message in messages for event in opened.received(message)]


def said(events: Any) -> list[tuple[str, str]]:
    return [(type(event).__name__, getattr(event, "text", "")) for event in events]


def settled(*results: dict[str, Any]) -> str:
    return transcript("AddTranscript", 0.0, 0.0, list(results))


# Dialling and starting.


@pytest.mark.parametrize("url", ["wss://eu2.rt.speechmatics.com", "ws://host:9/prefix/"])
def test_address(url: str) -> None:
    """The configured base, `/v2`, and who is calling."""
    assert fresh(url=url).dial().url == f"{url.rstrip('/')}/v2?sm-app=routeraudio"


def test_the_default_address_is_encrypted() -> None:
    """Nothing travels in the clear by default."""
    assert urlsplit(ENTRY.default_url).scheme == "wss"


def test_key_is_a_bearer_token() -> None:
    """API keys and temporary keys are sent alike; a container of one's own needs none."""
    assert fresh().dial().headers == (("Authorization", f"Bearer {KEY}"),)
    assert fresh(key=None).dial().headers == ()


@pytest.mark.parametrize("key", ["", "a\r\nHost: other", "schlüssel", "a\x00b"])
def test_key_that_cannot_be_sent(key: str) -> None:
    """A key that would break the request head is refused, without being shown."""
    with pytest.raises(ClientFault) as caught:
        fresh(key=key).dial()
    assert caught.value.close_code == CloseCode.UNAUTHORIZED
    assert not key or key not in caught.value.message


def test_first_message() -> None:
    """The whole `StartRecognition` of an ordinary client: nothing that the vendor does by itself."""
    assert start() == {
        "message": "StartRecognition",
        "audio_format": {"type": "raw", "encoding": "pcm_s16le", "sample_rate": 16000},
        "transcription_config": {
            "language": "en",
            "model": "enhanced",
            "enable_partials": True,
            "conversation_config": {"end_of_utterance_silence_trigger": 0.5},
            "max_delay": 0.7,
        },
    }


def test_first_message_with_every_wish() -> None:
    """Each wish has its field."""
    assert config(
        model="standard",
        language="en-gb",
        diarize=True,
        punctuate=False,
        partial_results=False,
        endpointing_ms=1000,
    ) == {
        "language": "en",
        "output_locale": "en-GB",
        "model": "standard",
        "enable_partials": False,
        "conversation_config": {"end_of_utterance_silence_trigger": 1.0},
        "max_delay": 1.2,
        "diarization": "speaker",
        "punctuation_overrides": {"permitted_marks": []},
    }


@pytest.mark.parametrize(
    ("endpointing_ms", "trigger", "max_delay"),
    [(1, 0.05, 0.7), (500, 0.5, 0.7), (700, 0.7, 0.9), (2000, 2.0, 2.2), (10_000, 2.0, 2.2)],
)
def test_endpointing(endpointing_ms: int, trigger: float, max_delay: float) -> None:
    """The trigger stays in its range, and below the delay."""
    asked = config(endpointing_ms=endpointing_ms)
    assert asked["conversation_config"] == {"end_of_utterance_silence_trigger": trigger}
    assert asked["max_delay"] == max_delay


def test_no_endpointing() -> None:
    """0 switches it off, and leaves the delay to the vendor."""
    assert not {"conversation_config", "max_delay"} & set(config(endpointing_ms=0))


@pytest.mark.parametrize("rate", SAMPLE_RATES_HZ)
def test_pcm_passes_untouched(rate: int) -> None:
    """PCM is taken at every rate."""
    audio = AudioFormat("pcm_s16le", rate)
    assert fresh(audio=audio).audio_format == audio
    assert start(audio=audio)["audio_format"] == {"type": "raw", "encoding": "pcm_s16le", "sample_rate": rate}


def test_other_formats() -> None:
    """Mu-law passes at the telephone's rate; all else, also several channels, becomes 16 kHz mono PCM."""
    telephone = AudioFormat("pcm_mulaw", 8000)
    assert fresh(audio=telephone).audio_format == telephone
    assert start(audio=telephone)["audio_format"]["encoding"] == "mulaw"
    others = [
        AudioFormat("pcm_mulaw", 16_000),
        AudioFormat("pcm_s16le", 48_000, 2),
        AudioFormat("pcm_mulaw", 8000, 2),
    ]
    others += [AudioFormat("ogg_opus", 48_000), AudioFormat("webm", 48_000), AudioFormat("mp3", 44_100)]
    assert {fresh(audio=audio).audio_format for audio in others} == {PCM_16K_MONO}


# Languages and models.


@pytest.mark.parametrize(
    ("language", "code", "locale"),
    [
        ("de", "de", None),
        ("DE-ch", "de", None),
        ("pt-BR", "pt", None),
        ("en", "en", None),
        ("en-US", "en", "en-US"),
        ("EN-au", "en", "en-AU"),
        ("en-IN", "en", None),
        ("zh", "cmn", None),
        ("zh-CN", "cmn", "cmn-Hans"),
        ("zh-TW", "cmn", "cmn-Hant"),
        ("zh-Hant", "cmn", "cmn-Hant"),
        ("cmn-Hans", "cmn", "cmn-Hans"),
        ("zh-HK", "yue", None),
        ("yue", "yue", None),
        ("nb", "no", None),
        ("nn-NO", "no", None),
        ("fil", "tl", None),
        ("cmn_en", "cmn_en", None),
        ("ar-en", "ar_en", None),
        ("cmn-en-ms-ta", "cmn_en_ms_ta", None),
    ],
)
def test_language(language: str, code: str, locale: str | None) -> None:
    """BCP-47 becomes the vendor's code, and a locale where it can write one."""
    check(wishes(language=language))
    asked = config(language=language)
    assert (asked["language"], asked.get("output_locale")) == (code, locale)


@pytest.mark.parametrize("language", ["auto", "multi", "MULTI", "tlh", "en_US", "x" * 500])
def test_unsupported_language(language: str) -> None:
    """Detection is for recordings only; other languages are refused, naming some that work."""
    with pytest.raises(ClientFault) as caught:
        check(wishes(language=language))
    assert (caught.value.code, caught.value.parameter) == ("unsupported_language", "language")
    assert len(caught.value.message) < 300
    assert re.search("use one of: ar, ba|other providers that do: .*deepgram", caught.value.message)
    assert ("cannot detect" in caught.value.message) == (language.lower() in ("auto", "multi"))


@pytest.mark.parametrize("model", ["linden-1", "melia-1", "Enhanced", "x" * 500])
def test_unknown_model(model: str) -> None:
    """Models of the vendor's other services are refused, naming those of this one."""
    with pytest.raises(ClientFault, match="use one of: enhanced, standard") as caught:
        check(wishes(model=model))
    assert (caught.value.code, caught.value.parameter) == ("invalid_parameter", "model")


def test_names_in_the_code_are_those_of_the_data_file() -> None:
    """Aliases and packs agree with what the data file says of them."""
    data = json.loads(
        resources.files("routeraudio.providers").joinpath("speechmatics", "models.json").read_bytes()
    )
    for language, code in data["language_aliases"].items():
        assert spelled_language(models().models[0], language)[0] == code
    assert ALIASES.items() <= data["language_aliases"].items()
    for model in data["models"]:
        requests = [pack["request"]["language"] for pack in model["bilingual_packs"]]
        assert sorted(PACKS.values()) == sorted(name for name in requests if "_" in name)


# Refusals and errors.


def test_refusal_carries_the_vendors_words() -> None:
    """A client's own key is the client's to fix, a stored one is not; pages are not passed on."""
    fault = fresh().refused(401, b"Unauthorized: key not valid")
    assert fault.close_code == CloseCode.UNAUTHORIZED
    assert fault.message.endswith("(HTTP 401): Unauthorized: key not valid; check the key")
    fault = fresh(is_own=False).refused(401, b"  <html>proxy</html>")
    assert isinstance(fault, UpstreamFault)
    assert fault.message.endswith("(HTTP 401)")
    assert not fault.is_retryable


ERRORS = [
    ("protocol_error", "provider_error", False),
    ("invalid_message", "provider_error", False),
    ("invalid_config", "provider_error", False),
    ("invalid_audio_type", "provider_error", False),
    ("invalid_output_format", "provider_error", False),
    ("invalid_model", "provider_error", False),
    ("invalid_language", "provider_error", False),
    ("something_new", "provider_error", False),
    ("not_authorised", "provider_error", False),
    ("not_allowed", "provider_error", False),
    ("timelimit_exceeded", "rate_limited", False),
    ("quota_exceeded", "rate_limited", True),
    ("job_error", "provider_error", True),
    ("unknown_error", "provider_error", True),
    ("idle_timeout", "provider_error", True),
    ("session_timeout", "provider_error", True),
]


@pytest.mark.parametrize(("kind", "code", "is_retryable"), ERRORS)
def test_errors(kind: str, code: str, is_retryable: bool) -> None:
    """Each is the end, with the vendor's words but without our key; what was settled is told first."""
    opened = adapter(is_own=False)
    hear(opened, final("Good morning", 0.3, 1.3), partial("every", 1.3, 1.6))
    told, failed = hear(opened, error(kind, f"no {KEY}"))
    assert told.text == "Good morning"
    assert failed.fault.message == f"Speechmatics reported an error: {kind}: no …"
    assert isinstance(failed.fault, UpstreamFault)
    assert (failed.fault.code, failed.fault.is_retryable) == (code, is_retryable)
    assert opened.closed(1003, "protocol_error") == ()


@pytest.mark.parametrize("kind", ["not_authorised", "not_allowed"])
def test_own_key_refused_inside(kind: str) -> None:
    """A client's own key may be refused after the upgrade, before readiness."""
    opened = fresh()
    opened.opened()
    [failed] = hear(opened, error(kind, "Not Authorised"))
    assert isinstance(failed.fault, ClientFault)
    assert failed.fault.close_code == CloseCode.UNAUTHORIZED
    assert "Not Authorised" in failed.fault.message


@pytest.mark.parametrize(
    ("code", "reason", "is_retryable"),
    [
        (None, "", True),
        (1000, "", True),
        (1005, "", True),
        (1003, "protocol_error", False),
        (1008, "policy_violation", False),
        (1011, "internal_error", True),
        (4003, "not_allowed", False),
        (4004, "invalid_model", False),
        (4005, "quota_exceeded", True),
        (4006, "timelimit_exceeded", False),
        (4013, "job_error", True),
        (4999, "new", False),
    ],
)
@pytest.mark.parametrize("is_finished", [False, True])
def test_closes_without_end_of_transcript(
    code: int | None, reason: str, is_retryable: bool, is_finished: bool
) -> None:
    """No close is a success, not even 1000 after `EndOfStream`; settled text is told, the open rest is not."""
    opened = adapter(is_own=False)
    hear(opened, final("Good morning", 0.3, 1.3), partial("every", 1.3, 1.6))
    if is_finished:
        opened.finish()
    told, failed = opened.closed(code, reason)
    assert told.text == "Good morning"
    assert isinstance(failed.fault, UpstreamFault)
    assert failed.fault.is_retryable == is_retryable
    assert reason in failed.fault.message
    assert opened.closed(code, reason) == ()


def test_close_with_the_vendors_code_for_a_bad_key() -> None:
    """4001 without an `Error` before it says the same."""
    [failed] = fresh().closed(4001, "not_authorised")
    assert failed.fault.close_code == CloseCode.UNAUTHORIZED
    assert failed.fault.message == "Speechmatics refused the API key you sent (not_authorised); check the key"


def test_warnings_and_infos_are_notices() -> None:
    """Their types are told, their sentences are not."""
    opened = adapter()
    assert hear(opened, info("recognition_quality")) == [Notice("recognition_quality")]
    assert hear(opened, error("idle_timeout", "15 min", "Warning")) == [Notice("idle_timeout")]
    assert hear(opened, error("she said hello", "", "Warning")) == [Notice("unknown_message")]
    assert hear(opened, '{"message":"SpeakersResult","speakers":[]}') == [Notice("SpeakersResult")]
    assert hear(opened, "{}") == [Notice("unknown_message")]


def test_broken_message_names_the_place() -> None:
    """A known message of a wrong shape is the upstream's fault; who reads the messages itself is not disturbed."""
    broken = '{"message":"AddTranscript","metadata":"none","results":[]}'
    [failed] = hear(adapter(), broken)
    assert "broken AddTranscript" in failed.fault.message
    assert "`$.metadata`" in failed.fault.message
    assert failed.fault.is_retryable
    assert hear(adapter(parse_json=False), broken, "no json") == []


# Readiness and audio.


def test_readiness() -> None:
    """`Info` may come first and is not it; a second `RecognitionStarted` changes nothing."""
    opened = fresh()
    opened.opened()
    assert hear(opened, info(), started(), started()) == [
        Notice("concurrent_session_usage"),
        Ready(SESSION_ID),
    ]


def test_nothing_is_sent_before_readiness() -> None:
    """Neither a tick nor a finalize may disturb the start."""
    opened = fresh()
    opened.opened()
    opened.audio(bytes(3200))
    assert not opened.finalize()
    assert not any(opened.tick(float(i)) for i in range(10))


def test_last_sequence_number_counts_messages_sent() -> None:
    """Long chunks are cut, and each piece counts, whatever was acknowledged by then."""
    opened = adapter(audio_ms=0)
    sent = [*opened.audio(bytes(3200)), *opened.audio(bytes(200_000))]
    assert [len(message) for message in sent] == [3200, 65_536, 65_536, 65_536, 3392]
    assert hear(opened, audio_added(1), audio_added(2)) == []
    [end] = opened.finish()
    assert json.loads(end) == {"message": "EndOfStream", "last_seq_no": 5}
    assert not opened.finish()


def test_nothing_is_sent_without_audio() -> None:
    """An empty chunk is no message, and an empty stream ends with number 0."""
    opened = adapter(audio_ms=0)
    assert not opened.audio(b"")
    assert not opened.finalize()
    assert json.loads(opened.finish()[0])["last_seq_no"] == 0


def test_finalize_names_its_place_once() -> None:
    """The position is that of all audio sent; without new audio there is nothing new to force."""
    opened = adapter(audio_ms=1500)
    [force] = opened.finalize()
    assert json.loads(force) == {"message": "ForceEndOfUtterance", "timestamp": 1.5}
    assert not opened.finalize()
    opened.audio(bytes(3200))
    assert json.loads(opened.finalize()[0])["timestamp"] == 1.6
    opened.audio(bytes(3200))
    opened.finish()
    assert not opened.finalize()


@pytest.mark.parametrize(("endpointing_ms", "interval_s"), [(500, 1.0), (1500, 1.5), (9000, 2.0), (0, 2.0)])
def test_quiet_line_brings_out_the_last_words(endpointing_ms: int, interval_s: float) -> None:
    """When audio stops for longer than an utterance's end takes, the end is forced, once."""
    opened = adapter(audio_ms=1000, endpointing_ms=endpointing_ms)
    assert opened.due_s() == interval_s
    assert not opened.tick(1 * interval_s)
    [force] = opened.tick(2 * interval_s)
    assert json.loads(force)["message"] == "ForceEndOfUtterance"
    assert not any(opened.tick(i * interval_s) for i in range(3, 9))
    opened.audio(bytes(3200))
    assert not opened.tick(9 * interval_s)
    assert opened.tick(10 * interval_s)


def test_a_line_that_was_finalized_is_not_forced_again() -> None:
    """The client has asked already."""
    opened = adapter(audio_ms=1000)
    assert opened.finalize()
    assert not any(opened.tick(float(i)) for i in range(1, 5))


def test_nothing_is_sent_after_finish() -> None:
    """No tick is asked for, and none sends anything."""
    opened = adapter()
    opened.finish()
    assert opened.due_s() is None
    assert not any(opened.tick(float(i)) for i in range(1, 5))


# Utterances.


def test_fragments_become_one_utterance() -> None:
    """Empty finals say nothing, a full stop alone belongs to its word, one final closes what silence ended."""
    opened = adapter()
    events = hear(
        opened,
        partial("good", 0.3, 0.8),
        settled(),
        partial("good morning", 0.3, 1.3),
        final("Good morning", 0.3, 1.3),
        partial("every", 1.3, 1.6),
        final("everyone", 1.3, 1.8),
        partial("", 1.8, 1.8),
        settled(mark(".", 1.8)),
        partial("", 1.8, 1.8),
        end_of_utterance(2.3),
        end_of_utterance(2.3),
    )
    good, morning = Word("Good", 300, 800), Word("morning", 800, 1300)
    assert events == [
        Partial("good", 300, 800, (Word("good", 300, 800),)),
        Partial("good morning", 300, 1300, (Word("good", 300, 800), morning)),
        Partial("Good morning every", 300, 1600, (good, morning, Word("every", 1300, 1600))),
        Partial("Good morning everyone", 300, 1800, (good, morning, Word("everyone", 1300, 1800))),
        Partial("Good morning everyone.", 300, 1800, (good, morning, Word("everyone.", 1300, 1800))),
        Final("Good morning everyone.", 300, 1800, (good, morning, Word("everyone.", 1300, 1800))),
        TurnEnd(1800),
    ]


def test_repeats_and_echoes_are_dropped() -> None:
    """Said twice is told once; a partial of what is settled is not told again; the same word later is."""
    opened = adapter()
    yes = final("Yes.", 0.3, 0.8)
    events = hear(opened, partial("yes", 0.3, 0.8), partial("yes", 0.3, 0.8), yes, settled(), yes)
    assert said(events) == [("Partial", "yes")]
    events = hear(opened, end_of_utterance(1.3), partial("yes", 0.3, 0.8), end_of_utterance(1.3))
    assert said(events) == [("Final", "Yes."), ("TurnEnd", "")]
    events = hear(opened, partial("yes", 2.0, 2.5), final("Yes.", 2.0, 2.5), end_of_utterance(3.0))
    assert said(events) == [("Partial", "yes"), ("Final", "Yes."), ("TurnEnd", "")]


def test_a_lone_dot_is_no_utterance() -> None:
    """Punctuation whose word is told already says nothing, alone or before the next words."""
    opened = adapter()
    hear(opened, final("Good", 0.3, 0.8), end_of_utterance(1.3))
    assert hear(opened, settled(mark(".", 0.8)), end_of_utterance(1.4)) == []
    events = hear(opened, settled(mark(".", 0.8), word("Bye", 2.0, 2.4)), end_of_utterance(3.0))
    assert said(events) == [("Final", "Bye"), ("TurnEnd", "")]


@pytest.mark.parametrize(
    ("results", "text", "spelled"),
    [
        (
            [word("Well", 0, 1), mark(",", 1), word("yes", 1, 2), mark("!", 2)],
            "Well, yes!",
            ["Well,", "yes!"],
        ),
        ([mark("¿", 0, "next"), word("Qué", 0, 1), mark("?", 1)], "¿Qué?", ["¿Qué?"]),
        ([word("e", 0, 1), mark("-", 1, "both"), word("mail", 1, 2)], "e-mail", ["e-", "mail"]),
        ([word("so", 0, 1), mark("–", 1, "none"), word("no", 1, 2)], "so – no", ["so", "no"]),
        ([word("so", 0, 1), mark("(", 1, "next"), word("no", 1, 2), mark(")", 2)], "so (no)", ["so", "(no)"]),
        ([word("10 meters", 0, 1, type="entity"), mark(".", 1)], "10 meters.", ["10 meters."]),
        ([word("a", 0, 1), word("b", 1, 2, alternatives=[]), word("c", 2, 3)], "a c", ["a", "c"]),
        ([word("a", 0, 1), mark(".", 1, attaches_to=None)], "a.", ["a."]),
    ],
)
def test_punctuation_attaches(results: list[dict[str, Any]], text: str, spelled: list[str]) -> None:
    """Marks stand where they belong in the text, and with their words in the list."""
    [told, _] = hear(adapter(), settled(*results), end_of_utterance(4.0))
    assert told.text == text
    assert [each.text for each in told.words] == spelled


def test_languages_without_spaces() -> None:
    """The delimiter is the language pack's, also between fragments."""
    opened = adapter(delimiter="", language="ja")
    events = hear(opened, settled(word("東", 0, 1)), settled(word("京", 1, 2)), end_of_utterance(3.0))
    assert events[0].text == "東京"


def test_times_are_the_words() -> None:
    """The ranges of fragments overlap and cover silence; words do neither, and never lie before the last final."""
    opened = adapter()
    fragments = [
        transcript("AddTranscript", 0.0, 0.28, []),
        transcript("AddTranscript", 0.2, 1.4, [word("One", 0.36, 0.92)]),
        end_of_utterance(1.6),
        transcript("AddTranscript", 0.9, 2.4, [word("two", 0.9, 1.5), word("three", 1.45, 1.4)]),
        end_of_utterance(3.0),
    ]
    one, _, two, ended = hear(opened, *fragments)
    assert (one.start_ms, one.end_ms) == (360, 920)
    assert two.words == (Word("two", 920, 1500), Word("three", 1450, 1450))
    assert (two.start_ms, two.end_ms, ended.end_ms) == (920, 1500, 1500)


def test_text_without_results() -> None:
    """A text of which no words are known is not lost; its message's range is all that is known of its time."""
    message = json.loads(settled())
    message["metadata"] = {"start_time": 1.0, "end_time": 2.0, "transcript": "Hello. "}
    [told, _] = hear(adapter(), json.dumps(message), end_of_utterance(3.0))
    assert told == Final("Hello.", 1000, 2000, None)


def test_speakers() -> None:
    """Labels are the vendor's, from finals only, and only for who wants them; `UU` is the unknown one."""
    unknown = word("who", 0.8, 1.0)
    unknown["alternatives"][0]["speaker"] = "UU"
    results = [word("I", 0.3, 0.8), unknown]
    heard = (transcript("AddPartialTranscript", 0.3, 1.0, results), settled(*results), end_of_utterance(2.0))
    guess, told, _ = hear(adapter(diarize=True), *heard)
    assert [each.speaker for each in guess.words] == [None, None]
    assert [each.speaker for each in told.words] == ["S1", "UU"]
    _, told, _ = hear(adapter(), *heard)
    assert [each.speaker for each in told.words] == [None, None]


def test_forced_ends_are_ends() -> None:
    """`forced` changes nothing in what they say."""
    events = hear(adapter(), final("Wait", 0.3, 0.8, forced=True), end_of_utterance(0.8, forced=True))
    assert said(events) == [("Final", "Wait"), ("TurnEnd", "")]


def test_without_endpointing_sentences_are_finals() -> None:
    """No silence ends an utterance, so the end of a sentence does; nobody says that the turn is over."""
    opened = adapter(endpointing_ms=0, partial_results=False)
    events = hear(
        opened,
        final("Good morning", 0.3, 1.3),
        settled(mark(".", 1.3)),
        settled(word("How", 1.5, 1.8), mark(".", 1.8), word("are", 1.8, 2.0)),
        final("you?", 2.0, 2.5),
    )
    assert said(events) == [("Final", "Good morning."), ("Final", "How. are you?")]


def test_endless_utterance_is_closed() -> None:
    """Without silence the first sentence that ends behind 15 s closes it, else 30 s do; the turn stays open."""
    opened = adapter(partial_results=False)
    found = []
    for i in range(20):
        text = f"Sentence {i}." if i % 2 else f"words {i}"
        found += [(i, event) for event in hear(opened, final(text, i * 2.0, i * 2.0 + 2.0))]
    assert [(i, type(event)) for i, event in found] == [(7, Final), (15, Final)]
    opened = adapter(partial_results=False)
    found = [(i, each) for i in range(18) for each in hear(opened, final(f"word {i}", i * 3.0, i * 3.0 + 3))]
    assert [(i, type(event)) for i, event in found] == [(9, Final)]
    assert said(hear(opened, end_of_utterance(55.0))) == [
        ("Final", " ".join(f"word {i}" for i in range(10, 18))),
        ("TurnEnd", ""),
    ]


def test_endless_text_without_time_is_closed() -> None:
    """The bound also holds when the vendor's positions stand still."""
    opened = adapter(partial_results=False)
    found = [hear(opened, settled(word("x" * 500, 0.1, 0.1 + i / 1e6))) for i in range(9)]
    assert [len(events) for events in found] == [0] * 7 + [1, 0]


def test_partials_only_for_who_wants_them() -> None:
    """Partials of a vendor that sends them unasked are not told."""
    assert hear(adapter(partial_results=False), partial("good", 0.3, 0.8)) == []


# The end.


def test_end_of_transcript_is_the_end() -> None:
    """Pending text becomes final and ends its turn; the close behind it says nothing new."""
    opened = adapter()
    hear(opened, final("Good", 0.3, 0.8))
    opened.finish()
    told = said(hear(opened, final("bye.", 0.8, 1.2), END))
    assert told == [("Final", "Good bye."), ("TurnEnd", ""), ("Finished", "")]
    assert opened.closed(1000, "") == ()
    assert hear(opened, END) == []


def test_end_that_nobody_asked_for() -> None:
    """`EndOfTranscript` before `EndOfStream` is a failure; what was settled is told."""
    told, failed = hear(adapter(), final("Good", 0.3, 0.8), END)
    assert told.text == "Good"
    assert failed.fault.is_retryable


def test_duration_limit() -> None:
    """Audio behind the limit is not heard, so the end is no success, not even when it was asked for."""
    opened = adapter()
    assert hear(opened, error("duration_limit_exceeded", "", "Warning")) == [
        Notice("duration_limit_exceeded")
    ]
    opened.finish()
    [failed] = hear(opened, END)
    assert isinstance(failed, Failed)
    assert "duration limit" in failed.fault.message


def test_finished_without_a_word() -> None:
    """Silence has no final."""
    opened = adapter()
    opened.finish()
    assert hear(opened, settled(), END) == [Finished()]
