"""The guarded WebSocket client, against servers that behave and servers that do not."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio_websocket
import trustme
from trio_websocket import WebSocketConnection, serve_websocket

from routeraudio.commands.client import CLOSE_S, SEND_S, UPGRADE_S, converse, send
from routeraudio.commands.errors import FAILED, USAGE, Trouble
from tests.commands.conftest import Peer, accept, frame, read_head

URL = "ws://127.0.0.1:8080/v1/listen?provider=local"
TEXT, CLOSE, PING = 1, 8, 9

Serve = Callable[[Peer], None]


async def nothing(connection: WebSocketConnection) -> None:
    """A conversation that is over at once."""


async def hear_one(connection: WebSocketConnection) -> None:
    """A conversation that waits for one message."""
    with pytest.raises(trio_websocket.ConnectionClosed):
        await connection.get_message()


async def refused(url: str = URL, conversation: Callable = nothing) -> Trouble:
    with pytest.raises(Trouble) as caught:
        await converse(url, {}, conversation)
    return caught.value


async def test_a_conversation(serve: Serve) -> None:
    """Target and headers arrive, messages go both ways, the close is clean."""
    heads = []

    async def peer(stream: trio.abc.Stream) -> None:
        heads.append(await accept(stream))
        await stream.send_all(frame(TEXT, b"hello"))
        assert await stream.receive_some() != b""
        await stream.send_all(frame(CLOSE, b"\x03\xe8"))

    async def conversation(connection: WebSocketConnection) -> None:
        assert await connection.get_message() == "hello"

    serve(peer)
    await converse(URL, {"x-api-key": "k"}, conversation)
    assert heads[0].startswith(b"GET /v1/listen?provider=local HTTP/1.1\r\n")
    assert b"x-api-key: k\r\n" in heads[0]
    assert b"Host: 127.0.0.1:8080\r\n" in heads[0]


async def test_a_refusal_in_json(serve: Serve) -> None:
    """HTTP 400 with a parameter is the caller's mistake and names the option."""

    async def peer(stream: trio.abc.Stream) -> None:
        await read_head(stream)
        body = b'{"error":"expected one of pcm_s16le, pcm_mulaw","parameter":"sample_rate"}'
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    serve(peer)
    trouble = await refused()
    assert str(trouble) == (
        "the server refused the request (HTTP 400): expected one of pcm_s16le, pcm_mulaw; correct --sample-rate"
    )
    assert trouble.exit_code == USAGE


async def test_another_kind_of_server(serve: Serve) -> None:
    """HTTP without an upgrade says that the address is wrong."""

    async def peer(stream: trio.abc.Stream) -> None:
        await read_head(stream)
        await stream.send_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope")

    serve(peer)
    assert str(await refused()) == (
        "the server refused the request (HTTP 404); check --url: there is no /v1/listen at that address"
    )


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"\xff\xfe\r\n\r\n", b"HTTP/1.1 101 Go\r\n\r\n"]
)
async def test_something_that_is_no_web_server(serve: Serve, answer: bytes) -> None:
    """An answer that is no HTTP, or no upgrade, is told as such."""

    async def peer(stream: trio.abc.Stream) -> None:
        await read_head(stream)
        await stream.send_all(answer)

    serve(peer)
    assert "ws://127.0.0.1:8080 does not speak WebSocket as expected" in str(await refused())


async def test_a_silent_server(serve: Serve, autojump_clock: trio.testing.MockClock) -> None:
    """A server that accepts and says nothing is given up at the deadline."""
    started_at = trio.current_time()

    async def peer(stream: trio.abc.Stream) -> None:
        await read_head(stream)
        await trio.sleep_forever()

    serve(peer)
    assert "has not answered within 15 s" in str(await refused())
    assert trio.current_time() - started_at == UPGRADE_S


async def test_a_server_that_hangs_up(serve: Serve, autojump_clock: trio.testing.MockClock) -> None:
    """A connection that ends in the handshake is told at once."""

    async def peer(stream: trio.abc.Stream) -> None:
        await read_head(stream)
        await stream.aclose()

    serve(peer)
    started_at = trio.current_time()
    assert "hung up before answering" in str(await refused())
    assert trio.current_time() == started_at


async def test_a_server_that_never_closes(serve: Serve, autojump_clock: trio.testing.MockClock) -> None:
    """Our own close is bounded."""

    async def peer(stream: trio.abc.Stream) -> None:
        await accept(stream)
        await trio.sleep_forever()

    serve(peer)
    started_at = trio.current_time()
    await converse(URL, {}, nothing)
    assert trio.current_time() - started_at == CLOSE_S


