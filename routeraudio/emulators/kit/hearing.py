"""The local engine as an emulator's ears."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NoReturn

import trio

from routeraudio.emulators.kit.faults import NONE, Faults
from routeraudio.emulators.kit.heard import Hear, Heard, HeardWord, Hearing
from routeraudio.emulators.kit.script import Script
from routeraudio.emulators.kit.server import Emulator
from routeraudio.emulators.kit.vendor import Vendor
from routeraudio.engine.hearing import Hearing as EngineHearing
from routeraudio.engine.pool import Pool, open_pool
from routeraudio.engine.wire import Wish


class Service:
    """What runs an emulator: one per vendor, made where the vendor is written.

    Args:
        vendor: makes the vendor, with its defaults.
    """

    def __init__(self, vendor: Callable[[], Vendor]) -> None:
        self._vendor = vendor

    async def __call__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        script: Script | None = None,
        faults: Faults = NONE,
        hear: Hear | None = None,
        task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
    ) -> NoReturn:
        """Serve until cancelled; `started` tells the port. Without script and hear the local engine listens.

        Owns the local engine, started only where nothing else answers.

        Raises:
            OSError: the port cannot be bound.
            EngineFault: the local engine is needed and cannot be started.
        """
        vendor = self._vendor()
        if hear is not None or script is not None:
            emulator = Emulator(vendor, hear=hear, script=script, faults=faults)
            await emulator.serve(host=host, port=port, task_status=task_status)
        async with open_pool() as pool:
            emulator = Emulator(vendor, hear=EngineHear(pool), faults=faults)
            await emulator.serve(host=host, port=port, task_status=task_status)


class EngineHear:
    """`Hear` over a pool of the local engine. A full pool ends the connection that finds it full."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def open(self, *, endpointing_ms: int, partials: bool) -> AbstractAsyncContextManager[Hearing]:
        """See `Hear.open`; the engine brings ``endpointing_ms`` into its own bounds.

        Words come bare: each vendor cases and punctuates them by its own rules.
        """
        return self._open(Wish(punctuate=False, partials=partials, endpointing_ms=endpointing_ms))

    @asynccontextmanager
    async def _open(self, wish: Wish) -> AsyncIterator[Hearing]:
        async with self._pool.open(wish) as hearing:
            yield _EngineHearing(hearing)


class _EngineHearing:
    """The engine's structs in the emulators' words, so that neither side is tied to the other's."""

    def __init__(self, hearing: EngineHearing) -> None:
        self._hearing = hearing
        self.send = hearing.send
        self.finalize = hearing.finalize
        self.finish = hearing.finish

    def __aiter__(self) -> "_EngineHearing":
        return self

    async def __anext__(self) -> Heard:
        heard = await anext(self._hearing)
        words = tuple(HeardWord(word.text, word.start_ms, word.end_ms) for word in heard.words or ())
        return Heard(heard.kind, heard.text, heard.start_ms, heard.end_ms, words)
