"""One stream from the client's side: audio out at its pace, messages in until the server closes."""

import math
import signal
from typing import Final

import msgspec
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from routeraudio.commands.client import send
from routeraudio.commands.display import Display
from routeraudio.commands.errors import Trouble
from routeraudio.commands.sound import CHUNK_MS, Sound
from routeraudio.commands.wire import Error, decode

LAST_WORDS_S: Final = 60.0
"""Silence after the end of the audio. A fast sender's last seconds may still be on their way through the
recogniser, but something is heard of them in this time."""

END_OF_STREAM: Final = '{"type":"end_of_stream"}'


class Ending(msgspec.Struct, frozen=True):
    """How the server left."""

    code: int | None
    reason: str
    error: Error | None


class Conversation:
    """Sends a sound and shows what comes back; use once, with `client.converse`."""

    def __init__(
        self, sound: Sound, display: Display, *, is_realtime: bool, chunk_ms: int = CHUNK_MS
    ) -> None:
        self._sound = sound
        self._display = display
        self._is_paced = is_realtime and not sound.is_live
        self._chunk_ms = chunk_ms
        self._limiter = trio.CapacityLimiter(1)
        self._began_at = 0.0
        self._patience = trio.CancelScope()
        self._is_stopped = False
        self._error: Error | None = None
        self.ending: Ending | None = None

    async def __call__(self, connection: WebSocketConnection) -> None:
        """Owns a task that sends and one that listens for Ctrl-C; ends when the server has closed.

        The first Ctrl-C ends the audio and the last words are still waited for; the second leaves `ending` None.

        Raises:
            Trouble: the sound cannot be read, or the server stopped reading or talking.
        """
        self._began_at = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._obey_interrupts, nursery.cancel_scope)
            nursery.start_soon(self._send, connection)
            with self._patience:
                await self._receive(connection)
            if self._patience.cancelled_caught:
                raise Trouble(
                    f"the server has been silent for {LAST_WORDS_S:.0f} s after the end; look at its log"
                )
            nursery.cancel_scope.cancel()

    async def _obey_interrupts(self, scope: trio.CancelScope) -> None:
        with trio.open_signal_receiver(signal.SIGINT) as signals:
            await anext(signals)
            self._is_stopped = True
            await anext(signals)
            scope.cancel()

    async def _receive(self, connection: WebSocketConnection) -> None:
        try:
            while True:
                self._show(await connection.get_message())
        except ConnectionClosed as closed:
            code = None if closed.reason is None else closed.reason.code
            reason = "" if closed.reason is None else closed.reason.reason or ""
            self.ending = Ending(code, reason, self._error)

    def _show(self, text: str | bytes) -> None:
        arrived_at = trio.current_time()
        if self._patience.deadline != math.inf:
            self._patience.deadline = arrived_at + LAST_WORDS_S
        message = decode(text)
        if isinstance(message, Error):
            self._error = message
        self._display.message(text, message, arrived_at - self._began_at)

    async def _send(self, connection: WebSocketConnection) -> None:
        try:
            await self._send_audio(connection)
            await send(connection, END_OF_STREAM)
        except ConnectionClosed:
            return  # the receiving side knows why
        self._patience.deadline = trio.current_time() + LAST_WORDS_S

    async def _send_audio(self, connection: WebSocketConnection) -> None:
        sent_bytes = 0
        while not self._is_stopped and (chunk := await self._read()):
            sent_bytes += len(chunk)
            position_s = sent_bytes / self._sound.format.bytes_per_second
            if self._is_paced:
                # A chunk can be sent when it has been spoken, not before.
                await trio.sleep_until(self._began_at + position_s)
            await send(connection, chunk)
            self._display.sent(position_s)

    async def _read(self) -> bytes:
        # Abandoned when cancelled: standard input may never say anything again.
        return await trio.to_thread.run_sync(
            self._sound.read, self._chunk_ms, abandon_on_cancel=True, limiter=self._limiter
        )
