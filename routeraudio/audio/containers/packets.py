"""What stands between a container and a codec: headers, packets, and how much of anything is taken.

A demuxer is an incremental, synchronous object of our own, in Python: no libavformat ever sees a client's bytes, so
there is nothing that probes, opens a file or dials. It is fed bytes in any split and read until it says None;
what it says depends on the bytes alone, never on how they were cut. It keeps what it cannot read yet, bounded.
Reading goes in turns, each bounded in audio and in work (`intake`).
"""

from collections.abc import Iterator
from typing import Final, Literal, Protocol

import msgspec

from routeraudio.model.errors import ClientFault, CloseCode

CHANNELS_MAX: Final = 2
"""In a container. More are surround sound, which no speech recogniser asks for and no browser records."""

TURN_MS_MAX: Final = 500
"""Audio of one turn, a packet more or less: some 1 ms of decoding. An hour of silence fits in a megabyte of Opus."""

_HEADER_MS: Final = 50
"""A header counts as so much audio: opening a decoder costs as much as a few packets."""


_LEFT_OUT_NS_MAX: Final = 1_500_000_000
"""Of what a container says is not to be heard, so much is believed: the longest delay of one stream is 1.4 s."""

_HEARD_PER_LEFT_OUT: Final = 10
"""And beside that a tenth of what is heard, for many short recordings in one."""


class Header(msgspec.Struct, frozen=True, gc=False):
    """A stream begins; in a chain, the next one. Its numbers beat the client's hints."""

    codec: Literal["opus", "mp3"]
    sample_rate: int
    """Hz, as decoded: Opus always gives 48,000."""
    channels: int
    """1 or 2."""
    skip_samples: int
    """Decoded samples at the start that were never in the source: the codec's delay."""
    gain_q8: int = 0
    """To be applied when decoding, in 1/256 dB (RFC 7845 section 5.1)."""
    described: bytes = b""
    """The frame of an MP3 that only tells about the others; whoever passes the stream on passes it on too."""


class Packet(msgspec.Struct, frozen=True, gc=False):
    """One compressed frame of audio."""

    data: bytes
    """Empty: it was lost, and silence takes its place."""
    samples: int
    """How long it lasts, from its own first bytes."""
    trim_samples: int = 0
    """How many of them, at its end, are not in the source."""


class Demuxer(Protocol):
    """Packets of the first audio stream in a container."""

    def begin_turn(self) -> None:
        """From here on `read` does the work of one turn. Until the first turn there is no bound."""

    @property
    def is_turn_over(self) -> bool:
        """Whether `read` said None because the turn's work is done; in the next one it goes on."""

    def feed(self, data: bytes) -> None:
        """Take bytes; they are looked at by `read`."""

    def end(self) -> None:
        """Nothing follows. `read` may now say what had waited for a confirmation."""

    def read(self) -> Header | Packet | None:
        """What comes next; None: bytes are missing, or the turn is over.

        Raises:
            ClientFault: this is another container than announced, nothing in it is for us, or it breaks a bound.
        """


class Reader:
    """A demuxer read turn by turn, with the time that its packets amount to."""

    def __init__(self, demuxer: Demuxer) -> None:
        self.has_more = False
        """Whether the last turn stopped at its bound."""
        self._demuxer = demuxer
        self._timeline = Timeline()
        self._has_header = self._is_fed = False
        self._ms_per_sample = 0.0

    @property
    def ms(self) -> int:
        """Whole milliseconds of the source's audio so far."""
        return self._timeline.ms

    def feed(self, data: bytes) -> None:
        """See `Demuxer.feed`."""
        if data:
            self._is_fed = True
            self._demuxer.feed(data)

    def end(self) -> None:
        """See `Demuxer.end`."""
        self._demuxer.end()

    def check_begun(self) -> None:
        """At the end of the stream.

        Raises:
            ClientFault: there was something, and no audio in it.
        """
        if self._is_fed and not self._has_header:
            raise audio_error("expected a header and audio, found the end of the stream")

    def turn(self) -> Iterator[Header | Packet]:
        """Headers and packets of one turn."""
        read, timeline, ms = self._demuxer.read, self._timeline, 0.0
        self._demuxer.begin_turn()
        while ms < TURN_MS_MAX:
            item = read()
            if item is None:
                self.has_more = self._demuxer.is_turn_over
                return
            if isinstance(item, Packet):
                assert self._has_header, "a demuxer names a stream before its packets"
                timeline.packet(item)
                ms += item.samples * self._ms_per_sample
            else:
                timeline.header(item)
                self._has_header = True
                self._ms_per_sample = 1000 / item.sample_rate
                ms += _HEADER_MS
            yield item
        self.has_more = True


class Timeline:
    """Counts the source's audio by samples, across the streams of a chain. Nothing is decoded for that.

    Delays and padding are not counted, within bounds: what is counted is charged, and not every provider leaves them
    out.
    """

    def __init__(self) -> None:
        self._left_out_ns = 0
        self._earlier_ns = 0
        self._sample_rate = 1
        self._samples = 0
        self._skip = 0

    @property
    def ms(self) -> int:
        """Whole milliseconds so far."""
        return (self._earlier_ns + self._ns(self._samples)) // 1_000_000

    def header(self, header: Header) -> None:
        """A stream begins."""
        self._earlier_ns += self._ns(self._samples)
        self._sample_rate, self._samples, self._skip = header.sample_rate, 0, header.skip_samples

    def packet(self, packet: Packet) -> None:
        """A packet of it."""
        self._samples += packet.samples
        if self._skip or packet.trim_samples:
            self._samples -= self._left_out(packet)

    def _left_out(self, packet: Packet) -> int:
        """Samples of it that are not to be heard, and are not counted."""
        skipped = min(self._skip, packet.samples - packet.trim_samples)
        self._skip -= skipped
        samples = skipped + packet.trim_samples
        left_out_ns = self._left_out_ns + self._ns(samples)
        heard_ns = self._earlier_ns + self._ns(self._samples - packet.samples)
        if left_out_ns > _LEFT_OUT_NS_MAX + heard_ns // _HEARD_PER_LEFT_OUT:
            return 0
        self._left_out_ns = left_out_ns
        return samples

    def _ns(self, samples: int) -> int:
        return samples * 1_000_000_000 // self._sample_rate


def audio_error(message: str) -> ClientFault:
    """Audio that cannot be understood. ``message`` says what was expected and what was found, in our words."""
    return ClientFault(message, code="audio_error", close_code=CloseCode.UNSUPPORTED_DATA)
