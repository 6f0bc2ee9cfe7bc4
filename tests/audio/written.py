"""Containers in odd shapes, written here: from the specifications, sharing nothing with the readers."""

import struct
from collections.abc import Sequence
from itertools import count, pairwise

UNKNOWN = None


def opus_head(channels: int = 1, *, skip: int = 312, family: int = 0, more: bytes = b"") -> bytes:
    """RFC 7845 section 5.1."""
    return b"OpusHead" + struct.pack("<BBHIhB", 1, channels, skip, 48000, 0, family) + more


OPUS_TAGS = b"OpusTags" + struct.pack("<I4sI", 4, b"test", 0)

# Ogg -------------------------------------------------------------------------------------------------------------


def crc(page: bytes) -> int:
    """Bit by bit, as RFC 3533 describes it."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value


def lacing(sizes: Sequence[int], *, is_open: bool = False) -> bytes:
    """Of whole packets, or with the last one going on."""
    values = bytearray()
    for size in sizes:
        values += b"\xff" * (size // 255) + bytes((size % 255,))
    return bytes(values[:-1] if is_open else values)


def page(
    body: Sequence[bytes],
    *,
    serial: int = 7,
    number: int = 0,
    granule: int = 0,
    first: bool = False,
    last: bool = False,
    continued: bool = False,
    is_open: bool = False,
) -> bytes:
    """One page; the last part of one that is open is a multiple of 255 bytes."""
    table = lacing([len(part) for part in body], is_open=is_open)
    flags = continued | first << 1 | last << 2
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, serial, number, 0, len(table)) + table
    whole = bytearray(head + b"".join(body))
    whole[22:26] = crc(whole).to_bytes(4, "little")
    return bytes(whole)


def ogg_pages(
    packets: Sequence[bytes],
    *,
    per_page: int = 10,
    serial: int = 7,
    head: bytes = opus_head(),
    samples: int = 960,
    trim: int = 0,
    granule: int = 0,
) -> list[bytes]:
    """A stream as its pages."""
    pages = [page([head], serial=serial, first=True), page([OPUS_TAGS], serial=serial, number=1)]
    for number, start in enumerate(range(0, len(packets), per_page), 2):
        body = packets[start : start + per_page]
        last = start + per_page >= len(packets)
        granule += samples * len(body)
        pages.append(page(body, serial=serial, number=number, granule=granule - trim * last, last=last))
    return pages


# WebM ------------------------------------------------------------------------------------------------------------


def size(value: int | None, width: int = 8) -> bytes:
    """A size of ``width`` bytes; None: unknown."""
    value = (1 << 7 * width) - 1 if value is None else value
    return (value | 1 << 7 * width).to_bytes(width, "big")


def element(id: int, body: bytes | int | str = b"", *, is_unknown: bool = False, width: int = 4) -> bytes:
    """One element; of unknown size, what is in it follows."""
    if isinstance(body, int):
        body = body.to_bytes(8, "big")
    elif isinstance(body, str):
        body = body.encode()
    identifier = id.to_bytes((id.bit_length() + 7) // 8, "big")
    return identifier + size(None if is_unknown else len(body), 8 if is_unknown else width) + body


def webm_head(
    *,
    head: bytes = opus_head(),
    codec: str = "A_OPUS",
    track: int = 1,
    delay_ns: int = 0,
    type: int = 2,
    more: bytes = b"",
    doc_type: str = "webm",
) -> bytes:
    """As MediaRecorder begins: a segment that never ends, no seek head."""
    entry = element(0xD7, track) + element(0x83, type) + element(0x86, codec) + element(0x63A2, head)
    entry += element(0x56AA, delay_ns) + element(0xE1, element(0x9F, 1)) + more
    return b"".join(
        (
            element(0x1A45DFA3, element(0x4282, doc_type)),
            element(0x18538067, is_unknown=True),
            element(0x1549A966, element(0x2AD7B1, 1_000_000)),
            element(0x1654AE6B, element(0xAE, entry)),
        )
    )


def block(frames: Sequence[bytes], *, kind: str = "none", track: int = 1, time: int = 0) -> bytes:
    """What a SimpleBlock or a Block holds."""
    flags = {"none": 0, "xiph": 1, "fixed": 2, "ebml": 3}[kind]
    start = bytes((0x80 | track,)) + struct.pack(">hB", time, flags << 1)
    if kind == "none":
        (frame,) = frames
        return start + frame
    sizes = b""
    if kind == "xiph":
        sizes = lacing([len(frame) for frame in frames[:-1]])
    elif kind == "ebml":
        lengths = [len(frame) for frame in frames]
        sizes = size(lengths[0], 2) if len(frames) > 1 else b""
        for before, length in pairwise(lengths[:-1]):
            sizes += size(length - before + (1 << 13) - 1, 2)
    return start + bytes((len(frames) - 1,)) + sizes + b"".join(frames)


def cluster(time_ms: int = 0) -> bytes:
    """The start of a cluster of unknown size."""
    return element(0x1F43B675, is_unknown=True) + element(0xE7, time_ms)


def webm(packets: Sequence[bytes], *, per_cluster: int = 10, samples: int = 960, **options: object) -> bytes:
    """A recording."""
    parts = [webm_head(**options)]  # type: ignore[arg-type]
    for number, packet in zip(count(), packets, strict=False):
        ms = number * samples // 48
        if number % per_cluster == 0:
            parts.append(cluster(ms))
        parts.append(
            element(0xA3, block([packet], time=ms - number // per_cluster * per_cluster * samples // 48))
        )
    return b"".join(parts)


# MP3 -------------------------------------------------------------------------------------------------------------


def id3(length: int) -> bytes:
    """A tag of so many bytes, ten of head included, full of what looks like frames."""
    size = length - 10
    body = (b"\xff\xfb\x90\x00" * (size // 4 + 1))[:size]
    return b"ID3\x04\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + body
