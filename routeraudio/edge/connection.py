"""One port for everything: accept, shake hands, read the head, then either serve a stream or hand over to HTTP.

Streams never touch Hypercorn: on Trio it sends inside a shield without a deadline, so a client that stops reading
could be neither cancelled nor drained, and it cannot be told to do without compression. Plain HTTP never touches the
streaming path. Each connection is its own failure: nothing it does ends another one.
"""

import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import uuid4

import structlog
import trio

from routeraudio.dialects.catalog import BY_PATH, find
from routeraudio.edge.admission import Admission, Ticket
from routeraudio.edge.forwarded import Network, client_address, is_likely_proxy, is_trusted
from routeraudio.edge.http_error import answer, error_body
from routeraudio.edge.request_head import BadRequestHead, read_head
from routeraudio.edge.stream_handler import StreamHandler
from routeraudio.gateway.handler import GatewayHandler
from routeraudio.gateway.request import is_served as is_gateway_path
from routeraudio.model.errors import Overloaded
from routeraudio.model.exceptions import bug_fields
from routeraudio.transport.bytestream import ByteStream, detach
from routeraudio.transport.certificates import Certificates

log = structlog.get_logger(__name__)

HttpHandler = Callable[[ByteStream, str], Awaitable[None]]
"""Serves one HTTP request, to a path, on a stream whose head has been given back, and closes it."""

ANSWER_S: Final = 5.0
"""How long a refused peer may take to read why."""


class ConnectionHandler:
    """Handles accepted connections.

    Args:
        gateway: serves the gateway's paths; None: they are not served.
        tls: terminate TLS here, with the certificates of the moment; None: plain.
        trusted_proxies: whose `X-Forwarded-For` is believed.
        is_from_sibling: what comes was accepted by another worker, which tells whose it is.
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
        is_from_sibling: bool = False,
    ) -> None:
        self._streaming = streaming
        self._http = http
        self._admission = admission
        self._gateway = gateway
        self._tls = tls
        self._trusted_proxies = tuple(trusted_proxies)
        self._is_from_sibling = is_from_sibling
        self._has_told_of_proxy = False

    async def handle(self, accepted: trio.SocketStream) -> None:
        """Serve one connection to its end. Raises nothing but cancellation."""
        stream = ByteStream(detach(accepted), send_s=self._admission.limits.send_s)
        try:
            await self._handle(stream)
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the peer left in the middle of something; its right
        except* Exception as group:  # noqa: BLE001 - one connection never ends another one
            log.error("connection_bug", **bug_fields(group, uuid4().hex))
        finally:
            stream.close_now()

    async def _handle(self, stream: ByteStream) -> None:
        try:
            with self._admission.connection(stream.close_now) as ticket:
                address = _address(stream)
                if address and not is_trusted(address, self._trusted_proxies):
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
            try:
                await stream.start_tls(tls)
            except OSError as error:
                raise trio.BrokenResourceError("the TLS handshake failed") from error
        return not scope.cancelled_caught

    async def _serve(self, stream: ByteStream, ticket: Ticket, address: str) -> None:
        try:
            head = await read_head(stream, self._admission.limits)
        except BadRequestHead as bad:
            await self._refuse(stream, bad.status, bad.message)
            return
        if head is None:
            return
        forwarded_for = head.request.headers.get("x-forwarded-for", "")
        if self._is_from_sibling:
            ticket.comes_from(forwarded_for)
        elif is_trusted(address, self._trusted_proxies):
            ticket.comes_from(client_address(address, forwarded_for, self._trusted_proxies))
        elif forwarded_for and is_likely_proxy(address):
            self._tell_of_proxy(address)
        dialect = find(head.request)
        is_gateway = self._gateway is not None and is_gateway_path(head.request.path)
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
            await self._http(stream, head.request.path)

    def _tell_of_proxy(self, address: str) -> None:
        """Once: all its clients share one address here, with one bound on connections and one count of wrong keys."""
        if not self._has_told_of_proxy:
            self._has_told_of_proxy = True
            log.warning(
                "proxy_not_trusted",
                peer=address or "a local socket",
                why="clients seem to come through a proxy, and count as one address",
                next="name it in server.trusted_proxies",
            )

    async def _refuse(
        self, stream: ByteStream, status: int, message: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        with self._admission.answer() as may_be_told, trio.move_on_after(ANSWER_S):
            if may_be_told:
                await answer(stream, status, error_body(message), headers)


def _address(stream: ByteStream) -> str:
    """The peer's address; empty for a local socket."""
    try:
        peer = stream.socket.getpeername()
    except OSError:
        return ""  # gone already; whatever follows will notice
    # A listener for both families, as systemd opens them, tells IPv4 peers as ::ffff:192.0.2.1.
    return str(peer[0]).removeprefix("::ffff:") if isinstance(peer, tuple) else ""
