"""Ogg, read page by page, for the Opus in it. Sources: RFC 3533, RFC 7845.

A page may hold a second of audio, so packets are handed on as they come and not when their page is complete; its
checksum is looked at when it is, and after a wrong one pages count only when they are whole and right, until one
is.

Granule positions are the clock. Where a page ends later than its packets last (discontinuous transmission, a muted
microphone, packets lost before they were written) the difference becomes silence, so that what follows keeps its
place: ahead of the page where pages are missing (their numbers say so), else ahead of its last packet, because a
writer ends its page when a packet takes it over its length.
"""

import struct
import zlib
from typing import Final

import msgspec

from routeraudio.audio.containers import opus
from routeraudio.audio.containers.intake import Intake
from routeraudio.audio.containers.packets import Header, Packet, audio_error

PAGE: Final = struct.Struct("<4sBBqIIIB")
_CONTINUED, _FIRST, _LAST = 1, 2, 4

_BAD_PAGES_MAX: Final = 32
"""Wrong checksums, less one for each that is right. Each costs looking at up to 64 KiB."""

_HEADLESS_PAGES_MAX: Final = 4
"""Pages without the first page of any stream before them: nothing can be made of them."""

_GAP_SAMPLES_MIN: Final = opus.SAMPLE_RATE // 400
"""2.5 ms, the shortest packet. Less is how a writer rounds."""

_CODECS: Final = (
    (b"\x01vorbis", "Vorbis"),
    (b"\x7fFLAC", "FLAC"),
    (b"Speex   ", "Speex"),
    (b"\x80theora", "Theora video"),
    (b"BBCD", "Dirac video"),
)


class _Page(msgspec.Struct):
    start: int
    """In `Intake._data`, and below: they move when bytes are fed."""
    body: int
    end: int
    flags: int
    granule: int
    sizes: list[int]
    """Of the parts of packets in it, the last one perhaps to be continued."""
    is_open: bool
    """Whether the last part goes on in the next page."""
    part: int = 0


