"""Run Trio as a guest of the poller's own loop.

A turn of Trio's loop between two messages costs more than all the work done on the message: measured at 40 sessions,
62 µs of processor time per client message with the poller as a Trio task, 33 µs without those turns. Messages that
need no task should not pay for one. So in the daemon the loop is ours: it waits on the poller's epoll set, serves
streaming sockets synchronously, and gives Trio its turn when a task, a deadline or another socket wants one. This is
Trio's documented guest mode (`trio.lowlevel.start_guest_run`); while Trio has nothing to do it waits in a thread.

Everything works the same under plain `trio.run`, with the poller as a task (`Poller.run`): that is how most tests and
`routeraudio demo` run.
"""

import os
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

import outcome
import trio

from routeraudio.transport.poller import READ, Poller

T = TypeVar("T")
Call = Callable[[], object]


def run(async_fn: Callable[[Poller], Awaitable[T]]) -> T:
    """`trio.run` for a function that is given the poller it runs beside. Main thread only."""
    return _Host().run(async_fn)


class _Host:
    """One loop: the poller's sockets, and calls that Trio wants made in this thread."""

    def __init__(self) -> None:
        self._poller = Poller(is_hosted=True)
        self._calls: deque[Call] = deque()
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._result: outcome.Outcome[object] | None = None

    def run(self, async_fn: Callable[[Poller], Awaitable[T]]) -> T:
        self._poller.watch(self._wakeup, READ, self._awake)
        trio.lowlevel.start_guest_run(
            async_fn,
            self._poller,
            run_sync_soon_threadsafe=self._call_from_thread,
            run_sync_soon_not_threadsafe=self._calls.append,
            done_callback=self._done,
        )
        try:
            while self._result is None:
                self._poller.serve(None if not self._calls else 0)
                for _ in range(len(self._calls)):
                    self._calls.popleft()()
        finally:
            self._poller.close()
            os.close(self._wakeup)
        return self._result.unwrap()  # type: ignore[return-value] # what async_fn returned

    def _call_from_thread(self, call: Call) -> None:
        self._calls.append(call)
        os.eventfd_write(self._wakeup, 1)

    def _awake(self, _events: int) -> None:
        os.eventfd_read(self._wakeup)

    def _done(self, result: outcome.Outcome[object]) -> None:
        self._result = result
