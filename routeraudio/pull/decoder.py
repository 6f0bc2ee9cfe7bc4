"""The daemon's side of a decoder process: start it, connect for it, read what it hears, end it."""

import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import structlog
import trio

from routeraudio.pull.faults import SourceFault
from routeraudio.pull.guard import Guard
from routeraudio.pull.wire import (
    BLOCK_BYTES,
    LENGTH,
    MESSAGE_BYTES,
    Answer,
    Broken,
    Connect,
    Ended,
    Job,
    Opened,
    Said,
)

log = structlog.get_logger(__name__)

STOP_S: Final = 3.0
"""From SIGKILL to the end of a process: a kernel under load."""

GOOD_BYE_S: Final = 2.0
"""From the end of the audio to the decoder's last word, which it has sent before."""

PIPE_BYTES: Final = 65_536

ENVIRONMENT: Final[Mapping[str, str]] = {
    # Each arena reserves 64 MiB of the address space that is rationed; the decoder is nearly single-threaded.
    "MALLOC_ARENA_MAX": "1",
    "LANG": "C.UTF-8",
}
"""All that a decoder is told."""

_decode: Final = msgspec.json.Decoder(Said).decode


class Decoder:
    """A running decoder process. Owned by `decoding`."""

    def __init__(self, process: trio.Process, control: trio.socket.SocketType, guard: Guard | None) -> None:
        self.pid = process.pid
        self._process = process
        self._control = control
        self._guard = guard
        self._verdict: SourceFault | None = None
        self._opened: Opened | None = None
        self._is_opened = trio.Event()
        self._is_over = trio.Event()
        self._has_ended = False
        self._buffer = bytearray()

    async def opened(self) -> Opened:
        """Wait until the source is open.

        Raises:
            SourceFault: it cannot be opened.
        """
        await self._is_opened.wait()
        if self._opened is None:
            raise self._fault()
        return self._opened

    async def read(self) -> bytes:
        """The next audio, at most a second; empty at the source's end.

        Raises:
            SourceFault: the source is lost, or the process has died.
        """
        head = await self._exactly(LENGTH.size)
        if not head:
            with trio.move_on_after(GOOD_BYE_S):
                await self._is_over.wait()
            if self._has_ended:
                return b""
            raise self._fault()
        (length,) = LENGTH.unpack(head)
        block = await self._exactly(length) if 0 < length <= BLOCK_BYTES and length % 2 == 0 else b""
        if not block:
            raise self._fault()
        return block

    async def listen(self) -> None:
        """Own the control socket until the process closes it."""
        try:
            while data := await self._control.recv(MESSAGE_BYTES):
                await self._hear(_decode(data))
        except (OSError, msgspec.MsgspecError, UnicodeError):
            self._process.kill()  # it does not speak as we do: it is not ours any more
        finally:
            self._is_opened.set()
            self._is_over.set()

    async def _hear(self, said: Said) -> None:
        if isinstance(said, Connect):
            await self._connect(said)
        elif isinstance(said, Opened):
            self._opened = said
            self._is_opened.set()
        elif isinstance(said, Ended):
            self._has_ended = True
        elif self._verdict is None:
            assert isinstance(said, Broken)
            self._verdict = SourceFault(said.why, is_retryable=said.is_retryable)

    async def _connect(self, wanted: Connect) -> None:
        if self._guard is None:
            self._process.kill()  # a file names nobody to connect to: it is not ours any more
            return
        try:
            stream = await self._guard.connect(wanted.host, wanted.port)
        except SourceFault as fault:
            if fault.is_refused:
                # libav would skip a segment that cannot be had, and ask for the next one.
                self._verdict = fault
                self._process.kill()
            await self._control.send(msgspec.json.encode(Answer(fault.message, fault.is_retryable)))
            return
        with stream.socket:
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, stream.socket.fileno().to_bytes(4, sys.byteorder))
            await self._control.sendmsg([msgspec.json.encode(Answer())], [rights])

    async def _exactly(self, size: int) -> bytes:
        """So many bytes; empty when the process has closed its output before."""
        assert self._process.stdout is not None
        while len(self._buffer) < size:
            data = await self._process.stdout.receive_some(PIPE_BYTES)
            if not data:
                return b""
            self._buffer += data
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _fault(self) -> SourceFault:
        return self._verdict or SourceFault("the decoder has died", is_retryable=True)


@asynccontextmanager
async def decoding(job: Job, guard: Guard | None, file: int | None = None) -> AsyncIterator[Decoder]:
    """A decoder at work. Owns its process, which is killed on leaving.

    Args:
        guard: connects for it; None: nobody does.
        file: a descriptor that the job's URL names (`upload_url`); the decoder gets a copy.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    control = trio.socket.from_stdlib_socket(ours)
    with control:
        with theirs:
            process = await trio.lowlevel.open_process(
                # -I: neither the environment nor the working directory says where modules come from.
                [sys.executable, "-I", "-m", "routeraudio.pull.sandbox.source", str(theirs.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=dict(ENVIRONMENT),
                pass_fds=[theirs.fileno(), *([] if file is None else [file])],
            )
        try:
            decoder = Decoder(process, control, guard)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(decoder.listen)
                await _tell(process, job)
                yield decoder
                nursery.cancel_scope.cancel()
        finally:
            await _end(process)


async def _tell(process: trio.Process, job: Job) -> None:
    assert process.stdin is not None
    try:
        await process.stdin.send_all(msgspec.json.encode(job) + b"\n")
    except trio.BrokenResourceError:
        pass  # it has died already; whoever reads from it is told


async def _end(process: trio.Process) -> None:
    process.kill()
    with trio.move_on_after(STOP_S, shield=True):
        await process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            await trio.aclose_forcefully(pipe)
