"""Raw audio that is something else: found out in its first seconds, because nobody else would.

Whatever bytes come as `pcm_s16le` are samples of something, and a recogniser makes words of them: invented ones, and a
close code that says all went well. So the first bytes are compared with what files begin with, as file(1) does, and the
first second of sound with what else the same bytes could be (`audio.wrong_samples`). Audio is refused only when it is
unpredictable as declared and far more predictable as something else: silence, tones, music and noise never are.
"""

import struct
from collections.abc import Iterator
from itertools import chain
from typing import Final

import numpy as np

from routeraudio.audio.wrong_samples import (
    CANDIDATES,
    CERTAIN,
    CERTAIN_OF_MONO,
    READ,
    SILENT,
    UNPREDICTABLE,
    residue,
    s16,
)
from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import ClientFault, CloseCode

SOUND_S: Final = 1.0
"""Sound that the statistics need; silence does not count."""

SHORTEST_S: Final = 0.3
"""Of audio that ends before there is so much."""

GIVE_UP_S: Final = 10.0
"""After so much audio that was silence or noise nobody looks any more."""

LOOKS_MAX: Final = 3
"""What is like noise in so many seconds of sound is noise. Hundreds of sessions that begin together look together."""

HEADER_BYTES_MAX: Final = 65_536
"""Before the samples of a WAV file; some programs write lists of tags there."""

_PIECE_S: Final = 0.1

_STEPS: Final = 24
"""Pieces are cut at multiples of so many bytes: between samples, whether they have one, two, three, four or eight."""

_DONE: Final = object()

_MAGIC: Final = (
    (b"OggS", "an Ogg stream", "encoding=ogg_opus"),
    (b"\x1aE\xdf\xa3", "a WebM or Matroska stream", "encoding=webm"),
    (b"fLaC", "a FLAC stream", "decoded samples"),
    (b"ID3", "an MP3 file", "encoding=mp3"),
    (b"FORM", "an AIFF file", "decoded samples"),
    (b".snd", "an AU file", "decoded samples"),
    (b"RF64", "a WAV file of 64 bits (RF64)", "decoded samples"),
    (b"riff", "a Wave64 file", "decoded samples"),
    (b"caff", "a CAF file", "decoded samples"),
    (b"#!AM", "an AMR file", "decoded samples"),
    (b"\x30\x26\xb2\x75", "a WMA file", "decoded samples"),
    (b'{"ty', "JSON", "the samples themselves, without JSON and base64"),
)
"""What files begin with, what they are, and what to send instead. Sources: the formats' own specifications."""

_BEGINNINGS: Final = (b"RIFF", *(magic for magic, _, _ in _MAGIC))


