"""A relay alone: a fake upstream behind it, a client that reads in front."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from routeraudio.dialects.listen import Listen
from routeraudio.policy.limits import Limits
from routeraudio.providers.base import Pace
from routeraudio.session.candidate import Candidate
from routeraudio.session.credit import Credit
from routeraudio.session.deliver import Deliver
from routeraudio.session.streams import Dialler
from tests.session.adapter import FakeAdapter
from tests.session.conversation import options, settled
from tests.session.fakes import FakeDialler, FakeStream, Unwatched


class Relaying:
    """A relay between a fake upstream and a client that reads."""

    def __init__(
        self,
        adapter: FakeAdapter,
        limits: Limits,
        dial: Dialler | None,
        *,
        parse_json: bool = True,
        pace: Pace | None = None,
        credit: Credit | None = None,
        position_ms: Callable[[int], int] = lambda _: 0,
    ) -> None:
        self.client = FakeStream()
        self.upstream = FakeStream()
        dialect = Listen(options(parse_json=parse_json), "request-1")
        self.deliver = Deliver(self.client, dialect, limits, on_room=lambda: self.succession.resume())
        candidate = Candidate(
            title="Fake",
            audio_format=adapter.audio_format,
            adapter=lambda: adapter,
            dial=FakeDialler(self.upstream) if dial is None else dial,
            pace=pace,
        )
        around = Unwatched(
            candidate, self.deliver, limits, is_raw=not parse_json, credit=credit, position_ms=position_ms
        )
        self.faults = around.faults
        self.relay, self.succession = around.relay, around.succession
        self.fault: Exception | None = None

    async def run(self) -> None:
        try:
            await self.succession.run()
        except* Exception as group:  # noqa: BLE001 - looked at by the test
            error: BaseException = group
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            assert isinstance(error, Exception)
            self.fault = error


@asynccontextmanager
async def relaying(
    adapter: FakeAdapter | None = None,
    limits: Limits | None = None,
    dial: Dialler | None = None,
    *,
    parse_json: bool = True,
    pace: Pace | None = None,
    credit: Credit | None = None,
    position_ms: Callable[[int], int] = lambda _: 0,
) -> AsyncIterator[Relaying]:
    play = Relaying(
        FakeAdapter() if adapter is None else adapter,
        Limits() if limits is None else limits,
        dial,
        parse_json=parse_json,
        pace=pace,
        credit=credit,
        position_ms=position_ms,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(play.run)
        nursery.start_soon(play.deliver.run)
        await settled()
        yield play
        nursery.cancel_scope.cancel()
