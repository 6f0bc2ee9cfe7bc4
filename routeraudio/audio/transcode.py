"""From the client's format to the upstream's: decode, mix down, resample, each only where needed.

The bytes that come out depend on the bytes that went in, never on how they were cut into chunks.
"""

from typing import Protocol

from routeraudio.audio import catalog
from routeraudio.audio.decoder import Decoder
from routeraudio.audio.pcm import Steps, downmix
from routeraudio.audio.resample import Resampler
from routeraudio.model.audio import SAMPLE_RATES_HZ, AudioFormat


class Transcoder(Protocol):
    """Audio in ``source`` becomes audio in ``target``, chunk by chunk."""

    source: AudioFormat
    target: AudioFormat
    is_passthrough: bool
    """Whether the bytes come out as they went in."""

    def push(self, data: bytes) -> bytes:
        """What ``data`` yields: whole samples, possibly none (``b""``). No more calls after `finish`.

        Raises:
            ClientFault: the bytes are not what the client said they are.
        """

    def finish(self) -> bytes:
        """What is still held back, possibly nothing. Called once."""


def transcoder(source: AudioFormat, target: AudioFormat) -> Transcoder:
    """The cheapest way from ``source`` to ``target``.

    Args:
        target: equal to ``source``, or `pcm_s16le` mono at one of the six rates.

    Raises:
        ClientFault: ``source`` cannot be converted; see `catalog.check`.
        ValueError: an adapter asks for something that nothing converts to.
    """
    if source == target:
        return _Passthrough(source)
    catalog.check(source, target)
    if target.encoding != "pcm_s16le" or target.channels != 1 or target.sample_rate not in SAMPLE_RATES_HZ:
        raise ValueError(
            f"cannot convert {source} to {target}; only to mono pcm_s16le at {SAMPLE_RATES_HZ} Hz"
        )
    return _Conversion(source, target)


class _Passthrough:
    """Equal formats. Chunks are handed on as they are, except that a sample is never cut in two."""

    is_passthrough = True

    def __init__(self, source: AudioFormat) -> None:
        self.source = self.target = source
        # A container's bytes have no boundaries of ours to keep.
        self._steps = Steps(source.bytes_per_step if source.is_raw else 1)
        self._is_finished = False

    def push(self, data: bytes) -> bytes:
        assert not self._is_finished, "audio after finish"
        return self._steps.whole(data)

    def finish(self) -> bytes:
        assert not self._is_finished, "finish called twice"
        self._is_finished = True
        return b""


class _Conversion:
    """Decoder, then `_Shaping` as soon as the decoder knows what it decodes."""

    is_passthrough = False

    def __init__(self, source: AudioFormat, target: AudioFormat) -> None:
        self.source = source
        self.target = target
        self._decoder: Decoder = catalog.DECODERS[source.encoding](source)
        self._shaping: _Shaping | None = None
        self._is_finished = False

    def push(self, data: bytes) -> bytes:
        assert not self._is_finished, "audio after finish"
        pcm = self._decoder.push(data)
        return self._shaped(pcm) if pcm else b""

    def finish(self) -> bytes:
        assert not self._is_finished, "finish called twice"
        self._is_finished = True
        pcm = self._decoder.finish()
        head = self._shaped(pcm) if pcm else b""
        return head + (self._shaping.finish() if self._shaping else b"")

    def _shaped(self, pcm: bytes) -> bytes:
        if self._shaping is None:
            decoded = self._decoder.pcm
            assert decoded is not None, "a decoder names its format before it returns samples"
            self._shaping = _Shaping(decoded, self.target.sample_rate)
        return self._shaping.push(pcm)


class _Shaping:
    """PCM of any channels and rate to mono at the target's rate; mixed first: one channel to resample."""

    def __init__(self, pcm: AudioFormat, target_hz: int) -> None:
        self._channels = pcm.channels
        self._resampler = Resampler(pcm.sample_rate, target_hz) if pcm.sample_rate != target_hz else None

    def push(self, pcm: bytes) -> bytes:
        mono = pcm if self._channels == 1 else downmix(pcm, self._channels)
        return mono if self._resampler is None else self._resampler.push(mono)

    def finish(self) -> bytes:
        return b"" if self._resampler is None else self._resampler.finish()