class Sniffer:
    """Looks at one client's raw audio, until it knows.

    Args:
        audio: what the client says it sends; raw.
    """

    def __init__(self, audio: AudioFormat) -> None:
        self._audio = audio
        self._held = b""
        """Of the first bytes, until they can be told: a header is not passed on."""
        self._is_past_header = False
        self._seen = bytearray()
        self._sound = bytearray()
        """Pieces that are not silent."""
        self._piece_bytes = _even(int(_PIECE_S * audio.bytes_per_second))
        self._looked_bytes = 0
        self._give_up_bytes = int(GIVE_UP_S * audio.bytes_per_second)
        self._looks = 0
        self._look: Iterator[None] | None = None
        """The steps that are left of one."""
        self.is_done = False

    def read(self, data: bytes) -> bytes:
        """The audio in ``data``, without a header.

        Raises:
            ClientFault: it is something else than was said, certainly; names what it is and what to do.
        """
        if not self._is_past_header:
            data = self._without_header(data)
        elif data[:4] == b"RIFF" and data[8:12] == b"WAVE":
            raise _refused(
                "every message has a WAV header of its own", "only samples behind the first header"
            )
        if data:
            self._listen(data)
        return data

    def end(self) -> bytes:
        """What was held when the audio ended. Of short audio, and of the rest, this is the time to look.

        Raises:
            ClientFault: see `read`.
        """
        held, self._held = self._held, b""
        if not self.is_done:
            rest = bytes(self._sound) + self._without_silence(bytes(self._seen))
            is_enough = len(rest) >= SHORTEST_S * self._audio.bytes_per_second
            looks = [self._look] if self._look is not None else []
            for _ in chain(*looks, *([self._steps(rest)] if is_enough else [])):
                pass
        return held

    def _without_header(self, data: bytes) -> bytes:
        self._held += data
        held = self._held
        if _may_go_on(held):
            return b""
        for magic, what, instead in _MAGIC:
            if held.startswith(magic):
                raise _refused(what, instead)
        if held[4:8] in (b"ftyp", b"styp"):
            raise _refused("an MP4 or M4A file", "encoding=webm, or decoded samples")
        if _is_mp3(held):
            raise _refused("an MP3 stream", "encoding=mp3")
        if held[:4] == b"RIFF" and held[8:12] == b"WAVE":
            samples = self._samples_of_wav(held)
            if samples is None:
                return b""
            held = samples
        self._is_past_header = True
        self._held = b""
        return held

    def _samples_of_wav(self, held: bytes) -> bytes | None:
        """Behind the header; None: it goes on. Source: Microsoft, "Multimedia Programming Interface", RIFF WAVE."""
        at, found = 12, ""
        while at + 8 <= len(held):
            name, length = struct.unpack_from("<4sI", held, at)
            at += 8
            if name == b"data":
                if not found:
                    raise _refused("a WAV file without a format", "only samples")
                return held[at:]
            if name == b"fmt ":
                if at + 16 > len(held):
                    break
                found = self._check_wav(*struct.unpack_from("<HHIIHH", held, at))
            at += length + length % 2
        if len(held) > HEADER_BYTES_MAX:
            raise _refused("a WAV file with a header without end", "only samples")
        return None

    def _check_wav(self, kind: int, channels: int, rate: int, _per_s: int, _block: int, bits: int) -> str:
        kinds = {(1, 16): "pcm_s16le", (0xFFFE, 16): "pcm_s16le", (7, 8): "pcm_mulaw"}
        encoding = kinds.get((kind, bits))
        audio = self._audio
        if (encoding, rate, channels) == (audio.encoding, audio.sample_rate, audio.channels):
            return "fits"
        if encoding is not None:
            wanted = f"encoding={encoding}&sample_rate={rate}&channels={channels}"
            raise _refused(f"a WAV file with {encoding} at {rate} Hz and {channels} channels", wanted)
        names = {3: "float", 6: "A-law", 1: "integer", 0xFFFE: "extensible"}
        raise _refused(
            f"a WAV file with {bits}-bit {names.get(kind, 'compressed')} samples at {rate} Hz",
            "16-bit samples (encoding=pcm_s16le)",
        )

    def _listen(self, data: bytes) -> None:
        """Gather sound, and look at it a second at a time.

        A look is spread over the messages that follow, so that sessions that begin together do not look together.
        """
        self._seen += data
        for _ in range(1 + len(data) // self._piece_bytes):
            if self._look is None and (sound := self._second_of_sound()):
                self._look = self._steps(sound)
            if self._look is not None and next(self._look, _DONE) is _DONE:
                self._look = None
            if self._look is None and (self._looks == LOOKS_MAX or self._looked_bytes >= self._give_up_bytes):
                self._finish()
            if self.is_done:
                return

    def _second_of_sound(self) -> bytes:
        """Empty: there is less."""
        look_bytes = _even(int(SOUND_S * self._audio.bytes_per_second))
        if len(self._seen) < look_bytes:
            return b""
        self._sound += self._without_silence(bytes(self._seen[:look_bytes]))
        del self._seen[:look_bytes]
        self._looked_bytes += look_bytes
        sound = bytes(self._sound[:look_bytes])
        if len(sound) < look_bytes:
            return b""
        del self._sound[:look_bytes]
        self._looks += 1
        return sound

    def _without_silence(self, data: bytes) -> bytes:
        """The pieces that tell something."""
        if self._audio.encoding == "pcm_mulaw":
            return data
        length = self._piece_bytes
        whole = data[: len(data) // length * length]
        levels = np.abs(s16(whole)).reshape(-1, length // 2).mean(axis=1)
        return b"".join(whole[at * length : (at + 1) * length] for at in np.flatnonzero(levels >= SILENT))

    def _finish(self) -> None:
        self.is_done = True
        self._look = None
        self._seen.clear()
        self._sound.clear()

    def _steps(self, sound: bytes) -> Iterator[None]:
        """One look, in steps of a tenth of a millisecond. It is the last one if it is sure that all is as said.

        Raises:
            ClientFault: it is sure that it is something else.
        """
        if self._audio.encoding == "pcm_s16le":
            certain = CERTAIN if self._audio.channels > 1 else {**CERTAIN, **CERTAIN_OF_MONO}
            for what, (is_it, instead) in certain.items():
                if is_it(sound):
                    raise _refused(what, instead)
                yield
        own = READ[self._audio.encoding]
        samples, channels = own(sound), self._audio.channels
        declared = min(residue(samples[at:], channels) for at in range(min(channels, 2)))
        if declared < UNPREDICTABLE:
            self._finish()
            return
        yield
        if declared == float("inf"):
            return
        least, found = float("inf"), ("", "")
        for what, candidate in CANDIDATES.items():
            if candidate.read is own or (candidate.is_of_mono and channels > 1):
                continue
            other = residue(candidate.read(sound), self._audio.channels)
            if other < least and candidate.is_better(sound, other, declared):
                least, found = other, (what, candidate.instead)
            yield
        if found[0]:
            raise _refused(*found)


def _even(length: int) -> int:
    return length // _STEPS * _STEPS


def _may_go_on(held: bytes) -> bool:
    """Whether what follows may make a file's beginning of it. Nearly all audio shows at once that it does not."""
    if len(held) < 4:
        return held[0] in (0, 0xFF) or any(magic.startswith(held) for magic in _BEGINNINGS)
    if held[:4] == b"RIFF":
        return len(held) < 12
    if held[:3] == b"\0\0\0" and len(held) < 8:
        return True
    length = _frame_bytes(held, 0)
    return length is not None and len(held) < length + 4


def _is_mp3(data: bytes) -> bool:
    """Two frames one behind the other. Source: ISO/IEC 11172-3, 2.4.1.3; layer III only."""
    length = _frame_bytes(data, 0)
    return length is not None and _frame_bytes(data, length) is not None


def _frame_bytes(data: bytes, at: int) -> int | None:
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE6 != 0xE2 or data[at + 1] & 0x18 == 0x08:
        return None
    is_v1 = data[at + 1] & 0x18 == 0x18
    kbits = (_KBITS_V1 if is_v1 else _KBITS_V2)[data[at + 2] >> 4]
    rate = (44_100, 48_000, 32_000, 0)[data[at + 2] >> 2 & 3]
    if not kbits or not rate:
        return None
    divided = {0x18: 1, 0x10: 2, 0x00: 4}[data[at + 1] & 0x18]
    return (144 if is_v1 else 72) * kbits * 1000 * divided // rate + (data[at + 2] >> 1 & 1)


_KBITS_V1: Final = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
_KBITS_V2: Final = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)


def _refused(what: str, instead: str) -> ClientFault:
    return ClientFault(
        f"the audio is not what the request says: found {what}; send {instead}",
        code="audio_error",
        close_code=CloseCode.UNSUPPORTED_DATA,
    )
