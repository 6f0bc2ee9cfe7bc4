"""A pool that a whole test uses, and recognitions from start to end."""

from collections.abc import AsyncIterator, Iterable

import pytest
import trio

from routeraudio.engine.hearing import Hearing
from routeraudio.engine.pool import Pool, open_pool
from routeraudio.engine.wire import Heard
from tests.engine.client import Say


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    """Room for three recognitions."""
    async with open_pool(workers_max=3) as pool:
        yield pool


@pytest.fixture
def say() -> Say:
    """Sends all chunks, finishes, gives everything heard."""

    async def say(hearing: Hearing, chunks: Iterable[bytes]) -> list[Heard]:
        async def send() -> None:
            for chunk in chunks:
                await hearing.send(chunk)
            await hearing.finish()

        heard: list[Heard] = []
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                async for each in hearing:
                    heard.append(each)
        return heard

    return say
