"""From the client's format to the upstream's: decode, mix down, resample, each only where needed.

The bytes that come out depend on the bytes that went in, never on how they were cut into chunks.
"""

from typing import Protocol

from routeraudio.audio import catalog, pcm
from routeraudio.audio.containers.passthrough import ContainerPassthrough
from routeraudio.audio.decoder import Decoder
from routeraudio.audio.downmix import Downmix
from routeraudio.audio.resample import Resampler
from routeraudio.model.audio import SAMPLE_RATES_HZ, AudioFormat


class Transcoder(Protocol):
    """Audio in ``source`` becomes audio in ``target``, chunk by chunk."""

    source: AudioFormat
    target: AudioFormat
    is_passthrough: bool
    """Whether the audio comes out as it went in; a container's packets in a container of our own writing."""

    @property
    def source_ms(self) -> int:
        """Whole milliseconds of the source's audio taken in so far, by samples, without the codec's delay."""

    @property
    def has_more(self) -> bool:
        """Whether the last `push` stopped at its bound (a millisecond or two of work); ``push(b"")`` goes on.

        A few bytes can be hours of audio. Ask before every further `push` and before `finish`, and give the next
        stage time in between.
        """

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the client should know about its audio, as sentences."""

    @property
    def resumed_ms(self) -> int:
        """Where in the source begins what the current connection gets."""

    def keep(self, duration_s: float) -> None:
        """Keep the packets of a container for so long, for `restart`. Samples are kept elsewhere (`session.replay`)."""

    def forget(self, until_ms: int) -> None:
        """What lies before is not asked for by `restart` any more."""

    def restart(self, since_ms: int | None = None) -> bytes:
        """What comes out from now on goes to a new connection, which knows nothing of what went before.

        Of a container it gets a header, then the packets from here on.

        Args:
            since_ms: of a container, begin with the packets kept since then; None: with the next one.

        Returns:
            Header and packets up to here, where ``since_ms`` is given.
        """

    def push(self, data: bytes) -> bytes:
        """What ``data`` yields: whole samples, possibly none (``b""``). No more calls after `finish`.

        Raises:
            ClientFault: the bytes are not what the client said they are. Never when raw audio passes through.
        """

    def finish(self) -> bytes:
        """What is still held back, possibly nothing. Called once.

        Raises:
            ClientFault: there was something, and no audio in it.
        """


def transcoder(source: AudioFormat, target: AudioFormat) -> Transcoder:
    """The cheapest way from ``source`` to ``target``.

    Args:
        source: of a container only the encoding counts; rate and channels are its header's.
        target: equal to ``source``, the same container, or `pcm_s16le` at one of the six rates, mono or with
            as many channels as ``source``.

    Raises:
        ClientFault: ``source`` cannot be converted; see `catalog.check`.
        ValueError: an adapter asks for something that nothing converts to.
    """
    if source.encoding == target.encoding and not source.is_raw:
        return _ContainerPassthrough(source)
    if source == target:
        return _Passthrough(source)
    catalog.check(source, target)
    if (
        target.encoding != "pcm_s16le"
        or target.channels not in (1, source.channels)
        or target.sample_rate not in SAMPLE_RATES_HZ
    ):
        raise ValueError(
            f"cannot convert {source} to {target}; only to pcm_s16le at {SAMPLE_RATES_HZ} Hz, mono or as many channels"
        )
    return _Conversion(source, target)


class _Unkept:
    """What goes out as samples begins anew at any of them; nothing is kept here."""

    resumed_ms: int

    @property
    def source_ms(self) -> int:
        raise NotImplementedError

    def keep(self, duration_s: float) -> None:
        pass

    def forget(self, until_ms: int) -> None:
        pass

    def restart(self, since_ms: int | None = None) -> bytes:
        del since_ms
        self.resumed_ms = self.source_ms
        return b""


class _Passthrough(_Unkept):
    """Equal formats. Chunks are handed on as they are, except that a sample is never cut in two."""

    is_passthrough = True
    has_more = False
    warnings = ()

    def __init__(self, source: AudioFormat) -> None:
        self.source = self.target = source
        self.resumed_ms = 0
        self._steps = pcm.Steps(source.bytes_per_step)
        self._is_finished = False

    @property
    def source_ms(self) -> int:
        return self.source.duration_ms(self._steps.length)

    def push(self, data: bytes) -> bytes:
        assert not self._is_finished, "audio after finish"
        return self._steps.whole(data)

    def finish(self) -> bytes:
        assert not self._is_finished, "finish called twice"
        self._is_finished = True
        return b""


class _ContainerPassthrough(ContainerPassthrough):
    is_passthrough = True
    warnings = ()

    def __init__(self, source: AudioFormat) -> None:
        super().__init__(catalog.DEMUXERS[source.encoding](), catalog.MUXERS[source.encoding])
        self.source = self.target = source


class _Conversion(_Unkept):
    """Decoder, then `_Shaping` as soon as the decoder knows what it decodes."""

    is_passthrough = False

    def __init__(self, source: AudioFormat, target: AudioFormat) -> None:
        self.source = source
        self.target = target
        self.resumed_ms = 0
        self._decoder: Decoder = catalog.DECODERS[source.encoding](source)
        self._shaping: _Shaping | None = None
        self._is_finished = False

    @property
    def source_ms(self) -> int:
        return self._decoder.source_ms

    @property
    def has_more(self) -> bool:
        return self._decoder.has_more

    @property
    def warnings(self) -> tuple[str, ...]:
        return self._shaping.warnings if self._shaping else ()

    def push(self, data: bytes) -> bytes:
        assert not self._is_finished, "audio after finish"
        samples = self._decoder.push(data)
        return self._shaped(samples) if samples else b""

    def finish(self) -> bytes:
        assert not self._is_finished, "finish called twice"
        self._is_finished = True
        samples = self._decoder.finish()
        head = self._shaped(samples) if samples else b""
        return head + (self._shaping.finish() if self._shaping else b"")

    def _shaped(self, samples: bytes) -> bytes:
        if self._shaping is None:
            decoded = self._decoder.pcm
            assert decoded is not None, "a decoder names its format before it returns samples"
            self._shaping = _Shaping(decoded, self.target, is_float=self._decoder.is_float)
        return self._shaping.push(samples)


class _Shaping:
    """Samples of any channels and rate as the target has them; channels first: fewer to resample."""

    def __init__(self, decoded: AudioFormat, target: AudioFormat, *, is_float: bool) -> None:
        self._channels = decoded.channels
        self._target_channels = target.channels
        self._is_float = is_float
        self._downmix: Downmix | None = None
        if target.channels == 1 < decoded.channels:
            self._downmix = Downmix(decoded.channels, decoded.sample_rate, is_float=is_float)
        self._resampler: Resampler | None = None
        if decoded.sample_rate != target.sample_rate:
            self._resampler = Resampler(
                decoded.sample_rate, target.sample_rate, channels=target.channels, takes_float=is_float
            )

    @property
    def warnings(self) -> tuple[str, ...]:
        return self._downmix.warnings if self._downmix else ()

    def push(self, samples: bytes) -> bytes:
        if self._downmix is not None:
            samples = self._downmix.push(samples)
        elif self._channels != self._target_channels:
            samples = pcm.spread(samples, self._channels, self._target_channels)
        if self._resampler is not None:
            return self._resampler.push(samples)
        return pcm.integers(samples) if self._is_float else samples

    def finish(self) -> bytes:
        return b"" if self._resampler is None else self._resampler.finish()
