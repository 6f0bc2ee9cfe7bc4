"""Wyoming's framing: a line of JSON, then as many bytes of data (JSON) and of payload as it says.

    {"type":"audio-chunk","version":"1.10.2","data_length":61,"payload_length":2048}\\n{"rate":16000,…}…2048 bytes…

Documentation: https://github.com/OHF-Voice/wyoming (2026-11). Its package reads with asyncio, and without bounds.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

LINE_BYTES_MAX: Final = 65_536
DATA_BYTES_MAX: Final = 1_048_576
PAYLOAD_BYTES_MAX: Final = 1_048_576
"""32 s of audio; Home Assistant sends 64 ms."""

VERSION: Final = "1.10.2"
"""Of the package that this was read from."""


class Event(msgspec.Struct, frozen=True):
    """One message."""

    type: str
    data: dict[str, Any]
    payload: bytes = b""


class Malformed(Exception):
    """Bytes that are no event; the sentence tells why."""


class _Head(msgspec.Struct):
    type: str
    data: dict[str, Any] = {}
    data_length: int | None = None
    payload_length: int | None = None


_decode_head: Final = msgspec.json.Decoder(_Head).decode
_decode_data: Final = msgspec.json.Decoder(dict[str, Any]).decode
_encode: Final = msgspec.json.Encoder().encode


class Reader:
    """Makes events of bytes, however they are cut."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._head: _Head | None = None

    def push(self, data: bytes) -> Iterator[Event]:
        """The events that are complete with ``data``.

        Raises:
            Malformed: what came is none, or over a bound; nothing more is read.
        """
        self._held += data
        while (event := self._next()) is not None:
            yield event

    def _next(self) -> Event | None:
        if self._head is None and not self._read_head():
            return None
        head = self._head
        assert head is not None
        data_bytes, payload_bytes = head.data_length or 0, head.payload_length or 0
        if len(self._held) < data_bytes + payload_bytes:
            return None
        data = head.data
        if data_bytes:
            data = data | self._data(bytes(self._held[:data_bytes]))
        payload = bytes(self._held[data_bytes : data_bytes + payload_bytes])
        del self._held[: data_bytes + payload_bytes]
        self._head = None
        return Event(head.type, data, payload)

    def _read_head(self) -> bool:
        end = self._held.find(b"\n", 0, LINE_BYTES_MAX + 1)
        if end < 0:
            if len(self._held) > LINE_BYTES_MAX:
                raise Malformed(f"a line has at most {LINE_BYTES_MAX} bytes")
            return False
        line = bytes(self._held[:end])
        del self._held[: end + 1]
        try:
            head = _decode_head(line)
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            raise Malformed("expected a line of JSON with a type") from None
        lengths = ((head.data_length, DATA_BYTES_MAX), (head.payload_length, PAYLOAD_BYTES_MAX))
        if any(length is not None and not 0 <= length <= most for length, most in lengths):
            raise Malformed(
                f"expected at most {DATA_BYTES_MAX} bytes of data and {PAYLOAD_BYTES_MAX} of payload"
            )
        self._head = head
        return True

    def _data(self, data: bytes) -> dict[str, Any]:
        try:
            return _decode_data(data)
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            raise Malformed("expected data that is a JSON object") from None


def written(kind: str, data: Mapping[str, Any]) -> bytes:
    """An event as it is sent: clients read lines of at most 64 KiB, and data of any length."""
    body = _encode(data)
    return _encode({"type": kind, "version": VERSION, "data_length": len(body)}) + b"\n" + body
