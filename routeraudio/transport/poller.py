"""One readiness set for all streaming sockets of a process.

Trio's own way, one `wait_readable` per socket and message, costs a re-armed epoll registration and a task switch
each time; together they cost more than parsing and forwarding the message. Here every socket is registered once,
level-triggered, in an epoll set of our own (numbers in `bench/README.md`). In the daemon a loop of ours waits on that
set and runs Trio as its guest (`transport/host.py`); elsewhere a Trio task waits on it (`Poller.run`).

Handlers are synchronous and never raise. What they write is collected and flushed at the end of the pass, so that
several messages for one peer leave in one system call; nothing is ever kept back to make such a batch.
"""

import os
import select
from collections.abc import Callable
from typing import Protocol

import structlog
import trio

from routeraudio.model.exceptions import bug_fields
from routeraudio.transport.read_ahead import Total

log = structlog.get_logger(__name__)

READ: int = select.EPOLLIN
WRITE: int = select.EPOLLOUT
GONE: int = select.EPOLLHUP | select.EPOLLERR
"""Reported whether asked for or not; a read finds out what has happened."""

AHEAD_BYTES_MAX = 268_435_456
"""A quarter of a gibibyte for all connections of a process together; beyond it fast senders are slowed by TCP."""

HEARTBEAT_S = 1.0
"""How often connections look at their ping deadlines, which are tens of seconds."""


class HasFileno(Protocol):
    """A socket, or something like one."""

    def fileno(self) -> int:
        """Its descriptor."""


class Member(Protocol):
    """A connection served by a poller."""

    def flush(self) -> None:
        """Write what is waiting. Never raises."""

    def heartbeat(self, now_s: float) -> None:
        """Ping, or give up, when it is time. Never raises."""


class Poller:
    """Serves registered sockets.

    Args:
        is_hosted: `serve` is called by a host loop; else `run` serves.
    """

    def __init__(self, *, is_hosted: bool = False) -> None:
        self._is_hosted = is_hosted
        self._epoll = select.epoll()
        self._ready: dict[int, Callable[[int], None]] = {}
        self._members: set[Member] = set()
        self._unflushed: list[Member] = []
        self.ahead = Total(AHEAD_BYTES_MAX)
        """What its connections have read ahead."""
        self._again: list[Callable[[], None]] = []
        self._in_pass = False
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.watch(self._wakeup, READ, self._awake)

    def add(self, member: Member) -> None:
        """Take ``member`` into the heartbeat."""
        self._members.add(member)

    def discard(self, member: Member) -> None:
        """Let go of ``member``."""
        self._members.discard(member)

    def watch(self, sock: int | HasFileno, events: int, ready: Callable[[int], None]) -> None:
        """Call ``ready(events)`` whenever one of ``events`` holds, until told otherwise; 0: forget ``sock``."""
        if self._epoll.closed:
            return  # the daemon is being cancelled, and this task went first
        fd = sock if isinstance(sock, int) else sock.fileno()
        if not events:
            if self._ready.pop(fd, None) is not None:
                self._epoll.unregister(fd)
        elif fd in self._ready:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
            self._ready[fd] = ready

    def flush_soon(self, member: Member) -> None:
        """Flush at the end of this pass, or now when no pass is running."""
        if self._in_pass:
            self._unflushed.append(member)
        else:
            member.flush()

    def again(self, call: Callable[[], None]) -> None:
        """Call ``call`` in the next pass: one socket's work is done in portions, and that of others in between."""
        self._again.append(call)
        if not self._in_pass:
            os.eventfd_write(self._wakeup, 1)

    async def run(self) -> None:
        """Serve until cancelled: all of it as a Trio task, or, inside a host loop, the heartbeat only."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._beat)
            if not self._is_hosted:
                nursery.start_soon(self._serve_as_task)

    def serve(self, timeout_s: float | None) -> None:
        """Wait for sockets to be ready, ``timeout_s`` at most (None: for ever), and serve those that are."""
        ready = self._epoll.poll(0 if self._again else timeout_s)
        if ready or self._again:
            again, self._again = self._again, []
            self._serve(ready, again)

    def close(self) -> None:
        """Serve no more."""
        self._epoll.close()
        if self._wakeup >= 0:
            os.close(self._wakeup)
            self._wakeup = -1

    async def _serve_as_task(self) -> None:
        try:
            while True:
                if self._again:
                    await trio.lowlevel.checkpoint()
                else:
                    await trio.lowlevel.wait_readable(self._epoll.fileno())
                self.serve(0)
        finally:
            self.close()

    def _awake(self, _events: int) -> None:
        os.eventfd_read(self._wakeup)

    def _serve(self, ready: list[tuple[int, int]], again: list[Callable[[], None]]) -> None:
        self._in_pass = True
        try:
            for fd, events in ready:
                serve = self._ready.get(fd)
                if serve is None:
                    continue  # released earlier in this very pass
                try:
                    serve(events)
                except Exception as error:  # noqa: BLE001 - the last net: one connection never ends the others
                    self._drop(fd, error)
            for call in again:
                try:
                    call()
                except Exception as error:  # noqa: BLE001 - as above
                    log.error("handler_bug", **bug_fields(error))
        finally:
            self._in_pass = False
            unflushed, self._unflushed = self._unflushed, []
            for member in unflushed:
                member.flush()

    def _drop(self, fd: int, error: Exception) -> None:
        """A handler raised, which it never should: hear no more of its socket, whose ping deadline ends it."""
        log.error("handler_bug", **bug_fields(error))
        if self._ready.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    async def _beat(self) -> None:
        while True:
            await trio.sleep(HEARTBEAT_S)
            now_s = trio.current_time()
            for member in tuple(self._members):
                member.heartbeat(now_s)
