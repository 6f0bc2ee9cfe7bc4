"""Recognisers for emulators, and the clip as a file."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from routeraudio.engine.pool import Pool, open_pool
from tests.end_to_end.router import speech


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    """Recognisers for the emulator."""
    async with open_pool() as opened:
        yield opened


@pytest.fixture
def speech_file(tmp_path: Path) -> Path:
    """The clip with a second of silence behind it, as raw samples."""
    path = tmp_path / "speech.raw"
    path.write_bytes(speech() + bytes(32_000))
    return path
