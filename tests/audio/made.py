"""Compressed audio made while testing, by the ffmpeg command line, and its reading of it."""

import subprocess
import tempfile
from functools import cache
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from routeraudio.model.audio import AudioFormat, Encoding
from tests.audio.signals import band_noise, s16

RECORDING = (Path(__file__).parents[1] / "assets" / "audio" / "mediarecorder.webm").read_bytes()
"""WebM as Chromium's MediaRecorder makes it."""

CODECS: dict[Encoding, tuple[str, ...]] = {
    "ogg_opus": ("-c:a", "libopus", "-b:a", "64k", "-f", "ogg"),
    "webm": ("-c:a", "libopus", "-b:a", "64k", "-f", "webm"),
    "mp3": ("-c:a", "libmp3lame", "-b:a", "64k", "-f", "mp3"),
}
CONTAINERS = tuple(CODECS)


def run(*arguments: str, data: bytes = b"") -> bytes:
    """What ffmpeg writes to its standard output."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-bitexact", "-threads", "1", *arguments]
    if "pipe:0" in command:
        command.remove("-nostdin")
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


@cache
def encoded(
    encoding: Encoding, pcm: bytes, sample_rate: int, channels: int = 1, *more: str, is_live: bool = False
) -> bytes:
    """``pcm`` in a container: as a file, or as a stream whose writer cannot go back to fill in its header."""
    source = ("-f", "s16le", "-ar", str(sample_rate), "-ac", str(channels), "-i", "pipe:0")
    if is_live:
        return run(*source, *CODECS[encoding], *more, "pipe:1", data=pcm)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "made")
        run(*source, *CODECS[encoding], *more, str(path), data=pcm)
        return path.read_bytes()


@cache
def reference(encoding: Encoding, data: bytes, sample_rate: int, channels: int = 1) -> bytes:
    """What ffmpeg decodes; with the decoder that we use, so that only what is ours may differ."""
    decoder = ("-c:a", "mp3float" if encoding == "mp3" else "libopus")
    target = ("-ar", str(sample_rate), "-ac", str(channels), "-f", "s16le")
    return run(*decoder, "-i", "pipe:0", *target, "pipe:1", data=data)


@cache
def noise(sample_rate: int, seconds: float, channels: int = 1) -> bytes:
    """Like speech in its band, another in each channel."""
    voices = [band_noise(sample_rate, seconds, 3400, seed) for seed in range(1, channels + 1)]
    return s16(np.stack(voices, axis=1).ravel())


def packets(data: bytes) -> list[bytes]:
    """The packets in a container, as libavformat finds them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "read")
        path.write_bytes(data)
        with av.open(str(path)) as container:
            assert isinstance(container, InputContainer)
            return [bytes(packet) for packet in container.demux() if packet.size]


@cache
def opus_packets(seconds: float = 0.6, channels: int = 1, *more: str) -> list[bytes]:
    """20 ms each."""
    return packets(encoded("ogg_opus", noise(48000, seconds, channels), 48000, channels, *more))


def named(encoding: Encoding) -> AudioFormat:
    """As a client names it, with hints that the header may contradict."""
    return AudioFormat(encoding, 44100, 1)
