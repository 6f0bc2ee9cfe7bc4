"""Heads of requests, and what is said to each."""

WEBSOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"


def request(*lines: bytes, first: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: x") -> bytes:
    return b"\r\n".join([first, *([host] if host else []), *lines]) + b"\r\n\r\n"


SERVED: dict[str, tuple[bytes, tuple[str, str]]] = {
    "plain": (request(first=b"GET /healthz?a=b HTTP/1.1"), ("GET", "/healthz")),
    "upgrade": (request(WEBSOCKET[:-2], first=b"GET /v1/listen?x=1 HTTP/1.1"), ("upgrade", "/v1/listen")),
    "upgrade in capitals": (request(b"CONNECTION: UPGRADE", b"UPGRADE: WebSocket"), ("upgrade", "/")),
    "HTTP/1.0": (request(first=b"GET / HTTP/1.0", host=b""), ("GET", "/")),
    "64 headers": (request(*(b"X-%d: y" % number for number in range(63))), ("GET", "/")),
    "the longest target": (request(first=b"GET /" + b"x" * 8191 + b" HTTP/1.1"), ("GET", "/" + "x" * 8191)),
    "the longest head": (request(b"X: " + b"y" * (16_384 - len(request(b"X: ")))), ("GET", "/")),
    "bytes beyond ASCII elsewhere": (request(b"User-Agent: caf\xe9"), ("GET", "/")),
    "a body": (request(b"Content-Length: 3", first=b"POST / HTTP/1.1"), ("POST", "/")),
    "chunks": (request(b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.1"), ("POST", "/")),
}


NAMES = (
    b"Host",
    b"Origin",
    b"Connection",
    b"Upgrade",
    b"Sec-WebSocket-Key",
    b"Sec-WebSocket-Version",
    b"Sec-WebSocket-Protocol",
    b"Sec-WebSocket-Extensions",
    b"HTTP2-Settings",
)


UNPRINTABLE = {"a byte beyond ASCII": b"\xff", "UTF-8": "ü".encode(), "a control": b"\x01", "DEL": b"\x7f"}


REFUSED: dict[str, tuple[bytes, int]] = {
    **{
        f"{kind} in {name.decode()}": (
            request(name + b": a" + byte + b"b", host=b"" if name == b"Host" else b"Host: x"),
            400,
        )
        for name in NAMES
        for kind, byte in UNPRINTABLE.items()
    },
    "65 headers": (request(*(b"X-%d: y" % number for number in range(64))), 431),
    "a head too long": (request(b"X: " + b"y" * (16_385 - len(request(b"X: ")))), 431),
    "a head far too long": (request(b"X: " + b"y" * 70_000), 431),
    "a head without end": (b"GET / HTTP/1.1\r\nX: " + b"y" * 20_000, 431),
    "a target too long": (request(first=b"GET /" + b"x" * 8192 + b" HTTP/1.1"), 414),
    "a target beyond ASCII": (request(first="GET /ü HTTP/1.1".encode()), 400),
    "an upgrade over HTTP/1.0": (request(WEBSOCKET[:-2], first=b"GET / HTTP/1.0"), 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "HTTP/2 in HTTP/1's clothes": (request(first=b"GET / HTTP/2.0"), 505),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "a TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50), 400),
    "SSH": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 400),
    "two lengths": (
        request(b"Content-Length: 3", b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.1"),
        400,
    ),
    "two different lengths": (
        request(b"Content-Length: 3", b"Content-Length: 4", first=b"POST / HTTP/1.1"),
        400,
    ),
    "a length that is none": (request(b"Content-Length: +3", first=b"POST / HTTP/1.1"), 400),
    "an unknown coding": (request(b"Transfer-Encoding: gzip, chunked", first=b"POST / HTTP/1.1"), 501),
    "an upgrade with a body": (request(WEBSOCKET[:-2], b"Content-Length: 5"), 400),
    "an upgrade with chunks": (request(WEBSOCKET[:-2], b"Transfer-Encoding: chunked"), 400),
    "two hosts": (request(b"Host: y"), 400),
    "no host": (request(host=b""), 400),
    "NUL in a header": (request(b"X: a\0b"), 400),
    "NUL in the target": (request(first=b"GET /\0 HTTP/1.1"), 400),
    "a bare CR in a header": (request(b"X: a\rb"), 400),
    "a blank before the colon": (request(b"X : y"), 400),
    "no colon": (request(b"X"), 400),
    "no name": (request(b": y"), 400),
    "an empty line first": (b"\r\n" + request(), 400),
    "a blank first": (b" " + request(), 400),
    "a folded first header": (b"GET / HTTP/1.1\r\n folded\r\nHost: x\r\n\r\n", 400),
}
