"""Deepgram's own oddities, v1 (`Nova`) and v2 (`Flux`)."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from routeraudio.model.audio import PCM_16K_MONO, SAMPLE_RATES_HZ, AudioFormat
from routeraudio.model.errors import ClientFault, CloseCode, UpstreamFault
from routeraudio.model.events import Failed, Final, Finished, Notice, Partial, Ready, TurnEnd, Usage, Word
from routeraudio.model.options import Options
from routeraudio.providers.base import AdapterConfig, Credential
from routeraudio.providers.deepgram import ENTRY, FINALIZE, KEEPALIVE, check
from routeraudio.providers.deepgram.connection import CLOSE_STREAM
from routeraudio.providers.deepgram.flux import FORCE_END_TURN

from .conversations.deepgram import connected, metadata, results, turn_info, utterance_end

KEY = "0123456789abcdef0123456789abcdef01234567"
FLUX = "flux-general-en"


def wishes(**changes: Any) -> Options:
    return msgspec.structs.replace(
        Options(provider="deepgram", audio=PCM_16K_MONO, partial_results=True), **changes
    )


def adapter(
    *, url: str = ENTRY.default_url, key: str | None = KEY, audio_ms: int = 60_000, **changes: Any
) -> Any:
    """An open connection that was sent a minute of audio. `Any`: tests call the adapter as the relay does."""
    credential = None if key is None else Credential(key, is_clients_own=True)
    opened = ENTRY.adapter(AdapterConfig(options=wishes(**changes), url=url, credential=credential))
    opened.tick(0.0)
    if audio_ms:
        opened.audio(bytes(opened.audio_format.bytes_per_second * audio_ms // 1000))
    return opened


def query(**changes: Any) -> dict[str, str]:
    dialled = ENTRY.adapter(AdapterConfig(options=wishes(**changes), url=ENTRY.default_url)).dial()
    pairs = parse_qsl(urlsplit(dialled.url).query, keep_blank_values=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def texts(events: Any) -> list[tuple[str, str]]:
    return [(type(event).__name__, event.text) for event in events if isinstance(event, Partial | Final)]


# Dialling.


def test_v1_address_is_the_configured_base_with_every_wish() -> None:
    """The whole v1 address, in a fixed order of parameters."""
    config = AdapterConfig(options=wishes(language="fr", diarize=True), url="wss://host:9/prefix/")
    assert ENTRY.adapter(config).dial().url == (
        "wss://host:9/prefix/v1/listen?model=nova-3&language=fr&encoding=linear16&sample_rate=16000&channels=1"
        "&interim_results=true&utterance_end_ms=1000&endpointing=500&punctuate=true&diarize=true"
    )


def test_flux_address_has_only_what_flux_knows() -> None:
    """The whole v2 address: unknown parameters would be refused."""
    config = AdapterConfig(
        options=wishes(model="flux-general-multi", language="de", diarize=True), url="ws://127.0.0.1:9"
    )
    assert ENTRY.adapter(config).dial().url == (
        "ws://127.0.0.1:9/v2/listen?model=flux-general-multi&encoding=linear16&sample_rate=16000"
        "&eot_timeout_ms=500&language_hint=de"
    )


@pytest.mark.parametrize(
    ("endpointing_ms", "endpointing", "utterance_end"),
    [(0, "false", "1000"), (10, "10", "1000"), (3000, "3000", "3000"), (10_000, "10000", "5000")],
)
def test_v1_endpointing(endpointing_ms: int, endpointing: str, utterance_end: str) -> None:
    """0 switches endpointing off; the second signal is never earlier than the first and stays in its range."""
    sent = query(endpointing_ms=endpointing_ms)
    assert (sent["endpointing"], sent["utterance_end_ms"]) == (endpointing, utterance_end)


@pytest.mark.parametrize(("endpointing_ms", "timeout"), [(0, "500"), (700, "700"), (10_000, "10000")])
def test_flux_endpointing(endpointing_ms: int, timeout: str) -> None:
    """Endpointing is the longest silence in a turn, within Flux's range."""
    assert query(model=FLUX, endpointing_ms=endpointing_ms)["eot_timeout_ms"] == timeout


