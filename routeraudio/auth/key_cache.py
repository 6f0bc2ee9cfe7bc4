"""Records of router keys, read from the store and kept for three seconds: what an administrator changes acts in five.

While the store does not answer, a record that was read before goes on being good for the grace time. A running stream
then still has its ledger to ask, and a new one is refused there.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, TypeVar

import structlog
import trio

from routeraudio.model.errors import Unavailable
from routeraudio.policy.keys import Key
from routeraudio.store.calls import ask
from routeraudio.store.contract import Store, StoreUnavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")

Record = tuple[Key, bytes]
"""A key and the keyed hash of its text."""

FRESH_S: Final = 3.0
"""How old a record may be when it is used. With the time a read takes it stays below five seconds."""

REST_S: Final = 1.0
"""After the store has not answered it is left alone for this long: each attempt may wait for its statement's time."""

RECORDS_MAX: Final = 10_000
"""Some ten megabytes. The one used longest ago gives way."""

THREADS_MAX: Final = 8
"""A look-up takes a fraction of a millisecond; more at once would only queue at the database."""


class _Kept(NamedTuple):
    record: Record
    read_at_s: float
    """When the read began: what was changed later may be missing."""


class KeyCache:
    """The cache. One per process.

    Args:
        read_s: how long to wait for the store.
        grace_s: how long a record is good beyond `FRESH_S` while the store does not answer.
        on_away: called when it did not.
    """

    def __init__(
        self,
        store: Store,
        *,
        read_s: float,
        grace_s: float,
        on_away: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._on_away = on_away
        self._read_s = read_s
        self._grace_s = grace_s
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._reading: dict[str, trio.Event] = {}
        """One read per key at a time: a hundred connections with one key ask once."""
        self._limiter = trio.CapacityLimiter(THREADS_MAX)
        self._rests_until_s = 0.0
        self._has_any = False
        self._has_none_since_s: float | None = None

    async def find(self, key_id: str, *, age_s: float = FRESH_S) -> Record | None:
        """A key's record, at most ``age_s`` old while the store answers; None: there is none.

        Raises:
            Unavailable: the store does not answer, and the record was not read recently enough.
        """
        kept = self._kept.get(key_id)
        if kept is not None and trio.current_time() - kept.read_at_s < age_s:
            self._kept.move_to_end(key_id)
            return kept.record
        try:
            return await self._read(key_id, age_s)
        except StoreUnavailable:
            if kept is not None and trio.current_time() - kept.read_at_s < FRESH_S + self._grace_s:
                return kept.record
            raise _unavailable() from None

    def is_kept(self, key_id: str) -> bool:
        """Whether the key was there when it was last looked for."""
        return key_id in self._kept

    def forget(self, key_id: str) -> None:
        """Look the key up again at its next use."""
        self._kept.pop(key_id, None)

    async def has_any(self) -> bool:
        """Whether the store knows any key, disabled ones too. Once it does, it always will: none is ever deleted.

        Raises:
            Unavailable: the store does not answer, and has not said recently enough that there is none.
        """
        since_s, now_s = self._has_none_since_s, trio.current_time()
        if self._has_any or (since_s is not None and now_s - since_s < FRESH_S):
            return self._has_any
        try:
            self._has_any = bool(await self.in_thread(self._store.keys))
            self._has_none_since_s = now_s
        except StoreUnavailable:
            if since_s is None or now_s - since_s >= FRESH_S + self._grace_s:
                raise _unavailable() from None
        return self._has_any

    async def in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        """Call a method of the store's, and wait for it for so long and no longer.

        Cancelling is safe; what has been asked for may still happen.

        Raises:
            StoreUnavailable: it did not answer.
        """
        if trio.current_time() < self._rests_until_s:
            raise StoreUnavailable("the store did not answer a moment ago")
        try:
            with trio.fail_after(self._read_s):
                return await ask(self._store, partial(work, *arguments), self._limiter)
        except (StoreUnavailable, trio.TooSlowError) as error:
            self._rests_until_s = trio.current_time() + REST_S
            log.warning("store_unavailable", why=str(error) or "it has not answered in time")
            self._on_away()
            raise StoreUnavailable("the store does not answer") from None

    async def _read(self, key_id: str, age_s: float) -> Record | None:
        while (reading := self._reading.get(key_id)) is not None:
            await reading.wait()
            kept = self._kept.get(key_id)
            if kept is not None and trio.current_time() - kept.read_at_s < age_s:
                return kept.record
        self._reading[key_id] = done = trio.Event()
        began_s = trio.current_time()
        try:
            record = await self.in_thread(self._store.key, key_id)
        finally:
            del self._reading[key_id]
            done.set()
        self._keep(key_id, record, began_s)
        return record

    def _keep(self, key_id: str, record: Record | None, began_s: float) -> None:
        """A missing key is not kept: one that has just been made is good at once."""
        self._kept.pop(key_id, None)
        if record is not None:
            self._kept[key_id] = _Kept(record, began_s)
            if len(self._kept) > RECORDS_MAX:
                self._kept.popitem(last=False)


def _unavailable() -> Unavailable:
    return Unavailable("keys cannot be looked up now; try again later", retry_after_s=REST_S)
