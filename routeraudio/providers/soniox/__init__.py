"""Soniox: real-time speech-to-text over `/transcribe-websocket`.

Documentation: https://soniox.com/docs/stt/api-reference/websocket-api (2026-11), Python SDK 2.10.0.

What is odd about it:

- Text comes as tokens, pieces of words (`soniox_tokens`). A final token comes once and stays; the tokens that
  are not final are all void with the next message, even with one that has none. There are no utterances: the
  token `<end>` says that the speaker's is over, `<fin>` that a `finalize` has been carried out.
- The key travels in the handshake. In the first message too it would be refused; there alone it will be
  refused from 2027-01-15.
- There is no message of readiness, and no HTTP refusal: a bad key, a bad start message, an empty account are
  answered by the first message, `error_code` in it, and a *normal* close.
- An empty *text* message ends the stream; an empty binary one is documented too, and was found unreliable.
  The vendor's own end is `finished`; a close without it is none, whatever its code.
- Without audio the line dies after 20 s unless it is kept alive. Silence detection stops with the audio, so a
  pause gets one `finalize`, as in the SDK's `pause()`: the last words would wait for ever.
- `max_endpoint_delay_ms` is an upper bound: `<end>` may come earlier, by what was said.
- Control tokens have times of any kind (0 too); positions come from words only.
- Texts are always punctuated, and non-final tokens always come: there is no switch for either.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from routeraudio.model.audio import AudioFormat, Encoding
from routeraudio.model.errors import Fault, UpstreamFault
from routeraudio.model.events import Event, Finished, Notice, Partial, TurnEnd, Usage, Word
from routeraudio.model.events import Final as FinalText
from routeraudio.model.message import Message
from routeraudio.model.options import Options
from routeraudio.providers import decoding
from routeraudio.providers.base import AdapterConfig, Capabilities, Dial, Entry, key_header, refusal
from routeraudio.providers.base_adapter import Connection
from routeraudio.providers.compatibility import unknown_model, unsupported_language
from routeraudio.providers.models import Models, is_detection, load, spelled
from routeraudio.providers.soniox.messages import NOTHING, TITLE, Answer, fault, read, refusal_words
from routeraudio.providers.soniox.native import NATIVE
from routeraudio.providers.soniox.transcript import CONTROLS, END, Token, cut, group, text_of
from routeraudio.providers.timeline import milliseconds

CAPABILITIES: Final = Capabilities(
    encodings=("pcm_s16le", "pcm_mulaw", "ogg_opus", "webm", "mp3"),
)
"""Any rate. It takes several channels too, but that it mixes them is
INFERRED and no token names one, so they are mixed here: raise `channels_max` to leave it to the vendor."""

KEEPALIVE: Final = '{"type":"keepalive"}'
FINALIZE: Final = '{"type":"finalize"}'
END_OF_AUDIO: Final = ""
"""Text, not binary; see above."""

_FORMATS: Final[dict[Encoding, str]] = {
    "pcm_s16le": "pcm_s16le",
    "pcm_mulaw": "mulaw",
    "ogg_opus": "ogg",
    "webm": "webm",
    "mp3": "mp3",
}
"""`audio_format`. Never `auto`: raw audio declared so is not decoded at all."""

_LANGUAGE_ALIASES: Final = {"nb": "no", "nn": "no", "fil": "tl"}
"""BCP-47 primary subtags that Soniox spells otherwise."""

_TICK_S: Final = 5.0
"""The SDK's pace of keepalives; a gap is at most two ticks, 10 s of the 20 s the line lives."""

_ENDPOINT_DELAY_MS: Final = (500, 3000)
"""What `max_endpoint_delay_ms` may be. Endpoint detection is never off: text without any end helps nobody."""

_UTTERANCE_MS_MAX: Final = 30_000
"""Settled text is held back for at most this much audio; who speaks on without a pause is cut between words."""

_UTTERANCE_TOKENS_MAX: Final = 1000
"""The same bound in memory, for tokens without times: 30 s of fast speech have 200."""


