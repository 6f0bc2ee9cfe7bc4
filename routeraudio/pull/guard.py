"""Every connection on somebody else's behalf is opened here: look the name up, check what came back, connect to that.

One lookup serves the check and the connection, so a name server that answers differently the second time changes
nothing. Redirects, playlist entries and segments are connections like any other.
"""

import socket
from collections.abc import Iterable, Sequence
from typing import Final

import httpcore
import httpx
import trio

from routeraudio.pull.addresses import Network, is_allowed, is_inside
from routeraudio.pull.faults import SourceFault

CONNECT_S: Final = 10.0
"""Lookup and handshake: some retransmissions (1, 3 s; RFC 6298), or a dead address and then a live one."""

ATTEMPT_S: Final = 4.0
"""For one address of several."""

ADDRESSES_MAX: Final = 4
"""Of one name: two of each family. More than that do not fit into `CONNECT_S`."""

RESPONSES: Final = 100
"""Connections to webhooks at the same time, and kept for the next callback."""


HINT: Final = "the operator may allow networks with pull.allow_networks"


class Guard:
    """Connects to allowed addresses only.

    Args:
        networks: what the operator allows besides globally reachable addresses.
        hint: how others are allowed.
        is_isolating: whether decoders have no network of their own. Without that a stranger's stream, which may take a
            decoder over, would be let into this one: then sources are in the operator's networks only.
    """

    def __init__(
        self, networks: Sequence[Network] = (), hint: str = HINT, *, is_isolating: bool = True
    ) -> None:
        self._networks = tuple(networks)
        self._hint = hint
        self._is_isolating = is_isolating

    async def addresses(self, host: str, port: int) -> list[str]:
        """Where ``host`` is reached.

        Raises:
            SourceFault: it is unknown, or one of its addresses is not allowed.
        """
        try:
            found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise SourceFault(f"the host name {host} cannot be looked up", is_retryable=True) from None
        addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
        # One bad address condemns the name: an honest one has no reason to mix them.
        if not all(is_allowed(address, self._networks) for address in addresses):
            raise SourceFault(
                f"{host} is a private or reserved address, which is not connected to from here; {self._hint}",
                is_retryable=False,
                is_refused=True,
            )
        return addresses[:ADDRESSES_MAX]

    async def source_addresses(self, host: str, port: int) -> list[str]:
        """Where ``host`` is reached, whose bytes a decoder is to read.

        Raises:
            SourceFault: as `addresses`, and where decoders are not isolated.
        """
        found = await self.addresses(host, port)
        if not self._is_isolating and not all(is_inside(address, self._networks) for address in found):
            raise SourceFault(
                f"{host} is not connected to, because decoders cannot be isolated on this machine; {self._hint}",
                is_retryable=False,
                is_refused=True,
            )
        return found

    async def connect(self, host: str, port: int) -> trio.SocketStream:
        """A connection to ``host`` for a decoder, which the caller closes.

        Raises:
            SourceFault: not allowed, or not reachable in time.
        """
        with trio.move_on_after(CONNECT_S):
            for address in await self.source_addresses(host, port):
                with trio.move_on_after(ATTEMPT_S):
                    try:
                        return await trio.open_tcp_stream(address, port)
                    except OSError:
                        continue
        raise SourceFault(f"{host} port {port} cannot be reached", is_retryable=True)


class _Backend(httpcore.AsyncNetworkBackend):
    """httpcore's way into the network, with the guard in front of it."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._trio = httpcore.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._guard.addresses(host, port)
        except SourceFault as fault:
            raise httpcore.ConnectError(fault.message) from None
        # TLS is shaken hands for by name, above this; what is connected to is the address that was checked.
        return await self._trio.connect_tcp(addresses[0], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


class _Transport(httpx.AsyncHTTPTransport):
    """httpx takes no network backend, but its transport is this pool and nothing else (encode/httpx, 0.28)."""

    def __init__(self, guard: Guard) -> None:
        super().__init__(trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=RESPONSES,
            max_keepalive_connections=RESPONSES,
            keepalive_expiry=30.0,
            network_backend=_Backend(guard),
        )


def guarded_client(guard: Guard, timeout_s: float) -> httpx.AsyncClient:
    """A client that follows no redirect, asks no proxy, and connects to allowed addresses only."""
    return httpx.AsyncClient(
        transport=_Transport(guard), timeout=timeout_s, follow_redirects=False, trust_env=False
    )
