"""Deepgram Flux (`flux-…` models) over `/v2/listen`: a turn-based protocol, chosen by `deepgram`'s entry.

Documentation: https://developers.deepgram.com/docs/flux (2026-11), Python SDK 7.16.0 `listen.v2`.

What is odd about it:

- Text comes as turns, each message with the *whole* turn so far, always punctuated. There are no speakers.
- `Connected` says that it is ready. A server that dislikes a parameter may send neither that nor an error.
- `CloseStream` brings no `EndOfTurn`: the last `Update` before the close is the best text there will ever be,
  and becomes a final here. The normal close has no code (1005).
- There is no `KeepAlive` and no `Finalize`: either ends the connection (`UNPARSABLE_CLIENT_MESSAGE`).
- A turn never ends while no audio comes (a muted microphone), so silence is put in for as long as that
  takes (pipecat has the same watchdog).
- `ForceEndTurn` is so new that regional and self-hosted servers may take it for an error and close; it also
  cuts off what was sent but not yet transcribed. `finalize()` therefore sends `eot_timeout_ms` of silence
  instead, which ends the turn everywhere and behind the last word. Where no silence can be put in
  (containers, `parse_json=false`) `ForceEndTurn` is sent, to Deepgram's own global host only.
- Word times carry float noise that changes from message to message; they are rounded to milliseconds.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec

from routeraudio.model.errors import UpstreamFault
from routeraudio.model.events import Event, Notice, Partial, Ready, TurnEnd, Word
from routeraudio.model.events import Final as FinalText
from routeraudio.model.message import Message
from routeraudio.providers import decoding
from routeraudio.providers.base import AdapterConfig, Capabilities
from routeraudio.providers.deepgram.connection import (
    TITLE,
    DeepgramConnection,
    Parameters,
    raw_parameters,
    spelled_language,
)

CAPABILITIES: Final = Capabilities(
    encodings=("pcm_s16le", "pcm_mulaw", "ogg_opus", "webm"),
    sample_rates=(8000, 16000, 24000, 44100, 48000),
)
"""Rates: changelog of 2025-10-16, which does not name 22050. WebM: changelog of 2026-01-13."""

FORCE_END_TURN: Final = '{"type":"ForceEndTurn"}'

_TICK_S: Final = 0.5
"""As often as pipecat's watchdog looks."""

_QUIET_TICKS: Final = 2
"""At least 1 s without audio: less is a network's hiccup, and silence inside a word spoils it."""

_EOT_TIMEOUT_MS: Final = (500, 60_000)
"""What `eot_timeout_ms` may be (vendor's reference)."""

_NOTICE_SILENCE_MS: Final = 500
"""More silence than `eot_timeout_ms`, so that the vendor surely notices it."""

_GLOBAL_HOST: Final = "api.deepgram.com"


# Wire structs: https://developers.deepgram.com/reference/speech-to-text/listen-flux


class _Word(msgspec.Struct, gc=False):
    word: str
    start: float | None = None
    end: float | None = None


class _TurnInfo(msgspec.Struct, tag="TurnInfo"):
    event: str
    """`Update`, `StartOfTurn`, `EagerEndOfTurn`, `TurnResumed`, `EndOfTurn`; a new one reads as `Update`."""
    turn_index: int
    transcript: str
    audio_window_start: float
    audio_window_end: float
    words: list[_Word] = []


class _Connected(msgspec.Struct, tag="Connected"):
    request_id: str | None = None


class _Warning(msgspec.Struct, tag="Warning"):
    code: str


class _Error(msgspec.Struct, tag="Error"):
    code: str
    description: str | None = None


_Message = _TurnInfo | _Connected | _Warning | _Error

_DECODER: Final[msgspec.json.Decoder[_Message]] = msgspec.json.Decoder(_Message)


