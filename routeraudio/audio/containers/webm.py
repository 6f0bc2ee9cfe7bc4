"""WebM (Matroska, EBML), read element by element, for the Opus in it. Sources: RFC 8794, RFC 9559.

Browsers write segments and clusters of unknown size, and the header only once, into the first chunk. So the tree
is read flat: `Segment` and `Cluster` are passed through as if they were marks, whatever size they claim; what is
small and needed is read whole; all else is passed over without being kept. Clusters then end where the next begins,
and a second recording on the same connection is a new EBML header. Timestamps are not looked at: the audio's
own length counts, as it does in ffmpeg.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from routeraudio.audio.containers import opus
from routeraudio.audio.containers.packets import (
    CHANNELS_MAX,
    SKIPPED_BYTES_MAX,
    Header,
    Intake,
    Packet,
    audio_error,
)

_EBML, _DOC_TYPE = 0x1A45DFA3, 0x4282
_SEGMENT, _INFO, _TRACKS, _CLUSTER = 0x18538067, 0x1549A966, 0x1654AE6B, 0x1F43B675
_TRACK, _NUMBER, _TYPE, _CODEC, _PRIVATE, _CODEC_DELAY = 0xAE, 0xD7, 0x83, 0x86, 0x63A2, 0x56AA
_AUDIO, _CHANNELS, _ENCODINGS = 0xE1, 0x9F, 0x6D80
_TIMESTAMP, _GROUP, _BLOCK, _SIMPLE_BLOCK, _DISCARD = 0xE7, 0xA0, 0xA1, 0xA3, 0x75A2

_LARGE: Final = {_SIMPLE_BLOCK, _GROUP, 0xEC, 0x1C53BB6B, 0x1254C367, 0x1941A469, 0x1043A770, 0x114D9B74}
"""Blocks of video, padding, cues, tags, attachments, chapters, seek head."""

_UNKNOWN: Final = -1
"""The size of an element that ends where another one begins."""

_WHOLE_BYTES_MAX: Final = 65_536
"""Of an element read whole: headers, and blocks of audio (a second of uncompressed speech would fit)."""

_HEAD_BYTES_MAX: Final = 12
"""Four of identifier, eight of size."""

_AUDIO_TYPE: Final = 2

_CODECS: Final = {
    "A_VORBIS": "Vorbis",
    "A_AAC": "AAC",
    "A_FLAC": "FLAC",
    "A_MPEG/L3": "MP3",
    "A_PCM/INT/LIT": "PCM",
    "A_PCM/FLOAT/IEEE": "PCM",
    "A_AC3": "AC-3",
    "A_EAC3": "E-AC-3",
    "A_DTS": "DTS",
}

_SEGMENT_HEAD: Final = b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff"
_CLUSTER_HEAD: Final = b"\x1f\x43\xb6\x75\x01\xff\xff\xff\xff\xff\xff\xff\xe7\x88"
"""A cluster of unknown size, up to the eight bytes of its timestamp."""

_MARKS: Final = (b"\x1f\x43\xb6\x75", b"\x1a\x45\xdf\xa3")
"""Where to go on behind junk: the next cluster, the next recording."""


class _Malformed(Exception):
    """Bytes that are no element."""


class _Element(msgspec.Struct):
    id: int
    body: int
    """Index in the bytes it was read from."""
    size: int


class _Track(msgspec.Struct):
    number: int = 0
    type: int = 0
    codec: str = ""
    private: bytes = b""
    delay_ns: int = 0
    channels: int = 1
    is_encoded: bool = False


class WebmDemuxer(Intake):
    """Implements `Demuxer` for `webm`, and takes Matroska files as well."""

    def __init__(self) -> None:
        super().__init__("WebM cluster")
        self.boundary = 0
        self._head: list[bytes] = []
        """EBML header, information, tracks: what a reader must know before the first cluster."""
        self._track = 0
        """Number of the audio track; 0: not known yet."""
        self._timestamp = 0
        self._is_lost = False
        """Whether the bytes here are junk, and the next mark is looked for."""
        self._is_at_cluster = False
        """Whether `boundary` is a cluster, or a block within one."""
        self._due: list[Header | Packet] = []

    def prelude(self) -> bytes:
        head = opus.without_skip(b"".join((*self._head[:1], _SEGMENT_HEAD, *self._head[1:])))
        return head if self._is_at_cluster else head + _CLUSTER_HEAD + self._timestamp.to_bytes(8, "big")

    def read(self) -> Header | Packet | None:
        while not self._due:
            if not self._is_head_right("WebM or Matroska"):
                return None
            if self._is_lost and not self._find_mark():
                return None
            try:
                element = self._element()
                if element is None or not self._enter(element):
                    return None
            except _Malformed:
                self._junk(1)
                self._at += 1
                self._is_lost = True
        return self._due.pop(0)

    def _element(self) -> _Element | None:
        """The element that begins here; None: bytes are missing."""
        if self._at == len(self._data):
            return None
        try:
            return _element(self._data, self._at)
        except IndexError:
            return None

    def _find_mark(self) -> bool:
        """Pass over junk to where reading can go on; False: that has not come yet."""
        found = [at for mark in _MARKS if (at := self._data.find(mark, self._at)) >= 0]
        at = min(found) if found else max(self._at, len(self._data) - 3)
        self._junk(at - self._at)
        self._at = at
        self._is_lost = not found
        return not self._is_lost

    # Elements ------------------------------------------------------------------------------------------------------

    def _enter(self, element: _Element) -> bool:
        """Read an element, or pass over it; False: bytes are missing."""
        if element.id in (_SIMPLE_BLOCK, _GROUP):
            return self._blocks(element)
        if element.id == _CLUSTER:
            if not self._track:
                raise audio_error(
                    "expected a header with an audio track ahead of the first cluster, found none"
                )
            self._mark(is_cluster=True)
            self._at = element.body
        elif element.id == _SEGMENT:
            self._at = element.body
        elif element.size == _UNKNOWN or not (self._head or element.id == _EBML):
            raise _Malformed
        elif element.id in (_EBML, _INFO, _TRACKS, _TIMESTAMP):
            return self._whole(element)
        else:
            self._pass_over(element)
        return True

    def _pass_over(self, element: _Element) -> None:
        """Not needed. What nobody knows and is large is junk that looks like an element."""
        if element.size > (SKIPPED_BYTES_MAX if element.id in _LARGE else _WHOLE_BYTES_MAX):
            raise _Malformed
        self._at = element.body
        self._skip(element.size)

    def _mark(self, *, is_cluster: bool) -> None:
        self.boundary = self._base + self._at
        self._is_at_cluster = is_cluster

    def _whole(self, element: _Element) -> bool:
        if element.size > _WHOLE_BYTES_MAX:
            raise _Malformed
        end = element.body + element.size
        if len(self._data) < end:
            return False
        raw, body = self._data[self._at : end], self._data[element.body : end]
        self._at = end
        if element.id == _TIMESTAMP:
            self._timestamp = int.from_bytes(body[:8], "big")
        elif element.id == _EBML:
            self._recording(raw, body)
        elif len(self._head) < 3:  # a header has one of each
            self._head.append(raw)
            if element.id == _TRACKS:
                self._tracks(body)
        return True

    def _recording(self, raw: bytes, body: bytes) -> None:
        """An EBML header: the first one, or a recording that follows another."""
        types = [bytes(value) for id, value in _children(body) if id == _DOC_TYPE]
        if types and types[0].rstrip(b"\0") not in (b"webm", b"matroska"):
            raise audio_error("expected WebM or Matroska, found an EBML document of another type")
        self._head = [raw]
        self._track = 0

    def _tracks(self, body: bytes) -> None:
        tracks = [_track(value) for id, value in _children(body) if id == _TRACK]
        audio = [track for track in tracks if track.type == _AUDIO_TYPE]
        if not audio:
            raise audio_error(f"expected an audio track, found {len(tracks)} tracks without one")
        opus_tracks = [track for track in audio if track.codec == "A_OPUS" and track.number]
        if not opus_tracks:
            raise audio_error(f"expected Opus in WebM, found {_CODECS.get(audio[0].codec, 'another codec')}")
        self._track = opus_tracks[0].number
        self._due.append(_header(opus_tracks[0]))

    # Blocks --------------------------------------------------------------------------------------------------------

    def _blocks(self, element: _Element) -> bool:
        if element.size == _UNKNOWN:
            raise _Malformed
        end = element.body + element.size
        if element.size > _WHOLE_BYTES_MAX:  # a picture
            self._pass_over(element)
            return True
        if not self._track:
            raise audio_error("expected a header with an audio track ahead of the first block, found none")
        self._mark(is_cluster=False)
        if len(self._data) < end:
            return False
        body = self._data[element.body : end]
        self._at = end
        if element.id == _SIMPLE_BLOCK:
            self._block(body, 0)
        else:
            self._group(body)
        return True

    def _group(self, body: bytes) -> None:
        block, discard_ns = b"", 0
        for id, value in _children(body):
            if id == _BLOCK:
                block = value
            elif id == _DISCARD:
                discard_ns = int.from_bytes(value[:8], "big", signed=True)
        self._block(block, max(discard_ns, 0))

    def _block(self, block: bytes, discard_ns: int) -> None:
        """Packets of a block on our track; one with impossible lacing is left out as a whole."""
        try:
            track, at = _vint(block, 0)
            if track != self._track:
                self._without_audio(len(block))
                return
            frames = _frames(block, at + 3, block[at + 2])
        except (IndexError, _Malformed):
            self._junk(len(block))
            return
        trim = discard_ns * opus.SAMPLE_RATE // 1_000_000_000
        for number, frame in enumerate(frames, 1 - len(frames)):
            packet = opus.packet(frame, trim_samples=0 if number else trim)
            if packet is None:
                self._without_audio(1 + len(frame))
            else:
                self._due.append(packet)
                self._junk_bytes = self._skipped_bytes = 0


def _header(track: _Track) -> Header:
    if track.is_encoded:
        raise audio_error(
            "expected a plain track, found one that is compressed or encrypted in the container"
        )
    delay = min(track.delay_ns * opus.SAMPLE_RATE // 1_000_000_000, 0xFFFF)
    if not track.private:  # allowed for Opus by old muxers; it then is a single stream
        if not 1 <= track.channels <= CHANNELS_MAX:
            raise audio_error(f"expected 1 or 2 channels of Opus, found {track.channels}")
        return Header("opus", opus.SAMPLE_RATE, track.channels, delay)
    header = opus.header(track.private)
    return header if header.skip_samples else msgspec.structs.replace(header, skip_samples=delay)


def _track(body: bytes) -> _Track:
    track = _Track()
    for id, value in _children(body):
        if id == _NUMBER:
            track.number = int.from_bytes(value[:8], "big")
        elif id == _TYPE:
            track.type = int.from_bytes(value[:8], "big")
        elif id == _CODEC:
            track.codec = value[:64].rstrip(b"\0").decode("ascii", "replace")
        elif id == _PRIVATE:
            track.private = value
        elif id == _CODEC_DELAY:
            track.delay_ns = int.from_bytes(value[:8], "big")
        elif id == _ENCODINGS:
            track.is_encoded = True
        elif id == _AUDIO:
            channels = [
                int.from_bytes(number[:8], "big") for id, number in _children(value) if id == _CHANNELS
            ]
            track.channels = channels[0] if channels else 1
    return track


def _children(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Identifiers and contents of the elements in ``body``, up to what is malformed."""
    at = 0
    while at < len(body):
        try:
            element = _element(body, at)
        except (IndexError, _Malformed):
            return
        at = element.body + element.size
        if element.size == _UNKNOWN or at > len(body):
            return
        yield element.id, body[element.body : at]


