"""Sessions that clients can come back to, and the clients that do.

A session's token is told as the first message of a connection, and good for one next connection. The one before stays
good until something has come over the new connection: the first message may never have been read.
"""

import hmac
import re
import secrets
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final

import msgspec
import structlog
import trio

from routeraudio.auth.authenticator import Authenticator, PresentedKeys
from routeraudio.dialects.base import CanBeResumed, Comeback, Dialect, Position, Resumption
from routeraudio.edge.admission import Ticket
from routeraudio.model.errors import ClientFault, CloseCode, unauthorized
from routeraudio.model.message import Message
from routeraudio.policy.access import Principal
from routeraudio.policy.limits import Limits
from routeraudio.session.resumable import Connection, Gone, Resumable
from routeraudio.session.streams import MessageStream

log = structlog.get_logger(__name__)

_TOKEN: Final = re.compile(r"resume~([A-Za-z0-9._-]{0,64})~([0-9]{1,4})~[A-Za-z0-9_-]{16,64}")


class Home(msgspec.Struct, frozen=True):
    """Where a session is. Stands in its tokens."""

    node: str
    """Name of the machine among several; empty where there is one, or it has none."""
    worker: int


ONLY: Final = Home("", 1)
"""Of a daemon of one process."""


def home_of(token: str) -> Home | None:
    """Of the session that the token is for; None: it is no token of ours."""
    found = _TOKEN.fullmatch(token)
    return None if found is None else Home(found[1], int(found[2]))


class Owner:
    """Whose session it is: whoever comes back shows the same.

    Args:
        principal: decided on when the session began.
        shown: what the client showed then.
    """

    def __init__(self, principal: Principal, shown: PresentedKeys) -> None:
        self._key_id = principal.key_id
        self._digest = _digest(shown)
        self._needs_key = shown.key is not None

    async def check(self, access: Authenticator, shown: PresentedKeys, address: str) -> None:
        """Whether ``shown`` is the owner's. Who came with a token for one connection need not have another one.

        Raises:
            ClientFault: it is not.
            Overloaded, Unavailable: it cannot be found out.
        """
        if shown.key is None and shown.token is None:
            if self._needs_key:
                raise unauthorized("send the key that the session was opened with")
            return
        holder, _ = await access.who(shown, address)
        # Of a router key any token may be shown; of a provider's own key, itself.
        is_same = (
            hmac.compare_digest(_digest(shown), self._digest)
            if holder is None
            else holder.key.id == self._key_id
        )
        if not is_same:
            raise unauthorized("this session was opened with another key")


class Kept:
    """One session that can be come back to."""

    def __init__(
        self, comebacks: "Comebacks", request_id: str, owner: Owner, dialect: CanBeResumed, resume_s: float
    ) -> None:
        self.owner = owner
        self.request_id = request_id
        self._comebacks = comebacks
        self._dialect = dialect
        self._resume_s = resume_s
        self._tokens: list[str] = []
        self.client: Resumable | None = None

    # For the stream: see `resumable.Tells`.

    def session(self, position: Position) -> Message:
        """See `Tells`."""
        token = self._comebacks.renewed(self, self._tokens)
        return self._dialect.session(position, token, self._resume_s)

    def ack(self, position: Position) -> Message:
        """See `Tells`."""
        return self._dialect.ack(position)

    def is_passing(self, message: Message) -> bool:
        """See `Tells`."""
        return self._dialect.is_passing(message)

    def heard(self) -> None:
        """The client has the newest token."""
        self._comebacks.forget(self._tokens, but=1)

    def over(self) -> None:
        """There is nothing to come back to."""
        self._comebacks.forget(self._tokens, but=0)


class Comebacks:
    """Those of one worker."""

    def __init__(self, access: Authenticator, home: Home) -> None:
        self._access = access
        self.home = home
        self._kept: dict[str, Kept] = {}

    async def run(
        self,
        session: Callable[[MessageStream], Awaitable[None]],
        client: Connection,
        resumption: Resumption,
        owner: Owner,
        dialect: Dialect,
        *,
        request_id: str,
        limits: Limits,
    ) -> None:
        """Run a session that can be come back to.

        Raises:
            ClientFault: nobody can come back here.
        """
        if not isinstance(dialect, CanBeResumed) or not limits.resume_s:
            raise ClientFault(
                "parameter resume: sessions cannot be resumed here (limits.resume_s is 0)",
                code="invalid_parameter",
                close_code=CloseCode.POLICY,
                parameter="resume",
            )
        resume_s = min(resumption.resume_s, limits.resume_s)
        kept = Kept(self, request_id, owner, dialect, resume_s)
        kept.client = Resumable(client, kept, resume_s=resume_s, acks=resumption.acks)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(kept.client.run)
                await session(kept.client)
                nursery.cancel_scope.cancel()
        finally:
            kept.over()

    async def serve(
        self, client: Connection, comeback: Comeback, shown: PresentedKeys, ticket: Ticket
    ) -> None:
        """A client that has come back, until its session needs it no more.

        Raises:
            ClientFault: it cannot go on.
            Overloaded, Unavailable: it cannot be let in now.
        """
        kept = self._kept.get(comeback.token)
        if kept is None or kept.client is None:
            raise _lost("no session has this resume_token: it has ended, or the token has been used")
        await kept.owner.check(self._access, shown, ticket.address)
        if self._kept.get(comeback.token) is not kept:
            raise _lost("no session has this resume_token any more")
        try:
            kept.client.check(comeback.after)
        except Gone as gone:
            raise _lost(str(gone), "after") from None
        ticket.authenticated()
        log.info("session_resumed", request_id=kept.request_id)
        await kept.client.attach(client, comeback.after, kept.heard)

    def renewed(self, kept: Kept, tokens: list[str]) -> str:
        """Another token of that session; the last one before it stays good."""
        token = f"resume~{self.home.node}~{self.home.worker}~{secrets.token_urlsafe(24)}"
        tokens.append(token)
        self._kept[token] = kept
        self.forget(tokens, but=2)
        return token

    def forget(self, tokens: list[str], but: int) -> None:
        """All tokens of a session but the newest ones."""
        while len(tokens) > but:
            del self._kept[tokens.pop(0)]


def _digest(shown: PresentedKeys) -> bytes:
    return sha256((shown.key or shown.provider_key or "").encode()).digest()


def _lost(message: str, parameter: str = "resume_token") -> ClientFault:
    return ClientFault(
        f"{message}; begin a new session",
        code="invalid_parameter",
        close_code=CloseCode.POLICY,
        parameter=parameter,
    )
