"""Soniox's own oddities."""

import json
from importlib import resources
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from routeraudio.model.audio import PCM_16K_MONO, SAMPLE_RATES_HZ, AudioFormat
from routeraudio.model.errors import ClientFault, CloseCode, UpstreamFault
from routeraudio.model.events import Failed, Final, Finished, Notice, Partial, TurnEnd, Usage, Word
from routeraudio.model.options import Options
from routeraudio.providers.base import AdapterConfig, Credential
from routeraudio.providers.soniox import END_OF_AUDIO, ENTRY, FINALIZE, KEEPALIVE, check

from .conversations.soniox import end, error, guess, said, token

KEY = "0123456789abcdef0123456789abcdef01234567"


def wishes(**changes: Any) -> Options:
    return msgspec.structs.replace(
        Options(provider="soniox", audio=PCM_16K_MONO, partial_results=True), **changes
    )


def adapter(
    *, key: str | None = KEY, is_clients_own: bool = True, audio_ms: int = 60_000, **changes: Any
) -> Any:
    """An open connection that was sent a minute of audio. `Any`: tests call the adapter as the relay does."""
    credential = None if key is None else Credential(key, is_clients_own=is_clients_own)
    opened = ENTRY.adapter(
        AdapterConfig(options=wishes(**changes), url=ENTRY.default_url, credential=credential)
    )
    opened.tick(0.0)
    if audio_ms:
        opened.audio(bytes(opened.audio_format.bytes_per_second * audio_ms // 1000))
    return opened


def start(**changes: Any) -> Any:
    [message] = adapter(audio_ms=0, **changes).opened()
    return json.loads(message)


def heard(soniox: Any, *messages: str) -> list[Any]:
    return [event for message in messages for event in soniox.received(message)]


def texts(events: Any) -> list[tuple[str, str]]:
    return [(type(event).__name__, event.text) for event in events if isinstance(event, Partial | Final)]


# Dialling and the first message.


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("wss://stt-rt.eu.soniox.com", "wss://stt-rt.eu.soniox.com/transcribe-websocket"),
        ("ws://127.0.0.1:9/prefix/", "ws://127.0.0.1:9/prefix/transcribe-websocket"),
    ],
)
def test_address_has_no_query(base: str, url: str) -> None:
    """Everything that is asked for stands in the first message."""
    assert ENTRY.adapter(AdapterConfig(options=wishes(), url=base)).dial().url == url


@pytest.mark.parametrize("key", [KEY, "temp:Zm9v"])
def test_key_travels_once(key: str) -> None:
    """Keys and temporary keys stand in the header and nowhere else: twice is refused."""
    soniox = adapter(key=key)
    assert soniox.dial().headers == (("Authorization", f"Bearer {key}"),)
    assert key not in soniox.opened()[0]
    assert "api_key" not in soniox.opened()[0]


def test_no_key() -> None:
    """A proxy that adds the key itself gets none."""
    assert adapter(key=None).dial().headers == ()


@pytest.mark.parametrize("key", ["", "a\r\nHost: other", "schlüssel", "a\x00b"])
def test_key_that_cannot_be_sent(key: str) -> None:
    """A key that would break the request head is refused, without being shown."""
    with pytest.raises(ClientFault) as caught:
        adapter(key=key).dial()
    assert caught.value.close_code == CloseCode.UNAUTHORIZED
    assert not key or key not in caught.value.message


def test_first_message() -> None:
    """The whole start message, nothing in it that nobody asked for."""
    assert start() == {
        "model": "stt-rt-v5",
        "audio_format": "pcm_s16le",
        "sample_rate": 16000,
        "num_channels": 1,
        "language_hints": ["en"],
        "enable_endpoint_detection": True,
        "max_endpoint_delay_ms": 500,
    }
    assert start(diarize=True)["enable_speaker_diarization"] is True