class Flux(DeepgramConnection):
    """One v2 connection."""

    is_ready_when_opened = False
    _path = "/v2/listen"
    _tick_s = _TICK_S

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__(config, CAPABILITIES)
        self._eot_timeout_ms = min(max(config.options.endpointing_ms, _EOT_TIMEOUT_MS[0]), _EOT_TIMEOUT_MS[1])
        self._settled_ms = 0
        """Session position up to which text is settled; nothing later reaches back before it."""
        self._turn: _TurnInfo | None = None
        """The open turn, if it has text."""
        self._ended_turn = -1
        self._partial = ""
        self._silence_left_ms = 0
        """How much silence may still be put in before the client's audio goes on."""
        self._finalized_turn = -1

    def _parameters(self) -> Parameters:
        parameters = [("model", self._model), *raw_parameters(self._audio_format)]
        # Endpointing is a silence after which the turn ends whatever the model believes; its own belief
        # (`eot_threshold`) may end it sooner and stays at the vendor's default.
        parameters.append(("eot_timeout_ms", str(self._eot_timeout_ms)))
        language = spelled_language(self._model, self._options.language)
        if self._model.endswith("-multi") and language != "multi":
            parameters.append(("language_hint", language))
        return parameters

    def audio(self, chunk: bytes) -> Sequence[Message]:
        self._silence_left_ms = self._eot_timeout_ms + _NOTICE_SILENCE_MS
        return super().audio(chunk)

    def finalize(self) -> Sequence[Message]:
        """Once per turn: who asks with every chunk must not make us send seconds of silence each time."""
        turn = self._turn
        if self._is_finishing or turn is None or turn.turn_index == self._finalized_turn:
            return ()
        self._finalized_turn = turn.turn_index
        if self._takes_silence:
            return self._silence(self._silence_left_ms)
        is_global = urlsplit(self._config.url).hostname == _GLOBAL_HOST
        return (FORCE_END_TURN,) if is_global else ()

    def _quiet(self) -> Sequence[Message]:
        """As much silence as time has passed; without an open turn too: its first word may be in flight."""
        if self._quiet_ticks < _QUIET_TICKS or not self._takes_silence:
            return ()
        return self._silence(round(_TICK_S * 1000))

    def _silence(self, duration_ms: int) -> Sequence[Message]:
        duration_ms = min(duration_ms, self._silence_left_ms)
        self._silence_left_ms -= duration_ms
        return self._line.silence(duration_ms)

    def _read(self, message: Message) -> Sequence[Event]:
        match decoding.read(_DECODER, message, title=TITLE):
            case _TurnInfo() as turn:
                return self._turn_info(turn)
            case _Connected(request_id=request_id):
                return (Ready(request_id),)
            case _Warning(code=code):
                return (Notice(decoding.name(code)),)
            case _Error() as error:
                return self._error(error)
            case Notice() as notice:
                return (notice,)
            case fault:
                return self._broken(fault)

    def _turn_info(self, turn: _TurnInfo) -> Sequence[Event]:
        if turn.turn_index <= self._ended_turn:
            return ()  # an echo of a turn that is over
        self._turn = turn if turn.transcript else None
        if turn.event == "EndOfTurn":
            return self._end_turn(turn.turn_index)
        if self._turn is None or turn.transcript == self._partial or not self._options.partial_results:
            return ()
        self._partial = turn.transcript
        words, start_ms, end_ms = self._placed(turn)
        return (Partial(turn.transcript, start_ms, end_ms, words),)

    def _end_turn(self, turn_index: int) -> list[Event]:
        turn = self._turn
        self._turn = None
        self._partial = ""
        self._ended_turn = turn_index
        if turn is None:
            return []
        words, start_ms, self._settled_ms = self._placed(turn)
        return [FinalText(turn.transcript, start_ms, self._settled_ms, words), TurnEnd(self._settled_ms)]

    def _placed(self, turn: _TurnInfo) -> tuple[tuple[Word, ...] | None, int, int]:
        """Words, start and end on the session's timeline. A word without times stands behind the last one."""
        if not turn.words:
            span = self._line.span(turn.audio_window_start, turn.audio_window_end, from_ms=self._settled_ms)
            return None, *span
        words = []
        start_ms = end_ms = self._settled_ms
        position_s = turn.audio_window_start
        for word in turn.words:
            start_s = position_s if word.start is None else word.start
            position_s = start_s if word.end is None else word.end
            start_ms, word_end_ms = self._line.span(start_s, position_s, from_ms=start_ms)
            end_ms = max(end_ms, word_end_ms)
            words.append(Word(word.word, start_ms, word_end_ms))
        return tuple(words), words[0].start_ms, end_ms

    def _error(self, error: _Error) -> Sequence[Event]:
        said = decoding.words(
            f"{error.code}: {error.description or 'no reason given'}", self._config.credential
        )
        is_retryable = error.code == "INTERNAL_SERVER_ERROR"
        return self._fail(UpstreamFault(f"{TITLE} reported an error: {said}", is_retryable=is_retryable))

    def _last_words(self) -> list[Event]:
        # Before finish() the text of an open turn is not final: the next connection hears its audio again.
        return self._end_turn(self._turn.turn_index) if self._is_finishing and self._turn is not None else []
