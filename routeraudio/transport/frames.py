"""The fast path for the frames that matter: whole, unfragmented data messages (RFC 6455, 5.2).

    byte 0  FIN, three reserved bits, opcode        byte 1  MASK, length or 126 (16 bits follow) or 127 (64 bits)

The protocol objects of `websockets` can do all of this. But nearly all frames here are whole data messages, and for
those their nested generators and byte streams cost several times what is needed (`bench/README.md`). So whole data
messages are cut and built here; every other frame (control, fragment, reserved bits, wrong mask, over the limit) goes
to the protocol object byte for byte, which judges it and answers.
"""

from os import urandom
from struct import Struct
from typing import Final

from websockets.frames import apply_mask  # type: ignore[attr-defined] # their compiled one, where it is built

HEAD_BYTES: Final = 2
MASK_BYTES: Final = 4
MASK_BIT: Final = 0x80
LENGTH_16: Final = 126
LENGTH_64: Final = 127
WHOLE_TEXT: Final = 0x81
WHOLE_BINARY: Final = 0x82
WHOLE: Final = (WHOLE_BINARY, WHOLE_TEXT)

_SHORT: Final = Struct("!BB").pack
_MEDIUM: Final = Struct("!BBH").pack
_LONG: Final = Struct("!BBQ").pack


def unmasked(data: bytes, start: int, stop: int) -> bytes:
    """The payload between ``start`` and ``stop``, whose mask stands before it."""
    return apply_mask(data[start:stop], data[start - MASK_BYTES : start])


def whole(first: int, payload: bytes, *, is_masked: bool) -> bytes:
    """The frame of a whole message; ``first`` is `WHOLE_TEXT` or `WHOLE_BINARY`."""
    mask_bit = MASK_BIT if is_masked else 0
    length = len(payload)
    if length < LENGTH_16:
        head = _SHORT(first, mask_bit | length)
    elif length < 65_536:
        head = _MEDIUM(first, mask_bit | LENGTH_16, length)
    else:
        head = _LONG(first, mask_bit | LENGTH_64, length)
    if not is_masked:
        return head + payload
    mask = urandom(MASK_BYTES)  # 10.3: must be unpredictable
    return b"".join((head, mask, apply_mask(payload, mask)))