@pytest.mark.parametrize(("endpointing_ms", "delay"), [(0, 500), (500, 500), (1800, 1800), (10_000, 3000)])
def test_endpointing(endpointing_ms: int, delay: int) -> None:
    """The delay is kept in the vendor's range, and endpoints are always detected."""
    sent = start(endpointing_ms=endpointing_ms)
    assert (sent["enable_endpoint_detection"], sent["max_endpoint_delay_ms"]) == (True, delay)


@pytest.mark.parametrize(
    ("language", "hint"),
    [("en", "en"), ("EN-us", "en"), ("zh-Hant-TW", "zh"), ("nb", "no"), ("nn-NO", "no"), ("fil", "tl")],
)
def test_language_is_a_hint(language: str, hint: str) -> None:
    """A language goes out as its primary subtag, in the vendor's spelling."""
    sent = start(language=language)
    assert sent["language_hints"] == [hint]
    assert "enable_language_identification" not in sent


@pytest.mark.parametrize("language", ["auto", "MULTI"])
def test_detection(language: str) -> None:
    """Who leaves the language open gives no hint and gets languages told apart."""
    sent = start(language=language)
    assert sent["enable_language_identification"] is True
    assert "language_hints" not in sent


def test_aliases_are_those_of_the_data_file() -> None:
    """Every alias that the data file names is spelled as it says."""
    data = resources.files("routeraudio.providers").joinpath("soniox", "models.json").read_bytes()
    for alias, code in json.loads(data)["language_aliases"].items():
        assert start(language=alias)["language_hints"] == [code]


@pytest.mark.parametrize("rate", SAMPLE_RATES_HZ)
@pytest.mark.parametrize(("encoding", "name"), [("pcm_s16le", "pcm_s16le"), ("pcm_mulaw", "mulaw")])
def test_raw_audio_passes_untouched(encoding: Any, name: str, rate: int) -> None:
    """Both raw encodings go through at every rate, and are declared."""
    audio = AudioFormat(encoding, rate)
    assert adapter(audio=audio).audio_format == audio
    sent = start(audio=audio)
    assert (sent["audio_format"], sent["sample_rate"], sent["num_channels"]) == (name, rate, 1)


@pytest.mark.parametrize(("encoding", "name"), [("ogg_opus", "ogg"), ("webm", "webm"), ("mp3", "mp3")])
def test_containers_pass_untouched(encoding: Any, name: str) -> None:
    """A container is named, and says rate and channels itself."""
    audio = AudioFormat(encoding, 48_000, 2)
    assert adapter(audio=audio, audio_ms=0).audio_format == audio
    sent = start(audio=audio)
    assert sent["audio_format"] == name
    assert not {"sample_rate", "num_channels"} & set(sent)


def test_several_channels_are_mixed() -> None:
    """No token names a channel."""
    assert adapter(audio=AudioFormat("pcm_s16le", 48_000, 2)).audio_format == PCM_16K_MONO


def test_streams_last_five_hours() -> None:
    """The vendor ends a stream after 300 minutes."""
    assert ENTRY.session_s == 300 * 60


# Refusals before dialling.


@pytest.mark.parametrize("model", ["stt-async-v5", "nova-3", " ", "stt-rt-v5&x=1", "stt-rt-" + "x" * 99])
def test_impossible_model(model: str) -> None:
    """Models that do not stream are refused with those that do."""
    with pytest.raises(ClientFault, match="stt-rt-v5, stt-rt-v4") as caught:
        check(wishes(model=model))
    assert (caught.value.code, caught.value.parameter) == ("invalid_parameter", "model")
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("model", [None, "stt-rt-v5", "stt-rt-v4", "stt-rt-preview", "stt-rt-v6"])
def test_possible_model(model: str | None) -> None:
    """Known models pass, and so do real-time names that came later."""
    check(wishes(model=model))
    assert start(model=model)["model"] == (model or "stt-rt-v5")


