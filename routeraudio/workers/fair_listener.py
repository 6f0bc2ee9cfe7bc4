"""Fair accepting: workers share one listening socket, and the one with the fewest connections accepts the next.

The kernel's own ways to spread connections do not fit streams that last for hours. One socket per worker
(`SO_REUSEPORT`) leaves what was dealt to a dead worker waiting until it is back, deals on to full ones, and exists
neither for local sockets nor for those that systemd passes. One shared socket wakes everybody, and the quickest takes
it, often the same: of 200 connections in two seconds one of four workers got 184.

So everybody is woken, and whoever has more than another waits a moment before he helps himself. Measured the same way,
four workers got 50 each, and 49 to 51 of 200 at once. Waking up for nothing costs the others a turn of their loops
per connection, which is little for streams that last for minutes.
"""

import select
from collections.abc import Callable
from typing import Final

import trio

from routeraudio.workers.shared_state import SharedState

COURTESY_S: Final = 0.005
"""What is left to the others for every connection that we have more: five turns of a busy loop. If they are stuck we
take the next one all the same."""

COURTESY_S_MAX: Final = 0.25
"""As long as a client does not mind; also where it would be refused here."""


class FairListener(trio.abc.Listener[trio.SocketStream]):
    """A listener that may let others go first.

    Args:
        tell: writes this worker's own row on the board.
    """

    def __init__(self, listener: trio.SocketListener, shared: SharedState, tell: Callable[[], None]) -> None:
        self._listener = listener
        self._shared = shared
        self._tell = tell
        self._waiting = select.poll()
        self._waiting.register(listener.socket.fileno(), select.POLLIN)

    async def accept(self) -> trio.SocketStream:
        """See `trio.SocketListener.accept`."""
        while True:
            await trio.lowlevel.wait_readable(self._listener.socket)
            self._tell()
            lead = self._shared.lead()
            if lead != 0:
                await trio.sleep(COURTESY_S_MAX if lead is None else min(lead * COURTESY_S, COURTESY_S_MAX))
            if self._waiting.poll(0):
                # Another process may be quicker than this; then the next connection is taken without courtesy.
                accepted = await self._listener.accept()
                self._shared.has_one_more()
                return accepted

    async def aclose(self) -> None:
        """Close the socket."""
        await self._listener.aclose()
