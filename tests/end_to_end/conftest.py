"""Recognisers for emulators."""

from collections.abc import AsyncIterator

import pytest

from routeraudio.engine.pool import Pool, open_pool


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    """Recognisers for the emulator."""
    async with open_pool() as opened:
        yield opened