def test_unsupported_language() -> None:
    """A language that the model does not speak is refused, naming what it does; an unknown model takes any."""
    with pytest.raises(ClientFault, match=r"'tlh'.*af, ar, az") as caught:
        check(wishes(language="tlh"))
    assert (caught.value.code, caught.value.parameter) == ("unsupported_language", "language")
    check(wishes(language="tlh", model="stt-rt-v6"))


# Tokens.


def test_guesses_replace_and_finals_accumulate() -> None:
    """Each partial is the settled pieces and the newest guesses; `<end>` makes one final and ends the turn."""
    events = heard(
        adapter(),
        said(guess("Gut", 600, 760)),
        said(token("Good", 600, 760), guess(" mor", 780, 900)),
        said(token(" mor", 780, 900), guess("ni", 900, 1000)),
        said(guess("ning", 900, 1080)),
        said(token("ning", 900, 1080), token(".", 1080, 1140), end()),
    )
    assert texts(events) == [
        ("Partial", "Gut"),
        ("Partial", "Good mor"),
        ("Partial", "Good morni"),
        ("Partial", "Good morning"),
        ("Final", "Good morning."),
    ]
    assert events[-2:] == [
        Final("Good morning.", 600, 1140, (Word("Good", 600, 760), Word("morning.", 780, 1140))),
        TurnEnd(1140),
    ]


def test_a_message_without_guesses_takes_them_back() -> None:
    """Guesses are void with the next message: a shorter partial follows, but never an empty one."""
    soniox = adapter()
    assert texts(heard(soniox, said(guess("Hm", 0, 100)), said(), said(guess("Hm", 0, 100)))) == [
        ("Partial", "Hm"),
        ("Partial", "Hm"),
    ]
    events = heard(soniox, said(token("So", 0, 100), guess(" um", 200, 300)), said())
    assert texts(events) == [("Partial", "So um"), ("Partial", "So")]


def test_an_utterance_taken_back_altogether() -> None:
    """An endpoint behind retracted guesses alone has no final, and no turn to end."""
    assert texts(heard(adapter(), said(guess("Um", 0, 100)), said(end()))) == [("Partial", "Um")]
    assert heard(adapter(), said(end()), said(token(" ", 0, 10), end())) == []


def test_unchanged_text_is_told_once() -> None:
    """Progress messages repeat the guesses; clients hear of changes only."""
    soniox = adapter()
    message = said(guess("Yes", 0, 100))
    assert len(heard(soniox, message, message, said(guess("Yes", 0, 120)))) == 1


def test_no_partials() -> None:
    """They always come, and are dropped for who does not want them."""
    soniox = adapter(partial_results=False)
    events = heard(soniox, said(token("Yes", 0, 100), guess(" sir", 100, 200)), said(end()))
    assert [type(event) for event in events] == [Final, TurnEnd]


def test_several_endpoints_in_one_message() -> None:
    """Each closes its own utterance; guesses behind the last belong to the next."""
    message = said(
        token("One.", 0, 300), end(), end(), token(" Two.", 400, 700), end(), guess(" Three", 800, 900)
    )
    assert [type(event) for event in heard(adapter(), message)] == [Final, TurnEnd, Final, TurnEnd, Partial]
    assert texts(heard(adapter(), message)) == [("Final", "One."), ("Final", "Two."), ("Partial", "Three")]


def test_final_tokens_said_twice_count_once() -> None:
    """The same tokens at the same place are an echo; the same word somewhere else is not."""
    no = said(token(" no", 0, 100))
    assert texts(
        heard(adapter(partial_results=False), no, no, said(token(" no", 200, 300)), said(end()))
    ) == [("Final", "no no")]
    ended = said(token("Yes.", 0, 100), end())
    assert len(heard(adapter(), ended, ended)) == 2


def test_finalized_is_no_turn_end() -> None:
    """`<fin>` closes the utterance; the turn ends with `<end>`, also with an empty one."""
    soniox = adapter(partial_results=False)
    events = heard(
        soniox, said(token("Wait", 0, 300), end("<fin>")), said(end("<fin>")), said(end()), said(end())
    )
    assert events == [Final("Wait", 0, 300, (Word("Wait", 0, 300),)), TurnEnd(300)]


