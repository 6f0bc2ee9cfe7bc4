"""The deliver stage: events become client messages.

A client that reads slowly gets everything that is final. Partials give way: while something waits, only the latest
one is kept, and a final makes it obsolete.
"""

from collections.abc import Callable
from typing import Final as Constant

import trio

from routeraudio.dialects.base import Dialect, DialectEvent, HasGreeting, HasTicks
from routeraudio.model.errors import ClientFault, CloseCode
from routeraudio.model.events import Event, Failed, Final, Finished, Partial, Raw, TurnEnd
from routeraudio.policy.limits import Limits
from routeraudio.session.link import Link
from routeraudio.session.streams import MessageStream

WORD_BYTES: Constant = 100
"""What a word of a final costs in memory, and about what its JSON takes."""


class _Late:
    """Stands in the queue for the latest partial of one utterance, whichever that will be."""

    def __init__(self, partial: Partial) -> None:
        self.partial: Partial | None = partial


class Deliver:
    """Writes to the client.

    Args:
        on_room: called when the upstream may be read again after `push` answered False.
    """

    def __init__(
        self, client: MessageStream, dialect: Dialect, limits: Limits, on_room: Callable[[], None]
    ) -> None:
        self._client = client
        self._dialect = dialect
        self._send_s = limits.send_s
        # One bound serves both: a message of events counts at least its share of the bytes.
        self._share_bytes = max(1, limits.outbox_bytes // limits.outbox_messages_max)
        self._link: Link[Event | DialectEvent | _Late] = Link(
            self._step,
            wait=self._wait,
            size=self._size,
            room_bytes=limits.outbox_bytes,
            on_room=on_room,
        )
        self._late: _Late | None = None
        """The place in the queue that a new partial may take."""
        self.ending: Finished | Failed | None = None
        self.ended = trio.Event()

    def push(self, event: Event | DialectEvent) -> bool:
        """Tell the client about ``event``. False: read no more from the upstream until `on_room`."""
        if self._link.is_level:
            return self._link.push(event)
        if isinstance(event, Partial):
            return self._push_partial(event)
        if isinstance(event, Final | TurnEnd) and self._late is not None:
            if isinstance(event, Final):
                self._late.partial = None
            # A later partial gets a place of its own: it must not overtake this event.
            self._late = None
        return self._link.push(event)

    async def run(self) -> None:
        """The stage's task.

        Raises:
            ClientFault: the client does not read.
        """
        if isinstance(self._dialect, HasGreeting):
            # Before anything that was pushed: the link carries nothing before it runs.
            for message in self._dialect.greeting():
                self._client.send(message)
        if not isinstance(self._dialect, HasTicks):
            await self._link.run()
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tick, self._dialect)
            await self._link.run()

    def drain(self) -> None:
        """Hand everything that waits to the client's stream."""
        self._link.drain()

    async def _tick(self, dialect: HasTicks) -> None:
        """Tell a dialect that waits for something how time goes by. Ends when cancelled."""
        while True:
            await trio.sleep(dialect.tick_s)
            if self._link.is_level:
                self._link.push(dialect.tick)

    def _push_partial(self, partial: Partial) -> bool:
        if self._late is not None:
            self._late.partial = partial
            return True
        self._late = _Late(partial)
        return self._link.push(self._late)

    def _step(self, event: Event | DialectEvent | _Late) -> bool:
        if isinstance(event, _Late):
            if event is self._late:
                self._late = None
            if event.partial is None:
                return True
            event = event.partial
        for message in self._dialect.event(event):
            self._client.send(message)
        if isinstance(event, Finished | Failed):
            self.ending = event
            self.ended.set()
        return not self._client.is_congested

    async def _wait(self) -> None:
        with trio.move_on_after(self._send_s) as scope:
            await self._client.flushed()
        if scope.cancelled_caught:
            raise ClientFault(
                f"the client has not read for {self._send_s:g} s",
                code="timeout",
                close_code=CloseCode.TIMEOUT,
            )

    def _size(self, event: Event | DialectEvent | _Late) -> int:
        length_bytes = 0
        if isinstance(event, Raw):
            length_bytes = len(event.message)
        elif isinstance(event, Final):
            length_bytes = len(event.text) + WORD_BYTES * len(event.words or ())
        return max(self._share_bytes, length_bytes)
