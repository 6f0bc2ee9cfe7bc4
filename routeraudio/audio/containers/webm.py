"""WebM (Matroska, EBML), read element by element, for the Opus in it. Sources: RFC 8794, RFC 9559.

Browsers write segments and clusters of unknown size, and the header only once, into the first chunk. So the tree
is read flat: `Segment` and `Cluster` are passed through as if they were marks, whatever size they claim; what is
small and needed is read whole; all else is passed over without being kept. Clusters then end where the next begins,
and a second recording on the same connection is a new EBML header.

Timestamps of blocks are the clock: where one lies later than the audio before it reaches, silence takes the place of
what is missing. They are rounded and jitter, so less than `_JITTER_SAMPLES` is not a gap, until it adds up to one.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from routeraudio.audio.containers import ebml, opus
from routeraudio.audio.containers.ebml import UNKNOWN, Element, Malformed
from routeraudio.audio.containers.intake import SKIPPED_BYTES_MAX, Intake
from routeraudio.audio.containers.packets import CHANNELS_MAX, Header, Packet, audio_error

_EBML, _DOC_TYPE = 0x1A45DFA3, 0x4282
_SEGMENT, _INFO, _TRACKS, _CLUSTER = 0x18538067, 0x1549A966, 0x1654AE6B, 0x1F43B675
_TRACK, _NUMBER, _TYPE, _CODEC, _PRIVATE, _CODEC_DELAY = 0xAE, 0xD7, 0x83, 0x86, 0x63A2, 0x56AA
_AUDIO, _CHANNELS, _ENCODINGS = 0xE1, 0x9F, 0x6D80
_TIMESTAMP_SCALE: Final = 0x2AD7B1
_TIMESTAMP, _GROUP, _BLOCK, _SIMPLE_BLOCK, _DISCARD = 0xE7, 0xA0, 0xA1, 0xA3, 0x75A2

_LARGE: Final = {_SIMPLE_BLOCK, _GROUP, 0xEC, 0x1C53BB6B, 0x1254C367, 0x1941A469, 0x1043A770, 0x114D9B74}
"""Blocks of video, padding, cues, tags, attachments, chapters, seek head."""

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

_MARK: Final = re.compile(rb"\x1f\x43\xb6\x75|\x1a\x45\xdf\xa3")
"""Where to go on behind junk: the next cluster, the next recording."""

_CHILDREN_MAX: Final = 64
"""Elements directly in another one. Headers have some tens; more are there to make work."""

_TRACKS_MAX: Final = 16
"""Tracks that are looked at."""

_SCALE_NS: Final = 1_000_000
"""Of timestamps, where the header does not say."""

_SCALE_NS_MAX: Final = 1_000_000_000

_JITTER_SAMPLES: Final = opus.SAMPLE_RATE // 10
"""100 ms: browsers stamp blocks with the time at which audio was captured."""

_BACK_SAMPLES: Final = opus.SAMPLE_RATE
"""A clock that goes back by more has been set anew."""


class _Track(msgspec.Struct):
    number: int = 0
    type: int = 0
    codec: str = ""
    private: bytes = b""
    delay_ns: int = 0
    channels: int = 0
    """0: not said, which means 1."""
    is_encoded: bool = False


class WebmDemuxer(Intake):
    """Implements `Demuxer` for `webm`, and takes Matroska files as well."""

    def __init__(self) -> None:
        super().__init__("WebM cluster")
        self._head_elements = 0
        """Of EBML header, information and tracks, how many have been read."""
        self._track = 0
        """Number of the audio track; 0: not known yet."""
        self._timestamp = 0
        """Of the cluster, in units of `_scale_ns`."""
        self._scale_ns = _SCALE_NS
        self._position: int | None = None
        """Where on the clock the audio so far ends, in samples; None: there has been none."""
        self._is_lost = False
        """Whether the bytes here are junk, and the next mark is looked for."""
        self._due: list[Header | Packet] = []

    def read(self) -> Header | Packet | None:
        while self._goes_on():
            if self._silence:
                return self._silent()
            if self._due:
                return self._due.pop(0)
            if not self._is_head_right("WebM or Matroska"):
                return None
            if self._is_lost and not self._find_mark():
                return None
            try:
                element = self._element()
                if element is None or not self._enter(element):
                    return None
            except Malformed:
                self._junk(1)
                self._at += 1
                self._is_lost = True
        return None

    def _element(self) -> Element | None:
        """The element that begins here; None: bytes are missing."""
        if self._at == len(self._data):
            return None
        try:
            return ebml.element(self._data, self._at)
        except IndexError:
            return None

    def _find_mark(self) -> bool:
        """Pass over junk to where reading can go on; False: that has not come yet."""
        found = _MARK.search(self._data, self._at)
        at = found.start() if found else max(self._at, len(self._data) - 3)
        self._searched(at - self._at)
        self._junk(at - self._at)
        self._at = at
        self._is_lost = found is None
        return not self._is_lost

    # Elements ------------------------------------------------------------------------------------------------------

    def _enter(self, element: Element) -> bool:
        """Read an element, or pass over it; False: bytes are missing."""
        if element.id in (_SIMPLE_BLOCK, _GROUP):
            return self._blocks(element)
        if element.id == _CLUSTER:
            if not self._track:
                raise audio_error(
                    "expected a header with an audio track ahead of the first cluster, found none"
                )
            self._step_into(element)
        elif element.id == _SEGMENT:
            self._step_into(element)
        elif element.size == UNKNOWN or not (self._head_elements or element.id == _EBML):
            raise Malformed
        elif element.id in (_EBML, _INFO, _TRACKS, _TIMESTAMP):
            return self._whole(element)
        else:
            self._pass_over(element)
        return True

    def _pass_over(self, element: Element) -> None:
        """Not needed. What nobody knows and is large is junk that looks like an element."""
        if element.size > (SKIPPED_BYTES_MAX if element.id in _LARGE else _WHOLE_BYTES_MAX):
            raise Malformed
        self._at = element.body
        self._skip(element.size)

    def _step_into(self, element: Element) -> None:
        self._without_audio(element.body - self._at)
        self._at = element.body

    def _whole(self, element: Element) -> bool:
        if element.size > _WHOLE_BYTES_MAX:
            raise Malformed
        end = element.body + element.size
        if len(self._data) < end:
            return False
        body = self._data[element.body : end]
        self._without_audio(end - self._at)
        self._at = end
        if element.id == _TIMESTAMP:
            self._timestamp = int.from_bytes(body[:8], "big")
        elif element.id == _EBML:
            self._recording(body)
        elif self._head_elements < 3:  # a header has one of each
            self._head_elements += 1
            if element.id == _TRACKS:
                self._tracks(body)
            else:
                self._information(body)
        return True

    def _recording(self, body: bytes) -> None:
        """An EBML header: the first one, or a recording that follows another."""
        types = [bytes(value) for id, value in self._children(body) if id == _DOC_TYPE]
        if types and types[0].rstrip(b"\0") not in (b"webm", b"matroska"):
            raise audio_error("expected WebM or Matroska, found an EBML document of another type")
        self._head_elements = 1
        self._track = 0
        self._scale_ns = _SCALE_NS
        self._position = None

    def _information(self, body: bytes) -> None:
        for id, value in self._children(body):
            if id == _TIMESTAMP_SCALE:
                scale_ns = int.from_bytes(value[:8], "big")
                self._scale_ns = scale_ns if 0 < scale_ns <= _SCALE_NS_MAX else _SCALE_NS

    def _tracks(self, body: bytes) -> None:
        entries = [value for id, value in self._children(body) if id == _TRACK]
        tracks = [self._entry(value) for value in entries[:_TRACKS_MAX]]
        audio = [track for track in tracks if track.type == _AUDIO_TYPE]
        if not audio:
            raise audio_error(f"expected an audio track, found {len(tracks)} tracks without one")
        opus_tracks = [track for track in audio if track.codec == "A_OPUS" and track.number]
        if not opus_tracks:
            raise audio_error(f"expected Opus in WebM, found {_CODECS.get(audio[0].codec, 'another codec')}")
        self._track = opus_tracks[0].number
        self._due.append(_header(opus_tracks[0]))

    def _entry(self, body: bytes) -> _Track:
        """One track of the header."""
        track = _Track()
        for id, value in self._children(body):
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
            elif id == _AUDIO and not track.channels:
                channels = [number for id, number in self._children(value) if id == _CHANNELS]
                track.channels = int.from_bytes(channels[0][:8], "big") if channels else 1
        return track

    # Blocks --------------------------------------------------------------------------------------------------------

    def _blocks(self, element: Element) -> bool:
        if element.size == UNKNOWN:
            raise Malformed
        end = element.body + element.size
        if element.size > _WHOLE_BYTES_MAX:  # a picture
            self._pass_over(element)
            return True
        if not self._track:
            raise audio_error("expected a header with an audio track ahead of the first block, found none")
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
        for id, value in self._children(body):
            if id == _BLOCK:
                block = value
            elif id == _DISCARD:
                discard_ns = int.from_bytes(value[:8], "big", signed=True)
        self._block(block, max(discard_ns, 0))

    def _block(self, block: bytes, discard_ns: int) -> None:
        """Packets of a block on our track; one with impossible lacing is left out as a whole."""
        try:
            track, at = ebml.vint(block, 0)
            if track != self._track:
                self._without_audio(len(block))
                return
            frames = ebml.frames(block, at + 3, block[at + 2])
        except (IndexError, Malformed):
            self._junk(len(block))
            return
        self._look_at_clock(int.from_bytes(block[at : at + 2], "big", signed=True))
        trim = discard_ns * opus.SAMPLE_RATE // 1_000_000_000
        for number, frame in enumerate(frames, 1 - len(frames)):
            packet = opus.packet(frame, trim_samples=0 if number else trim)
            if packet is None:
                self._without_audio(1 + len(frame))
            else:
                self._due.append(packet)
                self._audio(len(frame))
                assert self._position is not None
                self._position += packet.samples

    def _look_at_clock(self, ahead: int) -> None:
        """A block of our track begins ``ahead`` of its cluster: fill what is missing before it."""
        now = (self._timestamp + ahead) * self._scale_ns * opus.SAMPLE_RATE // 1_000_000_000
        gap = 0 if self._position is None else now - self._position
        if gap >= _JITTER_SAMPLES:
            self._fill(gap, opus.SAMPLE_RATE)
        if self._position is None or gap >= _JITTER_SAMPLES or gap < -_BACK_SAMPLES:
            self._position = now

    def _children(self, body: bytes) -> Iterator[tuple[int, bytes]]:
        """Identifiers and contents of the elements in ``body``, up to what is malformed; each is a step."""
        at = 0
        for _ in range(_CHILDREN_MAX):
            if at >= len(body):
                return
            self._steps_left -= 1
            try:
                element = ebml.element(body, at)
            except (IndexError, Malformed):
                return
            at = element.body + element.size
            if element.size == UNKNOWN or at > len(body):
                return
            yield element.id, body[element.body : at]
        raise Malformed


def _header(track: _Track) -> Header:
    if track.is_encoded:
        raise audio_error(
            "expected a plain track, found one that is compressed or encrypted in the container"
        )
    delay = min(track.delay_ns * opus.SAMPLE_RATE // 1_000_000_000, 0xFFFF)
    if not track.private:  # allowed for Opus by old muxers; it then is a single stream
        channels = track.channels or 1
        if channels > CHANNELS_MAX:
            raise audio_error(f"expected 1 or 2 channels of Opus, found {channels}")
        return Header("opus", opus.SAMPLE_RATE, channels, delay)
    header = opus.header(track.private)
    return header if header.skip_samples else msgspec.structs.replace(header, skip_samples=delay)
