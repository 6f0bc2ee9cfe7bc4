"""Deepgram's Flux protocol, `/v2/listen`, turn by turn; what is odd about it stands in the package's docstring."""

from collections.abc import Iterator, Sequence
from typing import Final, assert_never
from urllib.parse import urlsplit

import msgspec

from routeraudio.model.events import Event, Notice
from routeraudio.model.message import Message
from routeraudio.providers import decoding
from routeraudio.providers.base import AdapterConfig, Capabilities
from routeraudio.providers.deepgram.connection import (
    DeepgramConnection,
    Parameters,
    raw_parameters,
    spelled_language,
)
from routeraudio.providers.timeline import Spoken

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
    confidence: float | None = None


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


class Flux(DeepgramConnection[_Message]):
    """One v2 connection."""

    _path = "/v2/listen"
    _decoder = msgspec.json.Decoder(_Message)
    _tick_s = _TICK_S

    def __init__(self, config: AdapterConfig) -> None:
        self._eot_timeout_ms = min(max(config.options.endpointing_ms, _EOT_TIMEOUT_MS[0]), _EOT_TIMEOUT_MS[1])
        super().__init__(config, CAPABILITIES, silence_ms_max=self._eot_timeout_ms + _NOTICE_SILENCE_MS)
        self._turn: _TurnInfo | None = None
        """The open turn, if it has text."""
        self._ended_turn = -1
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

    def finalize(self) -> Sequence[Message]:
        """Once per turn: who asks with every chunk must not make us send seconds of silence each time."""
        turn = self._turn
        if self._is_finishing or turn is None or turn.turn_index == self._finalized_turn:
            return ()
        self._finalized_turn = turn.turn_index
        if self._takes_silence:
            return self._line.silence(self._eot_timeout_ms + _NOTICE_SILENCE_MS)
        is_global = urlsplit(self._config.url).hostname == _GLOBAL_HOST
        return (FORCE_END_TURN,) if is_global else ()

    def _ticked(self) -> Sequence[Message]:
        """As much silence as time has passed; without an open turn too: its first word may be in flight."""
        if self._quiet_ticks < _QUIET_TICKS or not self._takes_silence:
            return ()
        return self._line.silence(round(_TICK_S * 1000))

    def _said(self, said: _Message) -> Sequence[Event]:
        match said:
            case _TurnInfo():
                return self._turn_info(said)
            case _Connected(request_id=request_id):
                return self._ready(request_id)
            case _Warning(code=code):
                return (Notice(decoding.name(code)),)
            case _Error(code=code, description=description):
                words = f"{code}: {description or 'no reason given'}"
                return self._fail(self._faults.reported(words, is_retryable=code == "INTERNAL_SERVER_ERROR"))
            case unread:
                assert_never(unread)

    def _turn_info(self, turn: _TurnInfo) -> Sequence[Event]:
        if turn.turn_index <= self._ended_turn:
            return ()  # an echo of a turn that is over
        self._turn = turn if turn.transcript else None
        if turn.event == "EndOfTurn":
            return self._end_turn(turn.turn_index)
        return self._transcript.partial(turn.transcript, _spoken(turn), _span_s(turn))

    def _end_turn(self, turn_index: int) -> list[Event]:
        turn, self._turn = self._turn, None
        self._ended_turn = turn_index
        if turn is not None:
            self._transcript.settle(turn.transcript, _spoken(turn), _span_s(turn))
        return self._transcript.end_turn()

    def _last_words(self) -> list[Event]:
        # Before finish() the text of an open turn is not final: the next connection hears its audio again.
        return self._last_turn() if self._is_finishing else []

    def _last_turn(self) -> list[Event]:
        return [] if self._turn is None else self._end_turn(self._turn.turn_index)


def _spoken(turn: _TurnInfo) -> Iterator[Spoken]:
    """Words on the vendor's clock; a first one without times stands where the turn's window begins."""
    start_s: float | None = turn.audio_window_start
    for word in turn.words:
        yield word.word, start_s if word.start is None else word.start, word.end, None, word.confidence
        start_s = None


def _span_s(turn: _TurnInfo) -> tuple[float, float]:
    return turn.audio_window_start, turn.audio_window_end
