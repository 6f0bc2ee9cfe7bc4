"""The decoder's HTTP client: the standard library's, over connections that the daemon opens.

libav never fetches anything over HTTP itself. It is given file objects, for the source and for what a playlist names,
so that redirects, playlists, segments and their keys all take the one guarded way.
"""

import base64
import http.client
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from routeraudio.pull.faults import SourceFault
from routeraudio.pull.sandbox.broker import Broker

SCHEMES: Final = ("http", "https")

CRYPTO: Final = "crypto+"
"""How libav marks the address of an encrypted segment (HLS, RFC 8216 4.3.2.4)."""

HEAD_BYTES: Final = 4096
"""Looked at to tell a playlist from a recording."""

RETRYABLE: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP answers that may be others in a moment."""

FROM_THE_FIRST: Final = 0


class HttpClient:
    """Opens downloads."""

    def __init__(self, broker: Broker) -> None:
        self._opener = urllib.request.OpenerDirector()
        tls = ssl.create_default_context()
        for handler in (
            _Plain(broker),
            _Secure(broker, tls),
            urllib.request.HTTPRedirectHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
        ):
            self._opener.add_handler(handler)
        self._authorization: dict[str, str] = {}
        """By host and port: what the source's own URL carried. Nobody else is told."""

    def open(self, url: str, *, first: int = FROM_THE_FIRST, end: int | None = None) -> "Download":
        """Download ``url``, or the bytes from ``first`` to before ``end``.

        Raises:
            SourceFault: it cannot be had.
        """
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES or not parts.hostname:
            raise SourceFault("the source leads to an address that is no web address", is_retryable=False)
        place = parts.netloc.rpartition("@")[2]
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._authorization[place] = "Basic " + base64.b64encode(pair.encode()).decode()
        bare = urlunsplit(parts._replace(netloc=place, fragment=""))
        return Download(self, bare, self._get(bare, place, first, end), first)

    def _get(self, url: str, place: str, first: int, end: int | None) -> Any:
        request = urllib.request.Request(url, headers={"User-Agent": "routeraudio", "Accept": "*/*"})  # noqa: S310 - see `open`
        if place in self._authorization:
            # Unredirected: it must not follow a redirect to somebody else.
            request.add_unredirected_header("Authorization", self._authorization[place])
        if first or end is not None:
            request.add_header("Range", f"bytes={first}-{'' if end is None else end - 1}")
        try:
            response = self._opener.open(request)
        except urllib.error.HTTPError as error:
            raise SourceFault(
                f"the source answered HTTP {error.code}", is_retryable=error.code in RETRYABLE
            ) from None
        except (OSError, http.client.HTTPException, ValueError):
            raise SourceFault("the source does not answer as a web server does", is_retryable=True) from None
        if request.has_header("Range") and response.status != http.client.PARTIAL_CONTENT:
            raise SourceFault("the source cannot be read from the middle", is_retryable=False)
        return response


