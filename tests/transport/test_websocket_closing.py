"""How a connection ends, and that its socket is released whatever the peer does."""

import socket
import struct

import pytest
import trio
import trio.testing
from trio.testing import MockClock
from wsproto.events import CloseConnection

from routeraudio.session.streams import Closed
from routeraudio.transport.websocket import WebSocket
from tests.transport.peers import (
    CLIENT,
    CLOSE_S,
    KINDS,
    PATIENCE_S,
    SERVER,
    Kind,
    Line,
    Recorder,
    at_once,
    binary,
    clog,
    is_released,
    open_line,
    polling,
    protocol,
    text,
)

# The peer ends it.


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_the_peers_code_and_reason_are_told(kind: Kind, autojump_clock: MockClock) -> None:
    """A close frame is reported once and answered with the same code."""
    async with open_line(kind) as line:
        await line.peer.say(CloseConnection(code=4040, reason="größer"))
        with at_once():
            assert await line.listener.end() == Closed(4040, "größer")
            assert (await line.peer.closing()).code == 4040
        assert len(line.listener.closings) == 1


async def test_a_close_frame_without_a_code_is_1005(autojump_clock: MockClock) -> None:
    """The code that stands for none is told, and the answer has none either."""
    async with open_line() as line:
        await line.peer.say_raw(b"\x88\x80\0\0\0\0")
        assert await line.listener.end() == Closed(1005, "")
        assert await line.peer.event() is not None


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
async def test_a_client_that_closes_is_let_go_at_once(is_tls: bool, autojump_clock: MockClock) -> None:
    """A client waits for the server to end the connection (RFC 6455, 7.1.1): it does, without a deadline."""
    async with open_line(Kind("server", is_tls)) as line:
        await line.peer.say(CloseConnection(code=1000))
        with at_once():
            await line.listener.end()
            await line.peer.eof()


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
async def test_once_the_client_has_gone_nobody_waits(is_tls: bool, autojump_clock: MockClock) -> None:
    """The server's `aclose` ends when the client, having seen the end of the stream, closes its side."""
    async with open_line(Kind("server", is_tls)) as line, trio.open_nursery() as nursery:
        await line.peer.say(CloseConnection(code=1000))
        await line.listener.end()
        with at_once():
            nursery.start_soon(line.driver.aclose)
            await line.peer.eof()
            await trio.aclose_forcefully(line.peer.stream)
            await trio.testing.wait_all_tasks_blocked()
            assert is_released(line)


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_an_end_without_a_close_frame_is_told(kind: Kind, autojump_clock: MockClock) -> None:
    """The end of the stream is the end of the connection, after everything that came before it."""
    async with open_line(kind) as line:
        await line.peer.say(text("last"), binary(b"words"))
        await trio.aclose_forcefully(line.peer.stream)
        with at_once():
            ended = await line.listener.end()
        assert (ended.code, ended.is_violation) == (None, False)
        assert line.listener.messages == ["last", b"words"]
        assert is_released(line)


async def test_half_a_frame_before_the_end_is_no_message(autojump_clock: MockClock) -> None:
    """A message cut off by the end of the stream is not delivered."""
    async with open_line() as line:
        await line.peer.say_raw(line.peer.encode(binary(b"complete"), binary(b"cut off"))[:-1])
        await trio.aclose_forcefully(line.peer.stream)
        assert (await line.listener.end()).code is None
        assert line.listener.messages == [b"complete"]


async def test_a_peer_that_stops_sending_is_gone(autojump_clock: MockClock) -> None:
    """A half-closed stream cannot carry a closing handshake."""
    async with open_line() as line:
        assert isinstance(line.peer.stream, trio.SocketStream)
        await line.peer.stream.send_eof()
        with at_once():
            assert (await line.listener.end()).code is None
            assert is_released(line)


async def test_a_reset_connection_is_told(autojump_clock: MockClock) -> None:
    """A reset is an end like another, and releases the socket."""
    listening = socket.create_server(("127.0.0.1", 0))
    theirs = socket.create_connection(listening.getsockname())
    ours, _ = listening.accept()
    listening.close()
    ours.setblocking(False)
    listener = Recorder()
    async with polling() as poller:
        driver = WebSocket(ours, protocol("server", 1000), poller, ping_s=20, pong_s=20, close_s=5)
        driver.start(listener)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        assert (await listener.end()).code is None
        assert ours.fileno() == -1


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_a_peer_that_leaves_with_our_output_unread_is_noticed(
    kind: Kind, autojump_clock: MockClock
) -> None:
    """Waiting to write ends with the connection, and so does everybody who waits for it."""
    async with open_line(kind) as line:
        clog(line)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(line.driver.flushed)
            await trio.testing.wait_all_tasks_blocked()
            with at_once():
                await trio.aclose_forcefully(line.peer.stream)
                assert (await line.listener.end()).code is None
        assert is_released(line)


