"""How many may come in: connections, connections that have not shown a key yet, sessions.

Unauthenticated connections are bounded per address too; authenticated ones are not, because a company's backend
opens all its sessions from one address and answers for them with its key.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import trio

from routeraudio.model.errors import CloseCode, Overloaded
from routeraudio.policy.addresses import neighbourhood
from routeraudio.policy.keys import Priority
from routeraudio.policy.limits import Limits

RESERVED_SHARES: Final[dict[Priority, int]] = {"high": 0, "normal": 20, "low": 5}
"""One in so many places is kept free of this class for those above it; 0: none. The lowest is refused first: at four
fifths of the capacity, the usual one at nineteen twentieths. A daemon of few places keeps none."""


class Ticket:
    """One connection's place. `authenticated()` moves it from the waiting room to the hall."""

    def __init__(self, admission: "Admission") -> None:
        self._admission = admission
        self._address: str | None = None
        self._is_waiting = True
        admission.connections += 1
        admission.waiting += 1

    def comes_from(self, address: str) -> None:
        """Count the connection under ``address``, which a trusted proxy may have told.

        Raises:
            Overloaded: too many from there have not shown a key yet.
        """
        counted = neighbourhood(address)
        self._admission.count_address(counted)
        self._address = counted

    @property
    def address(self) -> str:
        """What the connection is counted under; empty: it is not."""
        return self._address or ""

    def authenticated(self) -> None:
        """The connection has shown a good key."""
        if self._is_waiting:
            self._is_waiting = False
            self._admission.leave_waiting_room(self._address)

    def leave(self) -> None:
        """The connection has ended."""
        self.authenticated()
        self._admission.connections -= 1


class Admission:
    """Counts what is open. One per process."""

    def __init__(self, limits: Limits, sessions_max: int) -> None:
        self.limits = limits
        self.sessions_max = sessions_max
        self.is_leaving = False
        """Not ready any more: balancers should look elsewhere."""
        self.is_draining = False
        """Takes no new sessions any more."""
        self.strain: str | None = None
        """Why another session would be one too many although there are places (`workers.load`)."""
        self.connections = 0
        self.waiting = 0
        self.sessions = 0
        self._waiting_by_address: Counter[str] = Counter()
        self._emptied = trio.Event()

    @contextmanager
    def connection(self) -> Iterator[Ticket]:
        """A place for a connection.

        Raises:
            Overloaded: there is none.
        """
        if self.connections >= self.limits.connections_max:
            raise Overloaded("the daemon serves as many connections as it may; try again later")
        if self.waiting >= self.limits.connections_unauthenticated_max:
            raise Overloaded("too many connections have not shown a key yet; try again later")
        ticket = Ticket(self)
        try:
            yield ticket
        finally:
            ticket.leave()

    @contextmanager
    def session(self, priority: Priority = "normal") -> Iterator[None]:
        """A place for a session.

        Args:
            priority: the key's class: lower ones find the daemon full earlier.

        Raises:
            Overloaded: there is none, or the daemon is stopping.
        """
        if self.is_draining:
            raise Overloaded("the daemon is stopping; connect again", close_code=CloseCode.RESTART)
        if self.strain is not None and priority != "high":
            raise Overloaded(self.strain)
        if self.sessions >= self.places(priority):
            raise Overloaded("the daemon serves as many sessions as it may; try again later")
        self.sessions += 1
        try:
            yield
        finally:
            self.sessions -= 1
            if not self.sessions:
                self._emptied.set()
                self._emptied = trio.Event()

    def places(self, priority: Priority) -> int:
        """How many sessions may run when one of this class wants to begin."""
        share = RESERVED_SHARES[priority]
        return self.sessions_max - (self.sessions_max // share if share else 0)

    async def emptied(self) -> None:
        """Wait until no session runs."""
        while self.sessions:
            await self._emptied.wait()
        await trio.lowlevel.checkpoint_if_cancelled()

    def count_address(self, address: str) -> None:
        """See `Ticket.comes_from`."""
        if self._waiting_by_address[address] >= self.limits.connections_per_address_max:
            raise Overloaded(
                "too many connections from your address have not shown a key yet; try again later"
            )
        self._waiting_by_address[address] += 1

    def leave_waiting_room(self, address: str | None) -> None:
        """See `Ticket.authenticated`."""
        self.waiting -= 1
        if address is not None:
            self._waiting_by_address[address] -= 1
            if not self._waiting_by_address[address]:
                del self._waiting_by_address[address]
