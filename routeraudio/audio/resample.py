"""Sample rates: FFmpeg's libswresample, a polyphase filter that works sample by sample.

Why not soxr: it filters in FFT blocks, by default of at least 1024 samples, and what waits for its block to
fill is delay. No option of python-soxr 1.1 makes the blocks smaller (libsoxr reads SOXR_MIN_DFT_SIZE from the
environment; 8, the least, helps LQ alone, to 29 ms from 8 kHz). Its int16 streams are dithered with a seed from
the clock, so that the same audio never gives the same bytes twice. Measured with noise in chunks of 20 ms;
"held" is input duration taken minus output duration given, at its largest once running (a session may hold
10 ms):

    to 16 kHz from           48k   44.1k    8k   22.05k   24k    at 0.9    from 1.05
    soxr QQ      held ms     0.0     0.0    0.3    0.1    0.1      0 dB       0 dB
    soxr LQ                   20      22     61     22     20    -20       -107
    soxr MQ                   38      41    118     41     38      0       -116
    soxr HQ                   37      40    115     40     37      0       -131
    soxr VHQ                  76      84    111     84     76      0       -160
    soxr vr=True            12.5    13.6   30.0   10.9   10.0      0       -118   (but 43 µs a chunk)
    swr, defaults            1.0     1.0    2.0    1.0    1.0     -1        -22
    swr, ours                3.2     3.2    6.0    3.2    3.2     -0.1    < -90

The last two columns are levels of sine tones from 48k: one at 0.9 of the lower rate's Nyquist frequency,
which should pass, and the loudest of those at 1.05 to 1.5 of it, which come out as aliases. Ours keeps
aliases below -88 dB from Nyquist itself upwards. soxr gives its first output with the second to sixth chunk,
swr with the first. Through this class 20 ms of 48 kHz cost 14 to 17 µs, of 8 kHz 10 to 12 (soxr HQ alone: 5
and 3).
"""

from typing import Final

import numpy as np
from av.audio.frame import AudioFrame
from av.filter import Graph

_LAYOUTS: Final = ("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")
"""By number of channels. Each is filtered for itself, so only the number matters."""

_S16_BYTES: Final = 2
_FLOAT_BYTES: Final = 4

_FILTER: Final = ":".join(
    (
        "filter_size=96",  # taps at the lower rate: half of them are the delay
        "cutoff=0.94",  # with 96 taps the widest that has closed at the Nyquist frequency
        "kaiser_beta=9",  # side lobes at -88 dB, about where 16 bits end
        "internal_sample_fmt=fltp",  # between 16-bit formats swr would compute in 16 bits: aliases at -65 dB
        "dither_method=none",  # the same input gives the same output
    )
)

_PIECES_PER_S: Final = 5
"""200 ms at a time: the filter keeps buffers for the longest piece it was ever given, and longer ones save little."""

_FLUSH_PER_S: Final = 50
"""20 ms of silence push the last samples out of a filter that holds 6 ms."""


class Resampler:
    """Linear PCM from one sample rate to another, as `pcm_s16le` or floats.

    n samples in are ⌈n · target / source⌉ samples out: one for every instant of the target's clock that lies
    within the input, so the two durations never drift apart. Input and output start at the same instant.
    One of these takes 100 KiB (44.1 kHz, with its 160 phases: 290), mostly filter coefficients.

    Args:
        channels: interleaved, 1 to 8, the same on both sides.
        takes_float: samples come as 32-bit floats with full scale at 1: what codecs decode saves a conversion.
        is_float: and go out as such.
    """

    def __init__(
        self,
        source_hz: int,
        target_hz: int,
        *,
        channels: int = 1,
        takes_float: bool = False,
        is_float: bool = False,
    ) -> None:
        self._source_hz = source_hz
        self._target_hz = target_hz
        self._layout = _LAYOUTS[channels - 1]
        self._format = "flt" if takes_float else "s16"
        self._step_in = channels * (_FLOAT_BYTES if takes_float else _S16_BYTES)
        self._step_out = channels * (_FLOAT_BYTES if is_float else _S16_BYTES)
        # Kept, and pushed to as a whole: PyAV's filters do not keep their graph alive and crash without it.
        self._graph = Graph()
        # FFmpeg otherwise starts a thread per core for every graph. Counts before the first filter only.
        self._graph.threads = 1
        inlet = self._graph.add(
            "abuffer",
            f"sample_rate={source_hz}:sample_fmt={self._format}:channel_layout={self._layout}:time_base=1/{source_hz}",
        )
        filtering = f"{target_hz}:{_FILTER}:out_sample_fmt={'flt' if is_float else 's16'}"
        self._graph.link_nodes(
            inlet, self._graph.add("aresample", filtering), self._graph.add("abuffersink")
        ).configure()
        self._samples_in = 0
        self._samples_out = 0

    def push(self, pcm: bytes) -> bytes:
        """What ``pcm`` (whole instants, none allowed) yields; the last 3 to 6 ms wait for what comes next."""
        if not pcm:
            return b""
        self._samples_in += len(pcm) // self._step_in
        piece = self._step_in * (self._source_hz // _PIECES_PER_S)
        if len(pcm) <= piece:
            return self._filtered(pcm)
        return b"".join([self._filtered(pcm[at : at + piece]) for at in range(0, len(pcm), piece)])

    def finish(self) -> bytes:
        """The rest, up to the exact number of samples. Called once, last.

        The end is padded with silence: swr's own flush mirrors the end, miscounts it by a sample or two, and
        returns nothing at all for input shorter than its filter.
        """
        samples_due = -(-self._samples_in * self._target_hz // self._source_hz)
        bytes_due = self._step_out * (samples_due - self._samples_out)
        if not bytes_due:
            return b""
        rest = self._filtered(bytes(self._step_in * (self._source_hz // _FLUSH_PER_S)))
        assert len(rest) >= bytes_due, "the filter holds more than the flush pushes out"
        return rest[:bytes_due]

    def _filtered(self, pcm: bytes) -> bytes:
        # No timestamps: without them aresample has nothing to compensate for by dropping or stretching.
        frame = AudioFrame(format=self._format, layout=self._layout, samples=len(pcm) // self._step_in)
        frame.sample_rate = self._source_hz
        frame.planes[0].update(_audible(pcm) if self._format == "flt" else pcm)
        self._graph.push(frame)
        chunks = []
        while (resampled := self._pulled()) is not None:
            self._samples_out += resampled.samples
            # A plane may be longer than its samples: FFmpeg rounds its buffers up.
            chunks.append(bytes(resampled.planes[0])[: self._step_out * resampled.samples])
        return b"".join(chunks)

    def _pulled(self) -> AudioFrame | None:
        try:
            frame = self._graph.pull()
        except BlockingIOError:  # the filter wants more input
            return None
        assert isinstance(frame, AudioFrame)
        return frame


def _audible(samples: bytes) -> bytes:
    """Floats rounded to 2^-23, which is -138 dB; zero, where they are smaller.

    libopus decodes silence to 2e-34, and filtering that takes sixty times as long: its products are denormal.
    """
    one = np.float32(1)
    rounded = np.frombuffer(samples, np.float32) + one
    rounded -= one
    return rounded.tobytes()
