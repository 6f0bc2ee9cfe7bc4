"""Every task of this process, and the records of those that other processes have, or had.

Restarts: a record whose process has ended without telling its owner is inherited at the next start, as failed, and its
last callback is sent then. If that had been delivered the moment the process died, it comes twice.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import httpx
import structlog
import trio

from routeraudio.model.errors import Overloaded
from routeraudio.model.exceptions import bug_fields
from routeraudio.pull.guard import Guard
from routeraudio.pull.record import STOPPED, Ending, Record, failed
from routeraudio.pull.records import Records
from routeraudio.pull.reservation import Reservation
from routeraudio.pull.source_reader import Bounds
from routeraudio.pull.task import Post, Task
from routeraudio.pull.webhook import Webhook

log = structlog.get_logger(__name__)

T = TypeVar("T")

RESTARTED: Final = "the daemon was restarted"

STOPPING: Final = "the daemon is stopping"

KEEP_S: Final = 86_400.0
"""How long an ended task is shown."""

KEEP_MAX: Final = 1000
"""Of them; the oldest go first."""

LOOK_S: Final = 1.0
"""Between two looks for tasks that another process was asked to stop."""

DISK_THREADS: Final = 4
"""Its own, so that a slow disk does not keep names from being looked up."""


class Registry:
    """Starts, stops, shows and remembers tasks.

    Args:
        state: the folder for records; None: they end with the process.
        client: posts callbacks; from `guard.guarded_client`.
        secret: an account → what its callbacks are signed with.
        answer_s: what a webhook may take to answer.
        queue_bytes: of callbacks that wait, per task.
        tasks_max: of this process, each of which has a decoder.
        tasks_per_account_max: of them for one account.
    """

    def __init__(
        self,
        state: Path | None,
        *,
        guard: Guard,
        bounds: Bounds,
        client: httpx.AsyncClient,
        secret: Callable[[str], bytes],
        answer_s: float,
        queue_bytes: int,
        tasks_max: int,
        tasks_per_account_max: int,
    ) -> None:
        self._state = state
        self._tasks_max = tasks_max
        self._tasks_per_account_max = tasks_per_account_max
        self._guard = guard
        self._bounds = bounds
        self._client = client
        self._secret = secret
        self._answer_s = answer_s
        self._queue_bytes = queue_bytes
        self._records: Records | None = None
        self._nursery: trio.Nursery | None = None
        self._tasks: dict[str, Task] = {}
        self._past: dict[str, Record] = {}
        self._limiter = trio.CapacityLimiter(DISK_THREADS)
        self._posting = 0
        self._posted = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Own every task until cancelled. Started once what earlier processes left behind is known.

        Raises:
            OSError: the state folder cannot be used.
        """
        if self._state is not None:
            self._records = await self._disk(partial(Records, self._state))
        try:
            async with self._client, trio.open_nursery() as nursery:
                self._nursery = nursery
                await self._inherit(nursery)
                task_status.started()
                while True:
                    await trio.sleep(LOOK_S)
                    try:
                        await self._look()
                    except OSError as error:
                        # A disk that has gone ends no streams, here as in `_save`.
                        log.error("pull_records_not_tended", why=type(error).__name__)
        finally:
            self._nursery = None
            if self._records is not None:
                self._records.close()

    def check_room(self, account: str) -> None:
        """Refuse what would be one decoder too many.

        Raises:
            Overloaded: as many run as may.
        """
        if len(self._tasks) >= self._tasks_max:
            raise Overloaded("as many streams are being pulled as this daemon may; try again later")
        mine = sum(task.record.account == account for task in self._tasks.values())
        if mine >= self._tasks_per_account_max:
            raise Overloaded("as many streams are being pulled as an account may; stop one of them first")

    async def start(self, record: Record, source: str, seat: Reservation) -> None:
        """Begin a task, which owns ``seat`` from here on, and return.

        Raises:
            Overloaded: as `check_room`.
        """
        assert self._nursery is not None, "the registry does not run"
        self.check_room(record.account)
        task = Task(
            record,
            source,
            seat,
            self._webhook(record.account),
            guard=self._guard,
            bounds=self._bounds,
            queue_bytes=self._queue_bytes,
            save=self._save,
        )
        self._tasks[record.task_id] = task
        try:
            await self._save(record)
        except BaseException:
            del self._tasks[record.task_id]
            raise
        self._nursery.start_soon(self._serve, task)

    async def stop(self, account: str, task_id: str) -> bool:
        """Stop an account's task, wherever on this machine it runs; False: there is none that could be stopped."""
        task = self._tasks.get(task_id)
        if task is not None:
            is_stopped = task.record.account == account and task.is_stoppable
            if is_stopped:
                task.stop(STOPPED, is_silent=True)
            return is_stopped
        record = await self.find(account, task_id)
        if record is None or record.is_over or self._records is None:
            return False
        return await self._disk(partial(self._records.ask_to_stop, task_id))

    async def find(self, account: str, task_id: str) -> Record | None:
        """An account's task."""
        return next((one for one in await self.all(account) if one.task_id == task_id), None)

    async def all(self, account: str) -> list[Record]:
        """An account's tasks, the newest first."""
        known = {task_id: task.refresh() for task_id, task in self._tasks.items()} | self._past
        if self._records is not None:
            elsewhere = await self._disk(self._records.elsewhere)
            known = {record.task_id: record for record in elsewhere} | known
        mine = [record for record in known.values() if record.account == account]
        return sorted(mine, key=lambda record: record.started_at_s, reverse=True)

    def finish_all(self) -> None:
        """The daemon is stopping: end every task; what has been heard is still told."""
        for task in self._tasks.values():
            task.stop(failed(STOPPING), is_silent=False)

    async def posted(self) -> None:
        """Wait until no callback waits any more. The caller bounds it: the next process sends what is left."""
        while self._posting:
            await self._posted.wait()
        await trio.lowlevel.checkpoint_if_cancelled()

    # Helpers.

    async def _serve(self, task: Task) -> None:
        self._begin_posting()
        try:
            await task.run()
            self._past[task.record.task_id] = task.record
        except* Exception as group:  # noqa: BLE001 - one task never ends another one
            task_id = task.record.task_id
            log.error("pull_bug", task_id=task_id, **bug_fields(group, task_id))
        finally:
            del self._tasks[task.record.task_id]
            self._end_posting()

    async def _inherit(self, nursery: trio.Nursery) -> None:
        if self._records is None:
            return
        for record in await self._disk(self._records.inherit):
            if not record.is_over:
                record.ends(failed(RESTARTED), time.time())
                await self._save(record)
            self._past[record.task_id] = record
            if record.is_final_due:
                nursery.start_soon(self._tell_late, record)

    async def _tell_late(self, record: Record) -> None:
        """The last callback of a task that nobody could tell of."""
        self._begin_posting()
        try:
            post = Post(record, self._webhook(record.account), self._queue_bytes, _nothing, self._save)
            ending = Ending(record.state, record.status, record.message, record.last_error)
            post.end(ending, record.audio_ms)
            await post.run()
        finally:
            self._end_posting()

    async def _look(self) -> None:
        """Do what other processes were asked to, and forget what is old."""
        now_s = time.time()
        old = [one.task_id for one in self._past.values() if now_s - (one.ended_at_s or now_s) > KEEP_S]
        surplus = len(self._past) - len(old) - KEEP_MAX
        for task_id in (*old, *list(self._past)[: max(0, surplus)]):
            record = self._past.pop(task_id, None)
            if record is not None and self._records is not None:
                await self._disk(partial(self._records.forget, task_id))
        if self._records is None:
            return
        for task_id in await self._disk(self._records.asked_to_stop):
            if task_id in self._tasks:
                self._tasks[task_id].stop(STOPPED, is_silent=True)

    def _webhook(self, account: str) -> Webhook:
        return Webhook(self._client, self._secret(account), self._answer_s)

    async def _save(self, record: Record) -> None:
        if self._records is None:
            await trio.lowlevel.checkpoint()
            return
        try:
            await self._disk(partial(self._records.save, record))
        except OSError as error:
            # A full disk does not end streams; it only means that a restart would not know of this one.
            log.error("pull_record_not_saved", task_id=record.task_id, why=type(error).__name__)

    async def _disk(self, call: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(call, limiter=self._limiter)

    def _begin_posting(self) -> None:
        self._posting += 1

    def _end_posting(self) -> None:
        self._posting -= 1
        if not self._posting:
            self._posted.set()
            self._posted = trio.Event()


def _nothing() -> None:
    """A last callback fits into any outbox."""
