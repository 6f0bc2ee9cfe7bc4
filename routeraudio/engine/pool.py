"""Recognitions for whoever wants some: the engine's own server, emulators, tests.

async with open_pool(workers_max=4) as pool, pool.open(Wish(partials=True)) as hearing:
    await hearing.send(pcm)
    await hearing.finish()
    async for heard in hearing:
        ...
"""

import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import trio

from routeraudio.engine import wire
from routeraudio.engine.faults import EngineFault, EngineFull
from routeraudio.engine.hearing import SEND_BUFFER_BYTES, STALL_S, Hearing, meet
from routeraudio.engine.recogniser import check_installed
from routeraudio.engine.spawning import Zygote, start_zygote

MEET_S: Final = 10.0
"""From asking for a worker to its hello; some 10 ms on an idle machine."""

WORKERS_PER_CORE: Final = 3
"""Partials and finals together take about 0.3 of real time."""


def workers_max_default() -> int:
    """As many recognitions as this machine decodes in real time."""
    return WORKERS_PER_CORE * (os.cpu_count() or 1)


class Pool:
    """Up to `workers_max` recognitions, each in a process of its own. Made by `open_pool`.

    Args:
        stall_s: how long a worker may be silent where it owes an answer.
    """

    def __init__(self, workers_max: int, stall_s: float) -> None:
        self.workers_max = workers_max
        self.running = 0
        """Recognitions now open."""
        self._stall_s = stall_s
        self._zygote: Zygote | None = None
        self._starting = trio.Lock()

    @asynccontextmanager
    async def open(self, wish: wire.Wish) -> AsyncGenerator[Hearing]:
        """One recognition; owns its worker, and ends it on the way out, finished or not.

        Raises:
            EngineFull: `workers_max` are running.
            EngineFault: no worker could be started.
        """
        if self.running >= self.workers_max:
            raise EngineFull(f"all {self.workers_max} recognisers are busy; try again later")
        self.running += 1
        try:
            hearing = await self._start(wish)
            try:
                yield hearing
            finally:
                hearing.close()
        finally:
            self.running -= 1

    async def warm(self) -> None:
        """Have the model loaded, starting the zygote anew if it has died.

        Raises:
            EngineFault: it does not start.
        """
        await self._living_zygote()

    async def aclose(self) -> None:
        """End the zygote; recognitions must have been closed."""
        if self._zygote is not None:
            await self._zygote.aclose()

    async def _start(self, wish: wire.Wish) -> Hearing:
        zygote = await self._living_zygote()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        session = trio.socket.from_stdlib_socket(ours)
        try:
            with trio.move_on_after(MEET_S):
                with theirs:
                    # Waits in the socket until the worker is there to read it.
                    await session.send(wire.encode(wish))
                    await zygote.fork(theirs)
                return await meet(session, self._stall_s)
            zygote.kill()  # it hangs; the next recognition gets another one
            raise EngineFault(f"the local engine has not started a recogniser within {MEET_S:g} s")
        except BaseException:
            session.close()
            raise

    async def _living_zygote(self) -> Zygote:
        """The zygote; a new one when the last has died. Workers live on without the zygote they came from."""
        async with self._starting:
            if self._zygote is not None and self._zygote.is_alive:
                return self._zygote
            if self._zygote is not None:
                await self._zygote.aclose()
            self._zygote = await start_zygote()
            return self._zygote


@asynccontextmanager
async def open_pool(*, workers_max: int | None = None, stall_s: float = STALL_S) -> AsyncGenerator[Pool]:
    """A pool whose model is loaded; owns its zygote process and ends it on the way out.

    Args:
        workers_max: None: as many as this machine decodes in real time.

    Raises:
        EngineMissing: PocketSphinx is not installed.
        EngineFault: the model cannot be loaded.
    """
    check_installed()
    pool = Pool(workers_max_default() if workers_max is None else workers_max, stall_s)
    try:
        await pool.warm()
        yield pool
    finally:
        await pool.aclose()
