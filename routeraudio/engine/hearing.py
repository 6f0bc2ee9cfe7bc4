"""One recognition, seen from the pool: send audio, iterate over what was heard."""

import os
import signal
import socket
import sys
from time import monotonic
from typing import Final

import trio

from routeraudio.engine import wire
from routeraudio.engine.faults import EngineFault

STALL_S: Final = 60.0
"""How long a worker may neither take audio nor, after `finish`, answer. The longest honest pause is the second pass
over 30 s of audio: 4 s on a free core, and workers run below everything else."""

SEND_BUFFER_BYTES: Final = 65_536
"""The kernel doubles it and counts its own overhead: one to three seconds of audio wait for a slow decoder, then
`send` does."""

GATHERED_BYTES: Final = 1920
"""60 ms go to the worker at once: waking it for each 20 ms took a fifth of its time."""


class Hearing:
    """A running recognition; made by `Pool.open`, which also ends it.

    One task sends, one task iterates; they may be the same when partials are off and utterances few. Iterating
    ends after `finish` when everything was heard, and raises `EngineFault` when the worker died or hangs.
    """

    def __init__(self, session: trio.socket.SocketType, process: int, stall_s: float) -> None:
        self._session = session
        self._process = process
        """Descriptor of the worker's process."""
        self._stall_s = stall_s
        self._gathered = bytearray()
        self._is_finishing = False
        self._is_done = False
        self._receiving = trio.CancelScope()
        self.audio_ms = 0
        """Audio heard in all; known when iterating has ended."""

    async def send(self, pcm: bytes) -> None:
        """16 kHz mono `pcm_s16le` of any length. Waits while the decoder is behind. Not to be resumed when cancelled.

        Raises:
            EngineFault: the worker died or hangs.
        """
        assert not self._is_finishing, "audio after finish()"
        self._gathered += pcm
        if len(self._gathered) >= GATHERED_BYTES:
            await self._pass_on()

    async def finalize(self) -> None:
        """Ask for the final of the open utterance now. Raises like `send`."""
        assert not self._is_finishing, "finalize() after finish()"
        await self._pass_on()
        await self._tell(wire.Finalize())

    async def finish(self) -> None:
        """No more audio: iterating ends after the last final. Raises like `send`."""
        assert not self._is_finishing, "finish() twice"
        await self._pass_on()
        await self._tell(wire.Finish())
        self._is_finishing = True
        self._receiving.deadline = trio.current_time() + self._stall_s

    def __aiter__(self) -> "Hearing":
        return self

    async def __anext__(self) -> wire.Heard:
        if self._is_done:
            raise StopAsyncIteration
        answer = wire.decode_answer(await self._receive())
        if isinstance(answer, wire.Heard):
            return answer
        self._is_done = True
        self.audio_ms = answer.audio_ms
        raise StopAsyncIteration

    def close(self) -> None:
        """End the worker at once, finished or not, and forget it."""
        self._kill()
        os.close(self._process)
        self._session.close()

    async def _pass_on(self) -> None:
        """Send what has gathered."""
        view = memoryview(bytes(self._gathered))
        self._gathered.clear()
        sent_s = monotonic()
        for start in range(0, len(view), wire.AUDIO_BYTES_MAX):
            await self._tell(wire.Audio(bytes(view[start : start + wire.AUDIO_BYTES_MAX]), sent_s))

    async def _tell(self, command: wire.Command) -> None:
        with trio.move_on_after(self._stall_s) as waiting:
            try:
                await self._session.send(wire.encode(command))
            except OSError as error:
                raise _gone() from error
        if waiting.cancelled_caught:
            raise self._hung()

    async def _receive(self) -> bytes:
        stall_s = self._stall_s if self._is_finishing else float("inf")
        with trio.CancelScope(deadline=trio.current_time() + stall_s) as self._receiving:
            try:
                packet = await self._session.recv(wire.PACKET_BYTES_MAX)
            except OSError as error:
                raise _gone() from error
        if self._receiving.cancelled_caught:
            raise self._hung()
        if not packet:
            raise _gone()
        return packet

    def _hung(self) -> EngineFault:
        self._kill()
        return EngineFault(f"the recogniser has not answered for {self._stall_s:g} s and was ended")

    def _kill(self) -> None:
        try:
            signal.pidfd_send_signal(self._process, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has already ended


async def meet(session: trio.socket.SocketType, stall_s: float) -> Hearing:
    """Wait for a new worker's hello. The caller bounds the wait and closes `session` when this raises.

    Raises:
        EngineFault: it died first.
    """
    try:
        said, ancillary, _, _ = await session.recvmsg(len(wire.HELLO), socket.CMSG_SPACE(4))
    except OSError as error:
        raise _gone() from error
    if said != wire.HELLO or not ancillary:
        raise EngineFault("the local engine could not start a recogniser")
    process = int.from_bytes(ancillary[0][2][:4], sys.byteorder)
    return Hearing(session, process, stall_s)


def _gone() -> EngineFault:
    return EngineFault("the recogniser of this session has died")
