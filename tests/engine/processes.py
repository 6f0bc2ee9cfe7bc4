"""Other processes, seen from a test."""

from collections.abc import Callable

import psutil  # type: ignore[import-untyped]
import trio


def is_gone(process: psutil.Process | int) -> bool:
    """Whether it has ended, buried by its parent or not."""
    try:
        if isinstance(process, int):
            process = psutil.Process(process)
        return bool(not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


async def until(condition: Callable[[], bool]) -> None:
    """Waits for other processes to get there, within a minute."""
    with trio.fail_after(60):
        while not condition():  # noqa: ASYNC110  (other processes set no event of ours)
            await trio.sleep(0.01)