@pytest.mark.parametrize(
    ("model", "language", "sent"),
    [
        (None, "en", {"language": "en"}),
        (None, "auto", {"language": "multi"}),
        (None, "MULTI", {"language": "multi"}),
        (None, "pt-br", {"language": "pt-BR"}),
        (None, "ar", {"language": "multi", "language_hint": "ar"}),
        ("nova-3-general", "ar", {"language": "multi", "language_hint": "ar"}),
        ("nova-3-medical", "de", {"language": "multi", "language_hint": "de"}),
        ("our-own-model", "tlh", {"language": "tlh"}),
        ("our-own-model", "auto", {"language": "multi"}),
        ("flux-general-en", "en", {}),
        ("flux-general-multi", "auto", {}),
        ("flux-general-multi", "fr", {"language_hint": "fr"}),
    ],
)
def test_language(model: str | None, language: str, sent: dict[str, str]) -> None:
    """A language goes where the model wants it, in the vendor's spelling."""
    parameters = query(model=model, language=language)
    assert {name: value for name, value in parameters.items() if name.startswith("language")} == sent


@pytest.mark.parametrize("encoding", ["ogg_opus", "webm", "mp3"])
def test_containers_are_not_declared(encoding: Any) -> None:
    """A declared encoding would make garbage of a container."""
    assert not {"encoding", "sample_rate", "channels"} & set(query(audio=AudioFormat(encoding, 48_000, 2)))


@pytest.mark.parametrize("rate", SAMPLE_RATES_HZ)
@pytest.mark.parametrize("encoding", ["pcm_s16le", "pcm_mulaw"])
def test_raw_audio_passes_untouched(encoding: Any, rate: int) -> None:
    """v1 takes both raw encodings at every rate; Flux all but 22050 Hz."""
    audio = AudioFormat(encoding, rate)
    assert adapter(audio=audio).audio_format == audio
    assert adapter(audio=audio, model=FLUX).audio_format == (PCM_16K_MONO if rate == 22_050 else audio)
    assert query(audio=audio)["encoding"] == {"pcm_s16le": "linear16", "pcm_mulaw": "mulaw"}[encoding]
    assert query(audio=audio)["sample_rate"] == str(rate)


def test_several_channels_are_mixed_and_mp3_decoded_for_flux() -> None:
    """What a protocol cannot take becomes 16 kHz mono PCM."""
    assert adapter(audio=AudioFormat("pcm_s16le", 48_000, 2)).audio_format == PCM_16K_MONO
    assert adapter(audio=AudioFormat("mp3", 44_100), model=FLUX).audio_format == PCM_16K_MONO


def test_raw_client_asks_for_what_it_will_see() -> None:
    """With `parse_json=false` interims are asked for only when the client wants them."""
    assert query(parse_json=False)["interim_results"] == "true"
    sent = query(parse_json=False, partial_results=False)
    assert sent["interim_results"] == "false"
    assert "utterance_end_ms" not in sent
    assert query(partial_results=False)["interim_results"] == "true"


@pytest.mark.parametrize(
    ("key", "header"),
    [(KEY, f"Token {KEY}"), ("eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln")],
)
def test_key_and_temporary_token(key: str, header: str) -> None:
    """An API key and a temporary token have different schemes."""
    assert adapter(key=key).dial().headers == (("Authorization", header),)


def test_no_key() -> None:
    """A self-hosted server without keys gets none."""
    assert adapter(key=None).dial().headers == ()


@pytest.mark.parametrize("key", ["", "a\r\nHost: other", "schlüssel", "a\x00b"])
def test_key_that_cannot_be_sent(key: str) -> None:
    """A key that would break the request head is refused, without being shown."""
    with pytest.raises(ClientFault) as caught:
        adapter(key=key).dial()
    assert caught.value.close_code == CloseCode.UNAUTHORIZED
    assert not key or key not in caught.value.message


# Refusals.


def test_refusal_carries_the_vendors_words() -> None:
    """Code and text of the JSON body are told; a stored key's refusal is the upstream's fault."""
    body = b'{"err_code":"INVALID_AUTH","err_msg":"Invalid credentials.","request_id":"9c1d"}'
    stored = AdapterConfig(options=wishes(), url="wss://x", credential=Credential(KEY, is_clients_own=False))
    fault = ENTRY.adapter(stored).refused(401, body)
    assert isinstance(fault, UpstreamFault)
    assert not fault.is_retryable
    assert "INVALID_AUTH: Invalid credentials." in fault.message
    assert adapter().refused(401, body).close_code == CloseCode.UNAUTHORIZED


