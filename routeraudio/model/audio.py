"""Audio formats and the arithmetic between bytes, samples and milliseconds."""

from typing import Final, Literal, get_args

import msgspec

Encoding = Literal["pcm_s16le", "pcm_mulaw", "ogg_opus", "webm", "mp3"]
"""Encodings a client may name. `mulaw` is an alias that dialects resolve to `pcm_mulaw`."""

ENCODINGS: Final[tuple[Encoding, ...]] = get_args(Encoding)

SAMPLE_RATES_HZ: Final = (8000, 16000, 22050, 24000, 44100, 48000)
"""Sample rates a client may name (router.audio API reference)."""

CHANNELS_MAX: Final = 8

_BYTES_PER_SAMPLE: Final[dict[str, int]] = {"pcm_s16le": 2, "pcm_mulaw": 1}


class AudioFormat(msgspec.Struct, frozen=True):
    """How a run of audio bytes is to be understood."""

    encoding: Encoding
    sample_rate: int
    """Hz."""
    channels: int = 1
    """Interleaved channels."""

    @property
    def is_raw(self) -> bool:
        """Whether bytes map to samples by arithmetic alone (PCM, mu-law), without a container."""
        return self.encoding in _BYTES_PER_SAMPLE

    @property
    def bytes_per_step(self) -> int:
        """Bytes of one sampling instant, all channels. Raw formats only.

        Raises:
            ValueError: the format is a container.
        """
        try:
            return _BYTES_PER_SAMPLE[self.encoding] * self.channels
        except KeyError:
            raise ValueError(f"{self.encoding} has no fixed number of bytes per sample") from None

    @property
    def bytes_per_second(self) -> int:
        """Bytes of one second of audio. Raw formats only."""
        return self.bytes_per_step * self.sample_rate

    def duration_ms(self, length_bytes: int) -> int:
        """Whole milliseconds of audio in ``length_bytes``, rounded down. Raw formats only."""
        return length_bytes * 1000 // self.bytes_per_second

    def __str__(self) -> str:
        layout = "mono" if self.channels == 1 else f"{self.channels} channels"
        return f"{self.encoding} {self.sample_rate} Hz {layout}"


PCM_16K_MONO: Final = AudioFormat("pcm_s16le", 16000, 1)
"""What a provider gets when it cannot take the client's own encoding."""
