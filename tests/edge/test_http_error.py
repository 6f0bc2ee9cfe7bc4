"""Refusals: short, complete, and never in the way."""

import socket

import pytest
import trio
from trio.testing import MockClock

from routeraudio.edge.http_error import LINGER_S, answer, error_body
from routeraudio.transport.bytestream import ByteStream
from tests.edge.fakes import parsed, until_end
from tests.transport.peers import at_once


def pair() -> tuple[ByteStream, trio.SocketStream]:
    ours, theirs = socket.socketpair()
    return ByteStream(ours), trio.SocketStream(trio.socket.from_stdlib_socket(theirs))


async def test_an_answer_is_complete(autojump_clock: MockClock) -> None:
    """Status, JSON body with its length, further headers, and the end of the connection."""
    stream, far = pair()
    async with far, trio.open_nursery() as nursery:
        nursery.start_soon(answer, stream, 503, error_body('full of "quotes"'), (("retry-after", "5"),))
        with at_once():
            got = parsed(await until_end(far))
    assert got.status == 503
    assert got.json == {"error": 'full of "quotes"'}
    assert (got.headers["content-type"], got.headers["retry-after"]) == ("application/json", "5")
    assert got.headers["connection"] == "close"


async def test_a_peer_that_reads_and_leaves_is_not_waited_for(autojump_clock: MockClock) -> None:
    """The answer ends when the peer does."""
    stream, far = pair()
    async with trio.open_nursery() as nursery:
        with at_once():
            nursery.start_soon(answer, stream, 404, b"{}")
            await until_end(far)
            await far.aclose()
    assert stream.socket.fileno() == -1


async def test_a_peer_that_stays_is_waited_for_so_long(autojump_clock: MockClock) -> None:
    """Lingering has a bound."""
    stream, far = pair()
    async with far:
        began_s = trio.current_time()
        await answer(stream, 404, b"{}")
        assert trio.current_time() - began_s == pytest.approx(LINGER_S)
        assert stream.socket.fileno() == -1


async def test_a_peer_that_is_gone_is_no_error(autojump_clock: MockClock) -> None:
    """Nobody there: the stream is closed, nothing is raised."""
    stream, far = pair()
    await far.aclose()
    with at_once():
        await answer(stream, 404, b"{}")
    assert stream.socket.fileno() == -1


async def test_a_peer_that_reads_nothing_can_be_left(autojump_clock: MockClock) -> None:
    """The caller's deadline ends a send that is stuck, and the socket is closed."""
    stream, far = pair()
    async with far:
        with trio.move_on_after(3) as scope:
            await answer(stream, 400, bytes(4 << 20))
        assert scope.cancelled_caught
        assert stream.socket.fileno() == -1