@pytest.mark.parametrize(
    ("model", "language", "names"),
    [
        (None, "en-ZZ", ["en-ZZ", "nearest: en, en-AU"]),
        (None, "tlh", ["tlh", "use one of: af, ar"]),
        ("flux-general-en", "fr", ["models that can: nova-3, nova-3-medical, nova-2, flux-general-multi"]),
        ("flux-general-en", "multi", ["cannot detect", "nova-3"]),
        ("flux-general-multi", "pt-BR", ["nearest: pt"]),
        ("nova-2-meeting", "auto", ["cannot detect", "other providers", "or use one of: en, en-US"]),
        (None, "x" * 500, ["…"]),
    ],
)
def test_unsupported_language(model: str | None, language: str, names: list[str]) -> None:
    """A language the model does not speak is refused, naming what would work."""
    with pytest.raises(ClientFault) as caught:
        check(wishes(model=model, language=language))
    assert caught.value.code == "unsupported_language"
    assert caught.value.parameter == "language"
    assert len(caught.value.message) < 300
    assert all(name in caught.value.message for name in names)


@pytest.mark.parametrize("model", ["whisper-large", "Whisper", "", "nova 3", "nova-3&callback=x", "x" * 200])
def test_impossible_model(model: str) -> None:
    """Models that do not stream, and names that no model has, are refused with the known ones."""
    with pytest.raises(ClientFault, match="nova-3") as caught:
        check(wishes(model=model or " "))
    assert (caught.value.code, caught.value.parameter) == ("invalid_parameter", "model")


@pytest.mark.parametrize("model", [None, "nova-3", "nova-3-general", "base", "b1f0c9d2-6a53-4c1e", FLUX])
def test_possible_model(model: str | None) -> None:
    """Known models pass, and so do names that may be a customer's own."""
    check(wishes(model=model))


# v1: utterances and turns.


def test_pieces_become_one_utterance() -> None:
    """Each partial is the whole utterance so far; one final closes it, then the turn ends."""
    nova = adapter()
    events = [
        *nova.received(results("good", 0.0, 0.5)),
        *nova.received(results("Good day,", 0.0, 1.0, is_final=True)),
        *nova.received(results("every", 1.0, 0.5)),
        *nova.received(results("every", 1.0, 0.6)),
        *nova.received(results("everyone.", 1.0, 1.0, is_final=True, speech_final=True)),
    ]
    assert events == [
        Partial("good", 0, 500, (Word("good", 0, 500),)),
        Partial("Good day,", 0, 1000, (Word("Good", 0, 500), Word("day,", 500, 1000))),
        Partial(
            "Good day, every",
            0,
            1500,
            (Word("Good", 0, 500), Word("day,", 500, 1000), Word("every", 1000, 1500)),
        ),
        Final(
            "Good day, everyone.",
            0,
            2000,
            (Word("Good", 0, 500), Word("day,", 500, 1000), Word("everyone.", 1000, 2000)),
        ),
        TurnEnd(2000),
    ]


def test_speech_final_alone_is_final() -> None:
    """`is_final` false with `speech_final` true, as an old page shows, is final."""
    events = adapter().received(results("Hello.", 0.0, 1.0, speech_final=True))
    assert [type(event) for event in events] == [Final, TurnEnd]


def test_empty_final_closes_the_utterance() -> None:
    """An empty piece with `speech_final` ends the turn of the pieces before it; alone it says nothing."""
    nova = adapter()
    assert nova.received(results("", 0.0, 1.0, is_final=True, speech_final=True)) == []
    nova.received(results("Hello.", 1.0, 1.0, is_final=True))
    events = nova.received(results("", 2.0, 1.0, is_final=True, speech_final=True))
    assert [type(event) for event in events] == [Final, TurnEnd]


def test_utterance_end_is_the_second_signal_and_never_doubles_the_first() -> None:
    """It ends an open turn; -1, a late one, and one after `speech_final` do nothing."""
    nova = adapter()
    assert not nova.received(utterance_end(0.0))
    nova.received(results("One.", 0.0, 1.0, is_final=True, speech_final=True))
    assert not nova.received(utterance_end(1.0))
    nova.received(results("Two", 3.0, 1.0, is_final=True))
    assert not nova.received(utterance_end(-1))
    assert not nova.received(utterance_end(1.0))
    events = nova.received(utterance_end(4.0))
    assert [type(event) for event in events] == [Final, TurnEnd]
    assert not nova.received(utterance_end(4.0))
    assert not nova.received(results("", 4.0, 1.0, is_final=True, speech_final=True))


