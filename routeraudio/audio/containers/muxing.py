"""Containers written anew, from the packets that were read: what a provider gets that takes the client's container.

It gets every packet as it was, and nothing that is not audio. So it hears what was counted and no more, gaps have
become silence, and a stream can begin again at any packet. Each muxer is the counterpart of a demuxer.
"""

import struct
from collections.abc import Sequence
from typing import Final, Protocol

from routeraudio.audio.containers import opus
from routeraudio.audio.containers.ogg import PAGE, checksum
from routeraudio.audio.containers.packets import Header, Packet

CLUSTER_MS: Final = 5000
"""Blocks say their time in 16 bits of milliseconds, from their cluster's."""

_SEGMENTS_MAX: Final = 255
"""In the table of one page of Ogg: lengths of packets in pieces of 255 bytes."""

_FIRST, _LAST = 2, 4

_TAGS: Final = b"OpusTags" + struct.pack("<I11sI", 11, b"routeraudio", 0)


class Muxer(Protocol):
    """Writes one container."""

    def begin(self, header: Header, *, skip_samples: int) -> bytes:
        """A stream begins; its decoder is to drop so many samples. Ends the one before it."""

    def packets(self, packets: Sequence[Packet]) -> bytes:
        """Some packets of it; those without data are silence."""


class Mp3Muxer:
    """MP3 has no container: frames behind each other."""

    def __init__(self) -> None:
        self._has_begun = False

    def begin(self, header: Header, *, skip_samples: int) -> bytes:
        """See `Muxer`. What describes a file holds from its beginning only; later on it would be heard, uncounted."""
        is_first, self._has_begun = not self._has_begun, True
        return header.described if skip_samples and is_first else b""

    def packets(self, packets: Sequence[Packet]) -> bytes:
        """See `Muxer`."""
        return b"".join([packet.data for packet in packets])


class OggMuxer:
    """Ogg (RFC 3533, RFC 7845): a page per call, or more where one cannot hold the packets."""

    def __init__(self) -> None:
        self._serial = self._sequence = self._position = 0
        self._is_open = False

    def begin(self, header: Header, *, skip_samples: int) -> bytes:
        """See `Muxer`."""
        end = self._page(_LAST, []) if self._is_open else b""
        self._serial += 1
        self._sequence = self._position = 0
        self._is_open = True
        head = self._page(_FIRST, [opus.identification(header, skip_samples)])
        return end + head + self._page(0, [_TAGS])

    def packets(self, packets: Sequence[Packet]) -> bytes:
        """See `Muxer`."""
        pages: list[bytes] = []
        page: list[bytes] = []
        segments = 0
        for packet in packets:
            for data in _sent(packet):
                needed = len(data) // 255 + 1
                if segments + needed > _SEGMENTS_MAX:
                    pages.append(self._page(0, page))
                    page, segments = [], 0
                page.append(data)
                segments += needed
                self._position += opus.samples(data)
            self._position -= packet.trim_samples
        if page:
            # A position before the end of the packets trims them, in the last page of a stream only.
            is_last = bool(packets[-1].trim_samples)
            pages.append(self._page(_LAST if is_last else 0, page))
            self._is_open = not is_last
        return b"".join(pages)

    def _page(self, flags: int, packets: Sequence[bytes]) -> bytes:
        lacing = b"".join([b"\xff" * (len(data) // 255) + bytes((len(data) % 255,)) for data in packets])
        head = PAGE.pack(b"OggS", 0, flags, self._position, self._serial, self._sequence, 0, len(lacing))
        self._sequence += 1
        page = b"".join((head, lacing, *packets))
        return b"".join((page[:22], checksum(page).to_bytes(4, "little"), page[26:]))


class WebmMuxer:
    """WebM (RFC 9559), as browsers write it: a segment and clusters of unknown size, a block per packet."""

    def __init__(self) -> None:
        self._position = 0
        """Samples so far."""
        self._cluster_ms = -CLUSTER_MS

    def begin(self, header: Header, *, skip_samples: int) -> bytes:
        """See `Muxer`."""
        self._position, self._cluster_ms = 0, -CLUSTER_MS
        delay_ns = skip_samples * 1_000_000_000 // opus.SAMPLE_RATE
        audio = _element(0xB5, struct.pack(">d", opus.SAMPLE_RATE)) + _element(0x9F, _number(header.channels))
        entry = (
            _element(0xD7, _number(1))
            + _element(0x73C5, _number(1))
            + _element(0x83, _number(2))
            + _element(0x86, b"A_OPUS")
            + _element(0x63A2, opus.identification(header, skip_samples))
            + _element(0x56AA, _number(delay_ns))
            + _element(0x56BB, _number(80_000_000))
            + _element(0xE1, audio)
        )
        return b"".join((_EBML, _SEGMENT, _INFORMATION, _element(0x1654AE6B, _element(0xAE, entry))))

    def packets(self, packets: Sequence[Packet]) -> bytes:
        """See `Muxer`."""
        out: list[bytes] = []
        for packet in packets:
            for data in _sent(packet):
                at_ms = self._position * 1000 // opus.SAMPLE_RATE
                if at_ms >= self._cluster_ms + CLUSTER_MS:
                    self._cluster_ms = at_ms
                    out += (_CLUSTER, _element(0xE7, _number(at_ms)))
                block = b"\x81" + (at_ms - self._cluster_ms).to_bytes(2, "big") + b"\x80"
                out.append(_block(block + data, packet.trim_samples))
                self._position += opus.samples(data)
        return b"".join(out)


def _block(body: bytes, trim_samples: int) -> bytes:
    """A block; one whose end is not in the source says so (`DiscardPadding`), for which it needs a group."""
    if not trim_samples:
        return _element(0xA3, body)
    discard_ns = trim_samples * 1_000_000_000 // opus.SAMPLE_RATE
    return _element(0xA0, _element(0xA1, body) + _element(0x75A2, struct.pack(">q", discard_ns)))


def _sent(packet: Packet) -> Sequence[bytes]:
    return (packet.data,) if packet.data else opus.silence(packet.samples)


def _number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")


def _element(id: int, body: bytes) -> bytes:
    """An element with a size of four bytes."""
    return b"".join((_number(id), (len(body) | 1 << 28).to_bytes(4, "big"), body))


_UNKNOWN_SIZE: Final = b"\x01\xff\xff\xff\xff\xff\xff\xff"
_SEGMENT: Final = b"\x18\x53\x80\x67" + _UNKNOWN_SIZE
_CLUSTER: Final = b"\x1f\x43\xb6\x75" + _UNKNOWN_SIZE

_EBML: Final = _element(
    0x1A45DFA3,
    b"".join(
        (
            _element(0x4286, _number(1)),  # version, and the one a reader must know
            _element(0x42F7, _number(1)),
            _element(0x42F2, _number(4)),  # longest identifier and size, in bytes
            _element(0x42F3, _number(8)),
            _element(0x4282, b"webm"),
            _element(0x4287, _number(4)),
            _element(0x4285, _number(2)),
        )
    ),
)

_INFORMATION: Final = _element(
    0x1549A966,
    _element(0x2AD7B1, _number(1_000_000))
    + _element(0x4D80, b"routeraudio")
    + _element(0x5741, b"routeraudio"),
)
