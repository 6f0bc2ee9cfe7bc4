"""Dialling providers that are rude: each failure names provider and step, in time, and leaks nothing."""

import os
import socket
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from routeraudio.model.errors import UpstreamFault
from routeraudio.providers.base import Dial
from routeraudio.transport.poller import Poller
from routeraudio.transport.upstream import open_upstream
from tests.transport.dialling import (
    LIMITS,
    TITLE,
    UPGRADE,
    Handler,
    Names,
    answering,
    dial,
    fault_of,
    gone,
    head_of,
    mute,
    provider,
    switching,
)
from tests.transport.peers import (
    client_tls,
)


async def reset(stream: trio.SocketStream) -> None:
    await head_of(stream)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def endless(start: bytes, more: bytes) -> Handler:
    async def handler(stream: trio.SocketStream) -> None:
        await stream.send_all(start)
        while True:
            await stream.send_all(more)

    return handler


async def dripping(stream: trio.SocketStream) -> None:
    for byte in b"HTTP/1.1 101 Switching Protocols\r\nX-Wait: " + b"x" * 500:
        await stream.send_all(bytes([byte]))
        await trio.sleep(0.5)


async def dripping_body(stream: trio.SocketStream) -> None:
    await stream.send_all(b"HTTP/1.1 500 Oops\r\nContent-Length: 500\r\n\r\n")
    while True:
        await stream.send_all(b"x")
        await trio.sleep(0.5)


NOT_VALID = f"the answer to {UPGRADE} is not a valid handshake"
TOO_SLOW = f"{UPGRADE} took longer than 5 s"

