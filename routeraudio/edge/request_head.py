"""Read one HTTP request head, bounded in bytes and time, and refuse what is malformed before anything else sees it.

h11 parses. On top stand checks for what is legal HTTP but has crashed or confused servers behind a door like this:
unprintable bytes in the headers of an upgrade, two ways to tell the length of a body, HTTP/1.0 upgrades.
"""

import re
from typing import Final

import h11
import msgspec
import trio

from routeraudio.dialects.base import Request
from routeraudio.policy.limits import Limits
from routeraudio.transport.bytestream import ByteStream

_PRINTABLE: Final = re.compile(rb"[\t\x20-\x7e]*")

_ASCII_ONLY: Final = frozenset(
    (
        b"host",
        b"origin",
        b"connection",
        b"upgrade",
        b"transfer-encoding",
        b"content-length",
        b"http2-settings",
    )
)

_OFFERS: Final = (b"upgrade", b"http2-settings")


class BadRequestHead(Exception):
    """A request head that cannot be served. The message says what was expected; it never quotes the head."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Head(msgspec.Struct, frozen=True):
    """A request head."""

    request: Request
    method: str
    is_upgrade: bool
    """Asks for a WebSocket."""
    data: bytes
    """The head for an HTTP server: what was understood of it, without offers to go on in another protocol."""
    rest: bytes
    """What came behind it."""

    def __repr__(self) -> str:
        return f"Head({self.method} {self.request.path!r}, …)"


async def read_head(stream: ByteStream, limits: Limits) -> Head | None:
    """The next head on ``stream``; None: the peer left without a word.

    Raises:
        BadHead: malformed, too large, or too slow.
        trio.BrokenResourceError: the connection is lost.
    """
    data = b""
    with trio.move_on_after(limits.head_s):
        while b"\r\n\r\n" not in data:
            if len(data) > limits.head_bytes:
                raise BadRequestHead(431, f"the request head must have at most {limits.head_bytes} bytes")
            more = await stream.receive_some()
            if not more:
                if data:
                    raise BadRequestHead(400, "the request head is incomplete")
                return None
            data += more
            if not _may_be_http(data):
                raise BadRequestHead(400, "expected an HTTP/1.1 request")
        return parse_head(data, limits)
    if not data:
        return None
    raise BadRequestHead(408, f"the request head must arrive within {limits.head_s:g} s")


def parse_head(data: bytes, limits: Limits) -> Head:
    """Parse ``data``, which holds a complete head.

    Raises:
        BadHead: malformed or over a limit.
    """
    end = data.index(b"\r\n\r\n") + 4
    data, rest = data[:end], data[end:]
    if end > limits.head_bytes:
        raise BadRequestHead(431, f"the request head must have at most {limits.head_bytes} bytes")
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head_bytes)
    try:
        connection.receive_data(data)
        event = connection.next_event()
    except h11.RemoteProtocolError as exc:
        raise BadRequestHead(exc.error_status_hint, "the request head is not valid HTTP/1.1") from exc
    if not isinstance(event, h11.Request):
        raise BadRequestHead(400, "the request head is not valid HTTP/1.1")
    _check(event, limits)
    path, _, query = event.target.decode("ascii").partition("?")
    headers: dict[str, str] = {}
    for raw_name, raw_value in event.headers:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    is_upgrade = "websocket" in headers.get("upgrade", "").lower()
    if is_upgrade and event.http_version != b"1.1":
        raise BadRequestHead(400, "an upgrade needs HTTP/1.1")
    if is_upgrade and (headers.get("content-length", "0") != "0" or "transfer-encoding" in headers):
        raise BadRequestHead(400, "an upgrade request has no body")
    return Head(Request(path, query, headers), event.method.decode("ascii"), is_upgrade, _plain(event), rest)


def _check(event: h11.Request, limits: Limits) -> None:
    if event.http_version not in (b"1.0", b"1.1"):
        raise BadRequestHead(505, "expected an HTTP/1.1 request")
    if len(event.headers) > limits.head_headers_max:
        raise BadRequestHead(431, f"a request must have at most {limits.head_headers_max} headers")
    if len(event.target) > limits.target_bytes:
        raise BadRequestHead(414, f"path and query must have at most {limits.target_bytes} bytes")
    if not event.target.isascii():
        raise BadRequestHead(400, "path and query must be percent-encoded ASCII")
    if not event.target.startswith(b"/"):
        raise BadRequestHead(400, "a request names a path, which begins with /")
    names = [name for name, _ in event.headers]
    for name, value in event.headers:
        if (name in _ASCII_ONLY or name.startswith(b"sec-websocket-")) and not _PRINTABLE.fullmatch(value):
            raise BadRequestHead(400, f"the header {name.decode('ascii')} must be printable ASCII")
    if b"content-length" in names and b"transfer-encoding" in names:
        raise BadRequestHead(400, "a request tells the length of its body in one way, not in two")
    if names.count(b"host") != 1 and event.http_version == b"1.1":
        raise BadRequestHead(400, "a request needs exactly one Host header")


def _plain(event: h11.Request) -> bytes:
    """The head once more. Hypercorn would take an offer of HTTP/2 (`h2c`)."""
    first = b"%b %b HTTP/%b" % (event.method, event.target, event.http_version)
    kept = [b"%b: %b" % header for header in event.headers if header[0] not in _OFFERS]
    return b"\r\n".join([first, *kept, b"", b""])


def _may_be_http(data: bytes) -> bool:
    """Whether ``data`` can begin an HTTP/1 request: a TLS hello or HTTP/2 preface is refused at its first bytes."""
    return data[:1].isalpha() and not data.startswith(b"PRI * HTTP/2")