class Soniox(Connection):
    """One connection.

    An *utterance* is the tokens not yet reported, at most one `Final`. A *turn* is open from its first `Final`
    until `<end>`; it has several only when one was closed by `<fin>` or by its bound.
    """

    is_ready_when_opened = True
    _tick_s = _TICK_S

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__(config, target(config.options))
        self._hint = _hint(config.options)
        self._tokens: list[Token] = []
        """The final tokens of the open utterance."""
        self._last: Answer = NOTHING
        self._last_finals: list[Token] = []
        self._partial = ""
        self._settled_ms = 0
        """Session position up to which text is settled; nothing later reaches back before it."""
        self._is_turn_open = False
        self._is_unfinalized = False
        """Audio came since the last `finalize`."""

    # The contract.

    def dial(self) -> Dial:
        url = f"{self._config.url.rstrip('/')}/transcribe-websocket"
        # API keys and temporary keys alike.
        return Dial(url, headers=key_header(self._config.credential, TITLE, scheme="Bearer"))

    def refused(self, status: int, body: bytes) -> Fault:
        words = refusal_words(body, self._config.credential)
        return refusal(TITLE, status, credential=self._config.credential, words=words)

    def opened(self) -> Sequence[Message]:
        return (msgspec.json.encode(_start(self._options, self._audio_format, self._hint)).decode(),)

    def audio(self, chunk: bytes) -> Sequence[Message]:
        assert not self._is_finishing, "audio after finish()"
        if not chunk:
            return ()  # an empty message ends the stream
        self._line.sent(len(chunk))
        self._quiet_ticks = -1
        self._is_unfinalized = True
        return (chunk,)

    def finalize(self) -> Sequence[Message]:
        """Once for the same audio: the vendor warns of too many (`accuracy drops`)."""
        if self._is_finishing or not self._is_unfinalized:
            return ()
        self._is_unfinalized = False
        return (FINALIZE,)

    def _finish(self) -> Sequence[Message]:
        return (END_OF_AUDIO,)

    def _read(self, message: Message) -> Sequence[Event]:
        answer = read(message)
        if isinstance(answer, UpstreamFault):
            return self._broken(answer)
        if not answer.is_known:
            return (Notice(decoding.name(answer.type if isinstance(answer.type, str) else "")),)
        events = self._take(answer)
        if answer.is_error:
            return events + self._error(answer)
        return events + self._finished(answer) if answer.finished else events

    def _closed(self, code: int | None, reason: str) -> Sequence[Event]:
        if self._is_without_audio and code in decoding.CLOSES_CLEAN:
            return self._end()
        return self._fail(decoding.closing(TITLE, code, reason, credential=self._config.credential))

    def _ticked(self) -> Sequence[Message]:
        if self._quiet_ticks < 1:
            return ()
        # Who reads the vendor's own messages must not find a `<fin>` that was never asked for.
        return (*(self.finalize() if self._options.parse_json else ()), KEEPALIVE)

    # Tokens.

    def _take(self, answer: Answer) -> list[Event]:
        """Settle the final tokens; what is not final replaces all that was not."""
        self._last = answer
        tokens = answer.tokens if isinstance(answer.tokens, list) else []
        finals = [token for token in tokens if token.is_final]
        events = [] if self._is_echo(finals) else self._settle(finals)
        if self._is_too_long:
            events += self._end_utterance(cut(self._tokens, self._hint) or None)
        return events + self._partial_event([token for token in tokens if not token.is_final])

    def _is_echo(self, finals: list[Token]) -> bool:
        """Whether the last final tokens are said twice: words that come again have other times."""
        if not finals:
            return False
        before, self._last_finals = self._last_finals, finals
        return [token.place for token in finals] == [token.place for token in before] and any(
            token.is_spoken and token.start_ms is not None for token in finals
        )

    def _settle(self, finals: list[Token]) -> list[Event]:
        events: list[Event] = []
        for token in finals:
            if token.is_spoken:
                self._tokens.append(token)
            elif token.text in CONTROLS:
                events += self._end_turn() if token.text == END else self._end_utterance()
        return events

    @property
    def _is_too_long(self) -> bool:
        if len(self._tokens) >= _UTTERANCE_TOKENS_MAX:
            return True
        if len(self._tokens) < 2:
            return False
        start_ms, end_ms = self._tokens[0].start_ms, self._tokens[-1].end_ms
        return start_ms is not None and end_ms is not None and end_ms - start_ms >= _UTTERANCE_MS_MAX

    def _partial_event(self, pending: list[Token]) -> list[Event]:
        """The whole utterance so far; nothing when it reads as before, or when all of it was taken back."""
        if not self._options.partial_results:
            return []
        tokens = [*self._tokens, *(token for token in pending if token.is_spoken)]
        text = text_of(tokens)
        if text == self._partial:
            return []
        self._partial = text
        return [Partial(text, *self._placed(tokens, self._last.total_audio_proc_ms))] if text else []

    def _end_utterance(self, length: int | None = None) -> list[Event]:
        """Report the settled tokens as a final.

        Args:
            length: only so many tokens; None: all.
        """
        tokens, self._tokens = self._tokens[:length], [] if length is None else self._tokens[length:]
        text = text_of(tokens)
        if not text:
            return []
        self._partial = ""
        start_ms, end_ms, words = self._placed(tokens, self._last.final_audio_proc_ms)
        self._settled_ms = end_ms
        self._is_turn_open = True
        return [FinalText(text, start_ms, end_ms, words)]

    def _end_turn(self) -> list[Event]:
        """After an utterance that was taken back altogether there is nothing to end."""
        events = self._end_utterance()
        self._partial = ""
        if self._is_turn_open:
            self._is_turn_open = False
            events.append(TurnEnd(self._settled_ms))
        return events

    def _placed(
        self, tokens: list[Token], until_ms: float | None
    ) -> tuple[int, int, tuple[Word, ...] | None]:
        """Start, end and words on the session's timeline. A word without times stands where the last one ends.

        Args:
            until_ms: where the vendor's clock stands, for tokens that have no times at all.
        """
        groups = group(tokens, self._hint)
        first = next((span for span in (word.span_ms for word in groups) if span is not None), None)
        if first is None:
            return *self._span((0.0, until_ms or 0.0), self._settled_ms), None
        words = []
        start_ms = end_ms = self._span(first, self._settled_ms)[0]
        for word in groups:
            span = word.span_ms
            start_ms, word_end_ms = (end_ms, end_ms) if span is None else self._span(span, start_ms)
            end_ms = max(end_ms, word_end_ms)
            words.append(Word(word.text, start_ms, word_end_ms, word.speaker))
        return words[0].start_ms, end_ms, tuple(words)

    def _span(self, span_ms: tuple[float, float], from_ms: int) -> tuple[int, int]:
        return self._line.span(span_ms[0] / 1000, span_ms[1] / 1000, from_ms=from_ms)

    # The end.

    @property
    def _is_without_audio(self) -> bool:
        """A client that leaves without a word: nothing is missing, whatever the vendor says to it."""
        return self._is_finishing and not self._line.has_client_audio

    def _finished(self, answer: Answer) -> list[Event]:
        if not self._is_finishing:
            return self._fail(UpstreamFault(f"{TITLE} ended before it was asked to", is_retryable=True))
        events = self._end_turn()
        if answer.total_audio_proc_ms is not None:
            events.append(Usage(milliseconds(answer.total_audio_proc_ms / 1000)))
        return events + self._end()

    def _error(self, answer: Answer) -> list[Event]:
        if self._is_without_audio and "no audio" in (answer.error_message or "").lower():
            return self._end()  # "No audio received."
        untouched = self._audio_format if self._audio_format == self._options.audio else None
        return self._fail(fault(answer, self._config.credential, untouched))

    def _end(self) -> list[Event]:
        self._is_over = True
        return [Finished()]

    def _last_words(self) -> list[Event]:
        """What was settled. The turn stays open: the speaker may go on elsewhere."""
        return self._end_utterance()


