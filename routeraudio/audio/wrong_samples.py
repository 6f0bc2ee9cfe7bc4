"""What bytes could be that are said to be samples: other kinds of samples, text, frames of a codec.

Sound can be predicted from the samples before it; bytes that are read as the wrong kind of sample cannot. What a linear
prediction of order 8 leaves (`residue`) is 0.0 for tones, 0.06 to 0.36 for the clips of tests/assets, also quiet or
clipped, 0.6 with noise at 5 dB, 0.75 at 0 dB, 1.0 for white noise. Of the same clips read wrongly it is 0.6 to 1.0, and
0.06 to 0.3 when they are read as what they are, 0.3 to 0.5 at 8 kHz.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from routeraudio.audio.g711 import EXPANSION

Samples = NDArray[np.float32]

ORDER: Final = 8

SILENT: Final = 40.0
"""Mean level, of 32,768, below which a piece of sound tells nothing."""

UNPREDICTABLE: Final = 0.5
"""As declared: below that nothing is amiss."""

_SAMPLES_MAX: Final = 16_000
"""The prediction is made from no more: bytes read as mu-law are twice as many samples."""

_BLOCK: Final = 8_000

_DISTINCT: Final = 100
"""Values in a second that sound has at the least; a constant has one."""

_NEARLY: Final = 0.99

_VARIATION: Final = 0.25
"""Total variation distance of a kind of octets from all. Chance alone makes it 0.1; low and high octets have 0.5."""

_NOISE: Final = 0.9
"""Residue of what is no sound."""

_FRAMES: Final = 4
"""One behind the other are no accident."""

_SEARCHED: Final = 8192
"""Bytes in which the first of them begins."""


def s16(data: bytes) -> Samples:
    return np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32)


def _s16_big(data: bytes) -> Samples:
    return np.frombuffer(data[: len(data) // 2 * 2], ">i2").astype(np.float32)


def _u16(data: bytes) -> Samples:
    return np.frombuffer(data[: len(data) // 2 * 2], "<u2").astype(np.float32) - np.float32(32_768)


def _mulaw(data: bytes) -> Samples:
    return EXPANSION.take(np.frombuffer(data, np.uint8)).astype(np.float32)


def _alaw(data: bytes) -> Samples:
    """ITU-T G.711."""
    octets = np.frombuffer(data, np.uint8).astype(np.int32) ^ 0x55
    segment, step = (octets & 0x70) >> 4, ((octets & 0x0F) << 4) + 8
    size = np.where(segment == 0, step, (step + 0x100) << np.maximum(segment - 1, 0))
    return np.where(octets & 0x80, size, -size).astype(np.float32)


def _u8(data: bytes) -> Samples:
    return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) * 256


def _are_floats(data: bytes) -> bool:
    """Whether nearly all are samples between -1 and 1 as 32-bit floats.

    For 16-bit samples every second one would have to lie in two narrow bands far from zero.
    """
    with np.errstate(invalid="ignore"):
        values = np.abs(np.frombuffer(data[: len(data) // 4 * 4], "<f4"))
        sounding = values[values != 0]
        samples = sounding[(sounding <= 1.5) & (sounding > 1e-9)]
    return _are_nearly_all(samples, sounding)


def _are_shifted(data: bytes) -> bool:
    """Whether they are 16-bit samples in the upper half of 32 bits: every other half is zero."""
    halves = s16(data[: len(data) // 4 * 4]).reshape(-1, 2)
    return not halves[:, 0].any() and len(np.unique(halves[:, 1])) > _DISTINCT


def _s32(data: bytes) -> Samples:
    return np.frombuffer(data[: len(data) // 4 * 4], "<i4").astype(np.float32) / np.float32(65_536)


def _s24(data: bytes) -> Samples:
    octets = np.frombuffer(data[: len(data) // 3 * 3], np.uint8).reshape(-1, 3)
    return (octets[:, 1].astype(np.int32) | (octets[:, 2].astype(np.int8).astype(np.int32) << 8)).astype(
        np.float32
    )


def _are_unsigned(data: bytes) -> bool:
    """Whether the samples lie around 32,768, far from where signed ones do, and are the smoother for it."""
    samples = s16(data)
    is_far = np.mean(np.abs(samples) > 16_384) > _NEARLY and len(np.unique(samples)) > _DISTINCT
    if not is_far or _are_of_one_kind(data):
        return False
    return residue(_u16(data), 1) * 1.5 <= residue(samples, 1)


def _are_doubles(data: bytes) -> bool:
    """The same of 64-bit floats."""
    with np.errstate(invalid="ignore"):
        values = np.abs(np.frombuffer(data[: len(data) // 8 * 8], "<f8"))
        sounding = values[values != 0]
        samples = sounding[(sounding <= 1.5) & (sounding > 1e-9)]
    return _are_nearly_all(samples, sounding)


def _are_nearly_all(samples: NDArray[np.floating], sounding: NDArray[np.floating]) -> bool:
    return len(samples) >= _NEARLY * len(sounding) and len(np.unique(samples)) > _DISTINCT


def _are_letters(data: bytes) -> bool:
    """Whether all of it is ASCII text: base64, hexadecimal, JSON. Samples of nothing else are all far above zero."""
    return data.isascii() and min(data) >= 0x09 and 0x7F not in data and len(set(data)) >= 10


def _are_frames(data: bytes, first: bytes, length: Callable[[bytes, int], int]) -> bool:
    """Whether frames follow each other that begin with ``first``; ``length`` is 0 where there is none."""
    at = data.find(first, 0, _SEARCHED)
    while at >= 0:
        end, found = at, 0
        while found < _FRAMES and data.startswith(first, end) and (step := length(data, end)):
            end, found = end + step, found + 1
        if found == _FRAMES:
            return True
        at = data.find(first, at + 1, _SEARCHED)
    return False


def _adts_bytes(data: bytes, at: int) -> int:
    """ISO/IEC 13818-7, 6.2: layer 0, then the length in 13 bits."""
    head = data[at : at + 7]
    if len(head) < 7 or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 0x0F > 12:
        return 0
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length > 7 else 0


def _ac3_bytes(data: bytes, at: int) -> int:
    """ETSI TS 102 366, 4.3.1 and 5.3.1: twice the words of table 4.13."""
    if at + 5 > len(data):
        return 0
    rate, code = data[at + 4] >> 6, data[at + 4] & 0x3F
    if rate > 2 or code >= 2 * len(_AC3_KBITS):
        return 0
    kbits = _AC3_KBITS[code >> 1]
    words = {0: 2 * kbits, 1: 96_000 * kbits // 44_100 + (code & 1), 2: 3 * kbits}[rate]
    return 2 * words


_AC3_KBITS: Final = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)


def _is_aac(data: bytes) -> bool:
    return _are_frames(data, b"\xff", _adts_bytes)


def _is_ac3(data: bytes) -> bool:
    return _are_frames(data, b"\x0b\x77", _ac3_bytes)


def _is_transport_stream(data: bytes) -> bool:
    """ISO/IEC 13818-1, 2.4.3.2: packets of 188 bytes."""
    return _are_frames(data, b"\x47", lambda _data, _at: 188)


def _are_of_one_kind(data: bytes) -> bool:
    """Whether every octet is a sample: of 16-bit samples, also in stereo, octets are of several kinds."""
    octets = np.frombuffer(data[: len(data) // 4 * 4], np.uint8).reshape(-1, 4)
    shares = np.stack([np.bincount(octets[:, place], minlength=256) for place in range(4)]) / max(
        1, len(octets)
    )
    return bool(np.abs(shares - shares.mean(axis=0)).sum(axis=1).max() <= 2 * _VARIATION)


def _have_noise_below(data: bytes) -> bool:
    """Whether the lower halves of 32 bits are noise or nothing, as digits far behind the point are."""
    return residue(s16(data)[::2], 1) >= _NOISE


def _anything(_data: bytes) -> bool:
    return True


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """Another kind of samples."""

    read: Callable[[bytes], Samples]
    instead: str
    """What to send."""
    residue_max: float = 0.35
    gain: float = 2.5
    """How much more predictable than as declared."""
    looks_like_it: Callable[[bytes], bool] = _anything
    """What predictability does not tell."""
    is_of_mono: bool = False
    """Stereo sound, of which one side is silent or noisy, looks like it too."""

    def is_better(self, data: bytes, other: float, declared: float) -> bool:
        """Whether ``data`` is this, with a residue of ``other``, rather than what was declared, with ``declared``."""
        return other <= min(self.residue_max, declared / self.gain) and self.looks_like_it(data)


def _octets(read: Callable[[bytes], Samples], instead: str) -> Candidate:
    return Candidate(read=read, instead=instead, residue_max=0.55, gain=1.4, looks_like_it=_are_of_one_kind)


READ: Final[Mapping[str, Callable[[bytes], Samples]]] = {"pcm_s16le": s16, "pcm_mulaw": _mulaw}
"""As declared."""

CANDIDATES: Final[Mapping[str, Candidate]] = {
    "32-bit samples": Candidate(
        read=_s32, instead="16-bit samples", looks_like_it=_have_noise_below, is_of_mono=True
    ),
    "24-bit samples": Candidate(read=_s24, instead="16-bit samples"),
    # Read one byte later the same bytes are as smooth: which of the two it is nobody can tell.
    "16-bit samples with the high byte first, or without their first byte": Candidate(
        read=_s16_big, instead="the low byte first"
    ),
    "mu-law": _octets(_mulaw, "encoding=pcm_mulaw"),
    "A-law": _octets(_alaw, "16-bit samples"),
    "8-bit samples": _octets(_u8, "16-bit samples"),
    "16-bit samples": Candidate(read=s16, instead="encoding=pcm_s16le"),
}
"""What else bytes could be, and what to send instead."""

CERTAIN: Final[Mapping[str, tuple[Callable[[bytes], bool], str]]] = {
    # Doubles first: read as floats, every second one of them may be a sample too.
    "64-bit float samples": (_are_doubles, "16-bit samples"),
    "32-bit float samples": (_are_floats, "16-bit samples"),
    "unsigned 16-bit samples": (_are_unsigned, "signed ones"),
    "text, perhaps base64": (_are_letters, "the samples themselves"),
    "an AAC stream": (_is_aac, "decoded samples"),
    "an AC-3 stream": (_is_ac3, "decoded samples"),
    "an MPEG transport stream": (_is_transport_stream, "decoded samples"),
}
"""What no 16-bit sound looks like."""

CERTAIN_OF_MONO: Final[Mapping[str, tuple[Callable[[bytes], bool], str]]] = {
    "32-bit samples": (_are_shifted, "16-bit samples"),
}
"""What stereo sound with a silent side looks like."""


def _level(samples: Samples) -> float:
    return float(np.abs(samples).mean()) if len(samples) else 0.0


def residue(samples: Samples, channels: int) -> float:
    """What linear prediction leaves of the first channel, as a share of its amplitude; infinite for silence.

    Levinson's recursion on the autocorrelation (Rabiner and Schafer, Digital Processing of Speech Signals, 8.3.2).
    """
    one = samples[: min(len(samples) // channels, _SAMPLES_MAX) * channels : channels]
    one = one - one.mean() if len(one) > ORDER else one[:0]
    if _level(one) < SILENT:
        return float("inf")
    lags = [_product(one[: len(one) - lag], one[lag:]) for lag in range(ORDER + 1)]
    left = lags[0]
    weights = np.zeros(ORDER + 1)
    weights[0] = 1.0
    for step in range(1, ORDER + 1):
        reflection = -float(np.dot(weights[:step], lags[step:0:-1])) / left
        weights[1 : step + 1] += reflection * weights[step - 1 :: -1][:step]
        left *= 1 - reflection * reflection
        if left <= 0:
            return 0.0
    return float(np.sqrt(left / lags[0]))


def _product(one: Samples, other: Samples) -> float:
    """In blocks: from 10,000 values on OpenBLAS wakes threads, and waits milliseconds for a core that is busy."""
    return sum(
        float(np.dot(one[at : at + _BLOCK], other[at : at + _BLOCK])) for at in range(0, len(one), _BLOCK)
    )