def test_translations_are_not_transcript() -> None:
    """Translated tokens have no times and are left out."""
    soniox = adapter()
    message = json.dumps(
        {
            "tokens": [
                token("Hola", 0, 300, translation_status="original"),
                {
                    "text": "Hello",
                    "is_final": True,
                    "translation_status": "translation",
                    "source_language": "es",
                },
                {"text": "<end>", "is_final": True},
            ]
        }
    )
    assert texts(heard(soniox, message)) == [("Final", "Hola")]


@pytest.mark.parametrize(
    ("pieces", "language", "words"),
    [
        (["Good", " mor", "ning", "."], "en", ["Good", "morning."]),
        ([" ", "Good", " ", "day", ""], "en", ["Good", "day"]),
        (["It", "'s", " ten ", "past", "\n", "two"], "en", ["It's", "ten", "past", "two"]),
        (["我", "们", "好", "。"], "zh", ["我", "们", "好。"]),
        ([" 我", "们"], "zh-TW", ["我", "们"]),
        (["我", " love", " you", "吗"], "zh", ["我", "love", "you吗"]),
        (["ส", "วัส", "ดี"], "th", ["ส", "วัส", "ดี"]),
        (["안", "녕", " 하"], "ko", ["안녕", "하"]),
    ],
)
def test_words(pieces: list[str], language: str, words: list[str]) -> None:
    """A leading space begins a word, punctuation clings; without spaces each token is one. Text is untouched."""
    tokens = [token(piece, i * 100, i * 100 + 100) for i, piece in enumerate(pieces)]
    [final, _] = heard(adapter(language=language, partial_results=False), said(*tokens, end()))
    assert [word.text for word in final.words] == words
    assert final.text == "".join(pieces).strip()


def test_detected_language_decides_how_words_are_made() -> None:
    """What the tokens say themselves counts where no language was asked for."""
    tokens = [token(piece, 0, 100, language="ja") for piece in ("は", "い")]
    [final, _] = heard(adapter(language="auto", partial_results=False), said(*tokens, end()))
    assert [word.text for word in final.words] == ["は", "い"]


def test_speakers_are_strings_from_finals() -> None:
    """A change of speaker begins a word; guesses have none."""
    soniox = adapter(diarize=True)
    message = said(
        token("Yes", 0, 100, speaker=1),
        token("No", 100, 200, speaker="2"),
        token(".", 200, 210),
        guess(" Oh", 300, 400, speaker="1"),
    )
    [partial] = heard(soniox, message)
    assert [(word.text, word.speaker) for word in partial.words] == [("Yes", "1"), ("No.", "2"), ("Oh", None)]


def test_tokens_without_times() -> None:
    """Such a word stands where the one before ends; a text without any times has its message's place and no words."""
    soniox = adapter(partial_results=False)
    bare = {"text": " uh", "is_final": True}
    [final, _] = heard(soniox, said(bare, token(" so", 500, 600), bare, end()))
    assert final.words == (Word("uh", 500, 500), Word("so", 500, 600), Word("uh", 600, 600))
    [final, _] = heard(soniox, said(bare, end(), final_ms=2000))
    assert final == Final("uh", 600, 2000, None)


def test_times_stay_in_order_and_inside_the_audio() -> None:
    """Overlaps are cut, and nothing lies behind the audio sent."""
    soniox = adapter(audio_ms=1000, partial_results=False)
    [final, _] = heard(
        soniox, said(token("a", 500, 700), token(" b", 400, 900), token(" c", 800, 5000), end())
    )
    assert final.words == (Word("a", 500, 700), Word("b", 500, 900), Word("c", 800, 1000))
    [final, _] = heard(soniox, said(token("d", 700, 750), end()))
    assert (final.start_ms, final.end_ms) == (1000, 1000)


