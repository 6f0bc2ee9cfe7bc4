"""Many channels into one, also where their mean would be silence.

A balanced line that was taken for stereo, or a plug with its wires crossed, gives two channels of which one is the
other inverted: their mean is nothing. So while the mean is far weaker than that of unrelated channels would be, the
loudest channel is taken instead.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from routeraudio.audio.pcm import Samples, exact_mean, mean

WINDOW_MS: Final = 20
"""What is compared. What comes out is decided by the windows before it, so that nothing is held back."""

_DECAY: Final = 0.8
"""From window to window: the last 100 ms decide, at any level, and silence changes nothing."""

_CANCELLED: Final = 1 / 5
"""Of the energy that unrelated channels leave in their mean. Two of one level get there at a correlation of -0.8."""

_MUCH_LOUDER: Final = 4.0
"""In energy. Going from one channel to the other is a jump in the sound."""

_SOUND: Final = 100.0
"""Root of the mean square, of 32,768, from which on a window counts for the warning: -50 dBFS."""

WARNED_MS: Final = 1000
"""So much sound whose channels cancel is no chance."""

WARNING: Final = (
    "the channels cancel each other when they are mixed, as when one of them is inverted: the louder one was taken; "
    "send one channel"
)


class Downmix:
    """One stream's channels.

    Args:
        channels: 2 to 256. float32 holds every sum of 16-bit samples exactly, in whatever order they are added up.
        is_float: samples are float32 with full scale at 1, both ways, and not 16-bit integers.
    """

    def __init__(self, channels: int, sample_rate: int, *, is_float: bool) -> None:
        self._channels = channels
        self._is_float = is_float
        self._mean = mean if is_float else exact_mean
        self._kind = np.dtype(np.float32 if is_float else "<i2")
        self._window = sample_rate * WINDOW_MS // 1000
        self._rest = np.empty((0, channels), np.float32)
        """Of the window that is not full; it has been handed on."""
        self._of_mean = self._of_all = 0.0
        """Energies, of windows that count the less the older they are; of each channel only while they cancel."""
        self._of_each = np.zeros(channels, np.float32)
        self._taken = -1
        """Channel that stands for all; -1: none."""
        sound = _SOUND / 32768 if is_float else _SOUND
        self._sound_energy = sound * sound * self._window * channels / 2
        self._cancelled_ms = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the client should know about its channels."""
        return (WARNING,) if self._cancelled_ms >= WARNED_MS else ()

    def push(self, samples: bytes) -> bytes:
        """One channel of ``samples``: interleaved, whole sampling instants."""
        new = np.frombuffer(samples, self._kind).reshape(-1, self._channels).astype(np.float32, copy=False)
        mono = self._mean(new)
        at = 0
        for end, of_mean, of_all, sound in self._windows(new, mono):
            if self._taken >= 0:
                mono[at:end] = new[at:end, self._taken]
            self._decide(of_mean, of_all, sound)
            at = end
        if self._taken >= 0:
            mono[at:] = new[at:, self._taken]
        return mono.tobytes() if self._is_float else np.rint(mono).astype("<i2").tobytes()

    def _windows(self, new: Samples, mono: Samples) -> Iterator[tuple[int, float, float, Samples]]:
        """Windows that end in ``new``: where, the energies of the mean and of all channels, and the window."""
        window = self._window
        start = 0
        if len(self._rest):
            start = window - len(self._rest)
            self._rest = np.concatenate((self._rest, new[:start]))
            if len(self._rest) < window:
                return
            first = self._rest
            yield start, _energies(self._mean(first))[0], _energies(first)[0], first
        count = (len(new) - start) // window
        end = start + count * window
        if count:
            of_mean, of_all = _energies(mono[start:end], count), _energies(new[start:end], count)
            for number in range(count):
                at = start + number * window
                yield at + window, of_mean[number], of_all[number], new[at : at + window]
        self._rest = new[end:].copy()

    def _decide(self, of_mean: float, of_all: float, sound: Samples) -> None:
        """Which channel stands for all in the next window, after this one with these energies."""
        self._of_mean = _DECAY * self._of_mean + of_mean
        self._of_all = _DECAY * self._of_all + of_all
        if self._of_mean * self._channels**2 >= _CANCELLED * self._of_all:
            self._taken = -1
            return
        if self._taken < 0:
            self._of_each = np.zeros(self._channels, np.float32)
        self._of_each = _DECAY * self._of_each + np.square(sound).sum(axis=0)
        loudest = int(self._of_each.argmax())
        if self._taken < 0 or self._of_each[loudest] > _MUCH_LOUDER * self._of_each[self._taken]:
            self._taken = loudest
        if of_all > self._sound_energy:
            self._cancelled_ms += WINDOW_MS


def _energies(samples: Samples, windows: int = 1) -> list[float]:
    """From a half of each window, which is as good and half as much work."""
    rows = samples.reshape(windows, -1)
    half = rows[:, : rows.shape[1] // 2]
    if windows == 1:
        return [float(np.dot(half[0], half[0]))]
    energies: list[float] = np.einsum("ri,ri->r", half, half).tolist()
    return energies