RUDE: dict[str, tuple[Handler, str]] = {
    "says nothing": (mute, TOO_SLOW),
    "closes at once": (gone, UPGRADE),
    "resets": (reset, UPGRADE),
    "drips its head": (dripping, TOO_SLOW),
    "drips its body": (dripping_body, TOO_SLOW),
    "sends headers without end": (endless(b"HTTP/1.1 200 OK\r\n", b"X-More: x\r\n" * 100), UPGRADE),
    "sends one header without end": (endless(b"HTTP/1.1 101 OK\r\nX: ", b"x" * 4096), UPGRADE),
    "sends a body without end": (endless(b"HTTP/1.1 500 Oops\r\n\r\n", b"x" * 4096), UPGRADE),
    "sends chunks without end": (
        endless(b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 100),
        UPGRADE,
    ),
    "promises a huge body": (
        answering(b"HTTP/1.1 500 Oops\r\nContent-Length: 9999999999\r\n\r\n"),
        NOT_VALID,
    ),
    "sends garbage": (answering(os.urandom(200) + b"\r\n\r\n"), NOT_VALID),
    "sends zeros": (answering(bytes(50_000)), NOT_VALID),
    "speaks HTTP/1.0": (answering(b"HTTP/1.0 101 Switching Protocols\r\n\r\n"), NOT_VALID),
    "speaks SSH": (answering(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n"), NOT_VALID),
    "answers with the wrong key": (
        answering(lambda head: switching(head, accept=b"x3JJHMbDL1EzLkh9")),
        NOT_VALID,
    ),
    "answers without a key": (
        answering(b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
        NOT_VALID,
    ),
    "answers with two keys": (
        answering(lambda head: switching(head, b"Sec-WebSocket-Accept: x3JJHMbDL1EzLkh9")),
        NOT_VALID,
    ),
    "answers 101 and nothing else": (answering(b"HTTP/1.1 101 OK\r\n\r\n"), NOT_VALID),
    "switches to something else": (
        answering(lambda head: switching(head).replace(b"Upgrade: websocket", b"Upgrade: h2c")),
        NOT_VALID,
    ),
    "wants compression": (
        answering(lambda head: switching(head, b"Sec-WebSocket-Extensions: permessage-deflate")),
        NOT_VALID,
    ),
    "wants a subprotocol": (
        answering(lambda head: switching(head, b"Sec-WebSocket-Protocol: mqtt")),
        NOT_VALID,
    ),
    "has bytes beyond ASCII in its headers": (
        answering(lambda head: switching(head, b"Sec-WebSocket-Extensions: \xff\xfe")),
        NOT_VALID,
    ),
    "has a NUL in its headers": (answering(lambda head: switching(head, b"X: a\0b")), NOT_VALID),
    "goes in the middle of its head": (answering(b"HTTP/1.1 101 Switching", stays=False), UPGRADE),
    "ends lines with LF": (answering(lambda head: switching(head).replace(b"\r\n", b"\n")), TOO_SLOW),
}


@pytest.mark.parametrize("name", RUDE)
async def test_a_rude_server_is_a_fault_that_may_pass(name: str, autojump_clock: MockClock) -> None:
    """Every way not to answer an upgrade ends within the deadline in a retryable fault that names the step."""
    handler, words = RUDE[name]
    async with provider(handler) as port:
        fault = await fault_of(port)
    assert words in fault.message
    assert fault.is_retryable


async def test_a_closed_port(autojump_clock: MockClock) -> None:
    """Nobody listens: the step is TCP, the reason is the system's."""
    with socket.socket() as placeholder:
        placeholder.bind(("127.0.0.1", 0))
        fault = await fault_of(placeholder.getsockname()[1])
    assert fault.message == f"{TITLE} is unreachable: the TCP connection failed (connection refused)"
    assert fault.is_retryable


async def test_a_port_that_does_not_answer(autojump_clock: MockClock) -> None:
    """A full backlog drops what comes: TCP has a deadline."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        fault = await fault_of(port)
        for filler in fillers:
            filler.close()
    assert fault.message == f"{TITLE} is unreachable: the TCP connection took longer than 5 s"


async def test_an_unknown_name(autojump_clock: MockClock) -> None:
    """A name that does not exist is called that."""

    async def unknown() -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    trio.socket.set_custom_hostname_resolver(Names(unknown))
    fault = await fault_of(1, host="stt.invalid")
    assert fault.message.endswith("failed (the host name is unknown)")


async def test_a_resolver_that_does_not_answer(autojump_clock: MockClock) -> None:
    """Resolution is within the deadline of the TCP connection."""

    async def silent() -> Any:
        await trio.sleep_forever()

    trio.socket.set_custom_hostname_resolver(Names(silent))
    began_s = trio.current_time()
    fault = await fault_of(1, host="stt.invalid")
    assert trio.current_time() - began_s <= LIMITS.dial_tcp_s + 0.1
    assert "took longer than" in fault.message


async def test_a_name_with_several_addresses(autojump_clock: MockClock) -> None:
    """When one address refuses, the next one is tried."""
    async with provider(answering(switching)) as port:

        async def two() -> Any:
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
                for address in ("127.0.0.2", "127.0.0.1")
            ]

        trio.socket.set_custom_hostname_resolver(Names(two))
        (await dial(port, host="stt.example")).release()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.acme.example",
        "https://api.acme.example",
        "ws://",
        "ws:///v1",
        "ws://host/#fragment",
        "ws://host:port/",
        "ws://host:99999/",
        "ws://[::1/",
        "ws://user@host/",
        f"ws://{'a' * 64}.example/",
        "ws://a..example/",
        "ws://\udcff.example/",
        "wss://.example/",
    ],
)
async def test_a_url_that_is_none(url: str, autojump_clock: MockClock) -> None:
    """A configured address that cannot be dialled is an upstream fault like another."""

    async def unknown() -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    trio.socket.set_custom_hostname_resolver(Names(unknown))
    with pytest.raises(UpstreamFault) as caught:
        await open_upstream(Dial(url), title=TITLE, limits=LIMITS, poller=Poller(), tls=client_tls())
    assert TITLE in caught.value.message
