"""From an upgrade request to a running session: read the wish, check it, open the WebSocket, check the key, serve."""

from functools import partial
from typing import Final
from uuid import uuid4

import msgspec
import structlog
from websockets.datastructures import Headers
from websockets.http11 import Request as UpgradeRequest
from websockets.protocol import Protocol, Side
from websockets.server import ServerProtocol

from routeraudio.audio import catalog as audio_catalog
from routeraudio.config.schema import Config
from routeraudio.dialects.base import BadRequest, Dialect, DialectEntry, Wish
from routeraudio.model.errors import ClientFault, CloseCode, Fault, Overloaded
from routeraudio.model.options import Options
from routeraudio.policy.access import Principal, authenticate
from routeraudio.providers.base import Adapter, Leg
from routeraudio.server.admission import Admission, Ticket
from routeraudio.server.answer import answer, error_body
from routeraudio.server.head import Head
from routeraudio.server.providers import Route, routes
from routeraudio.session.run import Plan, Session
from routeraudio.session.streams import Deaf
from routeraudio.transport.bytestream import ByteStream
from routeraudio.transport.flood import Flood
from routeraudio.transport.poller import Poller
from routeraudio.transport.tls import set_options
from routeraudio.transport.upstream import open_upstream
from routeraudio.transport.websocket import WebSocket

log = structlog.get_logger(__name__)

_HANDSHAKE: Final = ("connection", "upgrade", "origin")


class Streaming:
    """Serves upgrade requests. Holds the configuration that new sessions get; running ones keep theirs."""

    def __init__(self, config: Config, poller: Poller, admission: Admission) -> None:
        self.config = config
        self.routes = routes(config)
        self._engine_url: str | None = None
        self._poller = poller
        self._admission = admission
        self._sessions: set[Session] = set()

    def configure(self, config: Config) -> None:
        """New sessions get ``config``."""
        self.config = config
        self.routes = routes(config)
        if self._engine_url is not None:
            self.engine_at(self._engine_url)

    def engine_at(self, url: str) -> None:
        """The spawned engine is reached at ``url``."""
        self._engine_url = url
        self.routes["local"].moved(url)

    async def serve(self, stream: ByteStream, head: Head, entry: DialectEntry, ticket: Ticket) -> None:
        """One client, from its upgrade request to its end. Owns ``stream``."""
        try:
            wish = entry.parse(head.request)
            options, route = self._resolve(wish)
        except BadRequest as bad:
            await answer(stream, 400, entry.bad_request(bad.faults))
            return
        except ClientFault as fault:
            await answer(stream, 400, entry.bad_request([fault]))
            return
        if wish.unknown:
            log.debug("unknown_parameters", names=wish.unknown)
        client = await self._upgrade(stream, head)
        if client is None:
            return
        request_id = uuid4().hex
        dialect = entry.dialect(options, request_id)
        try:
            principal = self._principal(wish, route)
            ticket.authenticated()
            with self._admission.session():
                plan = Plan(
                    request_id=request_id,
                    key_id=principal.key_id,
                    title=route.entry.title,
                    options=options,
                    adapter=_adapter(options, route, principal),
                    another=partial(_adapter, options, route, principal),
                    session_s=route.session_s,
                    dialect=dialect,
                )
                await self._run(plan, client, route)
        except Fault as fault:
            await turn_away(client, dialect, fault)
        finally:
            client.release()

    def finish_all(self) -> None:
        """Ask every session for its last words: the daemon is stopping."""
        stopping = Overloaded("the daemon is stopping; connect again", close_code=CloseCode.RESTART)
        for session in self._sessions:
            session.finish(stopping)

    def _resolve(self, wish: Wish) -> tuple[Options, Route]:
        """The options with the provider's defaults filled in.

        Raises:
            ClientFault: a combination that cannot work.
        """
        options = wish.options
        route = self.routes[options.provider]
        if options.model is None and route.default_model is not None:
            options = msgspec.structs.replace(options, model=route.default_model)
        route.entry.check(options)
        # An adapter without a credential is never dialled; it only tells what it would want to be sent.
        target = route.entry.adapter(Leg(options=options, url=route.entry.default_url)).audio_format
        audio_catalog.check(options.audio, target)
        return options, route

    async def _upgrade(self, stream: ByteStream, head: Head) -> WebSocket | None:
        """Answer the upgrade; None: it was none, and has been refused."""
        limits = self.config.limits
        response = ServerProtocol().accept(_handshake(head))
        if response.status_code != 101:
            await answer(
                stream,
                response.status_code,
                error_body("the upgrade request is not a valid WebSocket handshake"),
            )
            return None
        set_options(stream.socket)
        await stream.send_all(response.serialize())
        return WebSocket(
            stream.release(),
            # A new one: the object of the handshake would keep the request's headers for the life of the session.
            Protocol(Side.SERVER, max_size=limits.message_binary_bytes),
            self._poller,
            ping_s=limits.ping_s,
            pong_s=limits.pong_s,
            close_s=limits.close_client_s,
            flood=Flood(limits.flood_per_s, limits.flood_burst_max),
            text_bytes_max=limits.message_text_bytes,
            unread=head.rest,
        )

    def _principal(self, wish: Wish, route: Route) -> Principal:
        return authenticate(
            key=wish.key,
            token=wish.token,
            entry=route.entry,
            hashes={key.id: key.hash for key in self.config.keys},
            stored=route.stored,
            own_provider_keys=self.config.access.own_provider_keys,
        )

    async def _run(self, plan: Plan, client: WebSocket, route: Route) -> None:
        limits = self.config.limits
        dial = partial(
            open_upstream, title=route.entry.title, limits=limits, poller=self._poller, tls=route.tls
        )
        session = Session(plan, client, dial, limits)
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)


def _handshake(head: Head) -> UpgradeRequest:
    """What RFC 6455 looks at. `websockets` is not given the head to parse: its lines have narrower limits than ours."""
    headers = head.request.headers.items()
    kept = {name: value for name, value in headers if name in _HANDSHAKE or name.startswith("sec-websocket-")}
    return UpgradeRequest(head.request.path, Headers(kept), head.method)


def _adapter(options: Options, route: Route, principal: Principal) -> Adapter:
    return route.entry.adapter(Leg(options=options, url=route.url, credential=principal.credential))


async def turn_away(client: WebSocket, dialect: Dialect, fault: Fault) -> None:
    """Tell a client that was let in only to be told why not."""
    log.info("turned_away", close_code=int(fault.close_code), error=fault.code)
    client.start(Deaf())
    for message in dialect.error(fault):
        client.send(message)
    client.close(fault.close_code, fault.code)
    await client.aclose()
