"""Name resolution in threads of its own, so that slow name servers cannot use up everybody's threads."""

import socket
from typing import Any, Final

import trio

RESOLVERS_MAX: Final = 8
"""Lookups at the same time; a healthy one takes milliseconds."""


class Resolver(trio.abc.HostnameResolver):
    """See `socket.getaddrinfo` and `socket.getnameinfo`. A cancelled lookup is left to end in its thread."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(RESOLVERS_MAX)

    async def getaddrinfo(self, *args: Any, **kwargs: Any) -> Any:
        """Addresses of a host name."""
        return await trio.to_thread.run_sync(
            lambda: socket.getaddrinfo(*args, **kwargs), abandon_on_cancel=True, limiter=self._limiter
        )

    async def getnameinfo(self, *args: Any) -> Any:
        """The name of an address."""
        return await trio.to_thread.run_sync(
            lambda: socket.getnameinfo(*args), abandon_on_cancel=True, limiter=self._limiter
        )
