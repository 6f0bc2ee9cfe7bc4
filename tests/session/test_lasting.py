"""A bug in a task that lasts costs nobody else anything."""

import structlog
import trio
from trio.testing import MockClock

from routeraudio.model.errors import ConfigFault
from routeraudio.session.lasting import AGAIN_S, lasting


async def test_it_is_begun_again(autojump_clock: MockClock) -> None:
    """With one line that says where, and without the exception's text."""
    tries: list[float] = []

    async def fails_twice() -> None:
        tries.append(trio.current_time())
        if len(tries) <= 2:
            raise OSError(24, "SECRET")

    with structlog.testing.capture_logs() as log:
        await lasting(fails_twice)
    assert [at_s - tries[0] for at_s in tries] == [0, AGAIN_S, 2 * AGAIN_S]
    assert [line["event"] for line in log] == ["task_bug"] * 2
    assert "fails_twice" in log[0]["task"]
    assert "SECRET" not in str(log)


async def test_a_configuration_that_cannot_be_used_is_the_end() -> None:
    """That is told to whoever starts the daemon."""

    async def refused() -> None:
        raise ConfigFault("no")

    try:
        await lasting(refused)
    except* ConfigFault:
        pass
    else:
        raise AssertionError


async def test_cancellation_passes(autojump_clock: MockClock) -> None:
    """Nothing is begun again behind it."""
    with trio.move_on_after(5) as scope:
        await lasting(trio.sleep_forever)
    assert scope.cancelled_caught
