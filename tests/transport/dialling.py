"""Servers on loopback, and dials to them that must leave nothing behind."""

import base64
import hashlib
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from routeraudio.model.errors import CloseCode, UpstreamFault
from routeraudio.policy.limits import Limits
from routeraudio.providers.base import Dial
from routeraudio.transport.poller import Poller
from routeraudio.transport.upstream import open_upstream
from routeraudio.transport.websocket import WebSocket
from tests.transport.peers import (
    client_tls,
)

KEY = "sk-canary-7d1f"
LIMITS = Limits()
TITLE = "Acme Speech"

Handler = Callable[[trio.SocketStream], Awaitable[None]]


def open_sockets() -> int:
    """Sockets this process holds."""
    kinds = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            kinds.append(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            pass  # the directory's own descriptor
    return sum(kind.startswith("socket:") for kind in kinds)


@asynccontextmanager
async def provider(handler: Handler) -> AsyncIterator[int]:
    """A server on loopback; yields its port."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:

        async def handle(stream: trio.SocketStream) -> None:
            async with stream:
                try:
                    await handler(stream)
                except trio.BrokenResourceError:
                    pass  # the dialler has had enough

        nursery.start_soon(trio.serve_listeners, handle, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def dial(port: int, *, scheme: str = "ws", poller: Poller | None = None, **more: Any) -> WebSocket:
    host = more.pop("host", "127.0.0.1")
    return await open_upstream(
        Dial(
            f"{scheme}://{host}:{port}/v1/listen?token={KEY}",
            headers=(("Authorization", f"Token {KEY}"),),
            **more,
        ),
        title=TITLE,
        limits=LIMITS,
        poller=poller or Poller(),
        tls=client_tls(),
    )


async def fault_of(port: int, **more: Any) -> UpstreamFault:
    """The fault a dial ends with; no socket of ours is open afterwards."""
    began, began_s = open_sockets(), trio.current_time()
    with pytest.raises(UpstreamFault) as caught:
        await dial(port, **more)
    assert trio.current_time() - began_s <= LIMITS.dial_upgrade_s + 0.01
    # What stays open is the provider's end, which has not seen ours go yet.
    with trio.fail_after(60):
        while open_sockets() > began:  # noqa: ASYNC110  (the kernel sets no event of ours)
            await trio.sleep(0.01)
    fault = caught.value
    assert fault.code == "provider_unreachable"
    assert fault.close_code is CloseCode.PROVIDER
    assert fault.message.startswith(f"{TITLE} is unreachable: ")
    assert KEY not in str(fault)
    assert KEY not in repr(fault)
    return fault


async def head_of(stream: trio.abc.Stream) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        more = await stream.receive_some()
        if not more:
            raise trio.BrokenResourceError
        head += more
    return head


def switching(head: bytes, *headers: bytes, accept: bytes | None = None) -> bytes:
    """The 101 to ``head``."""
    found = re.search(rb"(?i)\r\nsec-websocket-key: *(\S+)", head)
    assert found is not None
    digest = hashlib.sha1(found[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + (base64.b64encode(digest) if accept is None else accept),
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def answering(answer: bytes | Callable[[bytes], bytes], *, stays: bool = True) -> Handler:
    """A server that reads the request, answers, and stays or goes."""

    async def handler(stream: trio.SocketStream) -> None:
        head = await head_of(stream)
        await stream.send_all(answer if isinstance(answer, bytes) else answer(head))
        if stays:
            await stream.receive_some()

    return handler


UPGRADE = "the WebSocket upgrade"


async def mute(stream: trio.SocketStream) -> None:
    while await stream.receive_some():
        pass


async def gone(stream: trio.SocketStream) -> None:
    pass


class Names(trio.abc.HostnameResolver):
    """Resolves every name in the same way."""

    def __init__(self, answer: Callable[[], Awaitable[Any]]) -> None:
        self._answer = answer

    async def getaddrinfo(self, *_args: Any, **_more: Any) -> Any:
        return await self._answer()

    async def getnameinfo(self, *_args: Any) -> Any:
        raise NotImplementedError
