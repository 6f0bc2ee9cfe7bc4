"""Asking the store: in a thread, because it blocks, unless it is in this process's memory."""

from collections.abc import Callable
from typing import TypeVar

import trio

from routeraudio.store.contract import Store

T = TypeVar("T")


async def ask(store: Store, question: Callable[[], T], limiter: trio.CapacityLimiter) -> T:
    """The answer to ``question``, which asks ``store``. The caller bounds the wait.

    Cancelling is safe: the thread is left to its statement's own end, and what has been asked for may still happen.
    """
    if store.threads_max == 0:
        await trio.lowlevel.checkpoint()
        return question()
    return await trio.to_thread.run_sync(question, limiter=limiter, abandon_on_cancel=True)