def test_utterance_end_minus_one_names_no_word() -> None:
    """-1 is no position: it does not end a turn that began with the first sample."""
    nova = adapter()
    nova.received(results("One", 0.0, 1.0, is_final=True))
    assert not nova.received(utterance_end(-1))


@pytest.mark.parametrize("model", ["nova-3", FLUX])
def test_the_same_word_again_is_told_again(model: str) -> None:
    """Only repeats within an utterance are dropped: who says yes twice is heard twice."""
    opened = adapter(model=model)
    for i in range(2):
        if model == FLUX:
            said = [turn_info("Update", i, "yes", i, i + 1.0), turn_info("EndOfTurn", i, "yes", i, i + 1.0)]
        else:
            said = [results("yes", i, 1.0), results("yes", i, 1.0, speech_final=True)]
        events = [event for message in said for event in opened.received(message)]
        assert [type(event) for event in events] == [Partial, Final, TurnEnd]


def test_finalize_closes_the_utterance_and_not_the_turn() -> None:
    """What `Finalize` brings out is a final at once; the turn ends when the vendor says so."""
    nova = adapter()
    assert nova.finalize() == (FINALIZE,)
    nova.received(results("One", 0.0, 1.0, is_final=True))
    events = nova.received(results("", 1.0, 0.2, is_final=True, from_finalize=True))
    assert texts(events) == [("Final", "One")]
    assert len(events) == 1
    events = nova.received(results("", 1.2, 1.0, is_final=True, speech_final=True))
    assert events == [TurnEnd(1000)]


def test_endless_utterance_is_closed() -> None:
    """Without any signal of an end, settled text is held back for 30 s of audio at most."""
    nova = adapter(partial_results=False)
    found = []
    for i in range(20):
        found += [(i, event) for event in nova.received(results(f"text {i}", i * 3.0, 3.0, is_final=True))]
    assert [(i, type(event)) for i, event in found] == [(9, Final), (19, Final)]
    assert found[0][1].text == " ".join(f"text {i}" for i in range(10))


def test_endless_text_without_time_is_closed() -> None:
    """The bound also holds when a vendor's positions stand still."""
    nova = adapter(partial_results=False)
    found = [nova.received(results("x" * 500, 0.0, 0.1 + i / 1e6, is_final=True)) for i in range(8)]
    assert [len(events) for events in found] == [0] * 7 + [1]


def test_speakers_come_from_finals_only() -> None:
    """Speaker labels of interims are guesses and are left out; ids are strings."""
    word = {"word": "hi", "start": 0.1, "end": 0.4, "speaker": 0}
    channel = {"alternatives": [{"transcript": "hi", "words": [word]}]}
    nova = adapter(diarize=True)
    [partial] = nova.received(results("hi", 0.0, 1.0, channel=channel))
    [final, _] = nova.received(results("hi", 0.0, 1.0, channel=channel, is_final=True, speech_final=True))
    assert partial.words == (Word("hi", 100, 400),)
    assert final.words == (Word("hi", 100, 400, speaker="0"),)


def test_text_without_words_has_the_span_of_its_message() -> None:
    """Without word detail `words` is None and the message's own span counts."""
    channel = {"alternatives": [{"transcript": "hi"}]}
    [final, _] = adapter().received(results("", 1.0, 2.0, channel=channel, speech_final=True))
    assert final == Final("hi", 1000, 3000, None)


def test_no_alternatives() -> None:
    """A result without alternatives is an empty one."""
    assert adapter().received(results("", 0.0, 1.0, channel={"alternatives": []}, is_final=True)) == ()


def test_repeats_and_echoes_are_dropped() -> None:
    """Said twice is told once; an old interim behind its final is not told."""
    nova = adapter()
    interim = results("good day", 0.0, 1.0)
    settled = results("Good day.", 0.0, 1.0, is_final=True)
    ended = results("Bye.", 1.0, 1.0, is_final=True, speech_final=True)
    assert texts(nova.received(interim) + nova.received(interim)) == [("Partial", "good day")]
    assert texts([*nova.received(settled), *nova.received(settled)]) == [("Partial", "Good day.")]
    assert not nova.received(interim)
    assert texts([*nova.received(ended), *nova.received(ended)]) == [("Final", "Good day. Bye.")]
    assert not nova.received(results("bye", 1.0, 1.0))