def test_speech_without_an_end_is_cut_behind_a_sentence() -> None:
    """After 30 s of settled text the last whole sentence is told, else all but the last word."""
    soniox = adapter(partial_results=False)
    spoken = [token(f" word{i}" + ("." if i == 20 else ""), i * 1000, i * 1000 + 900) for i in range(32)]
    events = heard(soniox, *(said(each) for each in spoken))
    assert texts(events) == [
        ("Final", " ".join(["word0"] + [f"word{i}" for i in range(1, 20)] + ["word20."]))
    ]
    soniox = adapter(partial_results=False)
    plain = [token(f" word{i}", i * 1000, i * 1000 + 900) for i in range(32)]
    [final] = heard(soniox, *(said(each) for each in plain))
    assert final.text.endswith("word29")
    [rest, _] = heard(soniox, said(end()))
    assert rest.text == "word30 word31"


def test_endless_tokens_without_times_are_cut() -> None:
    """The bound in memory also holds for a vendor that sends one endless word."""
    soniox = adapter(partial_results=False)
    events = heard(soniox, *[said({"text": "x", "is_final": True})] * 2000)
    assert texts(events) == [("Final", "x" * 1000)] * 2


# The end.


def test_finished_is_the_end() -> None:
    """What is settled, the turn's end, the vendor's count of audio, then the end, without waiting for the close."""
    soniox = adapter()
    heard(soniox, said(token("Bye", 0, 300)))
    assert soniox.finish() == (END_OF_AUDIO,) == ("",)
    events = heard(soniox, said(token(".", 300, 320)), said(total_ms=60_000, finished=True))
    assert texts(events) == [("Partial", "Bye."), ("Final", "Bye.")]
    assert events[-3:] == [TurnEnd(320), Usage(60_000), Finished()]
    assert soniox.closed(1000, "") == ()


@pytest.mark.parametrize("code", [1000, 1005])
def test_a_close_without_finished_is_a_failure(code: int) -> None:
    """Normal or not: settled text is told, guesses are not, the turn stays open."""
    for is_finishing in (False, True):
        soniox = adapter()
        heard(soniox, said(token("Settled", 0, 300), guess(" maybe", 300, 500)))
        if is_finishing:
            soniox.finish()
        final, failed = soniox.closed(code, "")
        assert final.text == "Settled"
        assert isinstance(failed.fault, UpstreamFault)
        assert failed.fault.is_retryable


def test_finished_before_the_end_is_a_failure() -> None:
    """A vendor that ends by itself has not heard everything."""
    [final, failed] = heard(adapter(), said(token("On", 0, 300), finished=True))[-2:]
    assert final.text == "On"
    assert failed.fault.is_retryable


@pytest.mark.parametrize(
    "answer", [error(400, "invalid_request", "No audio received."), said(finished=True), None]
)
def test_a_client_without_a_word(answer: str | None) -> None:
    """Who leaves before any audio has lost nothing, whatever the vendor makes of it."""
    soniox = adapter(audio_ms=0)
    soniox.finish()
    events = soniox.closed(1000, "") if answer is None else soniox.received(answer)
    assert isinstance(events[-1], Finished)


# Errors.


@pytest.mark.parametrize(
    ("code", "kind", "message", "is_retryable"),
    [
        (400, "invalid_request", "Invalid language hint.", False),
        (400, "model_not_available", "Invalid model specified.", False),
        (401, "unauthenticated", "Invalid API key.", False),
        (402, "organization_balance_exhausted", "No balance.", False),
        (403, "permission_denied", "Not allowed.", False),
        (408, "request_timeout", "Request timeout.", True),
        (413, "max_duration_reached", "Stream too long.", True),
        (429, "limit_exceeded", "Too many.", True),
        ("429", "limit_exceeded", "Too many.", True),
        (500, "internal_error", "Sorry.", True),
        (503, "service_unavailable", "Cannot continue request (code 3). Please restart the request.", True),
        (7, "odd", "Odd.", False),
    ],
)
def test_errors_of_a_stored_key(code: int | str, kind: str, message: str, is_retryable: bool) -> None:
    """Each carries the vendor's words and says whether trying again can help; settled text is told first."""
    soniox = adapter(is_clients_own=False)
    heard(soniox, said(token("Settled", 0, 300)))
    final, failed = soniox.received(error(code, kind, message))
    assert final.text == "Settled"
    assert isinstance(failed.fault, UpstreamFault)
    assert f"{kind}: {message}" in failed.fault.message
    assert failed.fault.is_retryable == is_retryable


