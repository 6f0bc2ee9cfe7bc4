"""From what a client sends to what a recogniser hears: s16le, 16 kHz, mono.

Independent of the daemon's own audio code on purpose: FFmpeg (PyAV) does the decoding and the resampling
here, so a mistake over there cannot cancel itself out. What is declared is believed: PCM declared at the
wrong rate, with the wrong number of channels or in the wrong encoding becomes wrong sound, as it does
with the real services.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Literal, NoReturn, Protocol

import av
import av.error
import msgspec
import numpy as np
import numpy.typing as npt
import trio

SAMPLE_RATE: Final = 16000
BYTES_PER_MS: Final = SAMPLE_RATE * 2 // 1000

RATES: Final = range(8000, 96_001)
"""Sample rates that are believed; headers may claim anything (1 Hz would make gigabytes)."""

PUSH_S_MAX: Final = 600
"""Seconds of sound one message may unpack to. An hour of Opus silence is under a megabyte."""

SNIFF_BYTES: Final = 12
"""As many as the longest signature (RIFF … WAVE) needs."""

THREADS: Final = trio.CapacityLimiter(256)
"""Container decoding blocks a thread per connection; its own limiter keeps name resolution free."""

_CODECS: Final = frozenset({"opus", "libopus", "vorbis", "mp3", "mp3float", "aac", "flac", "pcm_s16le"})

Container = Literal["matroska", "ogg", "wav", "mp3", "flac", "aac", "mov"]
"""FFmpeg's demuxer names; `matroska` is WebM too, `mov` is MP4 too."""

Pcm = npt.NDArray[np.int16]


class Undecodable(Exception):
    """What came is not audio of the declared, or of any known, format."""


class RawFormat(msgspec.Struct, frozen=True, kw_only=True):
    """Samples without a container."""

    encoding: Literal["s16le", "f32le", "mulaw", "alaw"]
    sample_rate: int
    channels: int = 1
    split: bool = False
    """True: one output per channel; False: mixed into one."""


class PacketFormat(msgspec.Struct, frozen=True):
    """One Opus packet per message."""


class ContainerFormat(msgspec.Struct, frozen=True):
    """A file's bytes, recognised by their beginning. Channels are mixed into one."""

    allowed: tuple[Container, ...]


Format = RawFormat | PacketFormat | ContainerFormat


class Sound(Protocol):
    """A decoder of one connection."""

    async def push(self, data: bytes) -> Sequence[bytes]:
        """PCM per output, as far as it is known now.

        Raises:
            Undecodable: and again for everything that follows.
        """

    async def finish(self) -> Sequence[bytes]:
        """What was held back.

        Raises:
            Undecodable: there never was any sound in it.
        """


@asynccontextmanager
async def open_sound(format_: Format) -> AsyncIterator[Sound]:
    """A decoder. Owns the thread that a container needs; leaving the block ends it."""
    match format_:
        case RawFormat():
            yield _Raw(format_)
        case PacketFormat():
            yield _Packets()
        case ContainerFormat():
            async with trio.open_nursery() as nursery:
                yield _Contained(nursery, format_.allowed)
                nursery.cancel_scope.cancel()


def outputs(format_: Format) -> int:
    """How many channels are heard separately."""
    return format_.channels if isinstance(format_, RawFormat) and format_.split else 1


# --- Raw samples and packets ------------------------------------------------------------------------------


