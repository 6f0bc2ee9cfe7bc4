"""The local engine: a recogniser behind a protocol of our own, on this machine, without key or network.

Protocol: the docstring of `routeraudio.engine.protocol`, which this file deliberately does not import: the engine is
another process and may be another version.

What is odd about it:

- It takes 16 kHz mono PCM only. What it speaks depends on its models: English, where nothing else is configured.
- There are no speakers, whatever `diarize` says, and no confidence: it has none worth telling.
- Words may be null: then nobody knows when they were said.
- `endpointing_ms` below 210 means 210.
- It sends no final without words: silence and noise give nothing.
- It reads as fast as it decodes, so a burst fills the socket and pings wait behind the audio.
"""

from collections.abc import Callable, Sequence
from typing import Final, assert_never

import msgspec

from routeraudio.model.audio import PCM_16K_MONO, AudioFormat
from routeraudio.model.errors import CloseCode, Fault, UpstreamFault
from routeraudio.model.events import Event, Finished, Notice, Partial, Ready, Usage, Word
from routeraudio.model.events import Final as FinalText
from routeraudio.model.message import Message
from routeraudio.model.options import Options
from routeraudio.providers import decoding
from routeraudio.providers.base import AdapterConfig, Capabilities, Dial, Entry, refusal
from routeraudio.providers.base_adapter import Connection
from routeraudio.providers.compatibility import unknown_model, unsupported_language
from routeraudio.providers.local.native import NATIVE
from routeraudio.providers.models import Model, Models, is_detection, load, speaks

TITLE: Final = "the local engine"

CAPABILITIES: Final = Capabilities(encodings=("pcm_s16le",), sample_rates=(16000,))

FINALIZE: Final = '{"type":"finalize"}'
FINISH: Final = '{"type":"finish"}'

FULL: Final = "engine_full"
_ERRORS_RETRYABLE: Final = frozenset({FULL, "engine_failed"})
"""The others are about what we sent, and would come again."""


# Wire structs.


class _Word(msgspec.Struct, gc=False):
    text: str
    start_ms: int
    end_ms: int


class _Ready(msgspec.Struct, tag="ready"):
    id: str


class _Heard(msgspec.Struct):
    text: str
    start_ms: int
    end_ms: int
    words: list[_Word] | None


class _Partial(_Heard, tag="partial"):
    pass


class _Final(_Heard, tag="final"):
    pass


class _Done(msgspec.Struct, tag="done"):
    audio_ms: int


class _Error(msgspec.Struct, tag="error"):
    code: str
    message: str


_Answer = _Ready | _Partial | _Final | _Done | _Error

_DECODER: Final[msgspec.json.Decoder[_Answer]] = msgspec.json.Decoder(_Answer)


