"""MP3, cut into frames. Sources: ISO/IEC 11172-3 section 2.4, 13818-3 (low rates), ID3v2.4, LAME's own tag.

A frame's header says how long it is, so cutting is a table and an addition. In a stream that is in step, a frame goes
out as soon as it is whole. At the start, and where the next header is not one, a frame counts only when another
header of the same rate follows it: eleven bits of ones are common in anything. Tags in front of, between and behind
frames are passed over without being kept. Places where a frame may begin are found by a compiled search: bytes that
look like half a header cost nothing, and those that look like a whole one a step each.
"""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from routeraudio.audio.containers.intake import Intake
from routeraudio.audio.containers.packets import Header, Packet

_DECODER_DELAY: Final = 529
"""Samples by which every decoder lags: 528 of the filter bank and one."""

_ENCODER_DELAY: Final = 576
"""Of LAME, where the stream does not say: live streams have no tag."""

_BIT_RATES: Final = {
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""kbit/s in layer III, by whether it is MPEG 1 or 2 and 2.5; index 0 is free format, which FFmpeg does not decode."""

_VERSIONS: Final = {3: (1, 1), 2: (2, 2), 0: (2, 4)}
"""Two bits of the header: which table, and by what the sample rates of MPEG 1 are divided."""

_EXPECTED: Final = "MP3 frame"

_ID3_HEAD: Final = 10
_BEHIND: Final = (b"TAG", b"ID3", b"APE")
"""What may follow a frame instead of another: tags of three kinds."""


class _Frame(msgspec.Struct, frozen=True):
    length: int
    """Bytes."""
    sample_rate: int
    samples: int


def _table() -> dict[bytes, _Frame]:
    """Every first three bytes that a frame of layer III can begin with."""
    frames = {}
    for bits in range(1 << 13):
        value = 0xFFE000 | bits
        frame = _frame(value >> 11 & 3, value >> 9 & 3, value >> 4 & 15, value >> 2 & 3, value >> 1 & 1)
        if frame is not None:
            frames[value.to_bytes(3, "big")] = frame
    return frames


def _frame(version: int, layer: int, bit_rate: int, rate: int, padding: int) -> _Frame | None:
    if version not in _VERSIONS or layer != 1 or not 1 <= bit_rate <= 14 or rate == 3:
        return None
    table, divisor = _VERSIONS[version]
    sample_rate = (44100, 48000, 32000)[rate] // divisor
    samples = 1152 // table
    bytes_per_frame = samples // 8 * _BIT_RATES[table][bit_rate - 1] * 1000 // sample_rate
    return _Frame(bytes_per_frame + padding, sample_rate, samples)


_FRAMES: Final = _table()


def _one_of(values: Iterable[int]) -> bytes:
    return b"[" + b"".join(re.escape(bytes((value,))) for value in sorted(set(values))) + b"]"


_HEAD_ENDS: Final = _one_of(head[2] for head in _FRAMES)
"""The third byte of a header: a bit rate and a sample rate. It is the same set in every version."""

_FREE_ENDS: Final = _one_of(value for value in range(16) if value >> 2 & 3 != 3)
"""The same, in free format."""

_PLACE: Final = re.compile(b"\xff" + _one_of(head[1] for head in _FRAMES) + _HEAD_ENDS + b"|ID3", re.DOTALL)
"""Where a frame or a tag in front of frames may begin."""

_PLACE_BYTES: Final = 3

_OTHERS: Final = re.compile(
    b"\xff(?:(?P<II>[\xe4\xe5\xf4\xf5\xfc\xfd]%b)|(?P<I>[\xe6\xe7\xf6\xf7\xfe\xff]%b)|[\xe2\xe3\xf2\xf3\xfa\xfb]%b)"
    % (_HEAD_ENDS, _HEAD_ENDS, _FREE_ENDS),
    re.DOTALL,
)
"""Headers that are right but for what we do not decode: layers I and II, and free format."""


class Mp3Demuxer(Intake):
    """Implements `Demuxer` for `mp3`."""

    def __init__(self) -> None:
        super().__init__(_EXPECTED)
        self._is_in_step = False
        self._sample_rate = 0
        """Of the stream; 0: none has begun."""
        self._frames = 0
        """Frames of it so far."""
        self._trim_from = self._trim_to = 0
        """Decoded samples between these are padding at the stream's end."""

    def read(self) -> Header | Packet | None:
        if not self._is_head_right("MP3"):
            return None
        frame = self._next()
        if frame is None:
            return None
        data = self._data[self._at : self._at + frame.length]
        return self._begun(frame, data) or self._packet(frame, data)

    # Frames --------------------------------------------------------------------------------------------------------

    def _next(self) -> _Frame | None:
        """The frame at the current place, moved there past tags and junk; None: see `Demuxer.read`."""
        while self._goes_on():
            at = self._at
            frame = _FRAMES.get(self._data[at : at + 3])
            if frame is not None:
                is_one = True if self._follows(frame) else self._is_confirmed(at, frame)
                if is_one is None:
                    return None
                if is_one:
                    if not self._has(frame.length):
                        return None
                    self._is_in_step = True
                    return frame
            elif not self._has(4) and not self._is_ended:
                return None
            elif self._data.startswith(b"ID3", at):
                if not self._has(_ID3_HEAD):
                    return None
                if self._skip_tag():
                    continue
            elif at == len(self._data):
                return None
            self._pass_junk()
        return None

    def _follows(self, frame: _Frame) -> bool:
        return self._is_in_step and frame.sample_rate == self._sample_rate

    def _is_confirmed(self, at: int, frame: _Frame) -> bool | None:
        """Whether another frame of the same rate, a tag or the end follows; None: that has not come yet."""
        behind = self._data[at + frame.length : at + frame.length + 3]
        if len(behind) < 3:
            if not self._is_ended:
                return None
            return len(self._data) == at + frame.length
        following = _FRAMES.get(behind)
        return behind in _BEHIND or (following is not None and following.sample_rate == frame.sample_rate)

    def _skip_tag(self) -> bool:
        """Pass over an ID3v2 tag, of any length, as it comes; False: it is none."""
        head = self._data[self._at : self._at + _ID3_HEAD]
        if head[3] == 0xFF or head[4] == 0xFF or max(head[6:]) > 0x7F:
            return False
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        self._skip(_ID3_HEAD + size + (_ID3_HEAD if head[5] & 0x10 else 0))
        return True

    def _pass_junk(self) -> None:
        """On to where the next frame or tag may begin."""
        self._is_in_step = False
        place = _PLACE.search(self._data, self._at + 1)
        at = place.start() if place else max(self._at + 1, len(self._data) - _PLACE_BYTES + 1)
        self._note_found(at)
        self._searched(at - self._at)
        self._junk(at - self._at)
        self._at = at

    def _note_found(self, end: int) -> None:
        """Remember what junk up to ``end`` may have been, to name it if nothing else comes."""
        if self._expected != _EXPECTED:
            return
        other = _OTHERS.search(self._data, self._at, end + _PLACE_BYTES - 1)
        if other is not None:
            self._expected = (
                f"MP3 frame (layer III; there may be some of layer {other.lastgroup})"
                if other.lastgroup
                else "MP3 frame with a bit rate (there may be some in free format)"
            )

    # Streams -------------------------------------------------------------------------------------------------------

    def _begun(self, frame: _Frame, data: bytes) -> Header | None:
        """A header, where a stream begins: at the first frame, a new rate, or a frame that only describes others."""
        tag = _tag(data)
        if tag < 0 and frame.sample_rate == self._sample_rate:
            return None
        self._sample_rate = frame.sample_rate
        self._frames = self._trim_from = self._trim_to = 0
        delay = _ENCODER_DELAY
        if tag >= 0:
            self._without_audio(0)
            delay = self._lame(data, tag, frame)
            self._at += frame.length
        channels = 1 if data[3] >> 6 == 3 else 2
        described = data if tag >= 0 else b""
        return Header("mp3", frame.sample_rate, channels, delay + _DECODER_DELAY, described=described)

    def _lame(self, data: bytes, tag: int, frame: _Frame) -> int:
        """The encoder's delay; notes where its padding will be. Xing's optional fields come first, then LAME's."""
        if data[tag : tag + 4] == b"VBRI":
            return _ENCODER_DELAY
        flags = data[tag + 7] if len(data) > tag + 7 else 0
        count = int.from_bytes(data[tag + 8 : tag + 12], "big") if flags & 1 else 0
        lame = (
            tag + 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
        )
        if len(data) < lame + 24 or data[lame : lame + 4] not in (b"LAME", b"Lavf", b"Lavc"):
            return _ENCODER_DELAY
        both = int.from_bytes(data[lame + 21 : lame + 24], "big")
        delay, padding = both >> 12, both & 0xFFF
        if count:
            self._trim_to = count * frame.samples
            self._trim_from = self._trim_to - max(padding - _DECODER_DELAY, 0)
        return delay

    def _packet(self, frame: _Frame, data: bytes) -> Packet:
        self._at += frame.length
        self._audio(frame.length)
        end = (self._frames + 1) * frame.samples
        self._frames += 1
        trim = min(end, self._trim_to) - max(end - frame.samples, self._trim_from)
        return Packet(data, frame.samples, max(trim, 0))


_TAGS: Final = (b"Xing", b"Info")


def _tag(data: bytes) -> int:
    """Where in a frame that holds no audio but a description the description begins; -1: it holds audio."""
    is_mpeg1, is_mono = data[1] & 8, data[3] >> 6 == 3
    at = 4 + ((17 if is_mono else 32) if is_mpeg1 else (9 if is_mono else 17))
    if data[at : at + 4] in _TAGS:
        return at
    return 36 if data[36:40] == b"VBRI" else -1
