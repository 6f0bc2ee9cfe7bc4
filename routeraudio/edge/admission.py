"""How many may come in: connections, connections that have not shown a key yet, sessions.

Unauthenticated connections are bounded per address too; authenticated ones are not, because a company's backend
opens all its sessions from one address and answers for them with its key. When the waiting room is full, who has waited
longest of those with the most company gives way to the newcomer, so that silence keeps nobody out.

A client that brings a provider's own key is a stranger until that provider has accepted it, and its session gives way
to whoever has a router key.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import trio

from routeraudio.model.errors import CloseCode, Overloaded
from routeraudio.policy.addresses import neighbourhood, region
from routeraudio.policy.keys import Priority
from routeraudio.policy.limits import Limits

RESERVED_SHARES: Final[dict[Priority, int]] = {"high": 0, "normal": 20, "low": 5}
"""One in so many places is kept free of this class for those above it; 0: none. The lowest is refused first: at four
fifths of the capacity, the usual one at nineteen twentieths. A daemon of few places keeps none."""


REGION_SHARE: Final = 4
"""So many times as many connections from a /48 as from an address: networks of offices are made like that."""

KNOWN_MAX: Final = 10_000
"""Addresses remembered that have shown a good key; the one seen longest ago gives way."""

ANSWERS_MAX: Final = 64
"""Refused peers that are told why at the same time, each for up to some seconds. More are closed without a word."""


class Ticket:
    """One connection's place. `authenticated()` moves it from the waiting room to the hall.

    Args:
        evict: closes the connection, while it waits.
    """

    def __init__(self, admission: "Admission", evict: Callable[[], None]) -> None:
        self._admission = admission
        self._address: str | None = None
        self._is_waiting = True
        self.evict = evict
        admission.connections += 1
        admission.enter_waiting_room(self)

    def comes_from(self, address: str) -> None:
        """Count the connection under ``address``, which a trusted proxy may have told.

        Raises:
            Overloaded: too many from there have not shown a key yet.
        """
        if not self._is_waiting:
            return  # it has had to give way meanwhile
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
            self._admission.leave_waiting_room(self, self._address)
        self._admission.remember(self._address)

    def evicted(self) -> None:
        """Somebody else needs the place."""
        self._is_waiting = False
        self._admission.leave_waiting_room(self, self._address)
        self.evict()

    def leave(self) -> None:
        """The connection has ended."""
        if self._is_waiting:
            self._is_waiting = False
            self._admission.leave_waiting_room(self, self._address)
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
        self.sessions = 0
        self.answers = 0
        """Refused peers that are being told why."""
        self._waiting: dict[Ticket, None] = {}
        """In the order in which they came."""
        self._waiting_by_address: Counter[str] = Counter()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._strangers: dict[object, Callable[[Overloaded], None]] = {}
        """Sessions that give way, oldest first, and how each is ended."""
        self._emptied = trio.Event()

    @property
    def waiting(self) -> int:
        """Connections that have not shown a key yet."""
        return len(self._waiting)

    @contextmanager
    def connection(self, evict: Callable[[], None] = lambda: None) -> Iterator[Ticket]:
        """A place for a connection.

        Args:
            evict: closes it; called while it waits, when others need its place.

        Raises:
            Overloaded: there is none.
        """
        if self.connections >= self.limits.connections_max:
            raise Overloaded("the daemon serves as many connections as it may; try again later")
        if self.waiting >= self.limits.connections_unauthenticated_max:
            self._evict_one()
        ticket = Ticket(self, evict)
        try:
            yield ticket
        finally:
            ticket.leave()

    @contextmanager
    def answer(self) -> Iterator[bool]:
        """Whether a refused peer may be told why; else it is closed at once: it keeps a descriptor, too."""
        if self.answers >= ANSWERS_MAX:
            yield False
            return
        self.answers += 1
        try:
            yield True
        finally:
            self.answers -= 1

    @contextmanager
    def session(
        self, priority: Priority = "normal", *, displaced: Callable[[Overloaded], None] | None = None
    ) -> Iterator[Callable[[], None]]:
        """A place for a session.

        Args:
            priority: the key's class: lower ones find the daemon full earlier.
            displaced: of a stranger: ends the session when a client with a router key needs the place.

        Yields:
            To be called when it is no stranger any more.

        Raises:
            Overloaded: there is none, or the daemon is stopping.
        """
        if self.is_draining:
            raise Overloaded("the daemon is stopping; connect again", close_code=CloseCode.RESTART)
        if self.strain is not None and priority != "high":
            raise Overloaded(self.strain)
        if self.sessions >= self.places(priority) and (displaced is not None or not self._displace_one()):
            raise Overloaded("the daemon serves as many sessions as it may; try again later")
        self.sessions += 1
        place = object()
        if displaced is not None:
            self._strangers[place] = displaced
        try:
            yield lambda: self._accept(place)
        finally:
            self.sessions -= 1
            self._strangers.pop(place, None)
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
        most = self.limits.connections_per_address_max
        around = region(address)
        if self._waiting_by_address[address] >= most or (
            around != address and self._waiting_by_address[around] >= REGION_SHARE * most
        ):
            raise Overloaded(
                "too many connections from your address have not shown a key yet; try again later"
            )
        for one in {address, around}:
            self._waiting_by_address[one] += 1

    def enter_waiting_room(self, ticket: Ticket) -> None:
        """See `Ticket`."""
        self._waiting[ticket] = None

    def leave_waiting_room(self, ticket: Ticket, address: str | None) -> None:
        """See `Ticket.authenticated`."""
        del self._waiting[ticket]
        for one in set() if address is None else {address, region(address)}:
            self._waiting_by_address[one] -= 1
            if not self._waiting_by_address[one]:
                del self._waiting_by_address[one]

    def remember(self, address: str | None) -> None:
        """Somebody with a good key has come from there."""
        if address:
            self._known[address] = None
            self._known.move_to_end(address)
            if len(self._known) > KNOWN_MAX:
                self._known.popitem(last=False)

    def _accept(self, place: object) -> None:
        self._strangers.pop(place, None)

    def _evict_one(self) -> None:
        """Of those who wait: addresses that have shown no good key before others, those with most company first."""

        def rank(ticket: Ticket) -> tuple[bool, int]:
            return ticket.address not in self._known, self._waiting_by_address[ticket.address]

        oldest = max(self._waiting, key=rank)  # the first of several that rank alike
        oldest.evicted()

    def _displace_one(self) -> bool:
        """End the oldest stranger's session, for a client with a router key."""
        for place, displaced in self._strangers.items():
            del self._strangers[place]
            displaced(Overloaded("this place is needed for clients with a router key; try again later"))
            return True
        return False
