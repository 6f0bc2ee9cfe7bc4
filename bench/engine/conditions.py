"""Eight conditions of each clip, and sounds in which nobody speaks. Every run makes the same samples."""

import subprocess
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from tests.engine.clips import pcm

Floats = npt.NDArray[np.float64]

RATE: Final = 16_000
SEED: Final = 7

SPEECH_MS: Final = {
    "goforward": (460, 2120),
    "austen-0870": (200, 6790),
    "austen-0920": (220, 5830),
    "austen-0930": (210, 3020),
}
"""Where the first word of each clip begins and the last one ends: its text aligned with PocketSphinx."""

NAMES: Final = ("clean", "noise 15 dB", "noise 5 dB", "telephone", "faster", "slower", "quiet", "room")


def clip(name: str, condition: str) -> bytes:
    """A clip as it sounds in this condition: 16 kHz mono `pcm_s16le`."""
    samples = np.frombuffer(pcm(name), "<i2").astype(np.float64)
    match condition:
        case "clean":
            return pcm(name)
        case "noise 15 dB":
            return _pcm(_noisy(samples, 15))
        case "noise 5 dB":
            return _pcm(_noisy(samples, 5))
        case "telephone":
            return _telephone(name)
        case "faster":
            return _ffmpeg(pcm(name), RATE, "-af", "atempo=1.25", "-f", "s16le")
        case "slower":
            return _ffmpeg(pcm(name), RATE, "-af", "atempo=0.85", "-f", "s16le")
        case "quiet":
            return _pcm(samples / 10)
        case "room":
            return _pcm(_reverberant(samples))
        case other:
            raise ValueError(f"there is no condition {other!r}; there are {', '.join(NAMES)}")


def sounds(seconds: float) -> Iterator[tuple[str, bytes]]:
    """What must bring no word, each of this length."""
    time_s = np.arange(int(seconds * RATE)) / RATE
    for name, make in _SOUNDS.items():
        yield name, _pcm(make(np.random.default_rng(SEED), time_s))


def _noisy(samples: Floats, snr_db: float) -> Floats:
    """With pink noise so many dB below the louder half of the clip, which is its speech."""
    frames = samples[: len(samples) // 400 * 400].reshape(-1, 400).std(1)
    loud = np.sqrt(np.square(np.sort(frames)[len(frames) // 2 :]).mean())
    pink = _pink(np.random.default_rng(SEED), len(samples))
    return np.asarray(samples + pink * loud / 10 ** (snr_db / 20))


def _telephone(name: str) -> bytes:
    """300 to 3400 Hz at 8 kHz in mu-law, and back."""
    band = "highpass=f=300:p=2,highpass=f=300:p=2,lowpass=f=3400:p=2,lowpass=f=3400:p=2"
    narrow = _ffmpeg(pcm(name), RATE, "-af", band, "-ar", "8000", "-f", "mulaw")
    return _ffmpeg(narrow, 8000, "-ar", str(RATE), "-f", "s16le", encoding="mulaw")


def _ffmpeg(data: bytes, rate: int, *options: str, encoding: str = "s16le") -> bytes:
    command = ["ffmpeg", "-v", "error", "-f", encoding, "-ar", str(rate), "-ac", "1", "-i", "-"]
    done = subprocess.run([*command, *options, "-"], input=data, capture_output=True, check=True)
    return done.stdout


def _reverberant(samples: Floats) -> Floats:
    """In a room whose sound falls by 60 dB in 0.5 s, the speaker two metres away."""
    tail_s = np.arange(RATE // 2) / RATE
    room = np.random.default_rng(SEED).standard_normal(len(tail_s)) * 10 ** (-3 * tail_s / 0.5)
    room *= 0.5 / np.sqrt(np.square(room).sum())
    room[0] += 1
    size = len(samples) + len(room)
    return np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(room, size), size)[: len(samples)] * 0.8


def _pcm(samples: Floats) -> bytes:
    return np.clip(samples, -32768, 32767).astype("<i2").tobytes()


def _pink(random: np.random.Generator, size: int) -> Floats:
    """Of power one, down to 10 Hz."""
    spectrum = np.fft.rfft(random.standard_normal(size))
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.fft.rfftfreq(size), 10 / RATE)), size)
    return np.asarray(pink / pink.std())


def _chords(random: np.random.Generator, time_s: Floats) -> Floats:
    """A triad with overtones every half second."""
    step = (time_s / 0.5).astype(int)
    roots = 110 * 2 ** (random.integers(0, 24, step.max() + 1) / 12)
    fade = np.exp(-4 * (time_s % 0.5))
    tones = [np.sin(2 * np.pi * roots[step] * ratio * time_s) / ratio for ratio in (1, 1.26, 1.5, 2, 3, 4)]
    return np.asarray(3000 * fade * sum(tones))


def _gusts(random: np.random.Generator, time_s: Floats) -> Floats:
    """Noise that swells and falls."""
    swell = np.abs(np.sin(2 * np.pi * 0.2 * time_s) * np.sin(2 * np.pi * 1.7 * time_s))
    return np.asarray(6000 * swell**2 * _pink(random, len(time_s)))


def _hum(_random: np.random.Generator, time_s: Floats) -> Floats:
    return np.asarray(1500 * sum(np.sin(2 * np.pi * 50 * k * time_s) / k for k in (1, 2, 3, 5, 7)))


def _keys(random: np.random.Generator, time_s: Floats) -> Floats:
    """A click of 10 ms, six times a second."""
    clicks = random.standard_normal(len(time_s)) * np.exp(-400 * ((time_s + random.random() / 9) % 0.17))
    return 8000 * clicks


def _dial(_random: np.random.Generator, time_s: Floats) -> Floats:
    """A telephone that rings: 425 Hz, one second of five."""
    return 6000 * np.sin(2 * np.pi * 425 * time_s) * (time_s % 5 < 1)


_SOUNDS: Final[dict[str, Callable[[np.random.Generator, Floats], Floats]]] = {
    "silence": lambda _random, time_s: np.zeros(len(time_s)),
    "hiss": lambda random, time_s: 300 * random.standard_normal(len(time_s)),
    "street": lambda random, time_s: 3000 * _pink(random, len(time_s)),
    "gusts": _gusts,
    "hum": _hum,
    "music": _chords,
    "keys": _keys,
    "dial tone": _dial,
}

SOUNDS: Final = len(_SOUNDS)