class Local(Connection):
    """One connection to the engine."""

    is_ready_when_opened = False
    """It says `ready` when a recogniser has been started."""

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__(config, target(config.options))
        self._settled_ms = 0
        """Session position up to which text is final; nothing later reaches back before it."""

    def dial(self) -> Dial:
        options = self._config.options
        parameters = (
            *((("model", options.model),) if options.model is not None else ()),
            *((("language", options.language),) if _is_choice(options) else ()),
            ("sample_rate", str(PCM_16K_MONO.sample_rate)),
            *((("punctuate", "false"),) if not options.punctuate and _punctuates(options) else ()),
            ("partials", "true" if options.partial_results else "false"),
            ("endpointing_ms", str(options.endpointing_ms)),
        )
        return Dial(decoding.url(self._config.url, "/v1/recognise", parameters))

    def refused(self, status: int, body: bytes) -> Fault:
        return refusal(
            TITLE, status, credential=None, words=decoding.words(body.decode(errors="replace"), None)
        )

    def audio(self, chunk: bytes) -> Sequence[Message]:
        assert not self._is_finishing, "audio after finish()"
        self._line.sent(len(chunk))
        return (chunk,)

    def finalize(self) -> Sequence[Message]:
        return () if self._is_finishing else (FINALIZE,)

    def _finish(self) -> Sequence[Message]:
        return (FINISH,)

    def _read(self, message: Message) -> Sequence[Event]:
        match decoding.read(_DECODER, message, title=TITLE):
            case _Ready(id):
                return (Ready(id),)
            case _Partial() as partial:
                return self._partial(partial)
            case _Final() as final:
                return self._final(final)
            case _Done(audio_ms):
                return self._done(audio_ms)
            case _Error() as error:
                return self._fail(_fault(error))
            case Notice() as notice:
                return (notice,)
            case UpstreamFault() as fault:
                return self._fail(fault)
            case unread:
                assert_never(unread)

    def _closed(self, code: int | None, reason: str) -> Sequence[Event]:
        # `done` comes before the close. A partial is nothing to keep: the second pass may hear something else.
        return self._fail(decoding.closing(TITLE, code, reason, credential=None))

    def _partial(self, heard: _Partial) -> Sequence[Event]:
        if not heard.text or not self._config.options.partial_results:
            return ()
        start_ms, end_ms = self._span(heard.start_ms, heard.end_ms)
        return (Partial(heard.text, start_ms, end_ms, _words(heard.words, self._at, start_ms, end_ms)),)

    def _final(self, heard: _Final) -> Sequence[Event]:
        if not heard.text:
            return ()
        start_ms, end_ms = self._span(heard.start_ms, heard.end_ms)
        self._settled_ms = end_ms
        return (FinalText(heard.text, start_ms, end_ms, _words(heard.words, self._at, start_ms, end_ms)),)

    def _done(self, audio_ms: int) -> Sequence[Event]:
        if not self._is_finishing:
            return self._fail(UpstreamFault(f"{TITLE} ended before it was asked to", is_retryable=True))
        self._is_over = True
        return (Usage(audio_ms), Finished())

    def _at(self, position_ms: int) -> int:
        """The session's position of the engine's, inside the audio sent."""
        return self._line.session_ms(position_ms / 1000)

    def _span(self, start_ms: int, end_ms: int) -> tuple[int, int]:
        """A stretch on the session's timeline: behind what is final, and not running backwards."""
        session_start_ms = max(self._at(start_ms), self._settled_ms)
        return session_start_ms, max(self._at(end_ms), session_start_ms)


def _words(
    words: list[_Word] | None, at: Callable[[int], int], start_ms: int, end_ms: int
) -> tuple[Word, ...] | None:
    """The words on the session's timeline, in order and inside their segment."""
    placed: list[Word] = []
    for word in words or ():
        word_start_ms = min(max(at(word.start_ms), start_ms), end_ms)
        word_end_ms = min(max(at(word.end_ms), word_start_ms), end_ms)
        placed.append(Word(word.text, word_start_ms, word_end_ms))
        start_ms = word_start_ms
    return tuple(placed) or None


def _fault(error: _Error) -> UpstreamFault:
    if error.code == FULL:
        return UpstreamFault(
            decoding.words(error.message, None),
            code="rate_limited",
            close_code=CloseCode.TRY_LATER,
            is_retryable=True,
        )
    return UpstreamFault(
        f"{TITLE} has failed: {decoding.words(error.message, None)}",
        is_retryable=error.code in _ERRORS_RETRYABLE,
    )


def target(_options: Options) -> AudioFormat:
    """What the engine is sent, whatever the client sends."""
    return PCM_16K_MONO


def models() -> Models:
    """The engine's models."""
    return load("local")


def _meant(options: Options) -> Model | None:
    return models().find(models().chosen(options.model, options.language))


def _punctuates(options: Options) -> bool:
    """Whether the model that is meant writes punctuation, and can leave it out."""
    row = _meant(options)
    return row is not None and row.support.punctuate == "native"


def _is_choice(options: Options) -> bool:
    """Whether a language was named to a model that speaks several."""
    row = _meant(options)
    return row is not None and len(row.languages) > 1 and not is_detection(options.language)


def check(options: Options) -> None:
    """Refuse what the engine cannot do. Whoever leaves the language open gets English; `diarize` is left out.

    Raises:
        ClientFault: another model or language.
    """
    known = models()
    row = known.find(known.chosen(options.model, options.language))
    if row is None:
        raise unknown_model(TITLE, known, options.model or "")
    if not speaks(row, options.language):
        raise unsupported_language(TITLE, known, row, options.language)


ENTRY: Final = Entry(
    name="local",
    title="Local engine",
    default_url="ws://127.0.0.1:7071",
    needs_key=False,
    adapter=Local,
    audio_format=target,
    check=check,
    native=NATIVE,
)
