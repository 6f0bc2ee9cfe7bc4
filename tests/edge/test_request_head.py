"""Heads of requests: what is served, what is refused with which status, however it arrives."""

import socket

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from routeraudio.edge.request_head import BadRequestHead, Head, parse_head, read_head
from routeraudio.policy.limits import Limits
from routeraudio.transport.bytestream import ByteStream
from tests.edge.heads import REFUSED, SERVED, request

LIMITS = Limits()

Verdict = tuple[str, str] | int | None
"""What it is and its path, or the status it is refused with; None: the peer left without a word."""


async def verdict(*pieces: bytes, limits: Limits = LIMITS, is_end: bool = False) -> Verdict:
    """What `read_head` makes of ``pieces``, each its own segment."""
    ours, theirs = socket.socketpair()
    result: list[Verdict] = []

    async def read(stream: ByteStream) -> None:
        try:
            head = await read_head(stream, limits)
        except BadRequestHead as bad:
            result.append(bad.status)
        else:
            result.append(None if head is None else shown(head))

    async with ByteStream(ours) as stream, trio.open_nursery() as nursery:
        nursery.start_soon(read, stream)
        for piece in pieces:
            theirs.send(piece)
            await trio.testing.wait_all_tasks_blocked()
        if is_end:
            theirs.close()
    theirs.close()
    return result[0]


def shown(head: Head) -> tuple[str, str]:
    return ("upgrade" if head.is_upgrade else head.method, head.request.path)


@pytest.mark.parametrize("name", [*SERVED, *REFUSED])
async def test_the_verdict_does_not_depend_on_segments(name: str, autojump_clock: MockClock) -> None:
    """Whole, or cut at any of many places, a head has one verdict, at once."""
    data, expected = {**SERVED, **REFUSED}[name]
    cuts = (
        range(1, len(data)) if len(data) < 300 else [*range(1, 40), *range(40, len(data), 997), len(data) - 1]
    )
    began_s = trio.current_time()
    assert await verdict(data) == expected
    for cut in cuts:
        assert await verdict(data[:cut], data[cut:]) == expected, cut
    assert trio.current_time() == began_s


@pytest.mark.parametrize("name", ["plain", "upgrade", "two hosts", "HTTP/2", "UTF-8 in Origin"])
async def test_byte_by_byte_the_verdict_is_the_same(name: str, autojump_clock: MockClock) -> None:
    """A head that comes one byte at a time, within its time, is like another."""
    data, expected = {**SERVED, **REFUSED}[name]
    assert await verdict(*(bytes([byte]) for byte in data)) == expected


async def test_what_stands_behind_a_head_is_kept(autojump_clock: MockClock) -> None:
    """A body, or frames, in the same segment are handed on."""
    data, _ = SERVED["a body"]
    head = parse_head(data + b"abc\r\n\r\n", LIMITS)
    assert head.data.lower() == data.lower()
    assert head.rest == b"abc\r\n\r\n"


async def test_offers_of_other_protocols_are_dropped() -> None:
    """What is handed to the HTTP server offers no upgrade; everything else stays."""
    offer = request(b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAMA", b"X: y")
    again = request(b"connection: Upgrade, HTTP2-Settings", b"x: y", host=b"host: x")
    assert parse_head(offer, LIMITS).data == again


async def test_headers_are_told_apart(autojump_clock: MockClock) -> None:
    """Names in lower case, repeated ones joined, the query as it came; nothing of it in the representation."""
    head = parse_head(
        request(b"X-API-Key: secret", b"A: 1", b"a: 2", first=b"GET /p?q=%20&api_key=s HTTP/1.1"), LIMITS
    )
    assert head.request.headers == {"host": "x", "x-api-key": "secret", "a": "1, 2"}
    assert (head.request.path, head.request.query) == ("/p", "q=%20&api_key=s")
    assert "secret" not in repr(head)
    assert "api_key" not in repr(head)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: x\r\n", request().replace(b"\r\n", b"\n"), b"G"])
async def test_a_head_that_does_not_come_is_not_waited_for(data: bytes, autojump_clock: MockClock) -> None:
    """Half a head has so long to become a whole one."""
    began_s = trio.current_time()
    assert await verdict(data) == 408
    assert trio.current_time() - began_s == pytest.approx(LIMITS.head_s)


async def test_a_head_in_drops_has_no_more_time(autojump_clock: MockClock) -> None:
    """The deadline is for the whole head, not for each byte."""
    ours, theirs = socket.socketpair()
    async with ByteStream(ours) as stream, trio.open_nursery() as nursery:

        async def drip() -> None:
            for byte in request(b"X: " + b"y" * 1000):
                theirs.send(bytes([byte]))
                await trio.sleep(0.5)

        nursery.start_soon(drip)
        began_s = trio.current_time()
        with pytest.raises(BadRequestHead) as caught:
            await read_head(stream, LIMITS)
        assert trio.current_time() - began_s == pytest.approx(LIMITS.head_s)
        assert caught.value.status == 408
        nursery.cancel_scope.cancel()
    theirs.close()


async def test_a_peer_that_says_nothing(autojump_clock: MockClock) -> None:
    """Silence, and leaving without a word, are no faults: balancers look that way."""
    assert await verdict() is None
    assert await verdict(is_end=True) is None
    assert await verdict(b"GET / HT", is_end=True) == 400


@pytest.mark.parametrize("target", [b"?x", b"x", b"*", b"http://x/", b"//?", b"%2f", b";", b"#"])
async def test_a_target_is_a_path(target: bytes, autojump_clock: MockClock) -> None:
    """What names none crashed the server behind the door."""
    answer = await verdict(request(first=b"GET " + target + b" HTTP/1.1"))
    assert answer == (400 if target[:1] != b"/" else ("GET", "//"))


async def test_limits_are_the_configurations(autojump_clock: MockClock) -> None:
    """Each bound can be moved."""
    narrow = msgspec.structs.replace(LIMITS, head_bytes=100, head_headers_max=2, target_bytes=10)
    assert await verdict(request(), limits=narrow) == ("GET", "/")
    assert await verdict(request(b"A: 1", b"B: 2"), limits=narrow) == 431
    assert await verdict(request(first=b"GET /0123456789 HTTP/1.1"), limits=narrow) == 414
    assert await verdict(request(b"A: " + b"x" * 100), limits=narrow) == 431


KNOWN = [b"Host: x", b"Upgrade: websocket", b"Connection: Upgrade", b"Content-Length: 1", b"A: b", b" folded"]
LINES = st.lists(st.sampled_from(KNOWN) | st.binary(max_size=20), max_size=6)


@given(
    st.sampled_from([b"GET / HTTP/1.1", b"GET / HTTP/1.0", b"POST /x?y HTTP/1.1", b"OPTIONS * HTTP/1.1"])
    | st.binary(max_size=30),
    LINES,
)
def test_whatever_comes_there_is_a_verdict(first: bytes, lines: list[bytes]) -> None:
    """Any bytes are either a head or refused with a status of refusal; nothing else is raised."""
    try:
        head = parse_head(b"\r\n".join([first, *lines]) + b"\r\n\r\n", LIMITS)
    except BadRequestHead as bad:
        is_right = 400 <= bad.status < 600 and bad.message.isprintable()
    else:
        names = ("host", "upgrade", "connection")
        is_right = all(head.request.headers.get(name, "").replace("\t", " ").isprintable() for name in names)
    assert is_right
