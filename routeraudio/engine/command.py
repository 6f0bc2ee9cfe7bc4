"""The engine as a command: `python -m routeraudio.engine`, `routeraudio engine`."""

import logging
import signal
import sys
from typing import Final

import msgspec
import structlog
import trio

from routeraudio.engine.faults import EngineFault
from routeraudio.engine.server import serve

PORT: Final = 7071


class Listening(msgspec.Struct, frozen=True, tag="listening"):
    """The one line on standard output, once connections are welcome."""

    port: int


def run_engine(
    *, host: str = "127.0.0.1", port: int = PORT, workers_max: int | None = None, supervised: bool = False
) -> int:
    """Serve until SIGINT, SIGTERM or, when supervised, the end of standard input: the supervisor's death.

    Args:
        host: address to listen on.
        port: 0: any free one; it is told on standard output.
        workers_max: recognitions at a time; otherwise as many as this machine decodes in real time.
        supervised: end when standard input does, as the daemon wants it.

    Returns:
        The process's exit code: 0, or 1 with a sentence on standard error.
    """
    _log_to_standard_error()
    try:
        trio.run(_run, host, port, workers_max, supervised)
    except* (EngineFault, OSError) as group:
        print(f"routeraudio engine: {_first(group)}", file=sys.stderr)
        return_code = 1
    else:
        return_code = 0
    return return_code


def _log_to_standard_error() -> None:
    """Standard output belongs to the one line that a supervisor waits for; nobody reads what follows it."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


async def _run(host: str, port: int, workers_max: int | None, supervised: bool) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_until_signal, nursery.cancel_scope)
        if supervised:
            nursery.start_soon(_until_input_ends, nursery.cancel_scope)
        bound = await nursery.start(_serve, host, port, workers_max)
        print(msgspec.json.encode(Listening(bound)).decode(), flush=True)


async def _serve(host: str, port: int, workers_max: int | None, *, task_status: trio.TaskStatus[int]) -> None:
    await serve(host, port, workers_max=workers_max, task_status=task_status)


async def _until_signal(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()


async def _until_input_ends(scope: trio.CancelScope) -> None:
    async with trio.lowlevel.FdStream(sys.stdin.fileno()) as stdin:
        async for _ in stdin:
            pass
    scope.cancel()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