def _element(data: bytes, at: int) -> _Element:
    """Head of the element at ``at``.

    Raises:
        IndexError: bytes are missing.
    """
    width = 9 - data[at].bit_length()
    if width > 4:
        raise _Malformed
    body = at + width
    size, end = _vint(data, body)
    if end > len(data):
        raise IndexError
    if size == (1 << 7 * (end - body)) - 1:
        size = _UNKNOWN
    return _Element(int.from_bytes(data[at:body], "big"), end, size)


def _vint(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable width, and where it ends, perhaps beyond the data (RFC 8794 section 4)."""
    first = data[at]
    width = 9 - first.bit_length()
    if width > 8:
        raise _Malformed
    end = at + width
    return int.from_bytes(data[at:end], "big") & ((1 << 7 * width) - 1), end


# Lacing (RFC 9559 section 5.1.4.5.3 and following) ---------------------------------------------------------------


def _frames(block: bytes, at: int, flags: int) -> list[bytes]:
    """The frames of a block whose content begins at ``at``."""
    lacing = flags >> 1 & 3
    if not lacing:
        return [block[at:]]
    count = block[at] + 1
    at += 1
    if lacing == 2:
        size, rest = divmod(len(block) - at, count)
        if rest:
            raise _Malformed
        sizes = [size] * (count - 1)
    else:
        sizes, at = (_xiph_sizes if lacing == 1 else _ebml_sizes)(block, at, count - 1)
    frames = []
    for size in sizes:
        frames.append(block[at : at + size])
        at += size
    if at > len(block) or any(size < 0 for size in sizes):
        raise _Malformed
    return [*frames, block[at:]]


def _xiph_sizes(block: bytes, at: int, count: int) -> tuple[list[int], int]:
    sizes = []
    for _ in range(count):
        size = 0
        while block[at] == 255:
            size += 255
            at += 1
        sizes.append(size + block[at])
        at += 1
    return sizes, at


def _ebml_sizes(block: bytes, at: int, count: int) -> tuple[list[int], int]:
    """The first size, then differences: as many bits, moved so that half of them are negative."""
    if not count:
        return [], at
    size, at = _vint(block, at)
    sizes = [size]
    for _ in range(count - 1):
        start = at
        value, at = _vint(block, at)
        size += value - ((1 << (7 * (at - start) - 1)) - 1)
        sizes.append(size)
    return sizes, at
