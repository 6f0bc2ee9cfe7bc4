"""Callbacks waiting for a webhook: in order, bounded, and never in the provider's way.

A webhook that is slower than speech is spared partials, the oldest first. Everything else waits. If even that is more
than there is room for, the task ends, because its owner would otherwise miss text without knowing.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec
import trio

from routeraudio.model.message import Message
from routeraudio.pull.record import Ending

CALLBACK_BYTES: Final = 512
"""What a callback costs beside its message."""


class Callback(msgspec.Struct, kw_only=True):
    """One POST to come."""

    number: int
    position_ms: int
    """How much audio the provider had been sent."""
    message: Message = b""
    """The provider's, as it came."""
    ending: Ending | None = None
    """The last callback of a task has this instead of a message."""
    is_partial: bool = False
    has_final: bool = False

    @property
    def may_give_way(self) -> bool:
        """Whether a newer message says what this one says."""
        return self.is_partial and not self.has_final

    @property
    def size_bytes(self) -> int:
        """What it takes up."""
        return CALLBACK_BYTES + len(self.message)


class Outbox:
    """The queue of one task.

    Args:
        room_bytes: how much may wait.
        on_full: called once when what may not be dropped does not fit any more.
        first: number of the first callback.
    """

    def __init__(self, room_bytes: int, on_full: Callable[[], None], first: int = 1) -> None:
        self.dropped = 0
        self._room_bytes = room_bytes
        self._on_full = on_full
        self._next_number = first
        self._waiting: deque[Callback] = deque()
        self._held_bytes = 0
        self._last: Callback | None = None
        self._is_silent = False
        self._is_full = False
        self._more = trio.Event()
        self._attempt = trio.CancelScope()

    def put(self, message: Message, position_ms: int) -> None:
        """A provider's message, which is kept unless it turns out to be a partial."""
        self._last = None
        if not self._is_silent:
            self._last = self._add(
                Callback(number=self._next_number, position_ms=position_ms, message=message)
            )
            self._make_room()

    def was_partial(self) -> None:
        """The message put last held text that may still change."""
        if self._last is not None:
            self._last.is_partial = True

    def was_final(self) -> None:
        """The message put last held something that is not said again."""
        if self._last is not None:
            self._last.has_final = True

    def end(self, ending: Ending, position_ms: int) -> None:
        """The task's last callback, behind everything that waits."""
        self._is_silent = True
        self._add(Callback(number=self._next_number, position_ms=position_ms, ending=ending))

    def silence(self) -> None:
        """Nothing is called back any more but the ending; an attempt under way is given up."""
        self._is_silent = True
        endings = [callback for callback in self._waiting if callback.ending is not None]
        self.dropped += len(self._waiting) - len(endings)
        self._waiting = deque(endings)
        self._held_bytes = sum(callback.size_bytes for callback in endings)
        self._attempt.cancel()

    async def next(self) -> tuple[Callback, trio.CancelScope]:
        """Wait for the next callback, and the scope for attempts to deliver it."""
        while not self._waiting:
            self._more = trio.Event()
            await self._more.wait()
        callback = self._waiting.popleft()
        self._held_bytes -= callback.size_bytes
        if callback.ending is None:
            self._attempt = trio.CancelScope()
            return callback, self._attempt
        return callback, trio.CancelScope()

    def _add(self, callback: Callback) -> Callback:
        self._next_number += 1
        self._waiting.append(callback)
        self._held_bytes += callback.size_bytes
        self._more.set()
        return callback

    def _make_room(self) -> None:
        if self._held_bytes <= self._room_bytes:
            return
        kept: deque[Callback] = deque()
        for callback in self._waiting:
            if self._held_bytes > self._room_bytes and callback.may_give_way:
                self._held_bytes -= callback.size_bytes
                self.dropped += 1
            else:
                kept.append(callback)
        self._waiting = kept
        if self._held_bytes > self._room_bytes and not self._is_full:
            self._is_full = True
            self._on_full()
