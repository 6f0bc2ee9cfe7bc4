"""A client of the engine. trio-websocket's own `open_websocket` leaves its socket open when the server closes first."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from routeraudio.engine.hearing import Hearing
from routeraudio.engine.wire import Heard

Say = Callable[[Hearing, Iterable[bytes]], Awaitable[list[Heard]]]
"""Sends all chunks, finishes, gives everything heard."""


@asynccontextmanager
async def dialled(
    port: int, query: str = "", *, path: str = "/v1/recognise"
) -> AsyncGenerator[WebSocketConnection]:
    """An open connection; owns its socket and its tasks."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream, trio.open_nursery() as nursery:
        with trio.fail_after(60):
            websocket = await wrap_client_stream(nursery, stream, "127.0.0.1", f"{path}{query}")
        yield websocket
        nursery.cancel_scope.cancel()


async def receive(websocket: WebSocketConnection) -> Any:
    """The next message, decoded."""
    with trio.fail_after(60):
        return json.loads(await websocket.get_message())


async def rest(websocket: WebSocketConnection) -> tuple[list[Any], int]:
    """All messages up to the close, and its code."""
    messages = []
    try:
        while True:
            messages.append(await receive(websocket))
    except ConnectionClosed:
        return messages, websocket.closed.code if websocket.closed else 0
