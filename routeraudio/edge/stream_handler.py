"""From an upgrade request to a running session: read the request, check it, answer 101, check the key, serve."""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from typing import Final, TypedDict
from uuid import uuid4

import msgspec
import structlog
import trio

from routeraudio.audio import catalog as audio_catalog
from routeraudio.auth.authenticator import PROVIDER_KEY_HEADER, Authenticator, PresentedKeys
from routeraudio.config.schema import Config
from routeraudio.dialects.base import (
    BadRequest,
    Clock,
    Dialect,
    DialectEntry,
    Opening,
    Overture,
    StreamRequest,
)
from routeraudio.dialects.parameters import ignored
from routeraudio.edge.admission import Admission, Ticket
from routeraudio.edge.boundary import Boundary, close_frame_only, dialect_voice
from routeraudio.edge.comebacks import ONLY, Comebacks, Home, Owner, home_of
from routeraudio.edge.http_error import answer, error_body
from routeraudio.edge.overture import listen
from routeraudio.edge.places import place_of
from routeraudio.edge.request_head import Head
from routeraudio.edge.serving import Server, Serving, serving
from routeraudio.edge.siblings import Siblings
from routeraudio.edge.upgrade import open_websocket, response
from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import (
    ClientFault,
    CloseCode,
    ConfigFault,
    Fault,
    InternalFault,
    Overloaded,
    UpstreamFault,
)
from routeraudio.model.exceptions import bug_fields
from routeraudio.observability.metrics import Metrics
from routeraudio.policy.access import Principal
from routeraudio.policy.health import Standing
from routeraudio.policy.limits import Limits
from routeraudio.providers.compatibility import warnings
from routeraudio.routes.health_board import HealthBoard
from routeraudio.routes.routes import routes
from routeraudio.session.candidate import Candidate
from routeraudio.session.credit import Credit
from routeraudio.session.first_messages import FirstMessages
from routeraudio.session.frame import Running
from routeraudio.session.legs import Leg, Legs
from routeraudio.session.pipeline import Plan, Session
from routeraudio.session.streams import MessageStream
from routeraudio.store.ledger.credit import RunningCredit
from routeraudio.store.ledger.service import Ledger
from routeraudio.transport.bytestream import ByteStream
from routeraudio.transport.poller import Poller
from routeraudio.transport.websocket import WebSocket

log = structlog.get_logger(__name__)

STORE_AWAY: Final = "keys and limits cannot be looked up now; try again later"

WARNINGS_HEADER: Final = "x-routeraudio-warnings"
"""Of the upgrade's answer: what was asked for and has no effect with this provider."""
NODE_HEADER: Final = "x-routeraudio-node"
"""Where a client should have come back to."""


