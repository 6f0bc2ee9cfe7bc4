"""Name resolution in threads of its own, so that slow name servers cannot use up everybody's threads."""

import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

import trio

T = TypeVar("T")

RESOLVERS_MAX: Final = 8
"""Lookups at the same time; a healthy one takes milliseconds."""


class Resolver(trio.abc.HostnameResolver):
    """See `socket.getaddrinfo` and `socket.getnameinfo`. A cancelled lookup is left to end in its thread.

    Args:
        deadline_s: what one lookup may take; then it fails like one that got no answer.
    """

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._limiter = trio.CapacityLimiter(RESOLVERS_MAX)

    async def getaddrinfo(self, *args: Any, **kwargs: Any) -> Any:
        """Addresses of a host name."""
        return await self._look_up(partial(socket.getaddrinfo, *args, **kwargs))

    async def getnameinfo(self, *args: Any) -> Any:
        """The name of an address."""
        return await self._look_up(partial(socket.getnameinfo, *args))

    async def _look_up(self, look: Callable[[], T]) -> T:
        with trio.move_on_after(self._deadline_s):
            return await trio.to_thread.run_sync(look, abandon_on_cancel=True, limiter=self._limiter)
        raise socket.gaierror(socket.EAI_AGAIN, f"no answer within {self._deadline_s:g} s")