def test_shrinking_final_gives_the_rest_back() -> None:
    """A final may settle less than the last interim showed; the rest comes with the next span."""
    nova = adapter()
    nova.received(results("two tickets please", 0.0, 3.0))
    assert texts(nova.received(results("two tickets", 0.0, 2.0, is_final=True))) == [
        ("Partial", "two tickets")
    ]
    assert texts(nova.received(results("please", 2.0, 1.0))) == [("Partial", "two tickets please")]


# v1: the end.


def test_metadata_after_close_stream_is_the_end() -> None:
    """Pending text, the turn's end, the vendor's own count of audio, then the end, without waiting for the close."""
    nova = adapter()
    nova.received(results("Bye", 0.0, 1.0, is_final=True))
    assert nova.finish() == (CLOSE_STREAM,)
    events = nova.received(metadata(60.5))
    assert texts(events) == [("Final", "Bye")]
    assert list(events[1:]) == [TurnEnd(1000), Usage(60_500), Finished()]
    assert nova.closed(1000, "") == ()


def test_metadata_before_the_end_only_counts() -> None:
    """A server that sends `Metadata` early does not end the session with it."""
    nova = adapter()
    assert nova.received(metadata(1.0)) == (Usage(1000),)
    assert nova.received(results("on", 0.0, 1.0))


def test_close_without_metadata_is_complete_if_all_was_settled() -> None:
    """After `CloseStream` a clean close is the end, unless an interim or a stretch of audio was never settled."""
    nova = adapter(audio_ms=1500)
    nova.received(results("Bye", 0.0, 1.0, is_final=True))
    nova.finish()
    assert [type(event) for event in nova.closed(1000, "")] == [Final, TurnEnd, Finished]
    nova = adapter(audio_ms=1500)
    nova.received(results("bye", 0.0, 1.0))
    nova.finish()
    assert [type(event) for event in nova.closed(1000, "")] == [Failed]
    nova = adapter(audio_ms=5000)
    nova.finish()
    assert [type(event) for event in nova.closed(1000, "")] == [Failed]


def test_normal_close_before_the_end_is_a_failure() -> None:
    """1000 is no success while audio is open: settled text is told, interim text is not, the turn stays open."""
    nova = adapter()
    nova.received(results("Settled", 0.0, 1.0, is_final=True))
    nova.received(results("maybe", 1.0, 1.0))
    final, failed = nova.closed(1000, "")
    assert final.text == "Settled"
    assert isinstance(failed.fault, UpstreamFault)
    assert failed.fault.is_retryable


@pytest.mark.parametrize("model", ["nova-3", FLUX])
@pytest.mark.parametrize(
    ("code", "reason", "is_retryable"),
    [
        (None, "", True),
        (1006, "", True),
        (1008, "something", False),
        (1011, "NET-0000", True),
        (1011, "NET-0001: no audio", True),
        (1012, "restart", True),
        (4000, "", False),
    ],
)
def test_closes(model: str, code: int | None, reason: str, is_retryable: bool) -> None:
    """A fallen or overloaded connection may be tried again, a refused one may not; the reason is told."""
    [failed] = adapter(model=model).closed(code, reason)
    assert isinstance(failed.fault, UpstreamFault)
    assert failed.fault.is_retryable == is_retryable
    assert reason in failed.fault.message


def test_undecodable_audio_is_the_clients_to_fix() -> None:
    """1008 `DATA-0000` names the encoding that was declared, unless the audio was converted here."""
    [failed] = adapter(audio=AudioFormat("webm", 48_000), audio_ms=0).closed(1008, "DATA-0000: cannot decode")
    assert isinstance(failed.fault, ClientFault)
    assert (failed.fault.code, failed.fault.close_code) == ("audio_error", CloseCode.UNSUPPORTED_DATA)
    assert "webm" in failed.fault.message
    [failed] = adapter(model=FLUX, audio=AudioFormat("mp3", 48_000)).closed(1008, "DATA-0000: cannot decode")
    assert isinstance(failed.fault, UpstreamFault)


