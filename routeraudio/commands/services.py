"""Running a service in the foreground until somebody stops it."""

import signal
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from routeraudio.commands.errors import DONE, Trouble, leaves, usage
from routeraudio.engine.faults import EngineFault
from routeraudio.model.errors import ConfigFault

Service = Callable[..., Awaitable[Any]]
"""Takes `task_status` and starts it with the port it listens on."""


def run(service: Service, what: str, host: str) -> int:
    """Run ``service`` until SIGINT or SIGTERM, telling where it listens once it does.

    Raises:
        Trouble: it could not start, or could not go on.
    """
    shown_host = f"[{host}]" if ":" in host else host
    return _run(service, lambda port: f"{what} listens on ws://{shown_host}:{port}")


def run_all(service: Service) -> int:
    """The same for a service that is started with the text to print."""
    return _run(service, str)


def _run(service: Service, say: Callable[[Any], str]) -> int:
    troubles: list[Trouble] = []
    try:
        trio.run(_until_signal, service, say)
    except* (ConfigFault, EngineFault) as group:
        troubles.extend(usage(str(error)) for error in leaves(group))
    except* OSError as group:
        troubles.extend(_unbound(error) for error in leaves(group))
    if troubles:
        raise troubles[0]
    return DONE


async def _until_signal(service: Service, say: Callable[[Any], str]) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            print(say(await nursery.start(service)), flush=True)
            await anext(signals)
            nursery.cancel_scope.cancel()


def _unbound(error: BaseException) -> Trouble:
    reason = getattr(error, "strerror", None) or type(error).__name__
    return usage(f"cannot listen: {reason}; choose another --host or --port")
