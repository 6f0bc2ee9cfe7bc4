"""Running a service in the foreground until somebody stops it."""

import signal
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from routeraudio.commands.trouble import DONE, Trouble, leaves, usage
from routeraudio.engine.faults import EngineFault
from routeraudio.model.errors import ConfigFault

Service = Callable[..., Awaitable[Any]]
"""Takes `task_status` and starts it with the port it listens on."""


def run(service: Service, what: str, host: str) -> int:
    """Run ``service`` until SIGINT or SIGTERM, telling where it listens once it does.

    Raises:
        Trouble: it could not start, or could not go on.
    """
    troubles: list[Trouble] = []
    try:
        trio.run(_run, service, what, host)
    except* (ConfigFault, EngineFault) as group:
        troubles.extend(usage(str(error)) for error in leaves(group))
    except* OSError as group:
        troubles.extend(_unbound(error) for error in leaves(group))
    if troubles:
        raise troubles[0]
    return DONE


async def _run(service: Service, what: str, host: str) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            port = await nursery.start(service)
            print(f"{what} listens on ws://{f'[{host}]' if ':' in host else host}:{port}", flush=True)
            await anext(signals)
            nursery.cancel_scope.cancel()


def _unbound(error: BaseException) -> Trouble:
    reason = getattr(error, "strerror", None) or type(error).__name__
    return usage(f"cannot listen: {reason}; choose another --host or --port")
