"""One pull task: source → session → outbox → webhook, from its start to its last callback.

The seat in the daemon and in the ledger is taken before the task begins and given back when its provider has gone. The
provider is dialled when there is audio to send it. Whatever ends a task passes through `Task.run` and becomes one
ending, one record and one last callback.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio

from routeraudio.dialects.base import Control
from routeraudio.model.errors import BudgetUsedUp
from routeraudio.pull.client import Feed, Telling
from routeraudio.pull.faults import SourceFault
from routeraudio.pull.guard import Guard
from routeraudio.pull.outbox import Outbox
from routeraudio.pull.record import BALANCE_USED_UP, SOURCE_ENDED, Ending, Record, failed
from routeraudio.pull.reservation import Reservation
from routeraudio.pull.source_reader import Bounds, SourceReader
from routeraudio.pull.webhook import Webhook

log = structlog.get_logger(__name__)

KEEPALIVE_S: Final = 10.0
"""Tells the session that a source which is being opened again is not an idle client: its bounds are `Bounds`."""

LEAVE_S: Final = 15.0
"""From a stop to the end of the provider's connection: its last words, which nobody wants any more, and a handshake."""

REST_S: Final = 300.0
"""After the end, for callbacks that still wait before the last one."""

NUMBERS: Final = 100
"""Of callbacks, reserved at a time: what a number may jump by when a process dies."""

SAVE_S: Final = 15.0
"""Between two copies of a running task's counters on the disk, for its status after a crash."""


