"""One connection to Soniox; what is odd about it stands in the package's docstring."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from routeraudio.model.errors import UpstreamFault
from routeraudio.model.events import Event, Notice, Usage
from routeraudio.model.message import Message
from routeraudio.providers import decoding
from routeraudio.providers.base import AdapterConfig, Dial, key_header
from routeraudio.providers.base_adapter import Connection
from routeraudio.providers.soniox import faults
from routeraudio.providers.soniox.messages import NOTHING, Answer, Refusal, read
from routeraudio.providers.soniox.request import TITLE, hint_of, start, target
from routeraudio.providers.soniox.transcript import CONTROLS, END, Token, cut, group, text_of
from routeraudio.providers.timeline import Spoken, milliseconds
from routeraudio.providers.transcript import is_too_long

KEEPALIVE: Final = '{"type":"keepalive"}'
FINALIZE: Final = '{"type":"finalize"}'
END_OF_AUDIO: Final = ""
"""Text, not binary; see above."""

_TICK_S: Final = 5.0
"""The SDK's pace of keepalives; a gap is at most two ticks, 10 s of the 20 s the line lives."""

_UTTERANCE_TOKENS_MAX: Final = 1000
"""The bound in memory, for tokens without times: 30 s of fast speech have 200."""


class Soniox(Connection[Answer]):
    """One connection. An *utterance* is the final tokens not yet reported, at most one `Final`."""

    title = TITLE
    is_ready_when_opened = True
    _refusal = staticmethod(decoding.refusal_reader(Refusal, lambda its: its.error_message or its.message))
    _tick_s = _TICK_S

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__(config, target(config.options))
        self._hint = hint_of(config.options)
        self._tokens: list[Token] = []
        """The final tokens of the open utterance."""
        self._last: Answer = NOTHING
        self._is_unfinalized = False
        """Audio came since the last `finalize`."""

    # The contract.

    def dial(self) -> Dial:
        url = f"{self._config.url.rstrip('/')}/transcribe-websocket"
        # API keys and temporary keys alike.
        return Dial(url, headers=key_header(self._config.credential, TITLE, scheme="Bearer"))

    def opened(self) -> Sequence[Message]:
        return (msgspec.json.encode(start(self._options, self._audio_format, self._hint)).decode(),)

    def audio(self, chunk: bytes) -> Sequence[Message]:
        return super().audio(chunk) if chunk else ()  # an empty message ends the stream

    def _send(self, chunk: bytes) -> Sequence[Message]:
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

    def _decoded(self, message: Message) -> Answer | Notice | UpstreamFault:
        answer = read(message)
        if isinstance(answer, Answer) and not answer.is_known:
            return Notice(decoding.name(answer.type if isinstance(answer.type, str) else ""))
        return answer

    def _said(self, said: Answer) -> Sequence[Event]:
        events = self._take(said)
        if said.is_error:
            return events + self._error(said)
        return events + self._finished(said) if said.finished else events

    def _closed(self, code: int | None, reason: str) -> Sequence[Event]:
        if self._is_without_audio and code in decoding.CLOSES_CLEAN:
            return self._end()
        return super()._closed(code, reason)

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
        return events + self._overheard([token for token in tokens if not token.is_final])

    def _is_echo(self, finals: list[Token]) -> bool:
        """Whether the last final tokens are said twice: words that come again have other times."""
        if not finals:
            return False
        is_repeated = self._transcript.is_repeated([token.place for token in finals])
        return is_repeated and any(token.is_spoken and token.start_ms is not None for token in finals)

    def _settle(self, finals: list[Token]) -> list[Event]:
        events: list[Event] = []
        for token in finals:
            if token.is_spoken:
                self._tokens.append(token)
            elif token.text in CONTROLS:
                events += self._last_turn() if token.text == END else self._end_utterance()
        return events

    @property
    def _is_too_long(self) -> bool:
        if len(self._tokens) < 2:
            return False
        start_ms, end_ms = self._tokens[0].start_ms, self._tokens[-1].end_ms
        length_ms = 0 if start_ms is None or end_ms is None else int(end_ms - start_ms)
        return len(self._tokens) >= _UTTERANCE_TOKENS_MAX or is_too_long(length_ms, 0)

    def _overheard(self, pending: list[Token]) -> list[Event]:
        """The whole utterance so far."""
        if not self._options.partial_results:
            return []
        tokens = [*self._tokens, *(token for token in pending if token.is_spoken)]
        clock_s = (self._last.total_audio_proc_ms or 0.0) / 1000
        return self._transcript.partial(text_of(tokens), self._spoken(tokens), (0.0, clock_s))

    def _end_utterance(self, length: int | None = None) -> list[Event]:
        """Report the settled tokens as a final.

        Args:
            length: only so many tokens; None: all.
        """
        tokens, self._tokens = self._tokens[:length], [] if length is None else self._tokens[length:]
        clock_s = (self._last.final_audio_proc_ms or 0.0) / 1000
        return self._transcript.final(text_of(tokens), self._spoken(tokens), (0.0, clock_s))

    def _spoken(self, tokens: list[Token]) -> Iterator[Spoken]:
        """The words on the vendor's clock; none where no token has a time."""
        groups = group(tokens, self._hint)
        spans = [word.span_ms for word in groups]
        first = next((span for span in spans if span is not None), None)
        if first is None:
            return
        start_s: float | None = first[0] / 1000  # also where the words before the first known time stand
        for word, span in zip(groups, spans, strict=True):
            if span is None:
                yield word.text, start_s, start_s, word.speaker, word.confidence
            else:
                yield word.text, span[0] / 1000, span[1] / 1000, word.speaker, word.confidence
                start_s = None

    # The end.

    @property
    def _is_without_audio(self) -> bool:
        """A client that leaves without a word: nothing is missing, whatever the vendor says to it."""
        return self._is_finishing and not self._line.has_client_audio

    def _finished(self, answer: Answer) -> list[Event]:
        usage_ms = answer.total_audio_proc_ms
        return self._ended(*([] if usage_ms is None else [Usage(milliseconds(usage_ms / 1000))]))

    def _error(self, answer: Answer) -> list[Event]:
        if self._is_without_audio and "no audio" in (answer.error_message or "").lower():
            return self._end()  # "No audio received."
        return self._fail(faults.error(self._faults, answer, self._untouched))

    def _last_words(self) -> list[Event]:
        return self._end_utterance()

    def _last_turn(self) -> list[Event]:
        return [*self._end_utterance(), *self._transcript.end_turn()]