class StreamHandler:
    """Serves upgrade requests. Holds the configuration that new sessions get; running ones keep theirs."""

    def __init__(
        self,
        config: Config,
        poller: Poller,
        admission: Admission,
        access: Authenticator,
        ledger: Ledger,
        metrics: Metrics,
        health: HealthBoard | None = None,
        *,
        home: Home = ONLY,
        siblings: Siblings | None = None,
    ) -> None:
        self.config = config
        self.health = HealthBoard() if health is None else health
        self.routes = routes(config, self.health)
        self._engine_url: str | None = None
        self._poller = poller
        self._admission = admission
        self._access = access
        self._ledger = ledger
        self._metrics = metrics
        self._running = Running()
        self._comebacks = Comebacks(access, home)
        self._siblings = siblings

    def configure(self, config: Config) -> None:
        """New sessions get ``config``."""
        self.config = config
        self.health.reloaded()
        self.routes = routes(config, self.health)
        if self._engine_url is not None:
            self.engine_at(self._engine_url)

    def standings(self) -> dict[str, Standing]:
        """How each configured provider stands, by name."""
        return {
            name: one.standing() for name, route in self.routes.items() if (one := route.record()) is not None
        }

    def prepare(self) -> None:
        """Pay once, at the start, what the first session with each configured provider would pay."""
        for route in self.routes.values():
            if route.is_configured:
                route.prepare()

    def engine_at(self, url: str) -> None:
        """The spawned engine is reached at ``url``."""
        self._engine_url = url
        self.routes["local"].moved(url)

    async def serve(self, stream: ByteStream, head: Head, entry: DialectEntry, ticket: Ticket) -> None:
        """One client, from its upgrade request to its end. Owns ``stream``."""
        request_id = uuid4().hex
        try:
            await self._serve(stream, head, entry, ticket, request_id)
        except trio.BrokenResourceError:
            raise  # the client has gone
        except Exception as error:  # noqa: BLE001 - before the 101; behind it nothing is raised
            log.error("session_bug", **bug_fields(error, request_id))
            await answer(stream, 500, error_body(InternalFault(request_id).message))

    async def _serve(
        self, stream: ByteStream, head: Head, entry: DialectEntry, ticket: Ticket, request_id: str
    ) -> None:
        try:
            stream_request = entry.parse(head.request)
            if stream_request.comeback is not None:
                await self._come_back(stream, head, entry, stream_request, ticket, request_id)
                return
            handshake = await self._handshake(head, entry, stream_request, ticket)
        except BadRequest as bad:
            await answer(stream, 400, entry.bad_request(bad.faults))
            return
        except ClientFault as fault:
            await answer(stream, 400, entry.bad_request([fault]))
            return
        if not self._ledger.is_available:
            await answer(stream, 503, error_body(STORE_AWAY), (("retry-after", "5"),))
            return
        if entry.refusal is not None and (refusal := await self._refusal(handshake, entry.refusal)):
            await answer(stream, *refusal)
            return
        if stream_request.unknown:
            log.debug("unknown_parameters", names=stream_request.unknown)
        client = await self._upgrade(stream, head, entry, stream_request, handshake.advice)
        if client is not None:
            turned_away = partial(self._metrics.turned_away, entry.name)
            boundary = Boundary(client, request_id, close_frame_only, turned_away)
            await boundary.serve(lambda: self._welcome(client, handshake, request_id, boundary))

    async def _come_back(
        self,
        stream: ByteStream,
        head: Head,
        entry: DialectEntry,
        stream_request: StreamRequest,
        ticket: Ticket,
        request_id: str,
    ) -> None:
        """A client that goes on with a session over a new connection."""
        comeback = stream_request.comeback
        assert comeback is not None
        home, ours = home_of(comeback.token), self._comebacks.home
        if home is not None and home.node != ours.node:
            elsewhere = f"this session is on the node {home.node}; a balancer leads there by {NODE_HEADER}"
            await answer(stream, 503, error_body(elsewhere), ((NODE_HEADER, home.node),))
            return
        if (
            home is not None
            and self._siblings is not None
            and await self._siblings.carry(stream, head, ticket, home.worker)
        ):
            return
        client = await self._upgrade(stream, head, entry, stream_request)
        if client is None:
            return
        dialect = entry.dialect(Opening(stream_request, stream_request.options, request_id, _clock()))
        turned_away = partial(self._metrics.turned_away, entry.name)
        boundary = Boundary(client, request_id, dialect_voice(dialect), turned_away)
        ticket.evict = client.lose

        shown = _shown(head, stream_request)
        await boundary.serve(lambda: self._comebacks.serve(client, comeback, shown, ticket))

    def finish_all(self) -> None:
        """Ask every session for its last words: the daemon is stopping."""
        stopping = Overloaded("the daemon is stopping; connect again", close_code=CloseCode.RESTART)
        self._running.finish_all(stopping)

    async def _handshake(
        self, head: Head, entry: DialectEntry, stream_request: StreamRequest, ticket: Ticket
    ) -> "Handshake":
        """Who is to serve it, and how.

        Raises:
            ClientFault: a combination that cannot work.
        """
        shown = _shown(head, stream_request)
        usual = await self._usual_provider(stream_request, shown, ticket)
        servers = serving(stream_request, entry, usual, self.config, self.routes)
        return Handshake(head, entry, stream_request, shown, servers, ticket)

    async def _usual_provider(
        self, stream_request: StreamRequest, shown: PresentedKeys, ticket: Ticket
    ) -> str | None:
        """The provider of a key whose holder names none; None: there is no such key, or it has none."""
        if stream_request.options.provider:
            return None
        try:
            return (await self._access.terms(shown, ticket.address)).default_provider
        except Fault:
            return None  # told when it is asked for again, in its place

    async def _refusal(
        self, handshake: "Handshake", body: Callable[[StreamRequest, Fault], bytes]
    ) -> tuple[int, bytes] | None:
        """The answer to a client that is refused before the upgrade; None: it is let in, perhaps to be told why not."""
        has_overture = handshake.entry.overture is not None
        try:
            (_, principal), *_ = await self._admitted(handshake)
            if has_overture:
                with self._admission.session(principal.terms.priority):
                    pass  # who is greeted takes himself for served
                if not principal.is_stranger:
                    handshake.ticket.authenticated()  # clients may keep connections ready
        except ClientFault as fault:
            if has_overture and fault.code == "forbidden":
                return None  # the first message may ask for what this key may have
            return (401 if fault.code == "unauthorized" else 403), body(handshake.stream_request, fault)
        except Overloaded as full:
            if has_overture:
                return 503, body(handshake.stream_request, full)
        except Fault:
            pass  # no fault of the client's, and told behind the upgrade like any other
        return None

    async def _welcome(
        self, client: WebSocket, handshake: "Handshake", request_id: str, boundary: Boundary
    ) -> None:
        """Check the key and the limits, open the credit, and run the session.

        Raises:
            Fault: there is no session.
        """
        ticket = handshake.ticket
        ticket.evict = client.lose
        already = None
        if handshake.entry.overture is not None:
            overture = handshake.entry.overture(handshake.stream_request, request_id)
            boundary.voice = dialect_voice(overture)
            handshake, already = await self._listen(client, handshake, overture)
            if already.ended is not None:
                await client.aclose()
                return
        dialect = self._dialect(handshake, handshake.servers.first, request_id)
        boundary.voice = dialect_voice(dialect)
        admitted = await self._admitted(handshake)
        first, principal = admitted[0]
        if first is not handshake.servers.first:
            dialect = self._dialect(handshake, first, request_id)
            boundary.voice = dialect_voice(dialect)
        if not principal.is_stranger:
            ticket.authenticated()
        async with (
            place_of(self._admission, principal, ticket) as place,
            self._ledger.stream(**_line(handshake, request_id, first, principal)) as credit,
        ):
            plan = self._plan(handshake, request_id, admitted, dialect, credit, place.accepted)
            limits = within(principal, self.config.limits)
            dial = first.route.dialler(limits, self._poller)

            async def run(stream: MessageStream) -> None:
                session = Session(plan, stream, dial, limits, already)
                place.holds(session.finish)
                await self._running.run(session)

            resumption = handshake.stream_request.resumption
            if resumption is None:
                await run(client)
            else:
                owner = Owner(principal, handshake.shown)
                await self._comebacks.run(
                    run, client, resumption, owner, dialect, request_id=request_id, limits=limits
                )

    async def _listen(
        self, client: WebSocket, handshake: "Handshake", overture: Overture
    ) -> tuple["Handshake", FirstMessages]:
        """The whole request of a client whose options come in its first messages, and what it has said so far.

        Raises:
            ClientFault: it says nothing, or asks for what cannot be.
        """
        limits, shown = self.config.limits, handshake.shown
        is_unknown = shown.key is None and shown.token is None
        wish, already = await listen(
            client, overture, first_s=limits.ready_s if is_unknown else limits.idle_s
        )
        if wish is not None:
            handshake = await self._handshake(handshake.head, handshake.entry, wish, handshake.ticket)
        return handshake, already

    def _dialect(self, handshake: "Handshake", server: Server, request_id: str) -> Dialect:
        return handshake.entry.dialect(
            Opening(handshake.stream_request, server.options, request_id, _clock())
        )

    def _plan(
        self,
        handshake: "Handshake",
        request_id: str,
        admitted: Sequence[tuple[Server, Principal]],
        dialect: Dialect,
        credit: Credit,
        accepted: Callable[[], None],
    ) -> Plan:
        (first, principal), *others = admitted
        options, route = first.options, first.route
        adapter = route.adapter(options, principal.credential)
        asked = handshake.stream_request.options
        failover = handshake.servers.failover
        legs = Legs(credit) if failover is not None and isinstance(credit, RunningCredit) else None
        open_leg = None if legs is None else partial(self._open_leg, handshake, request_id)
        return Plan(
            request_id=request_id,
            key_id=principal.key_id,
            title=route.entry.title,
            options=msgspec.structs.replace(options, audio=asked.audio),
            adapter=adapter,
            another=partial(route.adapter, options, principal.credential),
            # Whoever asked for the vendor's own messages gets one connection's, and its end.
            session_s=route.session_s if options.parse_json else None,
            pace=route.entry.pace,
            health=route.health(principal.credential),
            open_leg=open_leg and partial(open_leg, first, principal),
            others=tuple(
                self._candidates(
                    others, adapter.audio_format, within(principal, self.config.limits), open_leg
                )
            ),
            failover=failover,
            dialect=dialect,
            credit=legs or credit,
            legs=legs,
            observer=self._metrics.session(options.provider, handshake.entry.name, accepted),
        )

    async def _open_leg(
        self, handshake: "Handshake", request_id: str, server: Server, principal: Principal, number: int
    ) -> RunningCredit:
        """See `session.legs.OpenLeg`."""
        return await self._ledger.open(**_line(handshake, request_id, server, principal), leg=number)

    def _candidates(
        self,
        others: Sequence[tuple[Server, Principal]],
        audio: AudioFormat,
        limits: Limits,
        open_leg: Callable[[Server, Principal, int], Awaitable[Leg]] | None,
    ) -> Iterator[Candidate]:
        """Those who may take over, of whom each is given ``audio``."""
        for server, principal in others:
            options, route = msgspec.structs.replace(server.options, audio=audio), server.route
            try:
                target = route.entry.audio_format(options)
                audio_catalog.check(audio, target)
                dial = route.dialler(limits, self._poller)
            except (ClientFault, ConfigFault):
                continue
            yield Candidate(
                name=options.provider,
                title=route.entry.title,
                audio_format=target,
                adapter=partial(route.adapter, options, principal.credential),
                dial=dial,
                pace=route.entry.pace,
                session_s=route.session_s,
                open_leg=open_leg and partial(open_leg, server, principal),
                health=route.health(principal.credential),
            )

    async def _admitted(self, handshake: "Handshake") -> list[tuple[Server, Principal]]:
        """Who may serve this client: no audio goes to a provider that its key does not allow.

        Raises:
            Fault: nobody may: the reason of the first one.
        """
        admitted: list[tuple[Server, Principal]] = []
        first: Fault | None = None
        for server in handshake.servers.servers:
            try:
                principal = await self._principal(handshake, server)
            except (ClientFault, UpstreamFault) as fault:
                first = first or fault
                continue
            admitted.append((server, principal))
            if principal.is_own_key:
                break  # the client's key is one provider's
        if first is not None and not admitted:
            raise first
        return admitted

    async def _upgrade(
        self,
        stream: ByteStream,
        head: Head,
        entry: DialectEntry,
        stream_request: StreamRequest,
        advice: Sequence[str] = (),
    ) -> WebSocket | None:
        """Answer the upgrade; None: it was none, and has been refused."""
        accepted = response(head, stream_request.subprotocol)
        if accepted.status_code != 101:
            await answer(
                stream,
                accepted.status_code,
                error_body("the upgrade request is not a valid WebSocket handshake"),
            )
            return None
        if advice:
            accepted.headers[WARNINGS_HEADER] = "; ".join(advice)
        limits = self.config.limits
        return await open_websocket(
            stream,
            head,
            accepted,
            limits=limits,
            poller=self._poller,
            text_bytes_max=None if entry.has_audio_in_text else limits.message_text_bytes,
            counts_texts=not entry.has_audio_in_text,
        )

    async def _principal(self, handshake: "Handshake", server: Server) -> Principal:
        shown = handshake.shown
        if server is not handshake.servers.first and shown.provider_key is not None:
            shown = msgspec.structs.replace(shown, provider_key=None)
        return await self._access.principal(
            shown,
            entry=server.route.entry,
            stored=server.route.stored,
            model=server.model,
            origin=handshake.head.request.headers.get("origin"),
            address=handshake.ticket.address,
        )


