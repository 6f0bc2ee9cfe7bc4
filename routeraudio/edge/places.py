"""A session's place, and what a stranger's is worth.

Whoever brings a provider's own key may have invented it. Until that provider has accepted it the connection stays in
the waiting room, with its bounds per address, and the session is of the lowest class and gives way to whoever has a
router key.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from routeraudio.edge.admission import Admission, Ticket
from routeraudio.model.errors import Overloaded
from routeraudio.policy.access import Principal


class Place:
    """One session's.

    Args:
        ticket: of its connection.
    """

    def __init__(self, ticket: Ticket) -> None:
        self._ticket = ticket
        self.no_stranger: Callable[[], None] = _nothing
        """Tells the hall that the provider has accepted the client's key."""
        self._finish: Callable[[Overloaded], None] = _not_yet

    def accepted(self) -> None:
        """The provider takes audio, and so has accepted whatever key it was shown."""
        self._ticket.authenticated()
        self.no_stranger()

    def holds(self, finish: Callable[[Overloaded], None]) -> None:
        """The session that has the place, and how it is ended."""
        self._finish = finish

    def displaced(self, because: Overloaded) -> None:
        """Somebody with a router key needs it."""
        self._finish(because)


@asynccontextmanager
async def place_of(admission: Admission, principal: Principal, ticket: Ticket) -> AsyncIterator[Place]:
    """A place for ``principal``'s session.

    Raises:
        Overloaded: there is none.
    """
    place = Place(ticket)
    is_stranger = principal.is_stranger
    with admission.session(
        "low" if is_stranger else principal.terms.priority, displaced=place.displaced if is_stranger else None
    ) as place.no_stranger:
        yield place


def _not_yet(_because: Overloaded) -> None:
    """Its session has not begun; it will find out by itself that there is no place."""


def _nothing() -> None:
    """Nobody was a stranger."""
