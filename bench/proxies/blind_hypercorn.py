"""A blind copy with Hypercorn and Quart-Trio in front and trio-websocket behind:
`python -m bench.proxies.blind_hypercorn PORT UPSTREAM_URL`.

Two tasks per session, no parsing; no compression because no client offers it.
"""

import sys
from functools import partial

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from quart import websocket
from quart_trio import QuartTrio
from trio_websocket import ConnectionClosed, WebSocketConnection, open_websocket_url


async def to_upstream(upstream: WebSocketConnection) -> None:
    """Passes client messages on; cancelled by Quart-Trio when the client leaves."""
    while True:
        await upstream.send_message(await websocket.receive())


async def to_client(upstream: WebSocketConnection) -> None:
    """Passes upstream messages on until the upstream closes."""
    try:
        while True:
            await websocket.send(await upstream.get_message())
    except ConnectionClosed:
        await websocket.close(1000)


def application(upstream_url: str) -> QuartTrio:
    """The proxy as an ASGI application."""
    app = QuartTrio(__name__)

    @app.websocket("/v1/listen")
    async def listen() -> None:
        async with open_websocket_url(upstream_url) as upstream, trio.open_nursery() as nursery:
            nursery.start_soon(to_upstream, upstream)
            nursery.start_soon(to_client, upstream)

    return app


def main(port: int, upstream_url: str) -> None:
    """Serves until killed."""
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.accesslog = None
    config.errorlog = None
    trio.run(partial(serve, application(upstream_url), config))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