async def test_a_ping_that_crosses_our_close(serve: Serve, autojump_clock: trio.testing.MockClock) -> None:
    """What trio-websocket makes of it does not reach the caller."""

    async def peer(stream: trio.abc.Stream) -> None:
        await accept(stream)
        await stream.receive_some()
        await stream.send_all(frame(PING, b"x") + frame(PING, b"y"))
        await trio.sleep(1)
        await stream.send_all(frame(CLOSE, b"\x03\xe8"))

    serve(peer)
    returned = 0
    for _ in range(3):
        await converse(URL, {}, nothing)
        returned += 1
    assert returned == 3


async def test_a_server_that_breaks_the_protocol(
    serve: Serve, autojump_clock: trio.testing.MockClock
) -> None:
    """A conversation whose server sends nonsense ends instead of waiting for ever."""

    async def peer(stream: trio.abc.Stream) -> None:
        await accept(stream)
        await stream.send_all(b"\xff" * 20)
        await trio.sleep_forever()

    serve(peer)
    await converse(URL, {}, hear_one)


async def test_a_server_that_stops_reading(serve: Serve, autojump_clock: trio.testing.MockClock) -> None:
    """One message may take its time, but not for ever."""
    clients: list[trio.StapledStream] = []

    async def conversation(connection: WebSocketConnection) -> None:
        clients[0].send_stream.send_all_hook = trio.sleep_forever
        await send(connection, b"audio")

    async def peer(stream: trio.abc.Stream) -> None:
        await accept(stream)
        await trio.sleep_forever()

    serve(peer)
    connect = trio.open_tcp_stream

    async def connect_and_remember(host: str, port: int) -> trio.abc.Stream:
        clients.append(await connect(host, port))
        return clients[0]

    trio.open_tcp_stream = connect_and_remember
    started_at = trio.current_time()
    trouble = await refused(conversation=conversation)
    assert str(trouble) == "the server has not read for 30 s; look at its log"
    assert SEND_S <= trio.current_time() - started_at <= SEND_S + 2 * CLOSE_S


async def test_cancellation_releases_the_connection(serve: Serve) -> None:
    """A cancelled client leaves no open stream behind."""
    ended = trio.Event()

    async def peer(stream: trio.abc.Stream) -> None:
        await accept(stream)
        while await stream.receive_some():
            pass
        ended.set()

    serve(peer)
    with trio.CancelScope() as scope:

        async def conversation(connection: WebSocketConnection) -> None:
            scope.cancel()
            await trio.sleep_forever()

        await converse(URL, {}, conversation)
    assert scope.cancelled_caught
    with trio.fail_after(5):
        await ended.wait()


async def test_our_own_mistakes_are_not_hidden(serve: Serve) -> None:
    """An error of the conversation that is no trouble of the line passes through."""

    async def peer(stream: trio.abc.Stream) -> None:
        await accept(stream)
        await trio.sleep_forever()

    async def conversation(connection: WebSocketConnection) -> None:
        raise ZeroDivisionError

    serve(peer)
    with pytest.RaisesGroup(ZeroDivisionError):
        await converse(URL, {}, conversation)


async def test_nobody_listens() -> None:
    """A closed port is told with the system's reason and the next step."""
    with trio.socket.socket() as sock:
        await sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    assert str(await refused(f"ws://127.0.0.1:{port}/v1/listen")) == (
        f"cannot reach ws://127.0.0.1:{port}: connection refused; start the daemon with `routeraudio serve`, "
        "or give --url"
    )


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "http://x", "ws://", "ws://x:0", "ws://x:99999", "ws://[::1"]
)
async def test_what_is_no_address(url: str) -> None:
    """A wrong --url is a usage error."""
    trouble = await refused(url)
    assert str(trouble) == "--url: expected an address such as ws://127.0.0.1:8080"
    assert trouble.exit_code == USAGE


async def test_tls(nursery: trio.Nursery, tmp_path: Path) -> None:
    """wss:// works with the authority given, and without it is refused with the reason."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)

    async def greet(request: trio_websocket.WebSocketRequest) -> None:
        connection = await request.accept()
        await connection.send_message("hello")
        await connection.aclose()

    server = await nursery.start(serve_websocket, greet, "127.0.0.1", 0, context)
    url = f"wss://localhost:{server.port}/"
    heard = []

    async def conversation(connection: WebSocketConnection) -> None:
        heard.append(await connection.get_message())

    await converse(url, {}, conversation, ca_file=str(tmp_path / "ca.pem"))
    assert heard == ["hello"]
    trouble = await refused(url)
    assert str(trouble).startswith(f"no TLS with wss://localhost:{server.port}: CERTIFICATE_VERIFY_FAILED")
    assert trouble.exit_code == FAILED
    with pytest.raises(Trouble, match="--ca-file: expected a readable PEM file"):
        await converse(url, {}, nothing, ca_file=str(tmp_path / "none.pem"))
    nursery.cancel_scope.cancel()