class _Raw:
    def __init__(self, format_: RawFormat) -> None:
        self._format = format_
        self._step_bytes = {"s16le": 2, "f32le": 4, "mulaw": 1, "alaw": 1}[
            format_.encoding
        ] * format_.channels
        self._rest = b""
        self._tracks = [_Resampler() for _ in range(outputs(format_))]
        self._g711 = _g711(format_) if format_.encoding in ("mulaw", "alaw") else None

    async def push(self, data: bytes) -> Sequence[bytes]:
        data = self._rest + data
        whole_bytes = len(data) - len(data) % self._step_bytes
        self._rest = data[whole_bytes:]
        if not whole_bytes:
            return [b""] * len(self._tracks)
        samples = self._samples(data[:whole_bytes]).reshape(-1, self._format.channels)
        if not self._format.split:
            samples = samples.mean(axis=1, keepdims=True)
        pcm = _to_s16(samples)
        rate = self._format.sample_rate
        return [track.push(pcm[:, index], rate) for index, track in enumerate(self._tracks)]

    async def finish(self) -> Sequence[bytes]:
        return [track.finish() for track in self._tracks]

    def _samples(self, data: bytes) -> npt.NDArray[np.float64]:
        """Interleaved samples, full scale 32768."""
        if self._g711 is not None:
            frames = self._g711.decode(av.Packet(data))
            return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.float64)
        if self._format.encoding == "f32le":
            # Noise declared as floats holds infinities and nan; they become full scale and silence.
            floats = np.nan_to_num(np.frombuffer(data, "<f4").astype(np.float64), posinf=1.0, neginf=-1.0)
            return floats * 32768.0
        return np.frombuffer(data, "<i2").astype(np.float64)


class _Packets:
    def __init__(self) -> None:
        self._codec: Any = av.CodecContext.create("opus", "r")
        self._codec.sample_rate = 48000
        self._codec.layout = "mono"
        self._track = _Resampler()

    async def push(self, data: bytes) -> Sequence[bytes]:
        try:
            frames = self._codec.decode(av.Packet(data))
        except av.error.FFmpegError as error:
            raise Undecodable("not an Opus packet") from error
        return [b"".join(self._track.frame(frame) for frame in frames)]

    async def finish(self) -> Sequence[bytes]:
        return [self._track.finish()]


class _Resampler:
    """One track to 16 kHz mono s16le."""

    def __init__(self) -> None:
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        self._is_used = False

    def push(self, samples: Pcm, sample_rate: int) -> bytes:
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples).reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate = sample_rate
        return self.frame(frame)

    def frame(self, frame: av.AudioFrame) -> bytes:
        self._is_used = True
        return _joined(self._resampler.resample(frame))

    def finish(self) -> bytes:
        return _joined(self._resampler.resample(None)) if self._is_used else b""


def _joined(frames: Sequence[av.AudioFrame]) -> bytes:
    return b"".join(frame.to_ndarray().tobytes() for frame in frames)


def _to_s16(samples: npt.NDArray[np.float64]) -> Pcm:
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)


def _g711(format_: RawFormat) -> Any:
    codec: Any = av.CodecContext.create(f"pcm_{format_.encoding}", "r")
    codec.sample_rate = format_.sample_rate
    codec.layout = "mono"  # channels are taken apart afterwards
    return codec


# --- Containers -------------------------------------------------------------------------------------------


def sniff(head: bytes) -> Container | None:
    """Which container these first `SNIFF_BYTES` open; None: none that is known."""
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    if head.startswith(b"OggS"):
        return "ogg"
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return "wav"
    if head.startswith(b"fLaC"):
        return "flac"
    if head[4:8] == b"ftyp":
        return "mov"
    if head.startswith(b"ID3"):
        return "mp3"
    return _sniff_sync(head)


def _sniff_sync(head: bytes) -> Container | None:
    """MPEG audio and ADTS begin with eleven or twelve set bits, then the layer: 1 is III, 0 is AAC."""
    if len(head) < 2 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    layer = head[1] >> 1 & 3
    if layer == 0 and head[1] & 0xF0 == 0xF0:
        return "aac"
    return "mp3" if layer == 1 else None