@pytest.mark.parametrize(("variant", "is_retryable"), [("SchemaError", False), ("ServerError", True)])
def test_error_message(variant: str, is_retryable: bool) -> None:
    """The vendor's description is told, without our key and without the message of ours that it echoes."""
    nova = adapter()
    nova.received(results("Settled", 0.0, 1.0, is_final=True))
    error = {"type": "Error", "variant": variant, "description": f"bad {KEY}", "message": "echo"}
    final, failed = nova.received(json.dumps(error))
    assert final.text == "Settled"
    assert failed.fault.message == "Deepgram reported an error: bad …"
    assert failed.fault.is_retryable == is_retryable


def test_broken_message_names_the_place() -> None:
    """A known message of a wrong shape is the upstream's fault, with the path of what is wrong."""
    [failed] = adapter().received(
        '{"type":"Results","start":"now","duration":1,"channel":{"alternatives":[]}}'
    )
    assert "`$.start`" in failed.fault.message
    assert adapter(parse_json=False).received('{"type":"UtteranceEnd"}') == ()


def test_notices_carry_names_only() -> None:
    """An unknown type is told if it is a name; a sentence in its place is not."""
    assert adapter().received('{"type":"SpeechStarted"}') == (Notice("SpeechStarted"),)
    assert adapter().received('{"type":"she said hello"}') == (Notice("unknown_message"),)
    assert adapter().received("{}") == (Notice("unknown_message"),)


# v1: a quiet line.


def test_quiet_line_brings_out_the_last_words_and_is_kept_alive() -> None:
    """When audio stops, silence longer than both signals once, then a keepalive at most every 3 s."""
    nova = adapter()
    assert nova.tick(3.0) == ()
    silence = nova.tick(6.0)
    assert sum(map(len, silence)) >= 32 * 1500
    assert not any(b"".join(silence))
    assert [nova.tick(9.0), nova.tick(12.0)] == [(KEEPALIVE,), (KEEPALIVE,)]
    assert nova.due_s() == 15.0
    nova.audio(b"\x01\x01")
    assert nova.tick(15.0) == ()
    assert nova.tick(18.0) != (KEEPALIVE,)


def test_line_without_first_audio_gets_some() -> None:
    """Keepalives do not count before the first audio, so a moment of silence is sent."""
    nova = adapter(audio_ms=0)
    assert nova.tick(3.0) == [bytes(32 * 80)]
    assert nova.tick(6.0) == (KEEPALIVE,)


@pytest.mark.parametrize("changes", [{"audio": AudioFormat("ogg_opus", 48_000)}, {"parse_json": False}])
def test_where_no_silence_fits_finalize_is_asked(changes: dict[str, Any]) -> None:
    """Containers, and clients who read the vendor's own times, get no silence of ours."""
    nova = adapter(audio_ms=0, **changes)
    assert nova.tick(3.0) == (KEEPALIVE,)
    nova.audio(b"OggS")
    nova.tick(6.0)
    assert [nova.tick(9.0), nova.tick(12.0)] == [(FINALIZE, KEEPALIVE), (KEEPALIVE,)]


def test_nothing_is_sent_after_finish() -> None:
    """No keepalive, no finalize and no further tick behind `CloseStream`."""
    for model in ("nova-3", FLUX):
        opened = adapter(model=model)
        opened.finish()
        assert opened.due_s() is None
        assert opened.tick(100.0) == ()
        assert opened.finalize() == ()


def test_empty_audio_is_not_sent() -> None:
    """An empty binary message would end the stream."""
    assert adapter().audio(b"") == ()


def test_silence_of_ours_is_not_on_the_sessions_timeline() -> None:
    """Positions behind inserted silence are those of the client's audio; inside it, the place where it began."""
    nova = adapter(audio_ms=2000)
    nova.tick(3.0)
    length_s = sum(map(len, nova.tick(6.0))) / 32_000
    inside = results("Held.", 1.0, 1.0 + length_s / 2, is_final=True, speech_final=True)
    [final, _] = nova.received(inside)
    assert (final.start_ms, final.end_ms) == (1000, 2000)
    nova.audio(bytes(64_000))
    [final, turn_end] = nova.received(results("On.", 2.5 + length_s, 1.0, is_final=True, speech_final=True))
    assert (final.start_ms, final.end_ms, turn_end.end_ms) == (2500, 3500, 3500)


# Flux.


