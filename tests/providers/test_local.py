"""The local engine's adapter: what it dials, sends, tells and refuses."""

from typing import Any

import msgspec
import pytest

from routeraudio.model.audio import PCM_16K_MONO, AudioFormat
from routeraudio.model.errors import ClientFault, UpstreamFault
from routeraudio.model.events import Event, Failed, Final, Finished, Notice, Partial, Ready, Usage, Word
from routeraudio.model.options import Options
from routeraudio.providers.base import Adapter, AdapterConfig
from routeraudio.providers.local import ENTRY

OPTIONS = Options(provider="local", audio=PCM_16K_MONO, partial_results=True)

READY = '{"type":"ready","id":"a1"}'
PARTIAL = (
    '{"type":"partial","text":"go","start_ms":460,"end_ms":640,'
    '"words":[{"text":"go","start_ms":460,"end_ms":640}]}'
)
FINAL = (
    '{"type":"final","text":"go forward","start_ms":460,"end_ms":1170,"words":['
    '{"text":"go","start_ms":460,"end_ms":640},{"text":"forward","start_ms":640,"end_ms":1170}]}'
)
DONE = '{"type":"done","audio_ms":2000}'

CONVERSATION: tuple[tuple[str, tuple[Event, ...]], ...] = (
    (READY, (Ready("a1"),)),
    (PARTIAL, (Partial("go", 460, 640, (Word("go", 460, 640),)),)),
    (FINAL, (Final("go forward", 460, 1170, (Word("go", 460, 640), Word("forward", 640, 1170))),)),
    (DONE, (Usage(2000), Finished())),
)


def adapter(url: str = ENTRY.default_url, **changes: Any) -> Adapter:
    options = msgspec.structs.replace(OPTIONS, **changes)
    return ENTRY.adapter(AdapterConfig(options=options, url=url))


def finishing(**changes: Any) -> Adapter:
    """An adapter that has sent two seconds of audio and said so."""
    made = adapter(**changes)
    made.audio(bytes(64_000))
    made.finish()
    return made


def failed(events: object) -> UpstreamFault:
    """The fault of the only event."""
    assert isinstance(events, list | tuple)
    (event,) = events
    assert isinstance(event, Failed)
    assert isinstance(event.fault, UpstreamFault)
    return event.fault


@pytest.mark.parametrize(
    ("changes", "query"),
    [
        ({}, "sample_rate=16000&partials=true&endpointing_ms=500"),
        (
            {"partial_results": False, "endpointing_ms": 0, "language": "auto", "punctuate": False},
            "sample_rate=16000&punctuate=false&partials=false&endpointing_ms=0",
        ),
        (
            {"model": "pocketsphinx-en-us", "language": "en-AU"},
            "model=pocketsphinx-en-us&sample_rate=16000&partials=true&endpointing_ms=500",
        ),
    ],
)
def test_dial(changes: dict[str, Any], query: str) -> None:
    """The address is the configured one with the session's wishes, without any header."""
    dial = adapter(url="ws://127.0.0.1:9999/", **changes).dial()
    assert dial.url == f"ws://127.0.0.1:9999/v1/recognise?{query}"
    assert dial.headers == ()


def test_messages_out() -> None:
    """Audio goes out as it is; finalize and finish are said in words, finish once."""
    made = adapter()
    assert made.opened() == ()
    assert made.audio(b"\x01\x02\x03") == (b"\x01\x02\x03",)
    assert made.finalize() == ('{"type":"finalize"}',)
    assert made.finish() == ('{"type":"finish"}',)
    assert made.finish() == ()
    assert made.finalize() == ()
    with pytest.raises(AssertionError):
        made.audio(b"\x01")


def test_a_whole_conversation() -> None:
    """Every message means what the protocol says, and nothing follows the end."""
    made = finishing()
    for message, events in CONVERSATION:
        assert tuple(made.received(message)) == events
    assert made.closed(1000, "") == ()
    assert made.received(FINAL) == ()


@pytest.mark.parametrize("code", [None, 1000, 1011, 1013])
@pytest.mark.parametrize("said", range(len(CONVERSATION)))
def test_a_close_before_done(said: int, code: int | None) -> None:
    """A close at any place before `done` is the engine's fault; finals were told, no partial becomes one."""
    made = finishing()
    told = [event for message, _ in CONVERSATION[:said] for event in made.received(message)]
    fault = failed(made.closed(code, ""))
    assert fault.is_retryable
    assert [event for event in told if isinstance(event, Final)] == [
        event for _, events in CONVERSATION[:said] for event in events if isinstance(event, Final)
    ]
    assert made.closed(code, "") == ()


def test_positions_stay_inside_the_audio() -> None:
    """A position behind the audio sent is the audio's end, and none is before the last final."""
    made = finishing()
    made.received(FINAL)
    (again,) = made.received(FINAL.replace("1170", "9999999999999999999999999"))
    assert isinstance(again, Final)
    assert (again.start_ms, again.end_ms) == (1170, 2000)
    assert again.words == (Word("go", 1170, 1170), Word("forward", 1170, 2000))


