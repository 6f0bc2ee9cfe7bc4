"""16-bit linear PCM: whole samples out of arbitrary chunks, and many channels into one."""

import numpy as np
from numpy.typing import NDArray

from routeraudio.model.audio import AudioFormat

Samples = NDArray[np.float32]


class Steps:
    """Carries an incomplete sampling instant (all its channels) over to the next chunk.

    Clients cut their audio where they like; a sample cut in two would turn all that follows into noise.
    """

    def __init__(self, bytes_per_step: int) -> None:
        self._bytes_per_step = bytes_per_step
        self._rest = b""
        self.length = 0
        """Bytes that came out so far."""

    def whole(self, data: bytes) -> bytes:
        """What came, up to the last whole instant; ``data`` itself where nothing has to be carried."""
        if not self._rest and len(data) % self._bytes_per_step == 0:
            self.length += len(data)
            return data
        data = self._rest + data
        end = len(data) - len(data) % self._bytes_per_step
        self._rest = data[end:]
        self.length += end
        return data[:end]


class PcmDecoder:
    """`pcm_s16le` is what it is; only its chunks are put right."""

    is_float = False
    has_more = False

    def __init__(self, source: AudioFormat) -> None:
        self.pcm: AudioFormat | None = source
        self._source = source
        self._steps = Steps(source.bytes_per_step)

    @property
    def source_ms(self) -> int:
        return self._source.duration_ms(self._steps.length)

    def push(self, data: bytes) -> bytes:
        return self._steps.whole(data)

    def finish(self) -> bytes:
        return b""


def downmix(pcm: bytes, channels: int) -> bytes:
    """One channel: the mean of all, rounded to the nearest value (ties to even), which cannot clip.

    Args:
        pcm: interleaved `pcm_s16le`, whole sampling instants.
        channels: at most 256. float32 then holds every sum of 16-bit samples exactly, in whatever order the
            product below adds them up; the result is the same on every machine and for every split.
    """
    mean = exact_mean(np.frombuffer(pcm, "<i2").reshape(-1, channels).astype(np.float32))
    return np.rint(mean, out=mean).astype("<i2").tobytes()


def exact_mean(interleaved: Samples) -> Samples:
    """Of all channels, of 16-bit samples."""
    # A product with ones takes 4 µs for 20 ms of 48 kHz stereo; mean(axis=1) takes 16.
    total: Samples = interleaved @ np.ones(interleaved.shape[1], np.float32)
    total /= interleaved.shape[1]
    return total


def mixed(samples: bytes, channels: int) -> bytes:
    """`downmix` for float32."""
    return mean(np.frombuffer(samples, np.float32).reshape(-1, channels)).tobytes()


def mean(interleaved: Samples) -> Samples:
    """Of all channels. Added one by one: a product would round differently for other lengths."""
    total: Samples = interleaved[:, 0].copy()
    for channel in range(1, interleaved.shape[1]):
        total += interleaved[:, channel]
    total /= interleaved.shape[1]
    return total


def spread(samples: bytes, channels: int, target_channels: int) -> bytes:
    """float32 on more channels than its header has: one goes on all, two keep their places beside silent ones."""
    interleaved = np.frombuffer(samples, np.float32).reshape(-1, channels)
    if channels == 1:
        return np.repeat(interleaved, target_channels, axis=1).tobytes()
    wide = np.zeros((len(interleaved), target_channels), np.float32)
    kept = min(channels, target_channels)
    wide[:, :kept] = interleaved[:, :kept]
    return wide.tobytes()


def integers(samples: bytes) -> bytes:
    """float32 with full scale at 1 as `pcm_s16le`: rounded, and held at full scale where it is louder."""
    scaled = np.frombuffer(samples, np.float32) * np.float32(32768)
    np.rint(scaled, out=scaled)
    return scaled.clip(-32768, 32767, out=scaled).astype("<i2").tobytes()


QUIET_AMPLITUDE = 500
"""Of 32768: -36 dBFS. Speech at a usual level has peaks ten times as high, a quiet room stays below a fifth."""


def is_quiet(pcm: bytes) -> bool:
    """Whether no sample of ``pcm`` (`pcm_s16le`, whole samples) is loud enough for speech."""
    samples = np.frombuffer(pcm, "<i2")
    return bool(samples.size == 0 or (samples.max() < QUIET_AMPLITUDE and samples.min() > -QUIET_AMPLITUDE))
