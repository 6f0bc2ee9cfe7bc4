"""A socket before it is a WebSocket: pieces, ends, TLS, and cancellation."""

import socket
import ssl

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from routeraudio.transport.bytestream import ByteStream, close_socket, detach
from tests.transport.peers import at_once, client_tls, server_tls, shake_hands


def pair() -> tuple[ByteStream, trio.SocketStream]:
    ours, theirs = socket.socketpair()
    return ByteStream(ours), trio.SocketStream(trio.socket.from_stdlib_socket(theirs))


async def test_what_was_given_back_comes_first(autojump_clock: MockClock) -> None:
    """Unread data precedes what the socket holds, newest first, in pieces no larger than asked for."""
    stream, far = pair()
    async with stream, far:
        await far.send_all(b"third")
        stream.unread(b"second")
        stream.unread(b"first")
        assert await stream.receive_some(3) == b"fir"
        assert await stream.receive_some() == b"stsecond"
        assert await stream.receive_some() == b"third"


async def test_the_end_is_empty_and_stays(autojump_clock: MockClock) -> None:
    """After the peer's last byte every read is empty."""
    stream, far = pair()
    async with stream:
        await far.send_all(b"last")
        await far.aclose()
        assert [await stream.receive_some() for _ in range(3)] == [b"last", b"", b""]


async def test_large_writes_arrive_whole(autojump_clock: MockClock) -> None:
    """More than the kernel takes at once is written as the peer reads."""
    stream, far = pair()
    data = bytes(range(256)) * 8192
    async with stream, far, trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_all, data)
        read = bytearray()
        while len(read) < len(data):
            read += await far.receive_some()
        assert bytes(read) == data


async def test_a_lost_connection_is_broken(autojump_clock: MockClock) -> None:
    """Reset while reading or writing: Trio's word for it, with the system's as its cause."""
    stream, far = pair()
    async with stream:
        await stream.send_all(b"unread")
        far.socket.close()
        with pytest.raises(trio.BrokenResourceError) as caught:
            await stream.receive_some()
        assert isinstance(caught.value.__cause__, ConnectionResetError)
        with pytest.raises(trio.BrokenResourceError) as caught:
            await stream.send_all(b"x")
        assert isinstance(caught.value.__cause__, BrokenPipeError)


async def test_closing_wakes_who_reads(autojump_clock: MockClock) -> None:
    """A task that waits on a socket which another one closes is told."""
    stream, far = pair()

    async def read() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await stream.receive_some()

    async with far, trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        with at_once():
            stream.close_now()
    stream.close_now()


@pytest.mark.parametrize("what", ["receive", "send"])
async def test_waits_can_be_cancelled(what: str, autojump_clock: MockClock) -> None:
    """Neither a silent peer nor one that does not read holds a cancelled task."""
    stream, far = pair()
    async with stream, far:
        with trio.move_on_after(1) as scope:
            await (stream.receive_some() if what == "receive" else stream.send_all(bytes(4 << 20)))
        assert scope.cancelled_caught


async def test_half_closing(autojump_clock: MockClock) -> None:
    """The peer sees the end and can still answer."""
    stream, far = pair()
    async with stream, far:
        await stream.send_eof()
        assert await far.receive_some() == b""
        await far.send_all(b"answer")
        assert await stream.receive_some() == b"answer"


@pytest.mark.parametrize("side", ["server", "client"])
async def test_tls_with_another_implementation(side: str, autojump_clock: MockClock) -> None:
    """Trio's TLS on the other end: megabytes in both directions, and an end."""
    stream, far = pair()
    wrapped = await shake_hands(side, stream, far)  # type: ignore[arg-type]
    data = bytes(range(256)) * 4096

    async def read(source: trio.abc.ReceiveStream) -> None:
        got = bytearray()
        while len(got) < len(data):
            got += await source.receive_some(50_000)
        assert bytes(got) == data

    async with stream:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, data)
            nursery.start_soon(wrapped.send_all, data)
            nursery.start_soon(read, stream)
            nursery.start_soon(read, wrapped)
        await wrapped.aclose()
        assert await stream.receive_some() == b""


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"\x16\x03\x01\xff\xff" + bytes(500)]
)
async def test_a_client_that_speaks_no_tls(garbage: bytes, autojump_clock: MockClock) -> None:
    """What is no TLS hello fails the handshake with an error of the operating system's kind."""
    stream, far = pair()
    async with stream, far:
        await far.send_all(garbage)
        await far.send_eof()
        with pytest.raises(OSError, match=r".*") as caught:
            await stream.start_tls(server_tls())
        assert isinstance(caught.value, ssl.SSLError | ConnectionError)


async def test_a_client_that_leaves_before_its_hello(autojump_clock: MockClock) -> None:
    """The end of the stream fails the handshake; the socket can still be closed."""
    stream, far = pair()
    await far.aclose()
    with pytest.raises(OSError, match=r".*"):
        await stream.start_tls(server_tls())
    stream.close_now()
    assert stream.socket.fileno() == -1


async def test_a_cancelled_handshake_leaves_nothing(autojump_clock: MockClock) -> None:
    """A peer that says nothing costs a deadline and no descriptor."""
    stream, far = pair()
    async with far:
        with trio.move_on_after(1) as scope:
            await stream.start_tls(client_tls(), server_hostname="peer.test")
        assert scope.cancelled_caught
        stream.close_now()
        assert stream.socket.fileno() == -1


async def test_a_detached_stream_is_the_same_connection(autojump_clock: MockClock) -> None:
    """The socket taken from a Trio stream goes on where it was."""
    ours, theirs = socket.socketpair()
    taken = detach(trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
    theirs.send(b"hello")
    async with ByteStream(taken) as stream:
        assert await stream.receive_some() == b"hello"
    theirs.close()


async def test_closing_twice_is_nothing(autojump_clock: MockClock) -> None:
    """Sockets that are gone are as good as closed."""
    ours, theirs = socket.socketpair()
    theirs.close()
    close_socket(ours)
    close_socket(ours)
