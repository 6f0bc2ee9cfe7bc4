"""A bounded memory channel between two stages, with a fast path past it.

While the consumer waits for nothing and nothing is queued, `push` runs the consumer's synchronous step right away,
in the caller's turn: no queue, no task switch. When the step answers that it must wait now (a full socket, a
connection still being dialled), what follows goes into the channel and the consumer's task takes over: it waits,
takes what has gathered, and opens the fast path again once it is level.

    producer ── push(item) ──▶ step(item)                              the fast path
                     └───────▶ channel ──▶ run(): wait, step(item)…    when something must wait

Bounds are in bytes, not in items. `push` never refuses: it answers whether there is room for more, and the producer
stops reading its peer until `on_room` is called.
"""

import math
from collections.abc import Awaitable, Callable, Iterator
from typing import Generic, TypeVar

import trio

T = TypeVar("T")


class Link(Generic[T]):
    """Carries items, in order, to one consumer. Starts with the fast path closed, until `run` has waited once.

    Args:
        step: the consumer's synchronous step. It always takes the item whole; False: wait before the next one.
        wait: what the consumer's task awaits before it takes what has gathered. Bounds itself.
        size: what an item counts, in bytes; more than 0, so that small items are bounded too.
        room_bytes: how much may gather here before the producer is asked to stop. May be changed at any time.
        on_room: called when there is room again after `push` answered False.
    """

    __slots__ = (
        "_held_bytes",
        "_idle",
        "_in_hand",
        "_is_full",
        "_is_short",
        "_on_room",
        "_receive",
        "_room",
        "_send",
        "_size",
        "_step",
        "_wait",
        "room_bytes",
    )

    def __init__(
        self,
        step: Callable[[T], bool],
        *,
        wait: Callable[[], Awaitable[None]],
        size: Callable[[T], int],
        room_bytes: int,
        on_room: Callable[[], None],
    ) -> None:
        self.room_bytes = room_bytes
        self._step = step
        self._wait = wait
        self._size = size
        self._on_room = on_room
        self._send, self._receive = trio.open_memory_channel[T](math.inf)
        self._in_hand: T | None = None
        self._is_short = False
        self._is_full = False
        self._held_bytes = 0
        self._room: trio.Event | None = None
        """Made when somebody waits: few sessions ever do."""
        self._idle: trio.CancelScope | None = None
        """Of `run` while it is level."""

    @property
    def is_level(self) -> bool:
        """Whether the consumer keeps up: nothing has gathered and nothing waits."""
        return self._is_short

    def push(self, item: T) -> bool:
        """Hand ``item`` over. False: stop producing until `on_room`."""
        if self._is_short:
            self._is_short = self._step(item)
            return True
        self._held_bytes += self._size(item)
        self._send.send_nowait(item)
        if self._held_bytes >= self.room_bytes:
            self._is_full = True
        return not self._is_full

    async def room(self) -> None:
        """Wait until there is room."""
        while self._is_full:
            if self._room is None:
                self._room = trio.Event()
            await self._room.wait()
        await trio.lowlevel.checkpoint_if_cancelled()

    def drain(self) -> None:
        """Take everything that has gathered without waiting: the session ends and nothing may be lost."""
        while (item := self._next()) is not None:
            self._take(item)

    def hold(self) -> None:
        """Close the fast path: the consumer has something to wait for that it did not learn in a step."""
        self._is_short = False
        if self._idle is not None:
            self._idle.cancel()

    def clear(self) -> Iterator[T]:
        """Take out what has gathered, without a step."""
        while (item := self._next()) is not None:
            yield item
            self._leave(item)

    async def run(self) -> None:
        """The consumer's task: serves what could not go the fast path. Ends when cancelled."""
        while True:
            await self._wait()
            if self._catch_up():
                self._is_short = True
                with trio.CancelScope() as self._idle:
                    # Kept where `drain` finds it: this task may be cancelled while it waits.
                    self._in_hand = await self._receive.receive()
                self._idle = None

    def _catch_up(self) -> bool:
        """Take what has gathered until a step must wait; True: level."""
        while (item := self._next()) is not None:
            if not self._take(item):
                return False
        return True

    def _next(self) -> T | None:
        item, self._in_hand = self._in_hand, None
        if item is not None:
            return item
        try:
            return self._receive.receive_nowait()
        except trio.WouldBlock:
            return None

    def _take(self, item: T) -> bool:
        goes_on = self._step(item)
        self._leave(item)
        return goes_on

    def _leave(self, item: T) -> None:
        """``item`` does not wait here any more."""
        self._held_bytes -= self._size(item)
        if self._is_full and self._held_bytes <= self.room_bytes // 2:
            self._is_full = False
            if self._room is not None:
                self._room.set()
                self._room = None
            self._on_room()
