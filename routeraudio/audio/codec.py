"""Compressed packets become samples: FFmpeg's decoders through PyAV, without libavformat.

Of FFmpeg's two Opus decoders libopus is taken, the reference. The native one needs a fifth less time, but where
streams change between SILK and CELT it gave other samples for the same packets from run to run (FFmpeg 8.1 under PyAV
18.1), and what is not repeatable may depend on memory that is not the packet's. MP3 is decoded in
floating point: 8 µs a frame, the other decoder 13.

A decoder gets what we have written or checked: headers in our words, packets no longer than a codec allows.
"""

from typing import Final

import av.logging
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.codec import CodecContext
from av.error import FFmpegError
from av.packet import Packet as AvPacket

from routeraudio.audio.containers import opus
from routeraudio.audio.containers.packets import CHANNELS_MAX, Header, Packet, audio_error
from routeraudio.audio.pcm import mixed, spread

_BAD_PACKETS_MAX: Final = 50
"""In a row; a second of Opus. A damaged file has one now and then, noise in a container has no others."""

_DECODERS: Final = {"opus": "libopus", "mp3": "mp3float"}

_MP3_TAIL: Final = b"TAG" + bytes(61)
"""Behind every frame of MP3. FFmpeg takes it for an empty tag and passes over it, but the decoder, which in a damaged
frame reads on behind its end, meets these bytes there: without them the result changed with what lay in memory."""

# What it writes to standard error quotes the stream. It is PyAV's default, but who knows what else has set it.
av.logging.set_level(None)


class Codec:
    """Decodes one stream, from its header to its end, to interleaved 32-bit floats with full scale at 1.

    A packet that cannot be decoded becomes silence of its length, so that what follows keeps its place.
    """

    def __init__(self, header: Header) -> None:
        self._name = header.codec
        self._sample_rate = header.sample_rate
        self._channels = header.channels
        self._step = 4 * header.channels
        """Bytes of a sampling instant."""
        context = CodecContext.create(_DECODERS[header.codec], "r")
        assert isinstance(context, AudioCodecContext)
        if header.codec == "opus":
            context.extradata = opus.identification(header)
            context.options = {"request_sample_fmt": "flt"}
        context.thread_count = 1
        self._context = context
        self._tail = _MP3_TAIL if header.codec == "mp3" else b""
        self._skip = header.skip_samples
        self._due = 0
        """Samples that packets and their trimming amount to so far."""
        self._decoded = 0
        self._bad_packets = 0

    def decode(self, packet: Packet) -> bytes:
        """The samples of ``packet``, perhaps none.

        Raises:
            ClientFault: nothing can be decoded any more.
        """
        self._due += packet.samples
        samples = self._attempt(packet.data) if packet.data else None
        if samples is None:
            samples = bytes(self._step * (self._due - self._decoded))
        if packet.trim_samples:
            self._due -= packet.trim_samples
            samples = samples[: self._step * (self._due - self._decoded)]
        self._decoded += len(samples) // self._step
        return self._from_start(samples) if self._skip else samples

    def _attempt(self, data: bytes) -> bytes | None:
        """What the decoder makes of a packet; None: not what the container said it is."""
        try:
            frames = self._context.decode(AvPacket(data + self._tail))
        except FFmpegError:
            frames = []
        if len(frames) == 1 and (samples := self._samples(frames[0])) is not None:
            self._bad_packets = 0
            return samples
        self._bad_packets += 1
        if self._bad_packets > _BAD_PACKETS_MAX:
            raise audio_error(
                f"expected {self._name}, found {_BAD_PACKETS_MAX} packets in a row that are none"
            )
        return None

    def _samples(self, frame: AudioFrame) -> bytes | None:
        """The samples of a frame; None: a stream may not change like this."""
        if frame.sample_rate != self._sample_rate:
            return None
        # A plane may be longer than its samples: FFmpeg rounds its buffers up.
        if self._name == "opus":  # interleaved, and with as many channels as we have asked for
            return bytes(frame.planes[0])[: self._step * frame.samples]
        planes = [bytes(plane)[: 4 * frame.samples] for plane in frame.planes]
        if len(planes) > CHANNELS_MAX:
            return None
        samples = planes[0] if len(planes) == 1 else _interleaved(planes)
        return samples if len(planes) == self._channels else respread(samples, len(planes), self._channels)

    def _from_start(self, samples: bytes) -> bytes:
        """Without the decoder's delay at the start of the stream."""
        skipped = min(self._skip, len(samples) // self._step)
        self._skip -= skipped
        return samples[self._step * skipped :]


def respread(samples: bytes, channels: int, target_channels: int) -> bytes:
    """One channel on two, or the mean of two: for a stream that changes its mind."""
    if channels == target_channels:
        return samples
    return mixed(samples, channels) if target_channels == 1 else spread(samples, channels, target_channels)


def _interleaved(planes: list[bytes]) -> bytes:
    together = np.empty((len(planes[0]) // 4, len(planes)), np.float32)
    for channel, plane in enumerate(planes):
        together[:, channel] = np.frombuffer(plane, np.float32)
    return together.tobytes()
