"""Before the session: the client is greeted, and its `session.update` tells who is to serve it, and how."""

from collections.abc import Sequence

from routeraudio.dialects.base import StreamRequest
from routeraudio.dialects.openai import messages
from routeraudio.dialects.openai.request import More, updated
from routeraudio.model.errors import CloseCode, Fault
from routeraudio.model.message import Message


class FirstOptions:
    """See `dialects.base.Overture`."""

    def __init__(self, wish: StreamRequest, request_id: str) -> None:
        self._wish = wish
        self._request_id = request_id

    def greeting(self) -> Sequence[Message]:
        """See `Overture.greeting`."""
        more = self._wish.more
        assert isinstance(more, More)
        session = messages.session(self._request_id, more.settings, is_beta=False)
        return (messages.text({"type": "session.created", "event_id": "event_0", "session": session}),)

    def received(self, message: Message) -> StreamRequest | None:
        """See `Overture.received`. What is none of the protocol's is told by the session."""
        try:
            said = messages.read(message)
        except messages.NotUnderstood:
            return None
        if said.type not in messages.UPDATES:
            return None
        return updated(self._wish, said.session, is_beta=said.is_beta)

    def error(self, fault: Fault) -> Sequence[Message]:
        """See `Dialect.error`."""
        return messages.fault(fault, "event_1")

    def close_code(self, fault: Fault) -> CloseCode:
        """See `Dialect.close_code`."""
        return messages.close_code(fault)
