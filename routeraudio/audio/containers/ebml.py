"""EBML, which WebM is made of: elements, numbers, and Matroska's ways to lace frames. Source: RFC 8794."""

from typing import Final

import msgspec

UNKNOWN: Final = -1
"""The size of an element that ends where another one begins."""


class Malformed(Exception):
    """Bytes that are no element."""


class Element(msgspec.Struct):
    id: int
    body: int
    """Index in the bytes it was read from."""
    size: int


def element(data: bytes, at: int) -> Element:
    """Head of the element at ``at``.

    Raises:
        IndexError: bytes are missing.
    """
    width = 9 - data[at].bit_length()
    if width > 4:
        raise Malformed
    body = at + width
    size, end = vint(data, body)
    if end > len(data):
        raise IndexError
    if size == (1 << 7 * (end - body)) - 1:
        size = UNKNOWN
    return Element(int.from_bytes(data[at:body], "big"), end, size)


def vint(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable width, and where it ends, perhaps beyond the data (RFC 8794 section 4)."""
    first = data[at]
    width = 9 - first.bit_length()
    if width > 8:
        raise Malformed
    end = at + width
    return int.from_bytes(data[at:end], "big") & ((1 << 7 * width) - 1), end


# Lacing (RFC 9559 section 5.1.4.5.3 and following) ---------------------------------------------------------------


def frames(block: bytes, at: int, flags: int) -> list[bytes]:
    """The frames of a block whose content begins at ``at``."""
    lacing = flags >> 1 & 3
    if not lacing:
        return [block[at:]]
    count = block[at] + 1
    at += 1
    if lacing == 2:
        size, rest = divmod(len(block) - at, count)
        if rest:
            raise Malformed
        sizes = [size] * (count - 1)
    else:
        sizes, at = (_xiph_sizes if lacing == 1 else _ebml_sizes)(block, at, count - 1)
    frames = []
    for size in sizes:
        frames.append(block[at : at + size])
        at += size
    if at > len(block) or any(size < 0 for size in sizes):
        raise Malformed
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
    size, at = vint(block, at)
    sizes = [size]
    for _ in range(count - 1):
        start = at
        value, at = vint(block, at)
        size += value - ((1 << (7 * (at - start) - 1)) - 1)
        sizes.append(size)
    return sizes, at
