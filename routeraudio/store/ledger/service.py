"""The ledger service between sessions, which must not wait for a disk, and the store, which does.

    flush   what credits have begun is committed in one group, `GATHER_S` after the first; the answer carries grants
    beat    the lease is renewed; notices that the store is gone, and that it is back
    sweep   closes what dead nodes left open
    keys    looks whether keys of running streams have been disabled

**Outage.** While the store does not answer, marks go to a synced file (`spool`) and the next cycles are lent here,
within the grace time. Streams that count against a limit of concurrency end before their lease does, because their
place is given to others then; all others at the end of the grace time. New streams are refused at once. When the store
is back the file is settled, then removed. Marks are high-water marks, so nothing counts twice wherever it was written.
"""

import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import structlog
import trio

from routeraudio.model.errors import Fault
from routeraudio.policy.access import Principal
from routeraudio.policy.pricing import CYCLE_S
from routeraudio.session.credit import Credit, LateCredit, closing
from routeraudio.session.lasting import lasting
from routeraudio.store.calls import ask as ask_store
from routeraudio.store.contract import (
    LEASE_S,
    Mark,
    Node,
    Opened,
    Opening,
    Refusal,
    Settled,
    Store,
    StoreUnavailable,
)
from routeraudio.store.ledger import refusals
from routeraudio.store.ledger.attempt import Attempt, limited
from routeraudio.store.ledger.credit import RunningCredit
from routeraudio.store.ledger.journal import Journal
from routeraudio.store.ledger.marks import LineId, merged
from routeraudio.store.ledger.outage import Outage

log = structlog.get_logger(__name__)

T = TypeVar("T")

GATHER_S: Final = 0.4
"""One commit for everything that begins meanwhile: it costs some 2 ms of processor time for one stream as for twenty. A
cycle lasts 5 s and its grant comes one cycle ahead, so that nobody who speaks in real time waits for it."""

HURRY_S: Final = 0.05
"""The same when somebody waits: a client that sends a file gets at most 100 times real time."""

HEARTBEAT_S: Final = 10.0
"""Two may fail before the lease ends."""

PROBE_S: Final = 1.0
"""Between two heartbeats in an outage."""

SWEEP_S: Final = 15.0
"""Leases of a dead node are free after `LEASE_S` and one of these at the latest, among several nodes sooner."""

KEYS_S: Final = 4.0
"""Changes of keys act within 5 s."""

LEASE_END_S: Final = LEASE_S - 5.0
"""When a stream with a lease ends itself: before others take its place, by whatever clock."""

SLACK_S: Final = 0.5
"""For the way to a thread and back, beyond what a statement may take."""

SILENT_S: Final = 5.0
"""A stream without a word for so long gives its place to its key's newest one: a telephone that lost its network."""

AGAIN_S: Final = 0.2
"""Until what another session or node is writing down is written: `HURRY_S`, and a commit on a busy disk."""

THREADS_MAX: Final = 4
OPENINGS_MAX: Final = 8
"""Threads of their own, so that a crowd of new streams delays no heartbeat."""


