"""Recognitions for whoever wants some: the engine's own server, emulators, tests.

async with open_pool(workers_max=4) as pool, pool.open(Wish(partials=True)) as hearing:
    await hearing.send(pcm)
    await hearing.finish()
    async for heard in hearing:
        ...
"""

import os
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import trio

from routeraudio.engine import wire
from routeraudio.engine.faults import EngineFault, EngineFull
from routeraudio.engine.hearing import SEND_BUFFER_BYTES, STALL_S, Hearing, meet
from routeraudio.engine.loading import Model, check_installed, default_model
from routeraudio.engine.spawning import Zygote, start_zygote

MEET_S: Final = 10.0
"""From asking for a worker to its hello; some 10 ms on an idle machine."""

WORKERS_PER_CORE: Final = 5
"""Partials and finals together take about 0.12 of real time; the rest is for the moments when several finals fall
due."""


def workers_max_default() -> int:
    """As many recognitions as this machine decodes in real time."""
    return WORKERS_PER_CORE * (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )


class Pool:
    """Up to `workers_max` recognitions, each in a process of its own. Made by `open_pool`.

    Args:
        models: what can be asked for; the first is for those who name none.
        stall_s: how long a worker may be silent where it owes an answer.
    """

    def __init__(self, models: Sequence[Model], workers_max: int, stall_s: float) -> None:
        self.models = tuple(models)
        self.workers_max = workers_max
        self.running = 0
        """Recognitions now open."""
        self.is_warm = False
        """Whether all models have been loaded once."""
        self._stall_s = stall_s
        self._nests = {model.id: _Nest(model) for model in models}

    @asynccontextmanager
    async def open(self, wish: wire.Wish) -> AsyncGenerator[Hearing]:
        """One recognition; owns its worker, and ends it on the way out, finished or not.

        Raises:
            EngineFull: `workers_max` are running.
            EngineFault: no worker could be started, or there is no such model.
        """
        if self.running >= self.workers_max:
            raise EngineFull(
                f"all {self.workers_max} recognisers of the local engine are busy ({self.running} streams);"
                " try again later or raise providers.local.workers_max"
            )
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
        """Have all models loaded, starting zygotes anew that have died.

        Raises:
            EngineFault: one does not start.
        """
        for nest in self._nests.values():
            await nest.zygote()
        self.is_warm = True

    async def aclose(self) -> None:
        """End the zygotes; recognitions must have been closed."""
        for nest in self._nests.values():
            await nest.aclose()

    async def _start(self, wish: wire.Wish) -> Hearing:
        nest = self._nests.get(wish.model or self.models[0].id)
        if nest is None:
            raise EngineFault(f"the local engine has no model of that name; it has {', '.join(self._nests)}")
        zygote = await nest.zygote()
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


class _Nest:
    """The zygote of one model."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._zygote: Zygote | None = None
        self._starting = trio.Lock()

    async def zygote(self) -> Zygote:
        """The zygote; a new one when the last has died. Workers live on without the zygote they came from.

        Raises:
            EngineFault: it does not start.
        """
        async with self._starting:
            if self._zygote is not None and self._zygote.is_alive:
                return self._zygote
            await self.aclose()
            self._zygote = await start_zygote(self._model)
            return self._zygote

    async def aclose(self) -> None:
        """End it."""
        if self._zygote is not None:
            await self._zygote.aclose()


@asynccontextmanager
async def open_pool(
    *,
    models: Sequence[Model] | None = None,
    workers_max: int | None = None,
    stall_s: float = STALL_S,
    is_warm: bool = True,
) -> AsyncGenerator[Pool]:
    """A pool whose models are loaded; owns its zygote processes and ends them on the way out.

    Args:
        models: None: the best that is installed.
        workers_max: None: as many as this machine decodes in real time.
        is_warm: False: the caller has the models loaded with `warm`; recognitions wait for it.

    Raises:
        EngineMissing: what a model needs is not installed.
        EngineFault: a model cannot be loaded.
    """
    served = [default_model("auto")] if models is None else models
    for model in served:
        check_installed(model)
    pool = Pool(served, workers_max_default() if workers_max is None else workers_max, stall_s)
    try:
        if is_warm:
            await pool.warm()
        yield pool
    finally:
        await pool.aclose()
