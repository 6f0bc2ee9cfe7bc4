"""Decoding of containers: a demuxer of ours in front, a codec of FFmpeg's behind it."""

from typing import Final

from routeraudio.audio.codec import Codec, respread
from routeraudio.audio.containers.packets import Demuxer, Header, Timeline, audio_error
from routeraudio.audio.resample import Resampler
from routeraudio.model.audio import AudioFormat

PUSH_MS_MAX: Final = 500
"""Audio from one push, a packet more or less: some 1 ms of work. An hour of silence fits in a megabyte of Opus."""

_HEADER_SHARE: Final = 10
"""A header counts as this part of it: opening a decoder costs as much as a few packets."""


class ContainerDecoder:
    """Implements `Decoder` for whatever a `Demuxer` finds.

    The first stream's rate and channels are kept to the end: what follows it in a chain is made to fit.
    """

    is_float = True

    def __init__(self, demuxer: Demuxer) -> None:
        self.pcm: AudioFormat | None = None
        self.has_more = False
        self._demuxer = demuxer
        self._timeline = Timeline()
        self._codec: Codec | None = None
        self._resampler: Resampler | None = None
        self._channels = 0
        self._ms_per_sample = 0.0
        self._is_fed = False

    @property
    def source_ms(self) -> int:
        return self._timeline.ms

    def push(self, data: bytes) -> bytes:
        if data:
            self._is_fed = True
            self._demuxer.feed(data)
        return self._decoded()

    def finish(self) -> bytes:
        self._demuxer.end()
        decoded = [self._decoded()]
        while self.has_more:
            decoded.append(self._decoded())
        if self._codec is None and self._is_fed:
            raise audio_error("expected a header and audio, found the end of the stream")
        return b"".join((*decoded, *self._end_stream([])))

    def _decoded(self) -> bytes:
        """What can be read, up to the bound of one push."""
        read = self._demuxer.read
        run: list[bytes] = []
        earlier: list[bytes] = []
        ms = 0.0
        self.has_more = False
        while (item := read()) is not None:
            if isinstance(item, Header):
                earlier += self._end_stream(run)
                run = []
                self._begin_stream(item)
                ms += PUSH_MS_MAX / _HEADER_SHARE
            else:
                assert self._codec is not None, "a demuxer names a stream before its packets"
                self._timeline.packet(item)
                run.append(self._codec.decode(item))
                ms += item.samples * self._ms_per_sample
            if ms >= PUSH_MS_MAX:
                self.has_more = True
                break
        fitted = self._fitted(run)
        return b"".join((*earlier, fitted)) if earlier else fitted

    def _begin_stream(self, header: Header) -> None:
        self._timeline.header(header)
        self._codec = Codec(header)
        self._channels = header.channels
        self._ms_per_sample = 1000 / header.sample_rate
        if self.pcm is None:
            self.pcm = AudioFormat("pcm_s16le", header.sample_rate, header.channels)
        elif header.sample_rate != self.pcm.sample_rate:
            self._resampler = Resampler(
                header.sample_rate,
                self.pcm.sample_rate,
                channels=self.pcm.channels,
                takes_float=True,
                is_float=True,
            )

    def _end_stream(self, run: list[bytes]) -> list[bytes]:
        """The last samples of the stream that was open, ``run`` ahead of them."""
        ended = [self._fitted(run)]
        if self._resampler is not None:
            ended.append(self._resampler.finish())
        self._codec = self._resampler = None
        return ended

    def _fitted(self, run: list[bytes]) -> bytes:
        """Samples of the current stream in the layout and rate of the first."""
        samples = b"".join(run)
        if not samples:
            return b""
        assert self.pcm is not None
        samples = respread(samples, self._channels, self.pcm.channels)
        return samples if self._resampler is None else self._resampler.push(samples)