@pytest.mark.parametrize(
    ("code", "kind"),
    [(401, "unauthenticated"), (401, "temp_api_key_session_expired"), (403, "permission_denied")],
)
def test_a_clients_own_key_refused(code: int, kind: str) -> None:
    """It is the client's to fix, though the connection was opened; the key is not shown."""
    [failed] = adapter(audio_ms=0).received(error(code, kind, f"Invalid API key {KEY}."))
    assert isinstance(failed.fault, ClientFault)
    assert failed.fault.close_code == CloseCode.UNAUTHORIZED
    assert kind in failed.fault.message
    assert KEY not in failed.fault.message


def test_an_error_without_tokens_and_type() -> None:
    """Older errors have neither `tokens` nor `error_type`; the code may be missing too."""
    [failed] = adapter().received('{"error_code":503,"error_message":"Later."}')
    assert failed.fault.message == "Soniox reported an error 503: Later."
    [failed] = adapter().received('{"error_code":500}')
    assert failed.fault.message == "Soniox reported an error 500: no reason given"


def test_tokens_beside_an_error_are_settled() -> None:
    """An error may be the last message with text."""
    [_, final, failed] = adapter().received(
        error(503, "service_unavailable", "Later.", tokens=[token("Last", 0, 300)])
    )
    assert (final.text, type(failed)) == ("Last", Failed)


@pytest.mark.parametrize(
    ("code", "message"), [(400, "Audio decode error"), (408, "Audio data decode timeout")]
)
def test_undecodable_audio_is_the_clients_to_fix(code: int, message: str) -> None:
    """It names the encoding that was declared, unless the audio was converted here."""
    [failed] = adapter(audio=AudioFormat("webm", 48_000), audio_ms=0).received(
        error(code, "invalid_request", message)
    )
    assert isinstance(failed.fault, ClientFault)
    assert (failed.fault.code, failed.fault.parameter) == ("audio_error", "encoding")
    assert "webm" in failed.fault.message
    [failed] = adapter(audio=AudioFormat("pcm_s16le", 16_000, 2)).received(
        error(code, "invalid_request", message)
    )
    assert isinstance(failed.fault, UpstreamFault)


@pytest.mark.parametrize(
    ("code", "is_retryable"),
    [(None, True), (1000, True), (1006, True), (1008, False), (1011, True), (1012, True), (4000, False)],
)
def test_closes(code: int | None, is_retryable: bool) -> None:
    """A fallen connection may be tried again, one closed for what we sent may not."""
    [failed] = adapter().closed(code, "why")
    assert failed.fault.is_retryable == is_retryable


@pytest.mark.parametrize("name", ["error_message", "message"])
def test_http_refusal(name: str) -> None:
    """A proxy, or a later service, may refuse with HTTP; the words of either kind of body are told."""
    fault = adapter().refused(429, json.dumps({name: "Too many requests."}).encode())
    assert "Too many requests." in fault.message
    assert fault.is_retryable


def test_broken_messages() -> None:
    """A known field of a wrong type names its place; who reads the vendor's messages goes on."""
    broken = said({"text": 5})
    [failed] = adapter().received(broken)
    assert "`$.tokens[0].text`" in failed.fault.message
    raw = adapter(parse_json=False)
    assert raw.received(broken) == raw.received("{") == raw.received(b"\x00") == ()
    assert texts(raw.received(said(token("On", 0, 100), end()))) == [("Final", "On")]


