"""One accepted connection, as a vendor's emulator sees it."""

from typing import Any, Final, NoReturn

import msgspec
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection
from wsproto.frame_protocol import CloseReason

from routeraudio.emulators.kit.base import Hear, Request
from routeraudio.emulators.kit.faults import Faults
from routeraudio.emulators.kit.record import Closing, Record
from routeraudio.emulators.kit.script import Moment, Script, Step
from routeraudio.emulators.kit.wire import DEAF_S, Wire

CLOSE_S: Final = 2.0
"""How long the client may take to answer our close frame; trio-websocket would wait for ever."""

_NO_STATUS: Final = 1005


class Call:
    """Receive, send, close. Whatever ends the connection cancels the whole conversation, so the methods below
    either do their work or do not return; a vendor never handles a vanished client.

    Args:
        scope: encloses the conversation; cancelled when the connection is over.
        script: answers instead of hearing, or None.
        hear: listens, or None: nothing is heard.
    """

    def __init__(
        self,
        connection: WebSocketConnection,
        wire: Wire,
        record: Record,
        scope: trio.CancelScope,
        *,
        faults: Faults,
        script: Script | None,
        hear: Hear | None,
    ) -> None:
        self._connection = connection
        self._wire = wire
        self._scope = scope
        self.record: Final = record
        self.faults: Final = faults
        self.script: Final = script
        self.hear: Final = hear

    @property
    def request(self) -> Request:
        """The upgrade request that opened this call."""
        return self.record.request

    async def receive(self) -> str | bytes:
        """The next message."""
        try:
            message = await self._connection.get_message()
        except ConnectionClosed as closed:
            if closed.reason is not None and self.record.close_sent is None:
                self.record.close_received = Closing(closed.reason.code, closed.reason.reason or "")
            await self._hang_up()
        if isinstance(message, str):
            self.record.got_text(message)
        return message

    async def send(self, message: str | bytes) -> None:
        """Send a message, within the wire's deadline."""
        try:
            await self._connection.send_message(message)
        except ConnectionClosed:
            await self._hang_up()
        self.record.said(message)

    async def say(self, message: dict[str, Any]) -> None:
        """Send a JSON object as text."""
        await self.send(msgspec.json.encode(message).decode())

    async def perform(self, step: Step) -> None:
        """Do what a script's step says, except that `send` is the vendor's to dress."""
        if step.send_text is not None:
            await self.send(step.send_text)
        elif step.close is not None:
            await self.close(step.close.code, step.close.reason)

    def steps(self, moment: Moment) -> list[Step]:
        """The script's steps for a moment."""
        return self.script.on(moment) if self.script is not None else []

    async def close(self, code: int | None, reason: str = "") -> NoReturn:
        """Send a close frame (``code`` None: without a code), wait a little for the answer, end the call."""
        self.record.close_sent = Closing(_NO_STATUS if code is None else code, reason)
        with trio.move_on_after(CLOSE_S):
            await self._connection.aclose(
                CloseReason.NO_STATUS_RCVD if code is None else code, reason or None
            )
        await self._hang_up()

    async def drop(self) -> NoReturn:
        """Reset the TCP connection, without a word."""
        self._wire.reset_on_close()
        await self._wire.aclose()
        await self._hang_up()

    async def stay(self) -> NoReturn:
        """Read, understand nothing, say nothing, until the client leaves."""
        while True:
            message = await self.receive()
            if isinstance(message, bytes):
                self.record.got_audio(message)

    async def go_deaf(self) -> NoReturn:
        """Stop reading the socket, and every timer that waits for the client with it."""
        self._wire.stop_reading()
        await trio.sleep(DEAF_S)
        await self.drop()

    async def talk_nonsense(self, broken_message: str) -> None:
        """Send what the fault `garbage` asks for, if it asks."""
        match self.faults.garbage:
            case "text":
                await self.send("<html>502 Bad Gateway</html>")
            case "binary":
                await self.send(b"\x00\xffnot expected")
            case "types":
                await self.send(broken_message)
            case "utf8":
                # An unmasked, final text frame of four bytes that no UTF-8 holds; trio-websocket would
                # not send it.
                await self._wire.send_all(b"\x81\x04\xc3\x28\xff\xfe")
            case None:
                pass

    async def _hang_up(self) -> NoReturn:
        self._scope.cancel()
        await trio.sleep_forever()
        raise AssertionError("a cancelled scope does not wait")
