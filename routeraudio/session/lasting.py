"""Tasks that last as long as the process: a bug in one of them is a line in the log, never the end of the others."""

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio

from routeraudio.model.errors import ConfigFault
from routeraudio.model.exceptions import bug_fields

log = structlog.get_logger(__name__)

AGAIN_S: Final = 1.0
"""Before a task that has failed is begun again; what failed it (no descriptors, a full disk) may be over by then."""


async def lasting(task: Callable[[], Awaitable[object]]) -> None:
    """Run ``task`` to its end, again and again where it fails.

    Raises:
        ConfigFault: as the task does: the daemon cannot run like this.
    """
    while True:
        try:
            await task()
        except* ConfigFault:
            raise
        except* Exception as group:  # noqa: BLE001 - see the module
            log.error(
                "task_bug", task=getattr(task, "__qualname__", type(task).__name__), **bug_fields(group)
            )
            await trio.sleep(AGAIN_S)
        else:
            return
