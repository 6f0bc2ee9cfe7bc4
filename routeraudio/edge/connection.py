"""One port for everything: accept, shake hands, read the head, then either serve a stream or hand over to HTTP.

Streams never touch Hypercorn: on Trio it sends inside a shield without a deadline, so a client that stops reading
could be neither cancelled nor drained, and it cannot be told to do without compression. Plain HTTP never touches the
streaming path. Each connection is its own failure: nothing it does ends another one.
"""

import ipaddress
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog
import trio

from routeraudio.dialects.catalog import BY_PATH
from routeraudio.edge.admission import Admission, Ticket
from routeraudio.edge.http_error import answer, error_body
from routeraudio.edge.request_head import BadRequestHead, read_head
from routeraudio.edge.stream_handler import StreamHandler
from routeraudio.gateway.handler import GatewayHandler
from routeraudio.gateway.request import is_served as is_passage
from routeraudio.model.errors import Overloaded
from routeraudio.transport.bytestream import ByteStream, detach
from routeraudio.transport.certificates import Certificates

log = structlog.get_logger(__name__)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
HttpHandler = Callable[[ByteStream], Awaitable[None]]
"""Serves one HTTP request on a stream whose head has been given back, and closes it."""

ANSWER_S: Final = 5.0
"""How long a refused peer may take to read why."""


class ConnectionHandler:
    """Handles accepted connections.

    Args:
        gateway: serves the gateway's paths; None: nobody does.
        tls: terminate TLS here, with the certificates of the moment; None: plain.
        trusted_proxies: whose `X-Forwarded-For` is believed.
    """

    def __init__(
        self,
        streaming: StreamHandler,
        http: HttpHandler,
        admission: Admission,
        *,
        gateway: GatewayHandler | None = None,
        tls: Certificates | None = None,
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        self._streaming = streaming
        self._http = http
        self._admission = admission
        self._gateway = gateway
        self._tls = tls
        self._trusted_proxies = tuple(trusted_proxies)

    async def handle(self, accepted: trio.SocketStream) -> None:
        """Serve one connection to its end. Raises nothing but cancellation."""
        stream = ByteStream(detach(accepted), send_s=self._admission.limits.send_s)
        try:
            await self._handle(stream)
        except* (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            pass  # the peer left in the middle of something; its right
        except* Exception as group:  # noqa: BLE001 - one connection never ends another one
            kinds = sorted({type(error).__name__ for error in leaves(group)})
            log.error("connection_bug", errors=kinds)
        finally:
            stream.close_now()

    async def _handle(self, stream: ByteStream) -> None:
        try:
            with self._admission.connection() as ticket:
                address = _address(stream)
                if address and not self._is_proxy(address):
                    ticket.comes_from(address)
                if self._tls is None or await self._secure(stream, self._tls.context):
                    await self._serve(stream, ticket, address)
        except Overloaded as full:
            # Who is turned away before the TLS handshake cannot be told why, and a handshake costs more than he may.
            if self._tls is None or isinstance(stream.socket, ssl.SSLSocket):
                await self._refuse(stream, 503, full.message, (("retry-after", "5"),))

    async def _secure(self, stream: ByteStream, tls: ssl.SSLContext) -> bool:
        """Shake hands; False: it took too long."""
        with trio.move_on_after(self._admission.limits.tls_handshake_s) as scope:
            await stream.start_tls(tls)
        return not scope.cancelled_caught

    async def _serve(self, stream: ByteStream, ticket: Ticket, address: str) -> None:
        try:
            head = await read_head(stream, self._admission.limits)
        except BadRequestHead as bad:
            await self._refuse(stream, bad.status, bad.message)
            return
        if head is None:
            return
        if self._is_proxy(address):
            ticket.comes_from(self._forwarded_for(head.request.headers.get("x-forwarded-for", "")) or address)
        dialect = BY_PATH.get(head.request.path)
        is_gateway = self._gateway is not None and is_passage(head.request.path)
        if head.is_upgrade and dialect is not None:
            await self._streaming.serve(stream, head, dialect, ticket)
        elif head.is_upgrade and self._gateway is not None and is_gateway:
            await self._gateway.serve(stream, head, ticket)
        elif head.is_upgrade:
            places = ", ".join((*BY_PATH, *(() if self._gateway is None else ("/gateway/PROVIDER",))))
            await self._refuse(stream, 404, f"no stream is served here; streams are at {places}")
        elif dialect is not None or is_gateway:
            await self._refuse(stream, 426, "this is a WebSocket endpoint", (("upgrade", "websocket"),))
        else:
            stream.unread(head.data + head.rest)
            await self._http(stream)

    async def _refuse(
        self, stream: ByteStream, status: int, message: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        with trio.move_on_after(ANSWER_S):
            await answer(stream, status, error_body(message), headers)

    def _is_proxy(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted_proxies)

    def _forwarded_for(self, header: str) -> str:
        """The last address in the chain that is no proxy of ours; what stands before it is hearsay."""
        for address in reversed(header.split(",")):
            if not self._is_proxy(address.strip()):
                return address.strip()
        return ""


def _address(stream: ByteStream) -> str:
    """The peer's address; empty for a local socket."""
    try:
        peer = stream.socket.getpeername()
    except OSError:
        return ""  # gone already; whatever follows will notice
    # A listener for both families, as systemd opens them, tells IPv4 peers as ::ffff:192.0.2.1.
    return str(peer[0]).removeprefix("::ffff:") if isinstance(peer, tuple) else ""


def leaves(group: BaseExceptionGroup[Exception]) -> list[Exception]:
    """The plain exceptions of ``group``."""
    found: list[Exception] = []
    for error in group.exceptions:
        found.extend(leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found
