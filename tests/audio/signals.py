"""Sounds with known answers, and ways to cut and measure them."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from routeraudio.audio.transcode import Transcoder

Samples = npt.NDArray[np.float64]


def tone(frequency_hz: float, sample_rate: int, seconds: float, amplitude: float = 16000) -> Samples:
    """A sine that starts at phase zero."""
    times_s = np.arange(int(seconds * sample_rate)) / sample_rate
    return amplitude * np.sin(2 * np.pi * frequency_hz * times_s)


def band_noise(sample_rate: int, seconds: float, high_hz: float, seed: int = 1) -> Samples:
    """Noise with nothing above ``high_hz``, low enough never to clip; fades in and out in 50 ms."""
    length = int(seconds * sample_rate)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(length))
    spectrum[np.fft.rfftfreq(length, 1 / sample_rate) > high_hz] = 0
    noise = np.fft.irfft(spectrum, length)
    times_s = np.minimum(np.arange(length), np.arange(length)[::-1]) / sample_rate
    faded: Samples = 5000 * noise / noise.std() * np.sin(np.pi / 2 * np.clip(times_s / 0.05, 0, 1)) ** 2
    return faded


def s16(samples: npt.ArrayLike) -> bytes:
    """Samples as `pcm_s16le`, rounded."""
    return bytes(np.rint(np.asarray(samples)).clip(-32768, 32767).astype("<i2").tobytes())


def samples(pcm: bytes) -> Samples:
    """`pcm_s16le` as numbers."""
    return np.frombuffer(pcm, "<i2").astype(np.float64)


def snr_db(heard: Samples, ideal: Samples) -> float:
    """How far what differs from ``ideal`` lies below it."""
    return float(10 * np.log10(np.sum(ideal**2) / max(np.sum((heard - ideal) ** 2), 1e-12)))


def level_db(heard: Samples, reference: float) -> float:
    """The level of a sine in relation to one of amplitude ``reference``."""
    return float(20 * np.log10(max(np.sqrt(2 * np.mean(heard**2)) / reference, 1e-9)))


def without_edges(heard: Samples, sample_rate: int) -> Samples:
    """All but the first and last 20 ms, where a tone that begins or ends at once has no one frequency."""
    return heard[sample_rate // 50 : -sample_rate // 50]


def passed(transcoder: Transcoder, chunks: Sequence[bytes]) -> bytes:
    """Everything that comes out when ``chunks`` go in."""
    return b"".join([*map(transcoder.push, chunks), transcoder.finish()])


def drained(converter: Transcoder, chunks: Sequence[bytes]) -> bytes:
    """As a session does it: nothing is pushed while there is more of what was."""
    out = []
    for chunk in chunks:
        out.append(converter.push(chunk))
        while converter.has_more:
            out.append(converter.push(b""))
    return b"".join([*out, converter.finish()])


@st.composite
def cuts(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Any way to cut ``data`` in chunks: anywhere, odd bytes and empty chunks included."""
    places = draw(st.lists(st.integers(0, len(data)), max_size=30))
    near_start = draw(st.lists(st.integers(0, min(400, len(data))), max_size=30))
    return [data[start:end] for start, end in pairwise([0, *sorted(places + near_start), len(data)])]