class Handshake(msgspec.Struct, frozen=True):
    """A checked upgrade request."""

    head: Head
    entry: DialectEntry
    stream_request: StreamRequest
    shown: PresentedKeys
    servers: Serving
    ticket: Ticket

    @property
    def advice(self) -> tuple[str, ...]:
        """What was asked for and has no effect, or another one."""
        asked, first = self.stream_request, self.servers.first
        options = first.options
        is_replaced = asked.has_own_model and asked.options.model != options.model
        served = (f"model: {options.provider} serves, with {first.model}",) if is_replaced else ()
        return (*warnings(options), *asked.advice, *served, *ignored(asked.unknown))


def _shown(head: Head, stream_request: StreamRequest) -> PresentedKeys:
    return PresentedKeys(
        stream_request.key, stream_request.token, head.request.headers.get(PROVIDER_KEY_HEADER)
    )


class Line(TypedDict):
    """What the ledger is told of a stream that begins."""

    session_id: str
    principal: Principal
    dialect: str
    provider: str
    model: str | None
    price_per_hour_usd: Decimal


def _line(handshake: Handshake, request_id: str, server: Server, principal: Principal) -> Line:
    return Line(
        session_id=request_id,
        principal=principal,
        dialect=handshake.entry.name,
        provider=server.options.provider,
        model=server.model,
        price_per_hour_usd=server.route.price_per_hour(principal, server.model, is_gateway=False),
    )


def within(principal: Principal, limits: Limits) -> Limits:
    """The limits of a session; a token may have it end earlier."""
    restriction = principal.restriction
    if restriction is None or restriction.max_connection_s is None:
        return limits
    return msgspec.structs.replace(limits, session_s=min(limits.session_s, restriction.max_connection_s))


def _clock() -> Clock:
    """Unix time on Trio's clock: the system's may be set back while a session runs."""
    offset_s = time.time() - trio.current_time()
    return lambda: offset_s + trio.current_time()