# We end it.


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_our_code_and_reason_arrive_behind_everything_sent(
    kind: Kind, autojump_clock: MockClock
) -> None:
    """The close frame is the last thing the peer gets; a peer that answers it ends the wait."""
    async with open_line(kind) as line, trio.open_nursery() as nursery:
        line.driver.send("before")
        line.driver.close(4040, "provider_error")
        nursery.start_soon(line.driver.aclose)
        assert await line.peer.message() == "before"
        event = await line.peer.event()
        assert event == CloseConnection(code=4040, reason="provider_error")
        assert isinstance(event, CloseConnection)
        with at_once():
            await line.peer.say(event.response())
            if kind.side == "server":
                await line.peer.eof()
            await trio.aclose_forcefully(line.peer.stream)
            await trio.testing.wait_all_tasks_blocked()
            assert is_released(line)
    assert line.listener.closings == []


async def test_a_reason_is_cut_to_what_a_close_frame_holds(autojump_clock: MockClock) -> None:
    """123 bytes, at the boundary of a character."""
    async with open_line() as line:
        line.driver.close(1011, "ö" * 100)
        assert (await line.peer.closing()).reason == "ö" * 61


async def test_what_arrives_after_our_close_is_ignored(autojump_clock: MockClock) -> None:
    """Messages, pings and violations behind our close frame reach nobody and hold up nothing."""
    async with open_line() as line, trio.open_nursery() as nursery:
        await line.peer.say(binary(b"early"))
        await line.listener.until(lambda: line.listener.messages)
        line.driver.close(1012)
        nursery.start_soon(line.driver.aclose)
        event = await line.peer.event()
        assert isinstance(event, CloseConnection)
        with at_once():
            await line.peer.say_raw(b"\x82\x81\0\0\0\0x" * 100 + line.peer.encode(event.response()))
            await line.peer.eof()
            await trio.aclose_forcefully(line.peer.stream)
            await trio.testing.wait_all_tasks_blocked()
            assert is_released(line)
    assert line.listener.messages == [b"early"]
    assert line.listener.closings == []


async def test_the_first_close_counts(autojump_clock: MockClock) -> None:
    """Closing again changes nothing."""
    async with open_line() as line:
        line.driver.close(1013, "first")
        line.driver.close(1000, "second")
        assert (await line.peer.closing()).code == 1013
        await trio.aclose_forcefully(line.peer.stream)
        await line.driver.aclose()
        await line.driver.aclose()
        line.driver.release()
        assert is_released(line)


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_a_peer_that_does_not_answer_is_waited_for_so_long(
    kind: Kind, autojump_clock: MockClock
) -> None:
    """The closing handshake has a deadline, on both sides."""
    async with open_line(kind) as line:
        began_s = trio.current_time()
        await line.driver.aclose()
        assert trio.current_time() - began_s == pytest.approx(CLOSE_S)
        assert is_released(line)


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_a_peer_that_does_not_read_is_waited_for_so_long(kind: Kind, autojump_clock: MockClock) -> None:
    """With the socket full not even the close frame leaves; the deadline holds all the same."""
    async with open_line(kind) as line:
        clog(line)
        began_s = trio.current_time()
        await line.driver.aclose()
        assert trio.current_time() - began_s == pytest.approx(CLOSE_S)
        assert is_released(line)


async def test_a_peer_that_talks_on_is_waited_for_so_long(autojump_clock: MockClock) -> None:
    """Messages behind our close frame do not extend the deadline."""

    async def talk(line: Line) -> None:
        while not is_released(line):
            try:
                await line.peer.say(binary(b"on and on"))
            except trio.BrokenResourceError:
                return
            await trio.sleep(0.1)

    async with open_line() as line, trio.open_nursery() as nursery:
        nursery.start_soon(talk, line)
        began_s = trio.current_time()
        await line.driver.aclose()
        assert trio.current_time() - began_s == pytest.approx(CLOSE_S)
        assert is_released(line)