def test_flux_turn() -> None:
    """The whole turn so far in each partial, unchanged text once, then final and turn end."""
    flux = adapter(model=FLUX)
    assert flux.received(connected()) == (Ready("5e0f3f6e-0c8f-4f52-a6a5-0d9d3d5c7c10"),)
    events = [
        *flux.received(turn_info("Update", 0, "", 0.0, 0.2)),
        *flux.received(turn_info("Update", 0, "I", 0.0, 0.4)),
        *flux.received(turn_info("StartOfTurn", 0, "I would", 0.0, 0.8)),
        *flux.received(turn_info("Update", 0, "I would", 0.0, 1.0)),
        *flux.received(turn_info("SomethingNew", 0, "I would like", 0.0, 1.2)),
        *flux.received(turn_info("EndOfTurn", 0, "I would.", 0.0, 1.2)),
        *flux.received(turn_info("EndOfTurn", 0, "I would.", 0.0, 1.2)),
        *flux.received(turn_info("Update", 0, "I would.", 0.0, 1.2)),
        *flux.received(turn_info("EndOfTurn", 1, "", 1.2, 1.4)),
    ]
    assert texts(events) == [
        ("Partial", "I"),
        ("Partial", "I would"),
        ("Partial", "I would like"),
        ("Final", "I would."),
    ]
    assert events[-2:] == [
        Final("I would.", 0, 1200, (Word("I", 0, 600), Word("would.", 600, 1200))),
        TurnEnd(1200),
    ]


def test_flux_words_without_times() -> None:
    """Times are optional in Flux's schema; such words stand where the turn, or the word before, is."""
    message = json.loads(turn_info("EndOfTurn", 0, "yes please", 1.0, 2.0))
    message["words"] = [{"word": "yes"}, {"word": "please", "end": 2.0}]
    [final, _] = adapter(model=FLUX).received(json.dumps(message))
    assert final.words == (Word("yes", 1000, 1000), Word("please", 1000, 2000))
    message["words"] = []
    [final, _] = adapter(model=FLUX).received(json.dumps(message))
    assert (final.start_ms, final.end_ms, final.words) == (1000, 2000, None)


@pytest.mark.parametrize("code", [1000, 1005])
def test_flux_last_update_is_promoted(code: int) -> None:
    """After `CloseStream` the last update is final, though no `EndOfTurn` comes."""
    flux = adapter(model=FLUX)
    assert flux.finish() == (CLOSE_STREAM,)
    flux.received(turn_info("Update", 0, "Thank you", 0.0, 1.0))
    events = flux.closed(code, "")
    assert texts(events) == [("Final", "Thank you")]
    assert events[1:] == [TurnEnd(1000), Finished()]


def test_flux_lost_after_finish_tells_text_and_failure() -> None:
    """A fallen connection after `CloseStream` is a failure, but the text that came is told."""
    flux = adapter(model=FLUX)
    flux.finish()
    flux.received(turn_info("Update", 0, "Thank", 0.0, 1.0))
    assert [type(event) for event in flux.closed(None, "")] == [Final, TurnEnd, Failed]


def test_flux_lost_in_a_turn_tells_no_final() -> None:
    """Before `CloseStream` an open turn is not final: its audio is heard again elsewhere."""
    flux = adapter(model=FLUX)
    flux.received(turn_info("Update", 0, "Thank", 0.0, 1.0))
    assert [type(event) for event in flux.closed(1005, "")] == [Failed]


@pytest.mark.parametrize(
    ("code", "is_retryable"),
    [("INTERNAL_SERVER_ERROR", True), ("UNPARSABLE_CLIENT_MESSAGE", False), ("NEW", False)],
)
def test_flux_error(code: str, is_retryable: bool) -> None:
    """An error of the server may be tried again, one of ours may not."""
    error = {"type": "Error", "sequence_id": 1, "code": code, "description": "it broke"}
    [failed] = adapter(model=FLUX).received(json.dumps(error))
    assert failed.fault.message == f"Deepgram reported an error: {code}: it broke"
    assert failed.fault.is_retryable == is_retryable


def test_flux_warning() -> None:
    """A warning is a notice with the vendor's code."""
    warning = {"type": "Warning", "code": "SOME_CONDITION", "description": "x"}
    assert adapter(model=FLUX).received(json.dumps(warning)) == (Notice("SOME_CONDITION"),)


def test_flux_is_never_kept_alive() -> None:
    """A `KeepAlive` would end the connection: silence for as long as a turn may last without speech, then nothing."""
    flux = adapter(model=FLUX)
    ticks = [flux.tick(0.5 * i) for i in range(1, 20)]
    assert ticks[:2] == [(), ()]
    sent = [message for messages in ticks for message in messages]
    assert all(isinstance(message, bytes) and message for message in sent)
    assert 32 * 1000 <= sum(map(len, sent)) <= 32 * 1300
    assert not ticks[-1]


