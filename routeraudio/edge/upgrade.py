"""From an upgrade request to an open WebSocket."""

from typing import Final

from websockets.datastructures import Headers
from websockets.http11 import Request as UpgradeRequest
from websockets.http11 import Response
from websockets.protocol import Protocol, Side
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from routeraudio.edge.request_head import Head
from routeraudio.policy.limits import Limits
from routeraudio.policy.rates import Bucket
from routeraudio.transport.bytestream import ByteStream
from routeraudio.transport.poller import Poller
from routeraudio.transport.tls import set_options
from routeraudio.transport.websocket import WebSocket

_HANDSHAKE: Final = ("connection", "upgrade", "origin")


def response(head: Head, subprotocol: str | None = None) -> Response:
    """The answer to an upgrade request: 101, or another status where it is no valid one.

    `websockets` is not given the head to parse: its lines have narrower limits than ours.
    """
    headers = head.request.headers.items()
    kept = {name: value for name, value in headers if name in _HANDSHAKE or name.startswith("sec-websocket-")}
    protocol = ServerProtocol(subprotocols=[Subprotocol(subprotocol)] if subprotocol else None)
    return protocol.accept(UpgradeRequest(head.request.path, Headers(kept), head.method))


async def open_websocket(
    stream: ByteStream,
    head: Head,
    answer: Response,
    *,
    limits: Limits,
    poller: Poller,
    text_bytes_max: int | None,
    counts_texts: bool = True,
) -> WebSocket:
    """Send ``answer``, a 101. The WebSocket owns the socket of ``stream`` from then on.

    Raises:
        trio.BrokenResourceError: the client has gone.
    """
    set_options(stream.socket)
    await stream.send_all(answer.serialize())
    return WebSocket(
        stream.release(),
        # A new one: the object of the handshake would keep the request's headers for the life of the session.
        Protocol(Side.SERVER, max_size=limits.message_binary_bytes),
        poller,
        ping_s=limits.ping_s,
        pong_s=limits.pong_s,
        close_s=limits.close_client_s,
        flood=Bucket(limits.flood_per_s, limits.flood_burst_max),
        text_bytes_max=text_bytes_max,
        counts_texts=counts_texts,
        ahead_bytes_max=limits.read_ahead_bytes,
        unread=head.rest,
    )