class OggDemuxer(Intake):
    """Implements `Demuxer` for `ogg_opus`."""

    def __init__(self) -> None:
        super().__init__("Ogg page")
        self._page: _Page | None = None
        self._is_trusted = True
        self._bad_pages = self._headless_pages = 0
        self._found = ""
        """Codec of a stream that is not Opus."""
        self._forget_stream()
        self._due: list[Header | Packet] = []

    def _forget_stream(self) -> None:
        self._serial = -1
        self._sequence = 0
        self._position = 0
        """Granule position of what has been handed on."""
        self._partial: bytes | None = None
        self._has_begun = False
        self._has_tags = False
        self._has_audio = False

    def feed(self, data: bytes) -> None:
        shift = self._at
        super().feed(data)
        if self._page is not None:
            self._page.start -= shift
            self._page.body -= shift
            self._page.end -= shift

    def read(self) -> Header | Packet | None:
        while self._goes_on():
            if self._silence:
                return self._silent()
            if self._due:
                return self._due.pop(0)
            page = self._page
            if page is None:
                if not self._open_page():
                    return None
            elif page.part < len(page.sizes):
                size = page.sizes[page.part]
                if not self._data_to(page.body + size):
                    return None
                self._take_part(page, size)
            else:
                self._close_page(page)
        return None

    def _data_to(self, end: int) -> bool:
        return len(self._data) >= end

    # Pages ---------------------------------------------------------------------------------------------------------

    def _open_page(self) -> bool:
        """Begin a page, pass over one, or look for one; False: bytes are missing."""
        if not self._is_head_right("Ogg") or not self._has(PAGE.size):
            return False
        magic, version, flags, granule, serial, sequence, _, count = PAGE.unpack_from(self._data, self._at)
        if magic != b"OggS" or version:
            return self._find_page()
        body = self._at + PAGE.size + count
        if not self._data_to(body):
            return False
        sizes, is_open = _parts(self._data[body - count : body])
        page = _Page(self._at, body, body + sum(sizes), flags, granule, sizes, is_open)
        if flags & _FIRST:
            return self._first_page(page, serial)
        if serial != self._serial:
            return self._other_page(page)
        return self._next_page(page, sequence)

    def _find_page(self) -> bool:
        """Pass over junk to the next capture pattern."""
        found = self._data.find(b"OggS", self._at + 1)
        if found < 0:
            found = max(self._at + 1, len(self._data) - 3)
        self._searched(found - self._at)
        self._junk(found - self._at)
        self._at = found
        return True

    def _other_page(self, page: _Page) -> bool:
        if self._serial < 0:
            self._check_head()
        self._skip(page.end - page.start)
        return True

    def _check_head(self) -> None:
        """There are pages, and no stream for us has begun."""
        if self._found:
            raise audio_error(f"expected Opus in Ogg, found {self._found}")
        self._headless_pages += 1
        if self._headless_pages > _HEADLESS_PAGES_MAX:
            raise audio_error(
                "expected the first page of an Ogg stream, with its Opus header, found pages from the middle of one; "
                "send the stream from its beginning"
            )

    def _first_page(self, page: _Page, serial: int) -> bool:
        if not self._data_to(page.end):
            return False
        if not self._is_right(page):
            return True
        self._at = page.end
        self._without_audio(page.end - page.start)
        packet = self._data[page.body : page.end]
        if not packet.startswith(b"OpusHead"):
            names = [name for magic, name in _CODECS if packet.startswith(magic)]
            self._found = self._found or (names[0] if names else "another codec")
        elif self._serial < 0 or self._has_begun:  # else a second stream beside the first
            header = opus.header(packet)
            self._forget_stream()
            self._serial, self._sequence = serial, 1
            self._due.append(header)
        return True

    def _next_page(self, page: _Page, sequence: int) -> bool:
        """A page of our stream. Behind a hole, or a page that was wrong, it counts only as a whole."""
        is_lost = sequence != self._sequence
        if is_lost or not self._is_trusted:
            if not self._data_to(page.end):
                return False
            if not self._is_right(page):
                return True
        self._has_begun = True
        self._without_audio(0)  # its packets stand against it
        self._sequence = (sequence + 1) & 0xFFFFFFFF
        self._page = page
        if is_lost:
            self._partial = None
            self._fill_lost(page)
        if not page.flags & _CONTINUED:
            self._partial = b""
        return True

    def _close_page(self, page: _Page) -> None:
        self._page = None
        if not self._is_right(page):
            return
        self._at = page.end
        if page.granule >= 0 and not page.flags & _LAST:
            self._position = page.granule

    def _is_right(self, page: _Page) -> bool:
        """Whether the checksum is; behind the start of a page where it is not, another is looked for."""
        raw = self._data[page.start : page.end]
        self._searched(len(raw))
        self._is_trusted = int.from_bytes(raw[22:26], "little") == checksum(raw)
        if self._is_trusted:
            self._bad_pages = max(0, self._bad_pages - 1)
        else:
            self._bad_pages += 1
            if self._bad_pages > _BAD_PAGES_MAX:
                raise audio_error(
                    f"expected Ogg pages, found more than {_BAD_PAGES_MAX} with a wrong checksum"
                )
            self._at = page.start
            self._find_page()
        return self._is_trusted

    # Packets -------------------------------------------------------------------------------------------------------

    def _take_part(self, page: _Page, size: int) -> None:
        """The next part of a packet; the packet becomes due, if that completes it."""
        part = self._data[page.body : page.body + size]
        page.body += size
        page.part += 1
        if self._partial is None:
            data = None  # its beginning was lost, or it is too long
        else:
            data = self._partial + part if self._partial else part
            if len(data) > opus.PACKET_BYTES_MAX:
                data = None
        if page.is_open and page.part == len(page.sizes):
            self._partial = data
            return
        self._partial = b""
        if self._has_tags:
            self._whole(data, page)
        else:  # the second packet; pictures may make it longer than any packet of audio
            self._has_tags = True
            if data is not None and not data.startswith(b"OpusTags"):
                self._whole(data, page)

    def _whole(self, data: bytes | None, page: _Page) -> None:
        packet = opus.packet(data) if data is not None else None
        if data is not None and packet is None:
            self._without_audio(1 + len(data))
        if page.part == len(page.sizes) - page.is_open and page.granule >= 0:
            self._fill_to(page.granule - (packet.samples if packet else 0))
        if packet is None:
            return
        self._audio(len(packet.data))
        self._has_audio = True
        self._position += packet.samples
        if page.flags & _LAST and 0 <= page.granule < self._position:
            trim = min(self._position - page.granule, packet.samples)
            packet = Packet(packet.data, packet.samples, trim)
        self._due.append(packet)

    def _fill_to(self, position: int) -> None:
        """The clock says that what comes next begins at ``position``.

        A gap ahead of all audio is none: the stream was taken up in the middle.
        """
        gap = position - self._position
        if gap >= _GAP_SAMPLES_MIN:
            if self._has_audio:
                self._fill(gap, opus.SAMPLE_RATE)
            self._position = position

    def _fill_lost(self, page: _Page) -> None:
        """Silence for the audio before ``page`` that never came."""
        if page.granule < 0 or not self._has_tags:
            return
        start, length = page.body, 0
        for number, size in enumerate(page.sizes):
            is_whole = number or not page.flags & _CONTINUED
            if is_whole and not (page.is_open and number == len(page.sizes) - 1):
                length += opus.samples(self._data[start : start + 2][:size])
            start += size
        self._fill_to(page.granule - length)
        self._position = page.granule - length


def _parts(lacing: bytes) -> tuple[list[int], bool]:
    """Lengths of the parts of packets, and whether the last one goes on (RFC 3533 section 6)."""
    sizes, size = [], 0
    for value in lacing:
        size += value
        if value < 255:
            sizes.append(size)
            size = 0
    is_open = lacing[-1:] == b"\xff"
    return ([*sizes, size] if is_open else sizes), is_open


_REVERSED: Final = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def checksum(page: bytes) -> int:
    """CRC-32 with Ogg's conventions: zlib's polynomial, but bits in the other order and nothing inverted."""
    mirrored = (page[:22] + b"\0\0\0\0" + page[26:]).translate(_REVERSED)
    crc = zlib.crc32(mirrored, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(crc.to_bytes(4, "little").translate(_REVERSED), "big")