def test_notices_carry_names_only() -> None:
    """What has nothing known in it changes nothing: guesses stay."""
    soniox = adapter()
    heard(soniox, said(guess("Yes", 0, 100)))
    assert soniox.received('{"type":"warning","text":"x"}') == (Notice("warning"),)
    assert soniox.received('{"type":["x"]}') == (Notice("unknown_message"),)
    assert soniox.received("{}") == (Notice("unknown_message"),)
    assert not soniox.received(said(guess("Yes", 0, 100)))


@pytest.mark.parametrize("number", ["1e308", "9" * 400, "9" * 5000, "-5", "0.5"])
def test_mad_numbers(number: str) -> None:
    """No number of the vendor's breaks anything, wherever it stands."""
    mad = said(token("x", "N", "N"), end(), final_ms="N", total_ms="N")
    for event in adapter().received(mad.replace('"N"', number)):
        assert isinstance(event, Final | TurnEnd | Failed)
    speaker = said(token("x", 0, 1, speaker="N"), end())
    assert adapter().received(speaker.replace('"N"', number))
    [failed] = adapter().received(f'{{"error_code":{number}}}')
    assert isinstance(failed, Failed)


# A quiet line.


def test_a_pause_is_finalized_once_and_kept_alive() -> None:
    """After a whole tick without audio the last words are asked for; then a keepalive every 5 s."""
    soniox = adapter()
    assert soniox.tick(5.0) == ()
    assert soniox.tick(10.0) == (FINALIZE, KEEPALIVE)
    assert [soniox.tick(15.0), soniox.tick(20.0)] == [(KEEPALIVE,), (KEEPALIVE,)]
    assert soniox.due_s() == 25.0
    soniox.audio(b"\x01\x01")
    assert [soniox.tick(25.0), soniox.tick(30.0)] == [(), (FINALIZE, KEEPALIVE)]


def test_a_line_without_audio_is_kept_alive() -> None:
    """Before the first audio there is nothing to finalize."""
    soniox = adapter(audio_ms=0)
    assert [soniox.tick(5.0), soniox.tick(10.0)] == [(KEEPALIVE,), (KEEPALIVE,)]
    assert soniox.finalize() == ()


def test_gaps_stay_below_the_vendors_limit() -> None:
    """Whenever the audio stops, something is sent within 20 s of it."""
    soniox = adapter(audio_ms=0)
    sent_s = [0.0]
    for tick in range(1, 20):
        now_s = tick * 5.0
        if tick in (1, 6, 7):
            soniox.audio(b"\x01\x01")
            sent_s.append(now_s - 4.9)
        if soniox.tick(now_s):
            sent_s.append(now_s)
    assert max(after - before for before, after in pairwise(sent_s)) <= 10.0


def test_who_reads_the_vendors_messages_finalizes_alone() -> None:
    """With `parse_json=false` a `<fin>` that nobody asked for would confuse; keepalives are still sent."""
    soniox = adapter(parse_json=False)
    soniox.tick(5.0)
    assert soniox.tick(10.0) == (KEEPALIVE,)
    assert soniox.finalize() == (FINALIZE,)


def test_finalize_is_sent_once_for_the_same_audio() -> None:
    """Too many of them cost accuracy."""
    soniox = adapter()
    assert [soniox.finalize(), soniox.finalize()] == [(FINALIZE,), ()]
    soniox.audio(b"\x01\x01")
    assert soniox.finalize() == (FINALIZE,)


def test_nothing_is_sent_after_finish() -> None:
    """No keepalive, no finalize and no further tick behind the end."""
    soniox = adapter()
    soniox.finish()
    assert soniox.due_s() is None
    assert soniox.tick(100.0) == soniox.finalize() == soniox.finish() == ()


def test_empty_audio_is_not_sent() -> None:
    """An empty message would end the stream."""
    assert adapter().audio(b"") == ()