def test_unwanted_and_empty_text_is_no_event() -> None:
    """Partials nobody asked for and text without words are left out."""
    assert not finishing(partial_results=False).received(PARTIAL)
    for message in (PARTIAL, FINAL):
        empty = msgspec.json.decode(message) | {"text": "", "words": []}
        assert not finishing().received(msgspec.json.encode(empty).decode())


@pytest.mark.parametrize(
    ("code", "is_retryable"),
    [("engine_full", True), ("engine_failed", True), ("bad_message", False), ("idle", False), ("new", False)],
)
def test_errors(code: str, is_retryable: bool) -> None:
    """An error of the engine ends the connection, with its words and whether it is worth trying again."""
    fault = failed(finishing().received(f'{{"type":"error","code":"{code}","message":"so\\nit is"}}'))
    assert fault.message == (
        "so it is" if code == "engine_full" else "the local engine reported an error: so it is"
    )
    assert fault.close_code == (1013 if code == "engine_full" else 4040)
    assert fault.is_retryable is is_retryable


def test_words_that_nobody_timed() -> None:
    """Text whose words have no times is told without words."""
    message = FINAL[: FINAL.index('"words"')] + '"words":null}'
    assert list(finishing().received(message)) == [Final("go forward", 460, 1170, None)]


@pytest.mark.parametrize("message", ['{"type":"mood"}', '{"type":"mood","value":[1]}'])
def test_unknown_messages(message: str) -> None:
    """A message of a later engine is noticed, by its type."""
    assert tuple(finishing().received(message)) == (Notice("mood"),)


@pytest.mark.parametrize(
    "message", ["", "{", '{"type":"final"}', FINAL.replace("1170", '"x"'), b"\x00", "\ud800"]
)
def test_broken_messages(message: str | bytes) -> None:
    """What cannot be read is the engine's fault and ends the connection."""
    assert failed(finishing().received(message)).is_retryable


def test_done_too_early() -> None:
    """An engine that says `done` before it was asked to has failed."""
    assert failed(adapter().received(DONE)).is_retryable


@pytest.mark.parametrize(("status", "is_retryable"), [(400, False), (404, False), (503, True)])
def test_refused(status: int, is_retryable: bool) -> None:
    """An HTTP refusal is told with the engine's words."""
    fault = adapter().refused(status, b"sample_rate must be 16000")
    assert isinstance(fault, UpstreamFault)
    assert fault.message == (
        f"the local engine refused the connection (HTTP {status}): sample_rate must be 16000"
    )
    assert fault.is_retryable is is_retryable


def test_a_line_that_goes_quiet_ends_the_utterance() -> None:
    """A client that stops sending sends no silence either: finals are asked for, once, after `endpointing`."""
    made = adapter(endpointing_ms=1000)
    assert made.tick(0.0) == ()
    made.audio(b"\0\0")
    ticks = [(number / 2, made.tick(number / 2)) for number in range(1, 10)]
    assert [at_s for at_s, messages in ticks if messages] == [1.5]
    assert ('{"type":"finalize"}',) in [messages for _, messages in ticks]
    made.audio(b"\0\0")
    assert [made.tick(number / 2) for number in range(10, 14)].count(('{"type":"finalize"}',)) == 1
    made.finish()
    assert made.due_s() is None


@pytest.mark.parametrize("language", ["en", "EN", "en-US", "en-gb", "auto", "multi"])
@pytest.mark.parametrize("model", [None, "moonshine-tiny-en"])
def test_what_it_takes(language: str, model: str | None) -> None:
    """English in any spelling, with or without the model's name; diarization is left out, not refused."""
    ENTRY.check(msgspec.structs.replace(OPTIONS, language=language, model=model, diarize=True))


@pytest.mark.parametrize(
    ("language", "named"),
    [
        ("de", "other providers that do: assemblyai, deepgram"),
        ("fr-FR", "with language=fr"),
        ("english", "use one of: en"),
        ("eng", "with language=en"),
        ("", "use one of: en"),
        ("e", "use one of: en"),
    ],
)
def test_other_languages(language: str, named: str) -> None:
    """Any other language is refused, naming who speaks it, else the one it speaks."""
    with pytest.raises(ClientFault, match=named) as caught:
        ENTRY.check(msgspec.structs.replace(OPTIONS, language=language))
    assert caught.value.code == "unsupported_language"
    assert caught.value.parameter == "language"


@pytest.mark.parametrize("model", ["nova-3", ""])
def test_other_models(model: str) -> None:
    """Any other model is refused, naming the one there is."""
    with pytest.raises(ClientFault, match="moonshine-tiny-en") as caught:
        ENTRY.check(msgspec.structs.replace(OPTIONS, model=model))
    assert caught.value.code == "invalid_parameter"
    assert caught.value.parameter == "model"


@pytest.mark.parametrize(
    "source",
    [
        PCM_16K_MONO,
        AudioFormat("pcm_s16le", 48_000),
        AudioFormat("pcm_s16le", 16_000, 2),
        AudioFormat("pcm_mulaw", 8000),
        AudioFormat("webm", 48_000),
    ],
    ids=str,
)
def test_one_format(source: AudioFormat) -> None:
    """Whatever the client sends, the engine is given 16 kHz mono PCM."""
    options = Options(provider="local", audio=source)
    assert ENTRY.audio_format(options) == PCM_16K_MONO
    assert adapter(audio=source).audio_format == PCM_16K_MONO