def test_flux_mulaw_silence() -> None:
    """Silence in mu-law is 0xFF: zeros would be the loudest sample."""
    flux = adapter(model=FLUX, audio=AudioFormat("pcm_mulaw", 8000))
    for i in range(1, 5):
        messages = flux.tick(0.5 * i)
    assert set(b"".join(messages)) == {0xFF}


def test_flux_finalize_is_silence_once_per_turn() -> None:
    """Silence behind the audio ends the turn on every host, and cuts off nothing."""
    flux = adapter(model=FLUX, endpointing_ms=2000)
    assert not flux.finalize()
    flux.received(turn_info("StartOfTurn", 0, "Well", 0.0, 1.0))
    silence = flux.finalize()
    assert sum(map(len, silence)) >= 32 * 2500
    flux.audio(bytes(3200))
    assert not flux.finalize()


@pytest.mark.parametrize(
    ("url", "sent"),
    [("wss://api.deepgram.com", (FORCE_END_TURN,)), ("wss://api.eu.deepgram.com", ()), ("ws://10.0.0.1", ())],
)
def test_flux_finalize_of_containers(url: str, sent: tuple[str, ...]) -> None:
    """`ForceEndTurn` goes to the global host only: others may take it for an error and close."""
    flux = adapter(model=FLUX, url=url, audio=AudioFormat("webm", 48_000), audio_ms=0)
    flux.audio(b"\x1a\x45\xdf\xa3")
    flux.received(turn_info("StartOfTurn", 0, "Well", 0.0, 1.0))
    assert flux.finalize() == sent
    assert [flux.tick(0.5 * i) for i in range(1, 9)] == [()] * 8


# Channels told apart.

STEREO = AudioFormat("pcm_s16le", 16_000, 2)


def test_channels_go_as_they_came() -> None:
    """With `multichannel` both channels are sent, and asked to be told apart; without it they are mixed here."""
    apart = adapter(audio=STEREO, multichannel=True)
    assert apart.audio_format == STEREO
    assert {"channels": "2", "multichannel": "true"}.items() <= dict(parse_qsl(apart.dial().url)).items()
    mixed = adapter(audio=STEREO)
    assert mixed.audio_format == PCM_16K_MONO
    assert "multichannel" not in mixed.dial().url


def test_each_channel_has_utterances_of_its_own() -> None:
    """What one says neither closes nor repeats nor moves what the other says."""
    nova = adapter(audio=STEREO, multichannel=True)
    nova.audio(bytes(4 * STEREO.bytes_per_second))
    for channel in (0, 1):
        [partial] = nova.received(results("Yes.", 0.5, 0.5, is_final=True, channel_index=[channel, 2]))
        assert (partial.text, partial.channel) == ("Yes.", channel)
    assert nova.received(utterance_end(1.0, channel=[1, 2])) == [
        Final("Yes.", 500, 1000, (Word("Yes.", 500, 1000),), channel=1),
        TurnEnd(1000, channel=1),
    ]
    assert nova.received(utterance_end(1.0, channel=[1, 2])) == ()
    [final, _] = nova.received(results("", 1.0, 0.5, is_final=True, speech_final=True, channel_index=[0, 2]))
    assert (final.text, final.channel) == ("Yes.", 0)


@pytest.mark.parametrize("place", [[], [2, 3], [-1, 2], [10**9, 2]])
def test_nobodys_channel_is_nobodys(place: list[int]) -> None:
    """A channel that the client did not send is passed over."""
    nova = adapter(audio=STEREO, multichannel=True)
    nova.audio(bytes(4 * STEREO.bytes_per_second))
    said = results("Yes.", 0.5, 0.5, is_final=True, speech_final=True, channel_index=place)
    assert nova.received(said) == ()


def test_a_mixed_stream_has_one_channel_whatever_the_vendor_says() -> None:
    """Without `multichannel` transcripts name none."""
    nova = adapter()
    nova.audio(bytes(32_000))
    told = nova.received(results("Yes.", 0.2, 0.5, is_final=True, speech_final=True, channel_index=[5, 7]))
    assert [event.channel for event in told] == [None, None]
