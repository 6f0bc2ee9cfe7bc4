"""What stands between a container and a codec: headers, packets, and how much of anything is taken.

A demuxer is an incremental, synchronous object of our own, in Python: no libavformat ever sees a client's bytes, so
there is nothing that probes, opens a file or dials. It is fed bytes in any split and read until it says None;
what it says depends on the bytes alone, never on how they were cut. It keeps what it cannot read yet, bounded.
"""

from typing import Final, Literal, Protocol

import msgspec

from routeraudio.model.errors import ClientFault, CloseCode

CHANNELS_MAX: Final = 2
"""In a container. More are surround sound, which no speech recogniser asks for and no browser records."""

JUNK_BYTES_MAX: Final = 65_536
"""Bytes in a row that are no part of any container or frame; as much as libavformat probes at most by our rules."""

SKIPPED_BYTES_MAX: Final = 16 << 20
"""What is well formed but no audio (cover pictures, tags, video), in a row. It is passed over, not kept."""


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

    boundary: int
    """Where the latest unit began from which a new reader could go on, in bytes since the first."""

    def feed(self, data: bytes) -> None:
        """Take bytes; they are looked at by `read`."""

    def end(self) -> None:
        """Nothing follows. `read` may now say what had waited for a confirmation."""

    def read(self) -> Header | Packet | None:
        """What comes next; None: bytes are missing.

        Raises:
            ClientFault: this is another container than announced, nothing in it is for us, or it breaks a bound.
        """

    def prelude(self) -> bytes:
        """What a new reader must be given ahead of the bytes from `boundary` on."""


class Timeline:
    """Counts the source's audio by samples, across the streams of a chain. Nothing is decoded for that."""

    def __init__(self) -> None:
        self._earlier_ns = 0
        self._sample_rate = 1
        self._samples = 0
        self._skip = 0

    @property
    def ms(self) -> int:
        """Whole milliseconds so far."""
        return (self._earlier_ns + self._samples * 1_000_000_000 // self._sample_rate) // 1_000_000

    def header(self, header: Header) -> None:
        """A stream begins."""
        self._earlier_ns += self._samples * 1_000_000_000 // self._sample_rate
        self._sample_rate, self._samples, self._skip = header.sample_rate, 0, header.skip_samples

    def packet(self, packet: Packet) -> None:
        """A packet of it."""
        samples = packet.samples - packet.trim_samples
        if self._skip:
            skipped = min(self._skip, samples)
            self._skip -= skipped
            samples -= skipped
        self._samples += samples


class Intake:
    """Bytes fed and not yet read. Base of the demuxers.

    Invariant: ``_data[_at:]`` is unread; ``_data[0]`` is byte ``_base`` of the stream.
    """

    def __init__(self, expected: str) -> None:
        self._expected = expected
        """What `_junk_bytes` are not, for the fault."""
        self._data = b""
        self._at = 0
        self._base = 0
        self._to_skip = 0
        self._is_ended = False
        self._is_checked = False
        self._junk_bytes = 0
        self._skipped_bytes = 0

    def feed(self, data: bytes) -> None:
        """See `Demuxer.feed`."""
        self._base += self._at
        self._data = self._data[self._at :] + data
        self._at = 0
        if self._to_skip:
            self._skip(0)

    def end(self) -> None:
        """See `Demuxer.end`."""
        self._is_ended = True

    def _has(self, length: int) -> bool:
        return len(self._data) - self._at >= length

    def _skip(self, length: int) -> None:
        """Pass over ``length`` bytes, also those that have not come yet; nothing is kept of them."""
        self._to_skip += length
        step = min(self._to_skip, len(self._data) - self._at)
        self._at += step
        self._to_skip -= step
        self._without_audio(step)

    def _without_audio(self, length: int) -> None:
        """``length`` bytes were well formed, and no audio of ours."""
        self._skipped_bytes += length
        if self._skipped_bytes > SKIPPED_BYTES_MAX:
            raise audio_error(
                f"expected {self._expected}s with audio, found none in {SKIPPED_BYTES_MAX >> 20} MiB"
            )

    def _junk(self, length: int) -> None:
        """``length`` bytes make no sense."""
        self._junk_bytes += length
        if self._junk_bytes > JUNK_BYTES_MAX:
            raise audio_error(f"expected {self._expected}s, found none in {JUNK_BYTES_MAX >> 10} KiB")

    def _is_head_right(self, name: str) -> bool:
        """Whether enough has come to tell that it is not another well-known format; see `check_magic`."""
        if not self._is_checked and (self._is_ended or self._has(SNIFF_BYTES)):
            check_magic(self._data[self._at : self._at + SNIFF_BYTES], name)
            self._is_checked = True
        return self._is_checked


def audio_error(message: str) -> ClientFault:
    """Audio that cannot be understood. ``message`` says what was expected and what was found, in our words."""
    return ClientFault(message, code="audio_error", close_code=CloseCode.UNSUPPORTED_DATA)


SNIFF_BYTES: Final = 12

_MAGIC: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"OggS", "Ogg"),
    (0, b"\x1a\x45\xdf\xa3", "WebM or Matroska"),
    (0, b"fLaC", "FLAC"),
    (0, b"ID3", "MP3"),
    (0, b"OpusHead", "bare Opus packets"),
    (8, b"WAVE", "WAV"),
    (8, b"AIFF", "AIFF"),
    (4, b"ftyp", "MP4"),
    (0, b"{", "JSON text"),
)


def check_magic(head: bytes, expected: str) -> None:
    """Refuse a well-known format that is another than announced, at its first bytes.

    Args:
        head: the first `SNIFF_BYTES`, or all there are.
        expected: one of the names above.
    """
    for start, magic, name in _MAGIC:
        if head.startswith(magic, start):
            if name != expected:
                raise audio_error(f"expected {expected}, found {name}; name the encoding that is sent")
            return
