"""Decoding of containers: a demuxer of ours in front, a codec of FFmpeg's behind it."""

from routeraudio.audio.codec import Codec, respread
from routeraudio.audio.containers.packets import Demuxer, Header, Reader
from routeraudio.audio.downmix import Downmix
from routeraudio.audio.resample import Resampler
from routeraudio.model.audio import AudioFormat


class ContainerDecoder:
    """Implements `Decoder` for whatever a `Demuxer` finds.

    The first stream's rate and channels are kept to the end: what follows it in a chain is made to fit.
    """

    is_float = True

    def __init__(self, demuxer: Demuxer) -> None:
        self.pcm: AudioFormat | None = None
        self._reader = Reader(demuxer)
        self._codec: Codec | None = None
        self._resampler: Resampler | None = None
        self._channels = 0
        self._downmix: Downmix | None = None

    @property
    def source_ms(self) -> int:
        return self._reader.ms

    @property
    def has_more(self) -> bool:
        return self._reader.has_more

    def push(self, data: bytes) -> bytes:
        self._reader.feed(data)
        return self._decoded()

    def finish(self) -> bytes:
        self._reader.end()
        decoded = [self._decoded()]
        while self.has_more:
            decoded.append(self._decoded())
        self._reader.check_begun()
        return b"".join((*decoded, *self._end_stream([])))

    def _decoded(self) -> bytes:
        """What can be read in one turn."""
        run: list[bytes] = []
        earlier: list[bytes] = []
        for item in self._reader.turn():
            if isinstance(item, Header):
                earlier += self._end_stream(run)
                run = []
                self._begin_stream(item)
            else:
                assert self._codec is not None
                run.append(self._codec.decode(item))
        fitted = self._fitted(run)
        return b"".join((*earlier, fitted)) if earlier else fitted

    def _begin_stream(self, header: Header) -> None:
        self._codec = Codec(header)
        self._channels = header.channels
        if self.pcm is None:
            self.pcm = AudioFormat("pcm_s16le", header.sample_rate, header.channels)
        self._downmix = None
        if header.channels > self.pcm.channels:
            self._downmix = Downmix(header.channels, header.sample_rate, is_float=True)
        if header.sample_rate != self.pcm.sample_rate:
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
        if self._downmix is not None:
            samples = self._downmix.push(samples)
        else:
            samples = respread(samples, self._channels, self.pcm.channels)
        return samples if self._resampler is None else self._resampler.push(samples)
