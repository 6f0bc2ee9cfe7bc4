"""The error boundary between the 101 and the session: what goes wrong there is told to the client and logged once.

From the session's start on the boundary is `session.frame`'s.
"""

from collections.abc import Awaitable, Callable, Sequence

import msgspec
import structlog

from routeraudio.dialects.base import Tells
from routeraudio.model.errors import Fault, InternalFault
from routeraudio.model.exceptions import bug_fields, first
from routeraudio.model.message import Message
from routeraudio.session.streams import NullListener
from routeraudio.transport.websocket import WebSocket

log = structlog.get_logger(__name__)


class LastWords(msgspec.Struct, frozen=True):
    """How a fault is told."""

    messages: Sequence[Message]
    close_code: int
    reason: str


Voice = Callable[[Fault], LastWords]
"""Puts a fault into a protocol's words."""


def close_frame_only(fault: Fault) -> LastWords:
    """For protocols without error messages, and where there is no dialect yet."""
    return LastWords((), int(fault.close_code), fault.message)


def dialect_voice(dialect: Tells) -> Voice:
    """An error message and the dialect's close code."""
    return lambda fault: LastWords(dialect.error(fault), int(dialect.close_code(fault)), fault.code)


class Boundary:
    """One client's, whose upgrade has been answered.

    Args:
        voice: how faults are told; may be replaced while it serves.
        turned_away: counts a client that gets no session: close code and error code.
    """

    def __init__(
        self,
        client: WebSocket,
        request_id: str,
        voice: Voice,
        turned_away: Callable[[int, str], None],
    ) -> None:
        self.voice = voice
        self._client = client
        self._request_id = request_id
        self._turned_away = turned_away

    async def serve(self, serve: Callable[[], Awaitable[None]]) -> None:
        """Run ``serve``, which owns the client while a session runs. Releases the client, always.

        Raises nothing of its own.
        """
        faults: list[Fault] = []
        try:
            try:
                await serve()
            except* Fault as group:
                faults.append(first(group))
            except* Exception as group:  # noqa: BLE001 - this is the boundary
                faults.append(self._bug(group))
            if faults:
                await self._tell(faults[0])
        except Exception as error:  # noqa: BLE001 - the client could not be told; nothing else is lost
            log.error("session_bug", **bug_fields(error, self._request_id))
        finally:
            self._client.release()

    def _bug(self, error: Exception) -> InternalFault:
        log.error("session_bug", **bug_fields(error, self._request_id))
        return InternalFault(self._request_id)

    async def _tell(self, fault: Fault) -> None:
        words = self._words(fault)
        self._client.start(NullListener())
        for message in words.messages:
            self._client.send(message)
        self._client.close(words.close_code, words.reason)
        self._turned_away(words.close_code, fault.code)
        if not isinstance(fault, InternalFault):
            log.info("turned_away", close_code=words.close_code, error=fault.code)
        await self._client.aclose()

    def _words(self, fault: Fault) -> LastWords:
        try:
            return self.voice(fault)
        except Exception as error:  # noqa: BLE001 - a dialect that cannot say it
            return close_frame_only(fault if isinstance(fault, InternalFault) else self._bug(error))