class Download:
    """A response as the file that libav wants. Seeks by asking anew, where the server can."""

    def __init__(self, web: HttpClient, url: str, response: Any, at: int) -> None:
        self._web = web
        self._response = response
        self._at = at
        self._head = b""
        self._left = response.length
        """Bytes that are still owed; None: nobody knows."""
        self.name = response.url
        """Where redirects led; what a playlist's relative addresses are relative to."""
        self.size = None if self._left is None else at + self._left
        self._url = url
        self.lost: SourceFault | None = None
        """What was raised in the middle. libav takes it for the end where it has something to return."""
        self._can_seek = self.size is not None and response.headers.get("Accept-Ranges") == "bytes"

    def peek(self) -> bytes:
        """The first bytes, which are read again afterwards."""
        while len(self._head) < HEAD_BYTES and (more := self._receive(HEAD_BYTES)):
            self._head += more
        return self._head

    def read(self, size: int = -1) -> bytes:
        """See `io.RawIOBase.read`.

        Raises:
            SourceFault: the connection was lost in the middle.
        """
        most = size if size >= 0 else self._left or 0
        if self._head:
            data, self._head = self._head[:most], self._head[most:]
        else:
            data = self._receive(most)
        self._at += len(data)
        return data

    def seekable(self) -> bool:
        """See `io.IOBase.seekable`."""
        return self._can_seek

    def tell(self) -> int:
        """See `io.IOBase.tell`."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """See `io.IOBase.seek`.

        Raises:
            SourceFault: the server cannot go there after all.
        """
        assert self.size is not None
        target = offset + (0, self._at, self.size)[whence]
        if target != self._at:
            self.close()
            again = self._web.open(self._url, first=target) if target < self.size else None
            self._response = None if again is None else again._response
            self._left = 0 if again is None else again._left
            self._head, self._at = b"", target
        return target

    def close(self) -> None:
        """Close the connection."""
        if self._response is not None:
            self._response.close()

    def _receive(self, most: int) -> bytes:
        if self._response is None or not most:
            return b""
        try:
            data: bytes = self._response.read1(most)
        except (OSError, http.client.HTTPException):
            raise self._broken() from None
        if self._left is not None:
            self._left -= len(data)
            if not data and self._left > 0:
                raise self._broken()
        return data

    def _broken(self) -> SourceFault:
        self.lost = SourceFault("the connection to the source was lost", is_retryable=True)
        return self.lost


class Deciphered:
    """An encrypted segment, in the clear (AES-128 in CBC mode; RFC 8216 5.2)."""

    def __init__(self, download: Download, key: bytes, iv: bytes) -> None:
        self._download = download
        self._cipher = Cipher(AES(key), CBC(iv)).decryptor()
        self._padding = PKCS7(128).unpadder()
        self._is_over = False

    def read(self, size: int = -1) -> bytes:
        """See `io.RawIOBase.read`."""
        clear = b""
        while not clear and not self._is_over:
            data = self._download.read(size)
            try:
                clear = self._clear(data)
            except ValueError:
                raise SourceFault("an encrypted segment cannot be decrypted", is_retryable=True) from None
        return clear

    def close(self) -> None:
        """Close the connection."""
        self._download.close()

    def _clear(self, data: bytes) -> bytes:
        if data:
            return self._padding.update(self._cipher.update(data))
        self._is_over = True
        return self._padding.update(self._cipher.finalize()) + self._padding.finalize()


def opener(web: HttpClient) -> Callable[[str, int, dict[str, str]], "Download | Deciphered"]:
    """What libav calls for everything a playlist names."""

    def open_named(url: str, _flags: int, options: dict[str, str]) -> Download | Deciphered:
        end = int(options["end_offset"]) if "end_offset" in options else None
        download = web.open(url.removeprefix(CRYPTO), first=int(options.get("offset", 0)), end=end)
        if not url.startswith(CRYPTO):
            return download
        return Deciphered(download, bytes.fromhex(options["key"]), bytes.fromhex(options["iv"]))

    return open_named


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, broker: Broker) -> None:
        super().__init__()
        self._broker = broker

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        def connection(host: str, **options: Any) -> http.client.HTTPConnection:
            return _HttpConnection(self._broker, host, **options)

        return self.do_open(connection, request)


class _Secure(urllib.request.HTTPSHandler):
    def __init__(self, broker: Broker, tls: ssl.SSLContext) -> None:
        super().__init__(context=tls)
        self._broker = broker
        self._tls = tls

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        def connection(host: str, **options: Any) -> http.client.HTTPConnection:
            return _HttpsConnection(self._broker, self._tls, host, **options)

        return self.do_open(connection, request)


class _HttpConnection(http.client.HTTPConnection):
    def __init__(self, broker: Broker, host: str, **options: Any) -> None:
        super().__init__(host, **options)
        self._broker = broker

    def connect(self) -> None:
        self.sock: socket.socket = self._broker.connect(self.host, self.port)


class _HttpsConnection(http.client.HTTPSConnection):
    def __init__(self, broker: Broker, tls: ssl.SSLContext, host: str, **options: Any) -> None:
        super().__init__(host, context=tls, **options)
        self._broker = broker
        self._tls = tls

    def connect(self) -> None:
        plain = self._broker.connect(self.host, self.port)
        self.sock: socket.socket = self._tls.wrap_socket(plain, server_hostname=self.host)
