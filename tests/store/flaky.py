"""A store that can fail, for the ledger's tests in virtual time."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import trio

from routeraudio.store.contract import StoreUnavailable
from routeraudio.store.sql.store import SqlStore


class Hanging(Exception):
    """The call does not come back."""


class Flaky:
    """Passes every call on to a real store, unless it is down or hangs."""

    threads_max = 4

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self.is_down = False
        self.hangs = False
        self.breaks_after: str | None = None
        """Calls of this name are carried out, and nobody hears of it."""
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._store, name)

        def passed_on(*args: Any) -> Any:
            self.calls[name] += 1
            if self.is_down:
                raise StoreUnavailable("the store is down")
            if self.hangs:
                raise Hanging
            answer = call(*args)
            if name == self.breaks_after:
                raise StoreUnavailable("the connection broke")
            return answer

        return passed_on


async def in_place(call: Callable[..., Any], *args: Any, **_: Any) -> Any:
    """In place of `trio.to_thread.run_sync`: virtual time does not wait for threads."""
    await trio.lowlevel.checkpoint()
    try:
        return call(*args)
    except Hanging:
        await trio.sleep_forever()
