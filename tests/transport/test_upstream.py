"""Dialling providers that answer: refusals, and connections that open."""

import socket
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock
from wsproto.connection import ConnectionType
from wsproto.events import CloseConnection

from routeraudio.model.errors import UpstreamFault
from routeraudio.providers.base import Dial
from routeraudio.session.streams import Closed, Refused
from routeraudio.transport.poller import Poller
from routeraudio.transport.upstream import open_upstream
from tests.transport.dialling import (
    KEY,
    LIMITS,
    TITLE,
    Names,
    answering,
    dial,
    head_of,
    mute,
    open_sockets,
    provider,
    switching,
)
from tests.transport.peers import (
    Peer,
    Recorder,
    client_tls,
    frame,
    polling,
    server_tls,
)

# Refused.

BODY = b'{"err_code":"INVALID_AUTH","err_msg":"Invalid credentials."}'


@pytest.mark.parametrize("status", [200, 301, 400, 401, 402, 403, 404, 429, 500, 503])
@pytest.mark.parametrize("how", ["length", "chunked", "to the end", "drop by drop"])
async def test_a_refusal_is_handed_to_the_adapter(status: int, how: str, autojump_clock: MockClock) -> None:
    """An HTTP answer other than 101 arrives with its status and body, however the body is framed."""

    async def refuse(stream: trio.SocketStream) -> None:
        await head_of(stream)
        head = b"HTTP/1.1 %d No\r\nContent-Type: application/json\r\n" % status
        if how == "chunked":
            answer = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
        elif how == "to the end":
            answer = head + b"\r\n" + BODY
        else:
            answer = head + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
        for piece in (
            [answer] if how != "drop by drop" else [answer[at : at + 1] for at in range(len(answer))]
        ):
            await stream.send_all(piece)
            await trio.sleep(0.01)
        if how != "to the end":
            await stream.receive_some()

    began = open_sockets()
    async with provider(refuse) as port:
        with pytest.raises(Refused) as caught:
            await dial(port)
    assert open_sockets() == began
    assert (caught.value.status, caught.value.body) == (status, BODY)
    assert KEY not in repr(caught.value)


# Opened.


async def test_the_request_carries_what_the_adapter_said(autojump_clock: MockClock) -> None:
    """Path, query, headers and subprotocols travel as given; no extension is offered."""
    heads: list[bytes] = []

    def answer(head: bytes) -> bytes:
        heads.append(head)
        return switching(head, b"Sec-WebSocket-Protocol: token")

    async with provider(answering(answer)) as port:
        (await dial(port, subprotocols=("token", KEY))).release()
    (head,) = heads
    assert head.startswith(b"GET /v1/listen?token=%b HTTP/1.1\r\n" % KEY.encode())
    lines = [line.lower() for line in head.split(b"\r\n")]
    assert b"authorization: token " + KEY.encode() in lines
    assert b"sec-websocket-protocol: token, " + KEY.encode() in lines
    assert b"host: 127.0.0.1:%d" % port in lines
    assert not any(line.startswith(b"sec-websocket-extensions") for line in lines)


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("cut", ["together", "head alone", "byte by byte"])
async def test_messages_right_behind_the_101_arrive(
    is_tls: bool, cut: str, autojump_clock: MockClock
) -> None:
    """A provider may speak in the very segment that opens the connection, and close in it."""
    spoken = frame(0x81, b"ready", is_masked=False) + frame(0x82, bytes(40_000), is_masked=False)
    spoken += frame(0x88, (4008).to_bytes(2) + b"slow down", is_masked=False)

    async def speak(stream: trio.SocketStream) -> None:
        wrapped: trio.abc.Stream = stream
        if is_tls:
            wrapped = trio.SSLStream(stream, server_tls(), server_side=True, https_compatible=True)
        head = switching(await head_of(wrapped))
        if cut == "together":
            await wrapped.send_all(head + spoken)
        elif cut == "head alone":
            await wrapped.send_all(head)
            await trio.sleep(0.01)
            await wrapped.send_all(spoken)
        else:
            for byte in head + spoken[:20]:
                await wrapped.send_all(bytes([byte]))
            await wrapped.send_all(spoken[20:])
        await wrapped.receive_some()

    listener = Recorder()
    trio.socket.set_custom_hostname_resolver(Names(_loopback))
    async with provider(speak) as port, polling() as poller:
        host, scheme = ("peer.test", "wss") if is_tls else ("127.0.0.1", "ws")
        _PORT[0] = port
        upstream = await dial(port, host=host, scheme=scheme, poller=poller)
        upstream.start(listener)
        assert await listener.end() == Closed(4008, "slow down")
        assert listener.messages == ["ready", bytes(40_000)]
        upstream.release()


_PORT = [0]


async def _loopback() -> Any:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", _PORT[0]))]


async def test_a_101_and_the_end(autojump_clock: MockClock) -> None:
    """A provider that opens and goes is a connection that was lost, told to its listener."""
    listener = Recorder()
    async with provider(answering(switching, stays=False)) as port, polling() as poller:
        upstream = await dial(port, poller=poller)
        upstream.start(listener)
        assert (await listener.end()).code is None


async def test_an_open_upstream_talks(autojump_clock: MockClock) -> None:
    """Messages travel in both directions and the closing handshake works."""

    async def echo(stream: trio.SocketStream) -> None:
        await stream.send_all(switching(await head_of(stream)))
        peer = Peer(stream, ConnectionType.SERVER)
        while not isinstance(event := await peer.event(), CloseConnection):
            assert event is not None
            await peer.say(event)
        await peer.say(event.response())

    listener = Recorder()
    async with provider(echo) as port, polling() as poller:
        upstream = await dial(port, poller=poller)
        upstream.start(listener)
        for message in ("words", b"sound", b"", "ü"):
            upstream.send(message)
        await listener.until(lambda: len(listener.messages) == 4)
        await upstream.aclose()
    assert listener.messages == ["words", b"sound", b"", "ü"]


@pytest.mark.parametrize("at_s", [0.0, 1.0, 4.9])
async def test_cancelled_a_dial_leaves_nothing(at_s: float, autojump_clock: MockClock) -> None:
    """Whoever dials may be cancelled at any time; no socket stays."""
    async with provider(mute) as port:
        began = open_sockets()
        with trio.move_on_after(at_s) as scope:
            await dial(port)
        assert scope.cancelled_caught
        await trio.sleep(0.1)
        assert open_sockets() == began


async def test_the_deadline_over_all_steps_holds(autojump_clock: MockClock) -> None:
    """Steps that each stay within their own deadline may not take longer together than a dial may."""
    limits = msgspec.structs.replace(LIMITS, dial_s=1.0)
    async with provider(mute) as port:
        began_s = trio.current_time()
        with pytest.raises(UpstreamFault, match="connecting took longer than 1 s"):
            await open_upstream(
                Dial(f"ws://127.0.0.1:{port}/"), title=TITLE, limits=limits, poller=Poller(), tls=client_tls()
            )
        assert trio.current_time() - began_s == pytest.approx(1.0)
