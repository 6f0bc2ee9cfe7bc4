"""One connection to AssemblyAI; what is odd about it stands in the package's docstring."""

from collections.abc import Sequence
from typing import Final, assert_never

import msgspec

from routeraudio.model.audio import AudioFormat
from routeraudio.model.events import Event, Usage
from routeraudio.model.message import Message
from routeraudio.providers import decoding
from routeraudio.providers.assemblyai import faults
from routeraudio.providers.assemblyai.messages import (
    Begin,
    Error,
    Heartbeat,
    Refusal,
    Said,
    Termination,
    Turn,
)
from routeraudio.providers.assemblyai.request import TITLE, model_of, parameters, target
from routeraudio.providers.assemblyai.transcript import Turns
from routeraudio.providers.base import AdapterConfig, Dial, Pace, key_header
from routeraudio.providers.base_adapter import Connection
from routeraudio.providers.chunks import Chunker, Samples
from routeraudio.providers.timeline import milliseconds

TERMINATE: Final = '{"type":"Terminate"}'
FORCE_ENDPOINT: Final = '{"type":"ForceEndpoint"}'

_VERSION: Final = "2025-05-12"
"""The API version that the vendor's Python SDK 1.8.2 asks for."""

_CHUNK_MS: Final = (50, 1000)
"""What one message of raw audio may hold. A second of 48 kHz PCM is also below the 128 KiB that close with 1009."""

_CHUNK_BYTES: Final = (400, 2000)
"""The same for Ogg, INFERRED: whether the limit counts decoded audio there is not known. At 16–64 kbit/s, as speech is
encoded, these are 50–1000 ms."""

_TICK_S: Final = 1.0

AHEAD: Final = Pace(burst_s=5.0)
"""Seven seconds at ten times the speed were accepted (recorded); sustained, faster than real time is refused. Where
exactly is not published: this stays on the safe side."""


class AssemblyAI(Connection[Said]):
    """One connection."""

    title = TITLE
    _decoder = msgspec.json.Decoder(Said)
    _refusal = staticmethod(decoding.refusal_reader(Refusal, lambda its: its.error))
    _tick_s = _TICK_S

    def __init__(self, config: AdapterConfig) -> None:
        options = config.options
        super().__init__(config, target(options))
        self._turns = Turns(self._transcript, model_of(options), punctuate=options.punctuate)
        audio = self._audio_format
        self._chunker = _chunker(audio)
        self._samples = Samples(audio.bytes_per_step if audio.is_raw else 1)
        # A second of patience with the network, then the silence that ends a turn.
        self._quiet_ticks_max = 1 + -(-options.endpointing_ms // 1000)

    def dial(self) -> Dial:
        # The raw key, or a temporary token in its place (as the Python SDK sends it): "Bearer" would be refused.
        return Dial(
            decoding.url(self._config.url, "/v3/ws", parameters(self._config.options, self._audio_format)),
            headers=(*key_header(self._config.credential, TITLE), ("AssemblyAI-Version", _VERSION)),
        )

    def _send(self, chunk: bytes) -> Sequence[Message]:
        return self._chunker.push(self._samples.push(chunk))

    def finalize(self) -> Sequence[Message]:
        if self._is_finishing or not self._line.has_client_audio:
            return ()
        return (*self._rest(is_last=False), FORCE_ENDPOINT)

    def _finish(self) -> Sequence[Message]:
        return (*self._rest(is_last=True), TERMINATE)

    def _said(self, said: Said) -> Sequence[Event]:
        match said:
            case Turn():
                return self._turns.heard(said)
            case Begin(id):
                return self._ready(id)
            case Heartbeat():
                return self._turns.heartbeat()
            case Termination(duration_s):
                # The vendor's last message after `Terminate`; the close behind it says nothing new.
                usage = [] if duration_s is None else [Usage(milliseconds(duration_s))]
                return self._end(*usage) if self._is_finishing else usage
            case Error(code, words):
                return self._fail(faults.error(self._faults, code, words))
            case unread:
                assert_never(unread)

    def _closed(self, code: int | None, reason: str) -> Sequence[Event]:
        # `Termination` comes before the close. Without it nothing says that all audio was transcribed.
        return self._fail(faults.close(self._faults, code, reason))

    def _ticked(self) -> Sequence[Message]:
        """End the turn when audio has stopped for as long as a turn may be silent: the vendor's clock stands still.

        No keepalive is needed: the line is dropped only with `inactivity_timeout`, which is not asked for.
        """
        return self.finalize() if self._quiet_ticks == self._quiet_ticks_max else ()

    def _rest(self, *, is_last: bool) -> list[bytes]:
        """What was too short for a message, with silence behind it.

        Who reads the vendor's own times must not find them shifted by silence. There it waits, and goes as it is at
        the end: one short message is borne (the JavaScript SDK sends one), one behind each `ForceEndpoint` is not.
        """
        if self._line.takes_silence and not self._takes_silence and not is_last:
            return []
        rest = self._chunker.rest()
        if rest and self._takes_silence:
            rest += b"".join(self._line.silence(_CHUNK_MS[0]))
        return [rest] if rest else []

    def _last_words(self) -> list[Event]:
        return self._turns.last_words()

    def _last_turn(self) -> list[Event]:
        return self._turns.end()


def _chunker(audio: AudioFormat) -> Chunker:
    if not audio.is_raw:
        return Chunker(*_CHUNK_BYTES)
    least_samples = -(-audio.sample_rate * _CHUNK_MS[0] // 1000)
    most_samples = audio.sample_rate * _CHUNK_MS[1] // 1000
    return Chunker(least_samples * audio.bytes_per_step, most_samples * audio.bytes_per_step)
