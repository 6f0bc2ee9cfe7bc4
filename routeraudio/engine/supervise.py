"""The engine as a child of the daemon: started, watched, started again, stopped.

The child tells its port on standard output when it is ready and ends when its standard input does, so that it cannot
outlive a daemon that was killed.
"""

import random
import subprocess
import sys
from typing import Final, NoReturn

import msgspec
import structlog
import trio

from routeraudio.engine.command import Listening
from routeraudio.engine.faults import EngineFault
from routeraudio.engine.recogniser import check_installed

log = structlog.get_logger(__name__)

START_S: Final = 45.0
"""A little more than the engine itself waits for its model."""
STOP_S: Final = 3.0
"""From SIGTERM to SIGKILL."""

BACKOFF_S: Final = 0.25
BACKOFF_S_MAX: Final = 10.0
STEADY_S: Final = 60.0
"""An engine that ran for this long has earned a quick restart again."""

LINE_BYTES_MAX: Final = 4096


async def supervise(
    *,
    host: str,
    port: int,
    workers_max: int | None = None,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> NoReturn:
    """Keep an engine running until cancelled; `started` tells its port, which restarts keep.

    Owns the child process: cancelling stops it, within twice `STOP_S`.

    Args:
        port: 0: any free one.
        workers_max: recognitions at a time; None: as many as this machine decodes in real time.

    Raises:
        EngineMissing: PocketSphinx is not installed.
        EngineFault: the first start fails; later ones are tried again for ever, with growing pauses.
    """
    check_installed()
    is_first = True
    backoff_s = BACKOFF_S
    while True:
        child = await _start(host, port, workers_max)
        began_s = trio.current_time()
        try:
            port = await _ready(child)
            log.info("engine_ready", pid=child.pid, port=port)
            if is_first:
                task_status.started(port)
                is_first = False
            await child.wait()
        except EngineFault:
            if is_first:
                raise
        finally:
            await _stop(child)
        if trio.current_time() - began_s > STEADY_S:
            backoff_s = BACKOFF_S
        # Half of it by chance, so that several daemons of one machine do not restart in step.
        pause_s = backoff_s * random.uniform(0.5, 1)  # noqa: S311  (no secret)
        backoff_s = min(backoff_s * 2, BACKOFF_S_MAX)
        log.warning("engine_died", pid=child.pid, exit_code=child.returncode, restart_in_s=round(pause_s, 2))
        await trio.sleep(pause_s)


async def _start(host: str, port: int, workers_max: int | None) -> trio.Process:
    command = [
        sys.executable,
        "-m",
        "routeraudio.engine",
        "--supervised",
        "--host",
        host,
        "--port",
        str(port),
    ]
    if workers_max is not None:
        command += ["--workers-max", str(workers_max)]
    return await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


async def _ready(child: trio.Process) -> int:
    """Wait for the child's line.

    Raises:
        EngineFault: it ended first, or was not ready within `START_S`.
    """
    assert child.stdout is not None
    line = b""
    with trio.move_on_after(START_S) as waiting:
        while b"\n" not in line and len(line) < LINE_BYTES_MAX:
            said = await child.stdout.receive_some(LINE_BYTES_MAX)
            if not said:
                raise EngineFault(
                    "the local engine ended before it was ready; its messages are on standard error"
                )
            line += said
    if waiting.cancelled_caught:
        raise EngineFault(f"the local engine was not ready within {START_S:g} s")
    try:
        return msgspec.json.decode(line, type=Listening).port
    except msgspec.DecodeError:
        raise EngineFault("the local engine said something else than its port when it started") from None


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