async def test_a_paused_connection_can_be_closed(autojump_clock: MockClock) -> None:
    """The peer's answer is read although the listener had asked for no more."""
    async with open_line() as line, trio.open_nursery() as nursery:
        line.listener.has_room = False
        await line.peer.say(text("full"))
        await line.listener.until(lambda: line.driver.is_paused)
        nursery.start_soon(line.driver.aclose)
        event = await line.peer.event()
        assert isinstance(event, CloseConnection)
        with at_once():
            await line.peer.say(event.response())
            await line.peer.eof()
            await trio.aclose_forcefully(line.peer.stream)
            await trio.testing.wait_all_tasks_blocked()
            assert is_released(line)


@pytest.mark.parametrize("is_clogged", [False, True], ids=["reads", "does not read"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_cancelled_the_socket_is_released_at_once(
    kind: Kind, is_clogged: bool, autojump_clock: MockClock
) -> None:
    """A cancelled `aclose` waits for nothing."""
    async with open_line(kind) as line:
        if is_clogged:
            clog(line)
        with at_once(), trio.CancelScope() as scope:
            scope.cancel()
            await line.driver.aclose()
        assert scope.cancelled_caught
        assert is_released(line)


async def test_cancelled_in_the_middle_of_closing_the_socket_is_released(autojump_clock: MockClock) -> None:
    """Whoever waits inside `aclose` may be cancelled at any time."""
    async with open_line() as line:
        with trio.move_on_after(CLOSE_S / 2) as scope:
            await line.driver.aclose()
        assert scope.cancelled_caught
        assert is_released(line)


async def test_never_started_it_is_released_too(autojump_clock: MockClock) -> None:
    """A connection nobody came to listen to is closed like another."""
    async with open_line(is_started=False) as line:
        line.driver.release()
        line.driver.release()
        assert is_released(line)
        with at_once():
            await line.driver.aclose()


async def test_when_the_poller_has_ended_sockets_are_released(autojump_clock: MockClock) -> None:
    """When a daemon is cancelled its poller may end before its sessions do; they still say goodbye and let go."""
    async with polling() as poller:
        pass
    async with open_line(poller=poller, is_started=False) as line:
        line.driver.release()
        assert is_released(line)


@pytest.mark.parametrize("is_clogged", [False, True], ids=["level", "clogged"])
async def test_cancelled_together_with_the_poller_sockets_are_released(
    is_clogged: bool, autojump_clock: MockClock
) -> None:
    """A poller that was serving the connection a moment ago makes no difference."""
    async with polling() as poller:
        lines = open_line(poller=poller)
        line = await lines.__aenter__()
        if is_clogged:
            clog(line)
        await line.peer.say(text("served"))
        await line.listener.until(lambda: line.listener.messages)
    with at_once(), trio.CancelScope() as scope:
        scope.cancel()
        await line.driver.aclose()
    assert is_released(line)
    await lines.__aexit__(None, None, None)


async def test_with_nobody_to_poll_the_goodbye_is_written_at_once(autojump_clock: MockClock) -> None:
    """A close frame leaves when it is said, not when a poller comes by."""
    async with polling() as poller:
        lines = open_line(poller=poller)
        line = await lines.__aenter__()
    line.driver.close(1012)
    assert (await line.peer.closing()).code == 1012
    await lines.__aexit__(None, None, None)


async def test_the_end_is_told_once(autojump_clock: MockClock) -> None:
    """A close frame, then the end of the stream, then the release: one report."""
    async with open_line(CLIENT) as line:
        await line.peer.say(CloseConnection(code=1000))
        await line.listener.end()
        await trio.aclose_forcefully(line.peer.stream)
        with trio.fail_after(PATIENCE_S):
            await line.driver.aclose()
        assert len(line.listener.closings) == 1


async def test_a_server_hears_nothing_after_the_close_frame(autojump_clock: MockClock) -> None:
    """What a client sends behind its own close frame is thrown away (RFC 6455, 5.5.1)."""
    async with open_line(SERVER) as line:
        data = line.peer.encode(CloseConnection(code=1000))
        await line.peer.say_raw(data + b"\x82\x81\0\0\0\0x")
        assert (await line.listener.end()).code == 1000
        await line.peer.eof()
    assert line.listener.messages == []
