"""Hypercorn behind `edge.connection`: one HTTP/1.1 request per connection, with a deadline and a catch-all.

Hypercorn is given a connection whose head has been checked (`edge.request_head`). WebSockets and HTTP/2, which it
serves badly on Trio, never reach it; an exception on one connection stays on that connection, and a deadline ends
requests and answers that never end by themselves.
"""

from typing import Any, Final

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config as HypercornConfig
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext

from routeraudio.api.uploads import holding, is_file
from routeraudio.transport.bytestream import ByteStream

REQUEST_S: Final = 30.0
"""A whole request and its answer. Pages and REST calls here take milliseconds."""

FILE_S: Final = 3600.0
"""The same where a recording is transcribed: some providers hear it no faster than it was spoken."""

BODY_BYTES: Final = 65_536
"""Request bodies are small JSON objects."""


class HypercornServer:
    """Serves requests with an ASGI application."""

    def __init__(self, app: Any) -> None:
        self._app = ASGIWrapper(holding(app))
        self._config = HypercornConfig()
        self._config.keep_alive_max_requests = (
            1  # no second request, which could be an upgrade, past `edge.connection`
        )
        self._config.accesslog = None  # its formats can print queries and headers
        self._config.errorlog = None  # prints exception texts; ours are counted by kind
        self._config.h11_max_incomplete_size = BODY_BYTES
        self._config.include_server_header = False
        self._config.websocket_max_message_size = 1

    async def serve(self, stream: ByteStream, path: str = "") -> None:
        """One request, to ``path``. Closes ``stream``. A request that takes too long is cut off."""
        context = WorkerContext(None)
        with trio.move_on_after(FILE_S if is_file(path) else REQUEST_S):
            await TCPServer(self._app, self._config, context, {}, stream)  # type: ignore[arg-type] # duck-typed: receive_some, send_all, send_eof, aclose, socket
