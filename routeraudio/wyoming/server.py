"""Wyoming's listeners: connections, and an utterance at a time in each, which is a session like any other.

client → describe                       ← info
         transcribe, audio-start, audio-chunk…, audio-stop
                                        ← transcript, or error
         ping                           ← pong
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from ipaddress import ip_network
from typing import Any, Final
from uuid import uuid4

import msgspec
import structlog
import trio

from routeraudio.auth.authenticator import PresentedKeys
from routeraudio.config.schema import Wyoming
from routeraudio.dialects.base import Control, StreamRequest
from routeraudio.dialects.choice import DETECTION
from routeraudio.edge.admission import Ticket
from routeraudio.edge.choosing import chosen, model_of
from routeraudio.edge.forwarded import is_trusted
from routeraudio.edge.sessions import Sessions
from routeraudio.model.errors import ClientFault, Fault, timed_out
from routeraudio.model.events import Final as FinalText
from routeraudio.model.exceptions import bug_fields, first
from routeraudio.model.options import Options
from routeraudio.policy.access import Principal
from routeraudio.pull.client import Feed
from routeraudio.pull.gathering import Gathering
from routeraudio.routes.routes import Route
from routeraudio.transport.bytestream import ByteStream, detach
from routeraudio.wyoming.events import Event, Malformed, Reader, written
from routeraudio.wyoming.utterance import Choosing, info, wanted

DIALECT: Final = "wyoming"

log = structlog.get_logger(__name__)


class Peer:
    """One connection: events in, events out."""

    def __init__(self, stream: ByteStream, idle_s: float) -> None:
        self._stream = stream
        self._idle_s = idle_s
        self._reader = Reader()
        self._events: list[Event] = []

    async def read(self) -> Event | None:
        """The next event; None: the client has gone.

        Raises:
            ClientFault: nothing came for too long.
            Malformed: what came is no event.
        """
        with trio.move_on_after(self._idle_s):
            while not self._events:
                data = await self._stream.receive_some()
                if not data:
                    return None
                self._events = list(self._reader.push(data))
            return self._events.pop(0)
        raise timed_out(f"nothing came for {self._idle_s:g} s")

    async def write(self, kind: str, data: Mapping[str, Any]) -> None:
        """Send an event."""
        await self._stream.send_all(written(kind, data))


class WyomingServer:
    """One listener's connections."""

    def __init__(self, listener: Wyoming, sessions: Sessions) -> None:
        self._listener = listener
        self._networks = tuple(ip_network(text) for text in listener.allow_networks)
        self._sessions = sessions
        self._admission = sessions.admission

    @property
    def bind(self) -> str:
        """Where it listens."""
        return self._listener.bind

    async def handle(self, accepted: trio.SocketStream) -> None:
        """Serve one connection to its end. Raises nothing but cancellation."""
        stream = ByteStream(detach(accepted), send_s=self._admission.limits.send_s)
        try:
            peer = Peer(stream, self._admission.limits.idle_s)
            if self._may_come(stream):
                await self._serve(peer)
        except* (trio.BrokenResourceError, trio.ClosedResourceError, Malformed):
            pass  # it left, or speaks something else, a browser's HTTP perhaps
        except* Exception as group:  # noqa: BLE001 - one connection never ends another one
            log.error("connection_bug", **bug_fields(group, uuid4().hex))
        finally:
            stream.close_now()

    def _may_come(self, stream: ByteStream) -> bool:
        try:
            peer = stream.socket.getpeername()
        except OSError:
            return False
        if not self._networks or not isinstance(peer, tuple):
            return True
        return is_trusted(str(peer[0]).removeprefix("::ffff:"), self._networks)

    async def _serve(self, peer: Peer) -> None:
        """Whatever ends it early is told in an `error` event."""
        try:
            with self._admission.connection() as ticket:
                await self._talk(peer, ticket)
        except* Fault as group:
            fault = first(group)
            log.info("turned_away", error=fault.code)
            await peer.write("error", {"text": fault.message, "code": fault.code})

    async def _talk(self, peer: Peer, ticket: Ticket) -> None:
        transcribe: dict[str, Any] = {}
        while (event := await peer.read()) is not None:
            match event.type:
                case "describe":
                    await peer.write("info", info(self._listener))
                case "ping":
                    await peer.write("pong", {"text": event.data.get("text")})
                case "transcribe":
                    transcribe = event.data
                case "audio-start" | "audio-chunk":
                    ticket.authenticated()
                    told = await self._utterance(peer, event, transcribe)
                    await peer.write("transcript", told)
                    transcribe = {}
                case _:
                    pass  # of a newer client, or for servers of other kinds

    async def _utterance(self, peer: Peer, event: Event, transcribe: Mapping[str, Any]) -> dict[str, Any]:
        """Hear one, and return what it was.

        Raises:
            Fault: whoever's.
        """
        options, route, principal = await self._chosen(wanted(self._listener, transcribe, event.data))
        finals: list[FinalText] = []
        gathering = Gathering(finals.append)
        feed = Feed()
        async with AsyncExitStack() as held:
            converse = await self._sessions.open(held, DIALECT, principal, options, route)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._hear, peer, event, feed)
                await converse(feed, gathering)
                nursery.cancel_scope.cancel()
        if gathering.fault is not None:
            raise gathering.fault
        language = {} if options.language == DETECTION else {"language": options.language}
        return {"text": " ".join(final.text for final in finals), **language}

    async def _hear(self, peer: Peer, event: Event | None, feed: Feed) -> None:
        """Hand audio over until the client says that it is all."""
        while event is not None and event.type != "audio-stop":
            if event.type == "audio-chunk" and event.payload:
                await feed.audio(event.payload)
            event = await peer.read()
        if event is None:
            await feed.gone()
        feed.control(Control.FINISH)

    async def _chosen(self, stream_request: StreamRequest) -> tuple[Options, Route, Principal]:
        """Who serves it, in a language that the provider has; another one than asked for is better than none."""
        routes = self._sessions.routes()
        try:
            options, route = chosen(stream_request, Choosing(), None, routes)
        except ClientFault as fault:
            if fault.code != "unsupported_language":
                raise
            usual = self._listener.language or DETECTION
            anyhow = msgspec.structs.replace(stream_request.options, language=usual)
            stream_request = msgspec.structs.replace(stream_request, options=anyhow)
            options, route = chosen(stream_request, Choosing(), None, routes)
            log.debug("language_replaced", language=options.language)
        principal = await self._sessions.access.principal(
            PresentedKeys(stream_request.key), entry=route.entry, stored=route.stored, model=model_of(options)
        )
        return options, route, principal