class Task:
    """One task.

    Args:
        source: the URL with its credentials, which the record does not have.
        save: keeps the record durably.
    """

    def __init__(
        self,
        record: Record,
        source: str,
        seat: Reservation,
        webhook: Webhook,
        *,
        guard: Guard,
        bounds: Bounds,
        queue_bytes: int,
        save: Callable[[Record], Awaitable[None]],
    ) -> None:
        self.record = record
        self._seat = seat
        self._save = save
        self._ending: Ending | None = None
        """Decided by somebody: the owner, the daemon, the outbox."""
        self._feed = Feed()
        self._post = Post(record, webhook, queue_bytes, self._on_full, save)
        self._telling = Telling(self._post.outbox, lambda: self._feed.fed_ms)
        self._listening = SourceReader(source, guard, bounds, self._hear)
        self._lost: SourceFault | None = None
        self._is_source_over = False
        self._has_news = trio.Event()
        """There is audio, or there will be none."""
        self._listening_scope = trio.CancelScope()
        self._session_scope = trio.CancelScope()

    @property
    def is_stoppable(self) -> bool:
        """Whether it neither has ended nor is about to."""
        return self._ending is None and not self.record.is_over

    def stop(self, ending: Ending, *, is_silent: bool) -> None:
        """End the task now.

        Args:
            is_silent: from now on there is no callback but the last one.
        """
        if not self.is_stoppable:
            return
        self._ending = ending
        self.record.state = "stopping"
        if is_silent:
            self._post.outbox.silence()
        self._listening_scope.cancel()
        self._session_scope.deadline = trio.current_time() + LEAVE_S

    async def run(self) -> None:
        """Own everything of the task until its last callback has been delivered or given up.

        Raises nothing of its own. When cancelled, its record says that it has not ended, and whoever inherits the
        record tells its owner.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._post.run)
            ending = None
            try:
                ending = await self._work()
            finally:
                # Before the last callback: whoever has been told of the end finds the place free.
                with trio.move_on_after(LEAVE_S, shield=True):
                    await self._seat.leave("audio_error" if ending is None or ending.error else "ok")
            self._count()
            self.record.ends(ending, time.time())
            log.info("pull_ended", **self._names(), state=ending.state, status=int(ending.status))
            await self._save(self.record)
            self._post.end(ending, self.record.audio_ms)

    async def _work(self) -> Ending:
        """Source and session until both are over."""
        log.info("pull_started", **self._names())
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listen)
                await self._has_news.wait()
                if self._listening.heard_bytes:
                    nursery.start_soon(self._keep_time)
                    await self._converse()
                nursery.cancel_scope.cancel()
        except* Exception as group:  # noqa: BLE001 - one task never ends another one
            log.error("pull_bug", task_id=self.record.task_id, errors=kinds(group))
            self._ending = self._ending or failed("routeraudio has failed; the operator's log says more")
        return self._verdict()

    async def _listen(self) -> None:
        with self._listening_scope:
            self._lost = await self._listening.run()
        self._is_source_over = True
        self._has_news.set()
        self._feed.control(Control.FINISH)

    async def _hear(self, audio: bytes) -> None:
        self._has_news.set()
        await self._feed.audio(audio)

    async def _converse(self) -> None:
        session = self._seat.session(self._feed, self._telling)
        if self._ending is None:
            self.record.state = "running"
        with self._session_scope:
            await session.run()

    async def _keep_time(self) -> None:
        saved_s = trio.current_time()
        while True:
            await trio.sleep(KEEPALIVE_S)
            self._feed.control(Control.KEEPALIVE)
            self._count()
            if trio.current_time() - saved_s >= SAVE_S:
                saved_s = trio.current_time()
                await self._save(self.record)

    def _verdict(self) -> Ending:
        """How it ended; the first thing that went wrong counts."""
        if self._ending is not None:
            return self._ending
        fault = self._telling.fault
        if isinstance(fault, BudgetUsedUp):
            return BALANCE_USED_UP
        if fault is not None:
            return failed(fault.message)
        if not self._is_source_over:
            return failed("the provider has ended the stream")
        if self._lost is None:
            return SOURCE_ENDED
        if self._listening.is_end(self._lost):
            self.record.last_error = self._lost.message
            return SOURCE_ENDED
        return failed(self._lost.message)

    def _on_full(self) -> None:
        self.stop(failed("the webhook does not take callbacks as fast as they come"), is_silent=False)

    def _count(self) -> None:
        self.record.audio_ms = max(self._seat.audio_ms, self._feed.fed_ms)
        self.record.cycles = self._seat.cycles

    def _names(self) -> dict[str, str]:
        record = self.record
        return {"task_id": record.task_id, "key_id": record.key_id, "provider": record.provider}

    def refresh(self) -> Record:
        """The record with its counters as they are now."""
        if not self.record.is_over:
            self._count()
        return self.record


class Post:
    """A task's outbox and the delivery out of it; also of a task that a dead daemon has left behind."""

    def __init__(
        self,
        record: Record,
        webhook: Webhook,
        queue_bytes: int,
        on_full: Callable[[], None],
        save: Callable[[Record], Awaitable[None]],
    ) -> None:
        self.outbox = Outbox(queue_bytes, on_full, first=record.numbers_reserved + 1)
        self._record = record
        self._webhook = webhook
        self._save = save
        self._has_ended = trio.Event()

    def end(self, ending: Ending, position_ms: int) -> None:
        """The last callback, behind what waits."""
        self.outbox.end(ending, position_ms)
        self._has_ended.set()

    async def run(self) -> None:
        """Deliver until the last callback has been delivered or given up."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._bound_the_rest)
            while self._record.is_final_due:
                await self._deliver_next()
            nursery.cancel_scope.cancel()
        await self._save(self._record)

    async def _deliver_next(self) -> None:
        callback, scope = await self.outbox.next()
        record = self._record
        if callback.number > record.numbers_reserved:
            # On the disk before any of them is used: no two callbacks of a task share a number, whatever dies.
            record.numbers_reserved += NUMBERS
            await self._save(record)
        is_delivered = False
        with scope:
            is_delivered = await self._webhook.deliver(record, callback)
        record.callbacks = callback.number
        record.callbacks_dropped = self.outbox.dropped
        if is_delivered:
            record.callbacks_sent += 1
        else:
            record.callbacks_failed += 1
        record.is_final_due = callback.ending is None

    async def _bound_the_rest(self) -> None:
        await self._has_ended.wait()
        await trio.sleep(REST_S)
        self.outbox.silence()


def kinds(group: BaseExceptionGroup[Exception]) -> list[str]:
    """The kinds of the plain exceptions in ``group``; their texts may quote anything."""
    found: list[str] = []
    for error in group.exceptions:
        found += kinds(error) if isinstance(error, BaseExceptionGroup) else [type(error).__name__]
    return found
