"""The ingest stage: client messages become audio and controls on the first link."""

from collections.abc import Callable
from typing import Final

import trio

from routeraudio.audio.sniff import Sniffer
from routeraudio.dialects.base import Command, Control, Dialect, DialectEvent
from routeraudio.model.message import Message
from routeraudio.session.first_messages import FirstMessages
from routeraudio.session.link import Link
from routeraudio.session.received import Received
from routeraudio.session.streams import ClientGone, Closed, MessageStream

PIECE_BYTES: Final = 32_768
"""A second of 16 kHz PCM; converting as much takes a millisecond or two."""


class Ingest:
    """Listens to the client.

    Args:
        aside: passes on what the dialect tells itself; False: the client must read first.
        sniffer: looks whether raw audio is what it is said to be; None: nobody does.
        already: what the client has said so far, where its first messages were read for its options.
    """

    def __init__(
        self,
        client: MessageStream,
        dialect: Dialect,
        target: Link[Command],
        received: Received,
        aside: Callable[[DialectEvent], bool],
        sniffer: Sniffer | None = None,
        already: FirstMessages | None = None,
    ) -> None:
        self._client = client
        self._dialect = dialect
        self._target = target
        self._received = received
        self._aside = aside
        self._sniffer = sniffer
        self._already = already
        self._over = trio.Event()
        self._reason: Exception | None = None
        self.is_finished = False
        self._is_cut = False
        """The end is ours, not the client's."""

    def message(self, message: Message) -> bool:
        """See `Listener.message`."""
        room = True
        for command in self._dialect.received(message):
            if isinstance(command, bytes):
                if command and not self.is_finished:
                    room = self._take(command) and room
                elif self._is_cut:
                    self._received.audio(len(command))  # nobody hears it: the summary tells
            elif isinstance(command, DialectEvent):
                # A client that does not read its answers is not read either.
                room = self._aside(command) and room
            elif command is Control.FINISH:
                self.finish(is_clients=True)
            elif command is Control.KEEPALIVE:
                self._received.keepalive()
            elif not self.is_finished:
                room = self._target.push(command) and room
        return room

    def _take(self, audio: bytes) -> bool:
        """Audio as the client sent it, without a header that may stand before raw samples."""
        if self._sniffer is not None:
            audio = self._sniffer.read(audio)
            if self._sniffer.is_done:
                self._sniffer = None
            if not audio:
                return True
        self._received.audio(len(audio))
        return self._push(audio)

    def _push(self, audio: bytes) -> bool:
        """Hand audio over, a long message in pieces: a bound in bytes means little beside 1 MiB items."""
        if len(audio) <= PIECE_BYTES:
            return self._target.push(audio)
        room = True
        for start in range(0, len(audio), PIECE_BYTES):
            room = self._target.push(audio[start : start + PIECE_BYTES])
        return room

    def finish(self, *, is_clients: bool = False) -> None:
        """No more audio: behind everything received so far, the upstream is asked for its last words.

        Args:
            is_clients: the client has said so; else it may go on sending, to nobody.
        """
        if not self.is_finished:
            self._is_cut = not is_clients
            if self._sniffer is not None and (held := self._sniffer.end()):
                self._received.audio(len(held))
                self._target.push(held)
            self.is_finished = True
            self._target.push(Control.FINISH)

    def closed(self, closed: Closed) -> None:
        """See `Listener.closed`."""
        self._end(ClientGone(closed))

    def crashed(self, error: Exception) -> None:
        """See `Listener.crashed`."""
        self._end(error)

    async def run(self) -> None:
        """Own the client's side until it ends.

        Raises:
            ClientGone: the client left.
            ClientFault: the client sent what its dialect does not allow.
        """
        if self._already is None:
            self._client.start(self)
        else:
            self._go_on(self._already)
        await self._over.wait()
        assert self._reason is not None
        raise self._reason

    def _go_on(self, already: FirstMessages) -> None:
        room = True
        for message in already.messages:
            room = self.message(message)
        self._already = None
        if already.crash is not None:
            raise already.crash
        if already.ended is not None:
            raise ClientGone(already.ended)
        self._client.start(self)
        if room:
            self._client.resume()

    def _end(self, reason: Exception) -> None:
        if self._reason is None:
            self._reason = reason
            self._over.set()
