"""The engine as a command: `python -m routeraudio.engine`, `routeraudio engine serve`."""

import logging
import os
import signal
import socket
import sys
from typing import Annotated, Final

import cyclopts
import msgspec
import structlog
import trio

from routeraudio.engine.faults import EngineFault
from routeraudio.engine.loading import Choice, Model, default_model
from routeraudio.engine.pool import Pool
from routeraudio.engine.server import serve

PORT: Final = 7071

BEAT_S: Final = 1.0
"""How often a supervised engine says that it runs."""


class Listening(msgspec.Struct, frozen=True, tag="listening"):
    """The first line on standard output: connections are welcome, and wait for the models."""

    port: int


class Alive(msgspec.Struct, frozen=True, tag="alive"):
    """Every further line, of a supervised engine."""

    is_loaded: bool


def run_engine(
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    backend: Choice = "auto",
    models: str | None = None,
    workers_max: int | None = None,
    supervised: Annotated[int | None, cyclopts.Parameter(show=False)] = None,
) -> int:
    """Serve until SIGINT, SIGTERM or, when supervised, the end of standard input: the supervisor's death.

    Args:
        host: address to listen on.
        port: 0: any free one; it is told on standard output.
        backend: who recognises where no models are given; auto: the best that is installed.
        models: what is served, as a JSON array of objects like a table of [[providers.local.models]].
        workers_max: recognitions at a time; otherwise as many as this machine decodes in real time.
        supervised: descriptor of the listening socket that the daemon has opened.

    Returns:
        The process's exit code: 0, or 1 with a sentence on standard error.
    """
    _log_to_standard_error()
    try:
        served = [default_model(backend)] if models is None else _models(models)
        listening = None if supervised is None else socket.socket(fileno=supervised)
        trio.run(_run, host, port, served, workers_max, listening)
    except* (EngineFault, OSError) as group:
        print(f"routeraudio engine: {_first(group)}", file=sys.stderr)
        return_code = 1
    else:
        return_code = 0
    return return_code


def _models(text: str) -> list[Model]:
    try:
        return msgspec.json.decode(text, type=list[Model])
    except msgspec.DecodeError as error:
        raise EngineFault(f"--models: {error}") from None


def _log_to_standard_error() -> None:
    """Standard output belongs to the lines that a supervisor waits for."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


async def _run(
    host: str, port: int, models: list[Model], workers_max: int | None, listening: socket.socket | None
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_until_signal, nursery.cancel_scope)
        if listening is None:
            listeners = await trio.open_tcp_listeners(port, host=host)
        else:
            listening.setblocking(False)
            listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(listening))]
            nursery.start_soon(_until_input_ends, nursery.cancel_scope)
        pool = await nursery.start(_serve, listeners, models, workers_max)
        _say(Listening(listeners[0].socket.getsockname()[1]))
        if listening is not None:
            nursery.start_soon(_beat, pool)


async def _serve(
    listeners: list[trio.SocketListener],
    models: list[Model],
    workers_max: int | None,
    *,
    task_status: trio.TaskStatus[Pool],
) -> None:
    await serve(listeners, models=models, workers_max=workers_max, task_status=task_status)


async def _beat(pool: Pool) -> None:
    """Say that the event loop runs. The lines are few and short: the pipe never fills while somebody reads them."""
    while True:
        await trio.sleep(BEAT_S)
        _say(Alive(pool.is_warm))


def _say(line: Listening | Alive) -> None:
    os.write(sys.stdout.fileno(), msgspec.json.encode(line) + b"\n")


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
