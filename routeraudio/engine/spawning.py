"""The pool's handle on its zygote process."""

import socket
import sys
from subprocess import DEVNULL
from typing import Final

import msgspec
import trio

from routeraudio.engine import wire
from routeraudio.engine.environment import environment
from routeraudio.engine.faults import EngineFault
from routeraudio.engine.loading import Model

START_S: Final = 30.0
"""For Python and the model; half a second on an idle machine."""
STOP_S: Final = 3.0
"""A zygote ends when its socket closes, unless it is being started or stopped by a debugger."""


class Zygote:
    """A running zygote. Owned by the pool, which closes it with `aclose`."""

    def __init__(self, process: trio.Process, control: trio.socket.SocketType) -> None:
        self._process = process
        self._control = control

    @property
    def is_alive(self) -> bool:
        """Whether it can still fork; false from its death on."""
        return self._process.poll() is None

    async def fork(self, session: socket.socket) -> None:
        """Ask for a worker on the other end of `session`, which the caller keeps and closes.

        Raises:
            EngineFault: the zygote has gone.
        """
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, session.fileno().to_bytes(4, sys.byteorder))
        try:
            await self._control.sendmsg([wire.FORK], [rights])
        except OSError as error:
            raise EngineFault("the local engine cannot start a recogniser now") from error

    def kill(self) -> None:
        """End a process that does not answer; `aclose` is still due."""
        self._process.kill()

    async def aclose(self) -> None:
        """End the process. Takes `STOP_S` at most, cancelled or not."""
        self._control.close()
        with trio.move_on_after(STOP_S, shield=True):
            await self._process.wait()
        if self._process.returncode is None:
            self._process.kill()
            with trio.move_on_after(STOP_S, shield=True):
                await self._process.wait()


async def start_zygote(model: Model) -> Zygote:
    """Start a zygote of this model and wait until its model is loaded. Cancelling ends it.

    Raises:
        EngineFault: it died or was not ready within `START_S`.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    control = trio.socket.from_stdlib_socket(ours)
    with theirs:
        command = [sys.executable, "-m", "routeraudio.engine.zygote", str(theirs.fileno())]
        command.append(msgspec.json.encode(model).decode())
        process = await trio.lowlevel.open_process(
            command, stdin=DEVNULL, stdout=DEVNULL, pass_fds=[theirs.fileno()], env=environment()
        )
    zygote = Zygote(process, control)
    try:
        await _ready(control)
    except BaseException:
        process.kill()
        await zygote.aclose()
        raise
    return zygote


async def _ready(control: trio.socket.SocketType) -> None:
    with trio.move_on_after(START_S) as waiting:
        try:
            said = await control.recv(len(wire.READY))
        except OSError:
            said = b""
    if waiting.cancelled_caught:
        raise EngineFault(f"the local engine has not loaded its model within {START_S:g} s")
    if said != wire.READY:
        raise EngineFault("the local engine could not load its model; its messages are on standard error")
