"""A daemon in this process, a Deepgram of our own behind it, and clients that say exactly what they are told to."""

import json
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import h11
import msgspec
import trio
from trio_websocket import (
    ConnectionClosed,
    WebSocketConnection,
    WebSocketRequest,
    serve_websocket,
    wrap_client_stream,
)

from routeraudio import daemon
from routeraudio.config.schema import Access, Config, Key, Provider, Server
from routeraudio.policy.limits import Limits

PATIENCE_S = 30.0
"""Ends a test that hangs. Virtual time: longer than every deadline under test."""

KEY = "dg-canary-key-52b7"
WORDS = "canary transcript"
AUDIO = b"canary audio " * 100

LISTEN = "/v1/listen?provider=deepgram&encoding=pcm_s16le&sample_rate=16000"
UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


class FakeDeepgram:
    """A v1 server, written from Deepgram's documentation: finals at `CloseStream`, then metadata and a close.

    Args:
        is_mute: never answers `CloseStream`.
    """

    def __init__(self, *, is_mute: bool = False) -> None:
        self.is_mute = is_mute
        self.requests: list[WebSocketRequest] = []
        self.audio: list[bytearray] = []
        self.open_now = 0
        self.changed = trio.Event()
        """Set anew whenever a connection opened or closed, or audio came."""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on loopback; yields the base URL."""
        async with trio.open_nursery() as nursery:
            server = await nursery.start(serve_websocket, self._serve, "127.0.0.1", 0, None)
            yield f"ws://127.0.0.1:{server.port}"
            nursery.cancel_scope.cancel()

    async def _serve(self, request: WebSocketRequest) -> None:
        self.requests.append(request)
        audio = bytearray()
        self.audio.append(audio)
        connection = await request.accept()
        self._count(+1)
        try:
            await self._talk(connection, audio)
        except ConnectionClosed:
            pass
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self.open_now += change
        self._say_changed()

    def _say_changed(self) -> None:
        self.changed.set()
        self.changed = trio.Event()

    async def until(self, open_now: int) -> None:
        """Wait until so many connections are open."""
        with trio.fail_after(PATIENCE_S):
            while self.open_now != open_now:
                await self.changed.wait()

    async def until_heard(self, length_bytes: int) -> None:
        """Wait until all connections together have brought so much audio."""
        with trio.fail_after(PATIENCE_S):
            while sum(map(len, self.audio)) < length_bytes:
                await self.changed.wait()

    async def _talk(self, connection: WebSocketConnection, audio: bytearray) -> None:
        while True:
            message = await connection.get_message()
            if isinstance(message, bytes):
                audio += message
                self._say_changed()
            elif json.loads(message)["type"] == "CloseStream" and not self.is_mute:
                await connection.send_message(json.dumps(results(WORDS, len(audio) / 32_000)))
                await connection.send_message(
                    json.dumps({"type": "Metadata", "duration": len(audio) / 32_000})
                )
                await connection.aclose(1000)


def results(words: str, duration_s: float, *, start_s: float = 0.0) -> dict[str, Any]:
    """A final that ends a turn."""
    alternative = {"transcript": words, "confidence": 0.9, "words": []}
    return {
        "type": "Results",
        "start": start_s,
        "duration": duration_s,
        "is_final": True,
        "speech_final": True,
        "channel": {"alternatives": [alternative]},
        "channel_index": [0, 1],
    }


def config(
    *,
    deepgram: str = "ws://127.0.0.1:9",
    limits: Mapping[str, Any] | None = None,
    keys: Sequence[Key] = (),
    access: Access | None = None,
    **server: Any,
) -> Config:
    """A configuration for loopback."""
    return Config(
        server=Server(**{"bind": ("127.0.0.1:0",), **server}),
        access=access or Access(),
        providers={"deepgram": Provider(url=deepgram)},
        limits=msgspec.structs.replace(Limits(), **(limits or {})),
        keys=tuple(keys),
    )


@asynccontextmanager
async def daemon_on(configuration: Config) -> AsyncIterator[int]:
    """A daemon; yields the port of its first address, or 0 for a local socket."""
    async with trio.open_nursery() as nursery:
        addresses: list[str] = await nursery.start(daemon.serve, configuration)
        port = addresses[0].rpartition(":")[2]
        yield int(port) if port.isdigit() else 0
        nursery.cancel_scope.cancel()


async def connect(port: int, *, source: str = "127.0.0.1") -> trio.SocketStream:
    """A connection from any address of 127.0.0.0/8."""
    sock = trio.socket.socket()
    await sock.bind((source, 0))
    await sock.connect(("127.0.0.1", port))
    return trio.SocketStream(sock)


async def until_end(stream: trio.abc.ReceiveStream) -> bytes:
    """Everything up to the end of the stream."""
    got = bytearray()
    with trio.fail_after(PATIENCE_S):
        try:
            while more := await stream.receive_some():
                got += more
        except trio.BrokenResourceError:
            pass
    return bytes(got)


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def parsed(data: bytes) -> Answer:
    """One complete answer, and nothing behind it."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    connection.receive_data(b"")
    response = connection.next_event()
    assert isinstance(response, h11.Response), response
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    headers = {name.decode(): value.decode() for name, value in response.headers}
    return Answer(response.status_code, headers, body)


