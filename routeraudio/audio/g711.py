"""G.711 mu-law, the encoding of North American and Japanese telephony, as an expansion table.

Source: ITU-T G.711 (11/88), tables 2a and 2b; values scaled from 14 to 16 bits, the largest is 4 · 8031.
"""

from typing import Final

import numpy as np

from routeraudio.audio.pcm import Steps
from routeraudio.model.audio import AudioFormat

_BIAS: Final = 0x84
"""33 at 14 bits: what the encoder adds so that every segment starts at a power of two."""


def _expanded(code: int) -> int:
    """The 16-bit value of one code: sign, three bits of segment, four of mantissa, all sent inverted."""
    inverted = code ^ 0xFF
    magnitude = ((((inverted & 0x0F) << 3) + _BIAS) << ((inverted & 0x70) >> 4)) - _BIAS
    return -magnitude if inverted & 0x80 else magnitude


EXPANSION: Final = np.array([_expanded(code) for code in range(256)], "<i2")
"""16-bit samples by code."""


class MulawDecoder:
    """`pcm_mulaw`: one byte is one sample."""

    is_float = False
    has_more = False

    def __init__(self, source: AudioFormat) -> None:
        self._source = source
        self.pcm: AudioFormat | None = AudioFormat("pcm_s16le", source.sample_rate, source.channels)
        self._steps = Steps(source.bytes_per_step)

    @property
    def source_ms(self) -> int:
        return self._source.duration_ms(self._steps.length)

    def push(self, data: bytes) -> bytes:
        codes = np.frombuffer(self._steps.whole(data), np.uint8)
        return EXPANSION.take(codes).tobytes()

    def finish(self) -> bytes:
        return b""
