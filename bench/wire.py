"""Just enough RFC 6455 and just enough Deepgram to measure with.

The measuring processes must never be the bottleneck, so they do not use a WebSocket library: frames are built
once, stamped in place, and parsed by a dozen lines. This is no product code and takes no hostile input.

**Audio.** A client message is one block: 20 ms of 16 kHz PCM, 640 bytes. Its first 16 bytes are a stamp:
session, number of the block within the session, and the monotonic clock at the moment of sending. A proxy
passes PCM through untouched, so the sink finds the stamp wherever the block ends up, also when several came
as one message.

**Replies.** Every fifth block is answered with a Deepgram `Results` message. The clock at the moment of
sending stands in the transcript's text, behind an `@`: it survives normalisation into any other JSON.

CLOCK_MONOTONIC is one clock for all processes of a machine.
"""

import math
import struct
from typing import Final, NamedTuple

BLOCK_BYTES: Final = 640
BLOCKS_PER_S: Final = 50
BLOCKS_PER_REPLY: Final = 5

TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

STAMP: Final = struct.Struct("!IIQ")
"""Session (with the MEASURED bit), block number, nanoseconds."""
MEASURED: Final = 1 << 31
"""Set in a stamp's session while the run is measured, clear while it warms up."""

_FIN: Final = 0x80
_MASKED: Final = 0x80
_ZERO_KEY: Final = bytes(4)
"""Legal on the wire (RFC 6455 5.3 asks for an unpredictable key, for the sake of caches between browser and
server), costs the proxy the same, and lets the generator stamp a finished frame in place."""


def frame(opcode: int, payload: bytes, *, masked: bool = False) -> bytes:
    """One complete, unfragmented frame; masked with the zero key where the sender is a client."""
    length = len(payload)
    bit = _MASKED if masked else 0
    if length < 126:
        head = struct.pack("!BB", _FIN | opcode, bit | length)
    elif length < 65_536:
        head = struct.pack("!BBH", _FIN | opcode, bit | 126, length)
    else:
        head = struct.pack("!BBQ", _FIN | opcode, bit | 127, length)
    return head + (_ZERO_KEY if masked else b"") + payload


class Frame(NamedTuple):
    """A frame as it came; the payload is still masked with `key`."""

    opcode: int
    """0 continues the message before."""
    key: bytes | None
    payload: bytes

    def unmasked(self) -> bytes:
        """The payload in the clear. For control frames and texts: audio is never unmasked as a whole."""
        if self.key is None:
            return self.payload
        return unmask(self.payload, self.key)


def unmask(payload: bytes, key: bytes) -> bytes:
    """XOR of a few bytes with the repeated key."""
    length = len(payload)
    pad = (key * (length // 4 + 1))[:length]
    return (int.from_bytes(payload) ^ int.from_bytes(pad)).to_bytes(length)


def take_frames(data: bytes) -> tuple[list[Frame], bytes]:
    """Splits the complete frames off ``data``.

    Returns:
        The frames, and the rest, which belongs in front of the next bytes that arrive.
    """
    frames = []
    at = 0
    while (found := _frame_at(data, at)) is not None:
        one, at = found
        frames.append(one)
    return frames, data[at:]


def _frame_at(data: bytes, at: int) -> tuple[Frame, int] | None:
    available = len(data) - at
    if available < 2:
        return None
    first, second = data[at], data[at + 1]
    length, head = second & 0x7F, 2
    if length == 126:
        length, head = int.from_bytes(data[at + 2 : at + 4]), 4
    elif length == 127:
        length, head = int.from_bytes(data[at + 2 : at + 10]), 10
    key_at = at + head
    if second & _MASKED:
        head += 4
    if available < head or available < head + length:
        return None
    key = data[key_at : key_at + 4] if second & _MASKED else None
    end = at + head + length
    return Frame(first & 0x0F, key, data[at + head : end]), end


# -- Audio -----------------------------------------------------------------------------------------------

FRAME_HEAD_BYTES: Final = 8
"""Of a masked frame of one block: two bytes, 16-bit length, key."""


def block_frame() -> bytearray:
    """A finished client frame of one block of sound; its stamp goes to offset FRAME_HEAD_BYTES."""
    # A tone, as predictable as speech: of noise the daemon's look for wrong encodings is three times as long.
    sound = b"".join(
        round(8000 * math.sin(2 * math.pi * at / 32)).to_bytes(2, "little", signed=True) for at in range(320)
    )
    return bytearray(frame(BINARY, sound, masked=True))


# -- Replies ---------------------------------------------------------------------------------------------

STAMP_MARK: Final = b"@"
STAMP_DIGITS: Final = 18
"""Nanoseconds since boot: enough for thirty years."""

_WORDS: Final = ("two", "tickets", "to", "the", "museum", "please")


class Reply:
    """A server frame holding a Deepgram v1 `Results` message of about 700 bytes, finished but for its stamp.

    Args:
        is_final: an interim otherwise. Finals are endpoints as well (`speech_final`).
    """

    def __init__(self, *, is_final: bool) -> None:
        whole = frame(TEXT, _results(is_final).encode())
        before, mark, after = whole.partition(STAMP_MARK + b"0" * STAMP_DIGITS)
        self._before = before + STAMP_MARK
        self._after = after
        assert mark

    def stamped(self, now_ns: int) -> bytes:
        """The frame, sent at ``now_ns``."""
        return b"%b%0*d%b" % (self._before, STAMP_DIGITS, now_ns, self._after)


def reply_sent_ns(payload: bytes) -> int | None:
    """When the reply inside this client message was sent; None: the message carries no reply."""
    at = payload.rfind(STAMP_MARK)
    if at < 0:
        return None
    return int(payload[at + 1 : at + 1 + STAMP_DIGITS])


def _results(is_final: bool) -> str:
    flag = str(is_final).lower()
    text = f"{STAMP_MARK.decode()}{'0' * STAMP_DIGITS} {' '.join(_WORDS)}"
    return (
        '{"type":"Results","channel_index":[0,1],"duration":2.4,"start":3.2,'
        f'"is_final":{flag},"speech_final":{flag},'
        f'"channel":{{"alternatives":[{{"transcript":"{text}","confidence":0.99512,'
        f'"words":[{",".join(_word(number, word) for number, word in enumerate(_WORDS))}]}}]}},'
        '"metadata":{"request_id":"5e0f3f6e-0c8f-4f52-a6a5-0d9d3d5c7c10"},"from_finalize":false}'
    )


def _word(number: int, word: str) -> str:
    start_s = 3.2 + 0.4 * number
    return (
        f'{{"word":"{word}","start":{start_s:.2f},"end":{start_s + 0.36:.2f},'
        f'"confidence":0.99{number},"punctuated_word":"{word}"}}'
    )
