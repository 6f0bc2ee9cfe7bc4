"""A sixteenth of `make failover`: each pair of vendors once, in formats and ways that take turns."""

import trio

from tests.failover.matrix import FORMATS, Case, cases, tried

AT_ONCE = 4


async def test_every_word_once() -> None:
    """In order, at its place, whatever cuts the line."""
    chosen = [case for at, case in enumerate(cases(range(1))) if at % len(FORMATS) == at // len(FORMATS) % 4]
    faults: dict[str, list[str]] = {}
    turns = trio.CapacityLimiter(AT_ONCE)
    async with trio.open_nursery() as nursery:
        for case in chosen:

            async def run(case: Case = case) -> None:
                async with turns:
                    if found := await tried(case):
                        faults[str(case)] = found

            nursery.start_soon(run)
    assert len(chosen) == 16
    assert not faults
