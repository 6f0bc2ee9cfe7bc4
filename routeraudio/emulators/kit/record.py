"""What an emulator remembers of a connection, for tests. Never logged: it holds keys and audio."""

from typing import Final

import msgspec
import trio

from routeraudio.emulators.kit.base import Request

MESSAGES_MAX: Final = 10_000
"""Text messages kept per connection and direction: half an hour at five a second."""


class Closing(msgspec.Struct, frozen=True):
    """A close frame; 1005 stands for one without a code, 1006 for none (RFC 6455, 7.1.5)."""

    code: int
    reason: str = ""


class Record:
    """One connection, from its request to its end."""

    def __init__(self, request: Request, *, keep_audio_bytes: int) -> None:
        self.request: Final = request
        self.refused: int | None = None
        """HTTP status, where the upgrade was refused."""
        self.audio_bytes = 0
        """All audio received."""
        self.audio = bytearray()
        """The first bytes of it, as many as the emulator was told to keep."""
        self.audio_messages = 0
        self.texts: list[str] = []
        """Text messages received, in order."""
        self.sent: list[str | bytes] = []
        """Messages sent, in order, as they were put on the wire."""
        self.close_sent: Closing | None = None
        """The close frame that the emulator sent of its own accord."""
        self.close_received: Closing | None = None
        """How the client ended it, if the client did."""
        self.error: str | None = None
        """What else ended the connection: the exception's type. None for every orderly conversation."""
        self.ended: Final = trio.Event()
        """The TCP connection is closed and all tasks are gone."""
        self._keep_audio_bytes: Final = keep_audio_bytes

    def got_audio(self, data: bytes) -> None:
        """Count and, within bounds, keep a message of audio."""
        self.audio_messages += 1
        self.audio_bytes += len(data)
        self.audio += data[: max(0, self._keep_audio_bytes - len(self.audio))]

    def got_text(self, text: str) -> None:
        """Keep a text message, within bounds."""
        if len(self.texts) < MESSAGES_MAX:
            self.texts.append(text)

    def said(self, message: str | bytes) -> None:
        """Keep a sent message, within bounds."""
        if len(self.sent) < MESSAGES_MAX:
            self.sent.append(message)