def check(options: Options) -> None:
    """Refuse what cannot work.

    A model of Soniox's real-time kind that the data file does not know is passed on: new ones come, old names
    live on as aliases. Its other models do not stream.

    Raises:
        ClientFault: the model is none of the streaming ones, or does not speak the language.
    """
    model = options.model or models().default_model
    if models().find(model) is None and not _is_realtime_name(model):
        raise unknown_model(TITLE, models(), model, "is none of its streaming models")
    _hint(options)


def target(options: Options) -> AudioFormat:
    """What is sent."""
    return CAPABILITIES.target(options.audio)


def models() -> Models:
    """Soniox's models and their languages."""
    return load("soniox")


def _is_realtime_name(model: str) -> bool:
    return model.startswith("stt-rt-") and len(model) <= 64 and model.replace("-", "").isalnum()


def _hint(options: Options) -> str | None:
    """The language as Soniox spells it, without region or script; None for detection.

    Raises:
        ClientFault: `unsupported_language`, naming the alternatives.
    """
    if is_detection(options.language):
        return None
    primary = options.language.lower().split("-")[0]
    code = _LANGUAGE_ALIASES.get(primary, primary)
    row = models().find(options.model or models().default_model)
    if row is not None and spelled(code, row.languages) is None:
        raise unsupported_language(TITLE, models(), row, options.language)
    return code


def _start(options: Options, audio: AudioFormat, hint: str | None) -> dict[str, Any]:
    """The first message: the wishes, and never the key."""
    start: dict[str, Any] = {
        "model": options.model or models().default_model,
        "audio_format": _FORMATS[audio.encoding],
    }
    if audio.is_raw:
        start |= {"sample_rate": audio.sample_rate, "num_channels": audio.channels}
    if hint is None:
        start["enable_language_identification"] = True
    else:
        start["language_hints"] = [hint]
    if options.diarize:
        start["enable_speaker_diarization"] = True
    shortest_ms, longest_ms = _ENDPOINT_DELAY_MS
    start["enable_endpoint_detection"] = True
    start["max_endpoint_delay_ms"] = min(max(options.endpointing_ms, shortest_ms), longest_ms)
    return start


ENTRY: Final = Entry(
    name="soniox",
    title=TITLE,
    default_url="wss://stt-rt.soniox.com",
    needs_key=True,
    session_s=300 * 60.0,  # the limits page: fixed
    adapter=Soniox,
    audio_format=target,
    check=check,
    native=NATIVE,
)
