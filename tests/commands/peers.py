"""Servers for the client to meet, in memory, so that their time can be virtual."""

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable

import trio
import trio.testing

Peer = Callable[[trio.abc.Stream], Awaitable[None]]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


async def accept(stream: trio.abc.Stream) -> bytes:
    """Answer the WebSocket handshake by hand; returns the request's head."""
    head = await read_head(stream)
    key = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)
    assert key is not None
    answer = base64.b64encode(hashlib.sha1(key[1] + _GUID).digest())
    await stream.send_all(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + answer + b"\r\n\r\n"
    )
    return head


async def read_head(stream: trio.abc.Stream) -> bytes:
    """The request up to its empty line."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = await stream.receive_some()
        assert piece
        head += piece
    return head


def frame(opcode: int, payload: bytes) -> bytes:
    """One short unmasked frame, as servers send them."""
    assert len(payload) < 126
    return bytes([0x80 | opcode, len(payload)]) + payload