async def ask(port: int, data: bytes, *, source: str = "127.0.0.1") -> Answer:
    """Send ``data`` and parse the answer, which must be followed by the end of the stream."""
    async with await connect(port, source=source) as stream:
        await stream.send_all(data)
        return parsed(await until_end(stream))


async def get(port: int, path: str, *headers: str, source: str = "127.0.0.1") -> Answer:
    """A plain request."""
    lines = "".join(f"{header}\r\n" for header in headers)
    return await ask(port, f"GET {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode("latin-1"), source=source)


def upgrade(path: str = LISTEN, *headers: str) -> bytes:
    """An upgrade request."""
    lines = "".join(f"{header}\r\n" for header in headers).encode("latin-1")
    return b"GET " + path.encode() + b" HTTP/1.1\r\nHost: x\r\n" + UPGRADE + lines + b"\r\n"


class Client:
    """A trio-websocket client that keeps how it was closed."""

    def __init__(self, socket: WebSocketConnection, stream: trio.abc.Stream) -> None:
        self.socket = socket
        self.stream = stream

    async def send(self, message: str | bytes) -> None:
        await self.socket.send_message(message)

    async def finish(self) -> None:
        await self.send('{"type":"end_of_stream"}')

    async def receive(self) -> Any:
        with trio.fail_after(PATIENCE_S):
            return json.loads(await self.socket.get_message())

    async def rest(self) -> tuple[list[Any], int]:
        """Messages until the close, and its code."""
        messages = []
        while True:
            try:
                messages.append(await self.receive())
            except ConnectionClosed:
                assert self.socket.closed is not None
                return messages, self.socket.closed.code


@asynccontextmanager
async def client_on(
    stream: trio.abc.Stream, path: str = LISTEN, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Client]:
    """A client whose upgrade was accepted."""
    sent = {"x-api-key": KEY} if headers is None else headers
    try:
        async with trio.open_nursery() as nursery:
            socket = await wrap_client_stream(
                nursery,
                cast(trio.SocketStream, stream),  # any stream will do
                "router.test",
                path,
                extra_headers=[(name.encode(), value.encode()) for name, value in sent.items()],
            )
            yield Client(socket, stream)
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(stream)


@asynccontextmanager
async def client(
    port: int, path: str = LISTEN, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Client]:
    """A client over TCP."""
    async with client_on(await connect(port), path, headers) as opened:
        yield opened


async def whole_refusal(port: int) -> int:
    """A client that is let in only to be told that its key is none; the close code."""
    async with client(port, headers={"x-api-key": "router_unknown"}) as caller:
        return (await caller.rest())[1]


async def whole_session(port: int) -> None:
    """The proof that a daemon works: sound goes in, words come out, the close is clean."""
    async with client(port) as caller:
        await caller.send(AUDIO)
        await caller.finish()
        messages, code = await caller.rest()
    assert code == 1000, messages
    assert [message["transcript"] for message in messages if message["type"] == "transcript"] == [WORDS]


def free_port() -> int:
    """A port nobody has right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
