"""The engine as a child of the daemon: started, watched, started again, stopped.

The daemon opens the listening socket and keeps it: connections are never refused, and wait while an engine
starts. The child says every second on standard output that it runs, and ends when its standard input does, so
that it cannot outlive a daemon that was killed. One that is silent for too long hangs or is stopped: it is
killed, which tells its sessions, and replaced.
"""

import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

import msgspec
import structlog
import trio

from routeraudio.engine.command import Alive, Listening
from routeraudio.engine.faults import EngineFault
from routeraudio.engine.loading import Model, check_installed, default_model
from routeraudio.policy.backoff import Backoff

log = structlog.get_logger(__name__)

START_S: Final = 45.0
"""For Python to start on a busy machine."""
SILENT_S: Final = 4.0
"""A running engine says something every second; one that does not for this long is replaced."""
STOP_S: Final = 3.0
"""From SIGTERM to SIGKILL."""

LINE_BYTES_MAX: Final = 4096
BACKLOG: Final = 256
"""Connections that wait while an engine starts."""

_LINE: Final = msgspec.json.Decoder(Listening | Alive)


async def supervise(
    *,
    host: str,
    port: int,
    models: Sequence[Model] | None = None,
    workers_max: int | None = None,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> NoReturn:
    """Keep an engine running until cancelled; `started` tells its port at once, which restarts keep.

    Owns the listening socket and the child process: cancelling stops it, within twice `STOP_S`. An engine that
    ends or hangs is started anew for ever, with growing pauses.

    Args:
        port: 0: any free one.
        models: None: the best that is installed.
        workers_max: recognitions at a time; None: as many as this machine decodes in real time.

    Raises:
        EngineMissing: what a model needs is not installed.
        EngineFault: the address cannot be bound.
    """
    served = [default_model("auto")] if models is None else list(models)
    for model in served:
        check_installed(model)
    backoff = Backoff()
    with _listening(host, port) as listening:
        task_status.started(listening.getsockname()[1])
        while True:
            child = await _start(listening, served, workers_max)
            began_s = trio.current_time()
            try:
                await _watch(child, served)
            finally:
                await _stop(child)
            pause_s = backoff.pause_s(trio.current_time() - began_s)
            log.warning(
                "engine_died", pid=child.pid, exit_code=child.returncode, restart_in_s=round(pause_s, 2)
            )
            await trio.sleep(pause_s)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise EngineFault(
            f"the local engine cannot listen on {host} port {port}: {error.strerror}"
        ) from error


async def _start(listening: socket.socket, models: Sequence[Model], workers_max: int | None) -> trio.Process:
    descriptor = listening.fileno()
    command = [sys.executable, "-m", "routeraudio.engine", "--supervised", str(descriptor)]
    command += ["--models", msgspec.json.encode(models).decode()]
    if workers_max is not None:
        command += ["--workers-max", str(workers_max)]
    return await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[descriptor]
    )


async def _watch(child: trio.Process, models: Sequence[Model]) -> None:
    """Read the child's lines until it ends or says nothing for too long."""
    assert child.stdout is not None
    patience_s = START_S
    is_loaded = False
    line = b""
    while True:
        with trio.move_on_after(patience_s) as waiting:
            said = await child.stdout.receive_some(LINE_BYTES_MAX)
        if waiting.cancelled_caught:
            log.error("engine_hangs", pid=child.pid, silent_s=patience_s)
            child.kill()
            return
        if not said:
            with trio.move_on_after(STOP_S):
                await child.wait()
            return
        patience_s = SILENT_S
        *lines, line = (line + said).split(b"\n")
        if any(_is_loaded(each) for each in lines) and not is_loaded:
            is_loaded = True
            log.info("engine_ready", pid=child.pid, models=[model.id for model in models])
        if len(line) > LINE_BYTES_MAX:
            return


def _is_loaded(line: bytes) -> bool:
    try:
        said = _LINE.decode(line)
    except msgspec.DecodeError:
        return False
    return isinstance(said, Alive) and said.is_loaded


async def _stop(child: trio.Process) -> None:
    """End the child if it runs, politely first, and close its pipes. Takes twice `STOP_S` at most."""
    for ask in (child.terminate, child.kill):
        if child.returncode is not None:
            break
        ask()
        with trio.move_on_after(STOP_S, shield=True):
            await child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            await trio.aclose_forcefully(pipe)
