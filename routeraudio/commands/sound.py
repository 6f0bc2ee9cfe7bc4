"""Where a client's audio comes from: WAV files, any other audio file, standard input, a microphone.

All are read in chunks by one blocking call, which the conversation makes in a thread.
"""

import os
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

import av
import av.error

from routeraudio.commands.errors import Trouble, usage
from routeraudio.model.audio import CHANNELS_MAX, PCM_16K_MONO, SAMPLE_RATES_HZ, AudioFormat

CHUNK_MS: Final = 100
"""Ten messages a second: what microphones on the web send."""


class Sound(Protocol):
    """Audio, piece by piece."""

    @property
    def format(self) -> AudioFormat:
        """What the chunks are."""

    @property
    def duration_s(self) -> float | None:
        """None: nobody knows."""

    @property
    def is_live(self) -> bool:
        """Whether it arrives at its own pace."""

    def read(self, chunk_ms: int) -> bytes:
        """About ``chunk_ms`` of audio, empty at the end. Blocks.

        Raises:
            Trouble: the source cannot go on.
        """


def opened(name: str) -> Sound:
    """The audio of a file, as it is where the daemon takes it so, else decoded to PCM 16 kHz mono.

    Raises:
        Trouble: no such file, or no audio in it.
    """
    path = Path(name)
    if not path.is_file():
        raise usage(
            f"{name}: there is no such file; expected an audio file, or - for raw audio on standard input"
        )
    try:
        return _Wav(path)
    except _NotAsItIs:
        return _Decoded(path)
    except OSError as error:
        raise usage(f"{name}: cannot be read: {error.strerror}") from None


class RawInput:
    """Raw audio on standard input, in the format that the caller names."""

    duration_s: float | None = None
    is_live = False

    def __init__(self, format: AudioFormat) -> None:
        self.format = format
        self._descriptor = sys.stdin.fileno()

    def read(self, chunk_ms: int) -> bytes:
        # os.read rather than sys.stdin.buffer: a thread that still waits here when the command ends would hold
        # the buffer's lock, and the interpreter would abort on it.
        return os.read(self._descriptor, _chunk_bytes(self.format, chunk_ms))


class Microphone:
    """The default microphone, through the optional package sounddevice."""

    duration_s: float | None = None
    is_live = True
    format = PCM_16K_MONO

    def __init__(self) -> None:
        try:
            import sounddevice  # type: ignore[import-untyped]
        except ImportError:
            raise usage("--microphone needs an extra: pip install 'routeraudio[microphone]'") from None
        except OSError:
            raise usage("--microphone needs PortAudio: on Debian, apt-get install libportaudio2") from None
        try:
            self._stream = sounddevice.RawInputStream(
                samplerate=self.format.sample_rate, channels=self.format.channels, dtype="int16"
            )
            self._stream.start()
        except sounddevice.PortAudioError as error:
            raise Trouble(
                f"the microphone cannot be opened: {error}; check the system's sound settings"
            ) from None

    def read(self, chunk_ms: int) -> bytes:
        data, _ = self._stream.read(self.format.sample_rate * chunk_ms // 1000)
        return bytes(data)


class _NotAsItIs(Exception):
    """The daemon does not take this file's audio as it is."""


class _Wav:
    """A WAV file of 16-bit PCM at a rate the daemon takes: sent untouched."""

    is_live = False

    def __init__(self, path: Path) -> None:
        try:
            self._file = wave.open(str(path), "rb")  # noqa: SIM115 — closed with the process
        except (wave.Error, EOFError):
            raise _NotAsItIs from None
        rate, channels = self._file.getframerate(), self._file.getnchannels()
        if self._file.getsampwidth() != 2 or rate not in SAMPLE_RATES_HZ or channels > CHANNELS_MAX:
            self._file.close()
            raise _NotAsItIs
        self.format = AudioFormat("pcm_s16le", rate, channels)
        # A header written before the length was known claims hours; the file itself knows better.
        length_bytes = min(self._file.getnframes() * self.format.bytes_per_step, path.stat().st_size)
        self.duration_s: float | None = length_bytes / self.format.bytes_per_second

    def read(self, chunk_ms: int) -> bytes:
        return self._file.readframes(self.format.sample_rate * chunk_ms // 1000)


class _Decoded:
    """Any other audio file, decoded by FFmpeg."""

    is_live = False
    format = PCM_16K_MONO

    def __init__(self, path: Path) -> None:
        # The file may be a playlist: nothing but this one file is ever opened.
        options = {"protocol_whitelist": "file"}
        try:
            self._container = av.open(str(path), container_options=options)
            if not self._container.streams.audio:
                raise usage(f"{path}: there is no audio in this file")
        except (av.error.FFmpegError, OSError):
            raise usage(f"{path}: this is not an audio file that FFmpeg can read") from None
        length = self._container.duration
        self.duration_s: float | None = None if length is None else length / av.time_base
        self._name = str(path)
        self._pieces = self._decoded()
        self._held = bytearray()

    def read(self, chunk_ms: int) -> bytes:
        size = _chunk_bytes(self.format, chunk_ms)
        while len(self._held) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._held += piece
        chunk = bytes(self._held[:size])
        del self._held[:size]
        return chunk

    def _decoded(self) -> Iterator[bytes]:
        resampler = av.AudioResampler("s16", "mono", self.format.sample_rate)
        try:
            for frame in self._container.decode(audio=0):
                for piece in resampler.resample(frame):
                    yield _samples(piece)
            for piece in resampler.resample(None):
                yield _samples(piece)
        except av.error.FFmpegError as error:
            raise usage(f"{self._name}: the audio is damaged ({error.strerror})") from None


def _samples(frame: av.AudioFrame) -> bytes:
    # A plane is padded to the codec's alignment; only the frame's own samples count.
    return bytes(frame.planes[0])[: frame.samples * PCM_16K_MONO.bytes_per_step]


def _chunk_bytes(format: AudioFormat, chunk_ms: int) -> int:
    return format.sample_rate * chunk_ms // 1000 * format.bytes_per_step
