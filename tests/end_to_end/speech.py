"""The clip that every test sends, cut and converted."""

import random
import wave

import numpy as np
import soxr

from .router import CLIP

END = '{"type":"end_of_stream"}'


def pcm() -> bytes:
    with wave.open(str(CLIP)) as sound:
        return sound.readframes(sound.getnframes())


def pieces(data: bytes, seed: int) -> list[bytes]:
    """A random split, odd bytes and empty messages included."""
    dice = random.Random(seed)
    cuts = sorted(dice.choices(range(len(data) + 1), k=200))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def resampled(data: bytes, source_hz: int, target_hz: int) -> bytes:
    """An independent conversion, in one piece."""

    return (
        soxr.resample(np.frombuffer(data, "<i2").astype(np.float64), source_hz, target_hz, "VHQ")
        .round()
        .clip(-32768, 32767)
        .astype("<i2")
        .tobytes()
    )