class Ledger:
    """One per process.

    Args:
        node: this process; each start needs a new epoch.
        spool: directory for what the store cannot take, on a local disk that outlives the process.
        grace_s: how long streams go on without the store.
        statement_s: what the store was opened with.
    """

    def __init__(
        self, store: Store, *, node: Node, spool: Path, grace_s: float = 60.0, statement_s: float = 3.0
    ) -> None:
        self._store = store
        self._node = node
        self._spool = Journal(spool, node)
        self._grace_s = grace_s
        self._answer_s = statement_s + SLACK_S
        self._threads = trio.CapacityLimiter(_threads(THREADS_MAX, store))
        self._openings = trio.CapacityLimiter(_threads(OPENINGS_MAX, store))
        self._credits: dict[LineId, RunningCredit] = {}
        self._dirty: dict[LineId, RunningCredit] = {}
        self._doubtful: dict[LineId, Attempt] = {}
        """Openings without an answer, which may have begun a line."""
        self._writing = trio.Lock()
        self._something = trio.Event()
        self._waited_for = trio.Event()
        self._beat_now = trio.Event()
        self._outage: Outage | None = None
        self._nursery: trio.Nursery | None = None
        self._seen_s = -1.0
        """When the last successful heartbeat was sent."""
        self._has_replayed = False

    @property
    def is_available(self) -> bool:
        """Whether new streams can be opened."""
        return self._seen_s >= 0 and self._outage is None

    @property
    def marks_waiting(self) -> int:
        """Streams of which something is not written yet."""
        return len(self._dirty)

    def look_at_store(self) -> None:
        """Somebody else got no answer: find out at once whether there is an outage, not at the next heartbeat."""
        self._beat_now.set()

    async def open(
        self,
        *,
        session_id: str,
        principal: Principal,
        dialect: str,
        provider: str,
        model: str | None,
        price_per_hour_usd: Decimal,
        leg: int = 1,
    ) -> RunningCredit:
        """Begin a line for a new stream. Whoever gets the credit (a `session.credit.Credit`) closes it.

        Cancelling is safe: a line that has begun nevertheless is ended.

        Raises:
            ClientFault: the token has been used, or the key is unknown, disabled or expired.
            BudgetUsedUp: nothing is left for the first cycle.
            Overloaded: a limit of concurrency or rate.
            Unavailable: the store does not answer.
        """
        if not self.is_available:
            raise refusals.unavailable()
        opening = Opening(
            session_id=session_id,
            leg=leg,
            node=self._node,
            key_id=principal.key_id,
            account=principal.account,
            dialect=dialect,
            provider=provider,
            model=model,
            price_per_hour_usd=price_per_hour_usd,
        )
        opening = limited(opening, principal)
        await self._free_places(opening.account)
        answer = await self._opened(opening)
        if isinstance(answer, Refusal) and answer.why in ("concurrency", "budget"):
            answer = await self._opened_again(opening, answer)
        if isinstance(answer, Refusal):
            if answer.why == "lease":
                self._beat_now.set()
                raise refusals.unavailable()
            raise refusals.fault(answer)
        credit = RunningCredit(
            opening, answer.granted, on_change=self._changed, on_wait=self._waits, hurry=self._hurry
        )
        self._credits[credit.line_id] = credit
        return credit

    @asynccontextmanager
    async def stream(
        self,
        *,
        session_id: str,
        principal: Principal,
        dialect: str,
        provider: str,
        model: str | None,
        price_per_hour_usd: Decimal,
    ) -> AsyncIterator[Credit]:
        """A new stream's credit, which is closed at the end unless the session has done so. Raises what `open` does."""
        open_line = partial(
            self.open,
            session_id=session_id,
            principal=principal,
            dialect=dialect,
            provider=provider,
            model=model,
            price_per_hour_usd=price_per_hour_usd,
        )
        async with closing(LateCredit(open_line) if principal.is_stranger else await open_line()) as credit:
            yield credit

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; `started` when the store has answered once, or has failed to.

        Owns its tasks; writes down what is left when it is cancelled, within the time of one statement.
        """
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                await self._beat()
                for task in (self._flushes, self._beats, self._sweeps, self._looks_at_keys):
                    nursery.start_soon(lasting, task)
                task_status.started()
        finally:
            self._nursery = None
            with trio.move_on_after(2 * self._answer_s, shield=True):
                await self.flush()

    # Openings.

    async def _free_places(self, account: str) -> None:
        """Whoever ends a stream and comes back at once finds its place free."""
        if any(
            credit.is_closed and credit.is_awaited and credit.account == account
            for credit in self._dirty.values()
        ):
            await self.flush()

    async def _opened_again(self, opening: Opening, refusal: Refusal) -> Opened | Refusal:
        """Once: what is in the way may be ending this very moment, or be a connection that was lost without a word."""
        silent = self._silent(opening) if refusal.why == "concurrency" else None
        if silent is None:
            await trio.sleep(AGAIN_S)  # for the sessions and nodes that are writing an end down
        else:
            silent.give_way()
        await self.flush()
        # The first attempt has burnt the token, for this stream.
        return await self._opened(msgspec.structs.replace(opening, token_jti=None))

    def _silent(self, opening: Opening) -> RunningCredit | None:
        """The stream of the same key, and of the same kind of token, that has been silent for longest."""
        latest_s = trio.current_time() - SILENT_S
        found = [
            credit
            for credit in self._credits.values()
            if credit.may_give_way and credit.is_alike(opening) and credit.quiet_since_s <= latest_s
        ]
        return min(found, key=lambda credit: credit.quiet_since_s, default=None)

    async def _opened(self, opening: Opening) -> Opened | Refusal:
        attempt = Attempt(self._store, opening)
        try:
            return await self._ask(attempt.open, limiter=self._openings)
        except StoreUnavailable:
            self._doubt(attempt)
            # One statement may fail where the store as such is well: the heartbeat finds out.
            self._beat_now.set()
            raise refusals.unavailable() from None
        except Exception:
            raise  # a bug, and rolled back
        except BaseException:
            self._doubt(attempt)
            raise

    def _doubt(self, attempt: Attempt) -> None:
        attempt.abandon()
        self._doubtful[attempt.line_id] = attempt
        self._something.set()

    # Flushing.

    def _changed(self, credit: RunningCredit) -> None:
        self._dirty[credit.line_id] = credit
        self._something.set()

    def _waits(self) -> None:
        self._waited_for.set()

    async def _hurry(self) -> None:
        """After `run` has ended nobody flushes but those who close."""
        if self._nursery is None:
            await self.flush()

    async def _flushes(self) -> None:
        while True:
            await self._something.wait()
            with trio.move_on_after(GATHER_S):
                await self._waited_for.wait()
                await trio.sleep(HURRY_S)
            await self.flush()

    async def flush(self) -> None:
        """Take every new mark down now, in the store or, in an outage, on the local disk. Bounded in time."""
        async with self._writing:
            # Who waits for an event that is not set keeps waiting for that one.
            self._something, self._waited_for = _unset(self._something), _unset(self._waited_for)
            credits, self._dirty = self._dirty, {}
            try:
                await self._take_down(credits)
            except BaseException:
                self._dirty = credits | self._dirty
                raise

    async def _take_down(self, credits: dict[LineId, RunningCredit]) -> None:
        marks = {line_id: credit.mark() for line_id, credit in credits.items()}
        if self._outage is None and (marks or self._doubtful):
            ends = {line_id: attempt.end() for line_id, attempt in self._doubtful.items()}
            # Decided before the store is asked: one that still runs may begin its line right behind the answer.
            over = [line_id for line_id, attempt in self._doubtful.items() if not attempt.is_running]
            try:
                self._answered(marks, await self._settle([*marks.values(), *ends.values()]))
                for line_id in over:
                    del self._doubtful[line_id]
                return
            except StoreUnavailable as error:
                self._begin_outage(error)
        if marks:
            await self._write_down(marks, credits)

    async def _settle(self, marks: list[Mark]) -> list[Settled]:
        return await self._ask(lambda: self._store.settle(self._node, marks))

    def _answered(self, marks: dict[LineId, Mark], answers: Iterable[Settled]) -> None:
        for answer in answers:
            line_id = (answer.session_id, answer.leg)
            credit = self._credits.get(line_id)
            if credit is not None and line_id in marks and credit.settled(marks[line_id], answer):
                del self._credits[line_id]

    async def _write_down(self, marks: dict[LineId, Mark], credits: dict[LineId, RunningCredit]) -> None:
        try:
            await trio.to_thread.run_sync(self._spool.append, list(marks.values()), limiter=self._threads)
        except OSError as error:
            # Kept in memory: written with the next mark, or settled when the store is back.
            log.error("spool_failed", error=error.strerror)
            self._dirty = credits | self._dirty
            return
        for line_id, credit in credits.items():
            beyond = refusals.out_of_reach(self._grace_s)
            if credit.spooled(marks[line_id], int(self._grace_s // CYCLE_S), beyond):
                self._credits.pop(line_id, None)

    # The lease, and outages.

    async def _beats(self) -> None:
        while True:
            pause_s = PROBE_S if self._outage else HEARTBEAT_S
            with trio.move_on_after(_jittered(pause_s)):
                await self._beat_now.wait()
            self._beat_now = trio.Event()
            await self._beat()

    async def _beat(self) -> None:
        sent_s = trio.current_time()
        try:
            if not await self._ask(lambda: self._store.heartbeat(self._node)):
                await self._join()
            self._seen_s = sent_s
            await self._recover()
            await self._replay_left_behind()
        except StoreUnavailable as error:
            self._begin_outage(error)
        except OSError as error:
            # Of the spool. An outage that cannot be settled goes on.
            log.error("spool_failed", error=error.strerror)
        if self._doubtful:
            self._something.set()

    async def _join(self) -> None:
        """The lease begins; also when it was lost, and the places of streams with it."""
        closed = await self._ask(lambda: self._store.join(self._node))
        if closed or self._credits:
            log.warning(
                "lease_lost" if self._credits else "sessions_closed", sessions=len(self._credits) or closed
            )
        self._revoke(refusals.place_lost(), only_leased=True)
        self._ask_for_all()

    def _begin_outage(self, error: StoreUnavailable) -> None:
        if self._outage is not None:
            self._outage.goes_on(error)
            return
        log.warning("store_unavailable", why=str(error))
        self._outage = outage = Outage(trio.current_time())
        self._beat_now.set()
        if self._nursery is not None:
            lease_end_s = max(self._seen_s, 0.0) + LEASE_END_S
            self._nursery.start_soon(self._revoke_at, outage, lease_end_s, refusals.place_lost(), True)
            grace_end_s = outage.began_s + self._grace_s
            reason = refusals.out_of_reach(self._grace_s)
            self._nursery.start_soon(self._revoke_at, outage, grace_end_s, reason, False)

    async def _revoke_at(self, outage: Outage, at_s: float, fault: Fault, only_leased: bool) -> None:
        with outage.watch_lease if only_leased else outage.watch_grace:
            await trio.sleep_until(at_s)
            self._revoke(fault, only_leased=only_leased)

    def _revoke(self, fault: Fault, *, only_leased: bool) -> None:
        for credit in self._credits.values():
            if credit.is_leased or not only_leased:
                credit.revoke(fault)

    async def _recover(self) -> None:
        """The store is back: settle what was spooled, then go on as usual."""
        outage = self._outage
        if outage is None:
            return
        async with self._writing:
            marks = merged(await trio.to_thread.run_sync(self._spool.marks, limiter=self._threads))
            self._answered(marks, await self._settle(list(marks.values())))
            await trio.to_thread.run_sync(self._spool.clear, limiter=self._threads)
            self._outage = None
        outage.end()
        seconds = round(trio.current_time() - outage.began_s, 1)
        log.warning("store_available", after_s=seconds, replayed=len(marks))
        self._ask_for_all()

    async def _replay_left_behind(self) -> None:
        """Once: what processes before this one could not tell."""
        if self._has_replayed:
            return
        replayed = await ask_store(self._store, self._settle_left_behind, self._threads)
        self._has_replayed = True
        if replayed:
            log.warning("spool_replayed", sessions=replayed)

    def _settle_left_behind(self) -> int:
        with self._spool.left_behind() as found:
            marks = merged(mark for file in found.values() for mark in file)
            if marks:
                self._store.settle(self._node, list(marks.values()))
            return len(marks)

    def _ask_for_all(self) -> None:
        for credit in self._credits.values():
            self._changed(credit)

    # Now and then.

    async def _sweeps(self) -> None:
        while True:
            await trio.sleep(_jittered(SWEEP_S))
            closed = await self._ask_if_well(self._store.sweep)
            if closed:
                log.warning("sessions_closed", sessions=closed)

    async def _looks_at_keys(self) -> None:
        while True:
            await trio.sleep(KEYS_S)
            key_ids = {credit.key_id for credit in self._credits.values() if credit.has_key}
            if not key_ids:
                continue
            refused = await self._ask_if_well(partial(self._store.refused, key_ids)) or {}
            for credit in self._credits.values():
                if credit.has_key and credit.key_id in refused:
                    credit.revoke(refusals.fault(refused[credit.key_id]))

    async def _ask_if_well(self, ask: Callable[[], T]) -> T | None:
        """Not in an outage; whether one has begun is the heartbeat's matter."""
        if not self.is_available:
            return None
        try:
            return await self._ask(ask)
        except StoreUnavailable:
            self._beat_now.set()
            return None

    async def _ask(self, ask: Callable[[], T], limiter: trio.CapacityLimiter | None = None) -> T:
        """Ask the store in a thread.

        Raises:
            StoreUnavailable: also when there is no answer in time; the thread is left to its statement's own end.
        """
        with trio.move_on_after(self._answer_s):
            return await ask_store(self._store, ask, limiter or self._threads)
        raise StoreUnavailable("the store has not answered in time")


def _threads(most: int, store: Store) -> int:
    return max(1, min(most, store.threads_max))


def _unset(event: trio.Event) -> trio.Event:
    return trio.Event() if event.is_set() else event


def _jittered(pause_s: float) -> float:
    """A little less each time, so that the nodes of a fleet do not come in step."""
    return pause_s * random.uniform(0.8, 1.0)  # noqa: S311  (no secret)
