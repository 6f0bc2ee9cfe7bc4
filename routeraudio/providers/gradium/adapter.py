"""One connection to Gradium; what is odd about it stands in the package's docstring."""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Final, assert_never

import msgspec

from routeraudio.model.events import Event, Usage
from routeraudio.model.message import Message
from routeraudio.providers import decoding
from routeraudio.providers.base import AdapterConfig, Dial, key_header
from routeraudio.providers.base_adapter import Connection
from routeraudio.providers.chunks import Samples
from routeraudio.providers.gradium import faults
from routeraudio.providers.gradium.messages import (
    EndOfStream,
    EndText,
    Error,
    Flushed,
    Ready,
    Refusal,
    Said,
    Step,
    Text,
)
from routeraudio.providers.gradium.request import TITLE, input_format, models, spelled_language, target
from routeraudio.providers.gradium.transcript import STEP_MS, STRAGGLERS_MS, Turns

END_OF_STREAM: Final = '{"type":"end_of_stream"}'

_AUDIO_MS_MAX: Final = 1000
"""Longest message of audio. The vendor advises 80 ms, takes others, and publishes no limit."""

_TICK_S: Final = 0.5
"""As often as pipecat's watchdog for Deepgram looks."""

_QUIET_TICKS: Final = 2
"""At least 1 s without audio: less is a network's hiccup, and silence inside a word spoils it."""

_NOTICE_SILENCE_MS: Final = 4000
"""Silence beyond `endpointing_ms`: the model's delay, an unanswered flush, and some to notice it."""


class Gradium(Connection[Said]):
    """One connection."""

    title = TITLE
    _decoder = msgspec.json.Decoder(Said)
    _refusal = staticmethod(
        decoding.refusal_reader(Refusal, lambda its: its.detail or its.error, or_plain=True)
    )
    _tick_s = _TICK_S

    def __init__(self, config: AdapterConfig) -> None:
        silence_ms_max = config.options.endpointing_ms + _NOTICE_SILENCE_MS
        super().__init__(config, target(config.options), silence_ms_max=silence_ms_max)
        self._turns = Turns(config.options.endpointing_ms, self._line, self._transcript)
        self._samples = Samples(self._audio_format.bytes_per_step)
        self._is_flushable = False
        """Whether audio was sent since the client, or a quiet line, last made us flush."""

    # The contract.

    def dial(self) -> Dial:
        return Dial(
            f"{self._config.url.rstrip('/')}/api/speech/asr",
            headers=key_header(self._config.credential, TITLE, name="x-api-key"),
        )

    def opened(self) -> Sequence[Message]:
        # `json_config` is JSON inside JSON, as the vendor's SDKs send it; an object works too (pipecat).
        setup = {
            "type": "setup",
            "model_name": self._options.model or models().default_model,
            "input_format": input_format(self._audio_format),
            "json_config": _json({"language": spelled_language(self._options)}),
        }
        return (_json(setup),)

    def _send(self, chunk: bytes) -> Sequence[Message]:
        self._is_flushable = True
        return [*self._flush(), *map(_audio, self._pieces(self._samples.push(chunk)))]

    def finalize(self) -> Sequence[Message]:
        """Flush, and the silence whose steps say that no text follows: the client may send nothing for a while."""
        if self._is_finishing or not self._is_flushable:
            return ()
        self._is_flushable = False
        return [_flush(self._turns.cut()), *self._silence(STRAGGLERS_MS + STEP_MS)]

    def _finish(self) -> Sequence[Message]:
        return (END_OF_STREAM,)  # which flushes; half a sample that is held is no audio

    def _closed(self, code: int | None, reason: str) -> Sequence[Event]:
        # A good end was said by `end_of_stream` before.
        fault = faults.close(self._faults, code, reason, is_ready=self._is_ready, age_s=self._age_s)
        return self._fail(fault)

    def _ticked(self) -> Sequence[Message]:
        return [*self._flush(), *(self._quiet() if self._quiet_ticks >= _QUIET_TICKS else ())]

    # Messages.

    def _said(self, said: Said) -> Sequence[Event]:
        match said:
            case Step(vad=vad, total_duration_s=heard_s):
                return self._turns.step(vad, heard_s)
            case Text(text=text, start_s=start_s, stream_id=stream_id):
                return self._turns.text(text, start_s, stream_id)
            case EndText(stop_s=stop_s, stream_id=stream_id):
                self._turns.end_text(stop_s, stream_id)
                return ()
            case Flushed(flush_id=flush_id):
                self._turns.flushed(flush_id)
                return ()
            case Ready():
                self._turns.delay(
                    said.delay_in_tokens if said.delay_in_frames is None else said.delay_in_frames
                )
                return self._ready(said.request_id)
            case EndOfStream():
                return self._ended(Usage(self._turns.heard_ms))
            case Error(message=words, code=code):
                fault = faults.error(self._faults, words, code, is_ready=self._is_ready, age_s=self._age_s)
                return self._fail(fault)
            case unread:
                assert_never(unread)

    def _last_words(self) -> list[Event]:
        """All text is final. The turn stays open: the speaker may go on, on the next connection."""
        return self._turns.final()

    def _last_turn(self) -> list[Event]:
        return self._turns.end()

    # What is sent.

    def _pieces(self, audio: bytes) -> Iterator[bytes]:
        most_bytes = self._audio_format.bytes_per_second * _AUDIO_MS_MAX // 1000
        return (audio[start : start + most_bytes] for start in range(0, len(audio), most_bytes))

    def _flush(self) -> Sequence[Message]:
        """What a turn's end wants to be sent. Who reads the vendor's messages must find no answers to it."""
        flush_id, self._turns.flush_due = self._turns.flush_due, None
        return (_flush(flush_id),) if flush_id is not None and self._options.parse_json else ()

    def _quiet(self) -> Sequence[Message]:
        """As much silence as time has passed, also without text: it may be in flight. Or one flush instead."""
        return self._silence(round(_TICK_S * 1000)) if self._options.parse_json else self.finalize()

    def _silence(self, duration_ms: int) -> Sequence[Message]:
        """Not for who reads the vendor's own times, and must not find them shifted."""
        if not self._options.parse_json:
            return ()
        return [_audio(piece) for piece in self._line.silence(duration_ms)]


def _audio(piece: bytes) -> str:
    return f'{{"type":"audio","audio":"{b64encode(piece).decode()}"}}'


def _flush(flush_id: int) -> str:
    return f'{{"type":"flush","flush_id":{flush_id}}}'


def _json(value: dict[str, str]) -> str:
    return msgspec.json.encode(value).decode()