class _Contained:
    """FFmpeg pulls bytes; connections push them.

    A thread pulls, in lockstep: `push` hands bytes over and returns when the thread asks for more, so what it
    returns is all that can be known from these bytes.
    """

    def __init__(self, nursery: trio.Nursery, allowed: tuple[Container, ...]) -> None:
        self._nursery = nursery
        self._allowed = allowed
        self._head = b""
        self._is_started = False
        self._send_food, self._food = trio.open_memory_channel[bytes](0)
        self._is_hungry = trio.Event()
        self._ended = False
        self._failure: Exception | None = None
        self._pcm = bytearray()
        self._has_sound = False

    async def push(self, data: bytes) -> Sequence[bytes]:
        if not data:
            return [b""]  # to FFmpeg nothing is the end
        if not self._is_started:
            self._head += data
            if len(self._head) < SNIFF_BYTES:
                return [b""]
            data, self._head = self._head, b""
            self._start(data)
        await self._is_hungry.wait()
        if self._ended:
            self._fail()
        self._is_hungry = trio.Event()
        await self._send_food.send(data)
        await self._is_hungry.wait()
        if self._failure is not None:
            self._fail()
        return [self._take()]

    async def finish(self) -> Sequence[bytes]:
        if not self._is_started:
            return [b""]
        await self._is_hungry.wait()
        if not self._ended:
            self._is_hungry = trio.Event()
            self._send_food.close()
            await self._is_hungry.wait()
        if self._failure is not None and not self._has_sound:
            self._fail()  # a file cut short in its middle is none of our business, one without a beginning is
        return [self._take()]

    def _start(self, head: bytes) -> None:
        container = sniff(head)
        if container not in self._allowed:
            self._ended = self._is_started = True
            self._is_hungry.set()
            self._fail()
        self._is_started = True
        self._nursery.start_soon(self._run, container)

    def _fail(self) -> NoReturn:
        raise Undecodable("not a container that can be read") from self._failure

    def _take(self) -> bytes:
        pcm = bytes(self._pcm)
        self._pcm.clear()
        return pcm

    async def _run(self, container: Container) -> None:
        try:
            await trio.to_thread.run_sync(self._decode, container, limiter=THREADS)
        except (av.error.FFmpegError, Undecodable, OSError, ValueError) as error:
            self._failure = error
        finally:
            self._ended = True
            self._food.close()
            self._is_hungry.set()

    def _decode(self, container: Container) -> None:
        """In a thread: until the food ends. Raises what PyAV raises for broken files."""
        reader = _Reader(self._fetch)
        track = _Resampler()
        with av.open(reader, "r", format=container, container_options=_OPTIONS, io_open=_refuse_io) as opened:
            stream = _the_audio(opened)
            for frame in opened.decode(stream):
                if frame.sample_rate not in RATES:
                    raise Undecodable("the sample rate is absurd")
                self._pcm += track.frame(frame)
                self._has_sound = True
                if len(self._pcm) > PUSH_S_MAX * 1000 * BYTES_PER_MS:
                    raise Undecodable("a message unpacks to too much sound")
        self._pcm += track.finish()
        if reader.interruption is not None:
            raise reader.interruption

    async def _fetch(self) -> bytes:
        self._is_hungry.set()
        try:
            return await self._food.receive()
        except trio.EndOfChannel:
            return b""


_OPTIONS: Final = {
    "format_whitelist": "matroska,webm,ogg,mp3,wav,flac,aac,mov,mp4,m4a,3gp,3g2,mj2",
    "protocol_whitelist": "none",
    "max_streams": "2",
    "probesize": "2048",  # the container is known; do not read seconds ahead
    "analyzeduration": "0",
}


class _Reader:
    """The file PyAV reads. Has no name, cannot seek, never lets a cancellation fall into FFmpeg's hands."""

    def __init__(self, fetch: Any) -> None:
        self._fetch = fetch
        self._buffer = b""
        self._is_over = False  # FFmpeg asks again after the end; `fetch` must not be, it means "hungry"
        self.interruption: BaseException | None = None

    def read(self, size: int) -> bytes:
        if not self._buffer and not self._is_over:
            self._buffer = self._next()
            self._is_over = not self._buffer
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _next(self) -> bytes:
        try:
            return bytes(trio.from_thread.run(self._fetch))
        except BaseException as error:  # noqa: BLE001 — re-raised by _decode, after FFmpeg
            self.interruption = error
            return b""


def _the_audio(opened: Any) -> Any:
    if not opened.streams.audio:
        raise Undecodable("there is no sound in this file")
    stream = opened.streams.audio[0]
    if stream.codec_context.name not in _CODECS:
        raise Undecodable("a codec that is not expected here")
    return stream


def _refuse_io(url: str, flags: int, options: object) -> NoReturn:  # noqa: ARG001 — PyAV's signature
    raise OSError("files may not open other files here")
