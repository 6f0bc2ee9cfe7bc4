"""From an upgrade request to a running proxy: key, request, limits; then the 101, then the dial.

The upgrade is answered before the provider is dialled, because some SDKs give up after a second. What can be refused
before is refused in HTTP, in this order: 401, 403, 400 and 404, 402, 429, 503. What goes wrong later is a close code.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Final, Protocol
from uuid import uuid4

import msgspec
import structlog
import trio
from websockets.http11 import Response

from routeraudio.auth.authenticator import PROVIDER_KEY_HEADER, PresentedKeys
from routeraudio.config.schema import Config
from routeraudio.edge.admission import Admission, Ticket
from routeraudio.edge.boundary import Boundary, LastWords
from routeraudio.edge.http_error import answer
from routeraudio.edge.places import Place, place_of
from routeraudio.edge.request_head import Head
from routeraudio.edge.stream_handler import within
from routeraudio.edge.upgrade import open_websocket, response
from routeraudio.gateway import closes, request
from routeraudio.gateway.json_member import without_member
from routeraudio.gateway.proxy import Plan, Proxy
from routeraudio.gateway.request import Call
from routeraudio.model.errors import (
    ClientFault,
    CloseCode,
    Fault,
    InternalFault,
    Overloaded,
    UpstreamFault,
    forbidden,
    unauthorized,
)
from routeraudio.model.exceptions import bug_fields
from routeraudio.model.message import Message
from routeraudio.model.router_token import is_token
from routeraudio.observability.metrics import Metrics
from routeraudio.policy.access import Principal
from routeraudio.policy.keys import PREFIX
from routeraudio.providers.base import Credential, Entry
from routeraudio.providers.catalog import PROVIDERS
from routeraudio.routes.routes import Route
from routeraudio.session.credit import Credit
from routeraudio.session.first_messages import FIRST_CHARACTERS_MAX, FirstMessages
from routeraudio.session.frame import Running
from routeraudio.transport.bytestream import ByteStream
from routeraudio.transport.poller import Poller
from routeraudio.transport.websocket import WebSocket

log = structlog.get_logger(__name__)

FIRST_BYTES_MAX: Final = 4 * FIRST_CHARACTERS_MAX
"""Of a first message that holds a key: a character of UTF-8 has four bytes at the most."""

OPENING_CHARACTERS_MAX: Final = 16_384
"""Of a first text message that may hold a key: taking it out costs 0.3 ms per 1,000 characters at the worst."""


class Settings(Protocol):
    """What new sessions get. `edge.stream_handler.StreamHandler` has it."""

    @property
    def config(self) -> Config:
        """The configuration."""

    @property
    def routes(self) -> Mapping[str, Route]:
        """Every provider of the catalogue, by name."""


class Access(Protocol):
    """See `auth.authenticator.Authenticator`."""

    async def principal(
        self,
        shown: PresentedKeys,
        *,
        entry: Entry,
        stored: Credential | None,
        model: str | None = None,
        origin: str | None = None,
        streams: bool = False,
        address: str = "",
    ) -> Principal: ...


class Ledger(Protocol):
    """See `store.ledger.service.Ledger`."""

    def stream(
        self,
        *,
        session_id: str,
        principal: Principal,
        dialect: str,
        provider: str,
        model: str | None,
        price_per_hour_usd: Decimal,
    ) -> AbstractAsyncContextManager[Credit]: ...


class GatewayCall(msgspec.Struct, frozen=True):
    """One request on its way in."""

    request_id: str
    call: Call
    ticket: Ticket

    @property
    def origin(self) -> str | None:
        """The browser page's."""
        return self.call.request.headers.get("origin")


class Refusal(Exception):
    """An HTTP answer instead of the upgrade."""

    def __init__(self, status: int, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.message = message
        self.retry_after_s = retry_after_s


class GatewayHandler:
    """Serves upgrade requests at the gateway's paths."""

    def __init__(
        self,
        settings: Settings,
        poller: Poller,
        admission: Admission,
        access: Access,
        ledger: Ledger,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._poller = poller
        self._admission = admission
        self._access = access
        self._ledger = ledger
        self._metrics = metrics
        self._running = Running()

    async def serve(self, stream: ByteStream, head: Head, ticket: Ticket) -> None:
        """One client, from its upgrade request to its end. Owns ``stream``."""
        call_ = GatewayCall(uuid4().hex, request.read(head.request), ticket)
        try:
            await self._serve(stream, head, call_)
        except Refusal as refusal:
            await self._refuse(stream, call_.call, refusal)
        except Fault as fault:
            self._metrics.turned_away("gateway", closes.close_code(fault), fault.code)
            retry_after_s = fault.retry_after_s if isinstance(fault, Overloaded) else None
            why = Refusal(closes.status(fault), fault.message, retry_after_s)
            await self._refuse(stream, call_.call, why)
        except trio.BrokenResourceError:
            raise  # the client has gone
        except Exception as error:  # noqa: BLE001 - before the 101; behind it nothing is raised
            log.error("session_bug", **bug_fields(error, call_.request_id))
            why = Refusal(500, InternalFault(call_.request_id).message)
            await self._refuse(stream, call_.call, why)

    def finish_all(self) -> None:
        """Ask every session for its provider's last words: the daemon is stopping."""
        stopping = Overloaded("the daemon is stopping; connect again", close_code=CloseCode.RESTART)
        self._running.finish_all(stopping)

    async def _serve(self, stream: ByteStream, head: Head, call_: GatewayCall) -> None:
        call = call_.call
        if call.provider not in PROVIDERS:
            await self._judge(call_)
        elif call.sends_key_later:
            await self._serve_late(stream, self._answer(head, call), head, call_)
        else:
            principal = await self._principal(call_, call.secret)
            self._check(call, principal)
            switching = self._answer(head, call)
            if not principal.is_stranger:
                call_.ticket.authenticated()
            async with (
                place_of(self._admission, principal, call_.ticket) as place,
                self._stream(call_, principal, place) as plan,
            ):
                client = await self._upgrade(stream, head, switching)
                call_.ticket.evict = client.lose
                await self._guarded(client, call_, lambda: self._run(plan, client, principal, place))

    async def _serve_late(
        self, stream: ByteStream, switching: Response, head: Head, call_: GatewayCall
    ) -> None:
        """A client whose key stands in its first message: the upgrade is answered before the key is known."""
        client = await self._upgrade(stream, head, switching)
        call_.ticket.evict = client.lose
        await self._guarded(client, call_, lambda: self._listen_and_run(client, call_))

    async def _listen_and_run(self, client: WebSocket, call_: GatewayCall) -> None:
        client.narrow(FIRST_BYTES_MAX)

        def is_enough(_message: Message) -> bool:
            client.widen()  # what comes behind it may be audio
            return True

        first_message = FirstMessages(is_enough)
        client.start(first_message)
        principal = await self._principal(call_, await self._key_of_first_message(call_.call, first_message))
        self._check(call_.call, principal)
        if not principal.is_stranger:
            call_.ticket.authenticated()
        async with (
            place_of(self._admission, principal, call_.ticket) as place,
            self._stream(call_, principal, place) as plan,
        ):
            await self._run(plan, client, principal, place, first_message)

    async def _guarded(
        self, client: WebSocket, call_: GatewayCall, serve: Callable[[], Awaitable[None]]
    ) -> None:
        turned_away = partial(self._metrics.turned_away, "gateway")
        await Boundary(client, call_.request_id, _in_close_frame, turned_away).serve(serve)

    # Who is asking.

    async def _principal(self, call_: GatewayCall, secret: str | None) -> Principal:
        call = call_.call
        route = self._settings.routes[call.provider]
        return await self._access.principal(
            self._shown(call, secret),
            entry=route.entry,
            stored=route.stored,
            model=call.model or route.default_model,
            origin=call_.origin,
            streams=True,
            address=call_.ticket.address,
        )

    def _shown(self, call: Call, secret: str | None) -> PresentedKeys:
        """What was shown, by kind.

        Raises:
            ClientFault: a provider's own key, where only ours open.
        """
        provider_key = call.request.headers.get(PROVIDER_KEY_HEADER)
        if secret is None:
            return PresentedKeys(provider_key=None if call.is_general else provider_key)
        if is_token(secret) or (call.shown is not None and call.shown.is_said_to_be_a_token):
            return PresentedKeys(token=secret, provider_key=provider_key)
        if call.is_general and not secret.startswith(PREFIX):
            raise unauthorized("the key is none of this gateway's; check it, or create one")
        return PresentedKeys(key=secret, provider_key=provider_key)

    async def _judge(self, call_: GatewayCall) -> None:
        """Refuse a request for an unknown provider; a key that may not use the gateway at all is refused first.

        Raises:
            Refusal: always; or what `_principal` raises.
        """
        problem = call_.call.problem
        assert problem is not None
        last: Fault | None = None
        for name in PROVIDERS:
            # A key that may use one provider and not another is good: only one that may use none is not.
            known = msgspec.structs.replace(call_.call, provider=name)
            try:
                await self._principal(msgspec.structs.replace(call_, call=known), known.secret)
            except ClientFault as fault:
                if fault.code != "forbidden":
                    raise
                last = fault
                continue
            except UpstreamFault:
                pass  # a good key; that no credential is stored for this one does not matter
            raise Refusal(problem.status, problem.message)
        assert last is not None
        raise last

    async def _key_of_first_message(self, call: Call, first_message: FirstMessages) -> str | None:
        with trio.move_on_after(self._settings.config.limits.ready_s):
            await first_message.first()
        first = first_message.messages[0] if first_message.messages else None
        member = call.passage.key_member
        if member is None or not isinstance(first, str):
            return None
        return without_member(first, member)[1]

    # What for.

    def _answer(self, head: Head, call: Call) -> Response:
        """The 101.

        Raises:
            Refusal: it is no valid upgrade, or asks for what is not served.
        """
        if call.problem is not None:
            raise Refusal(call.problem.status, call.problem.message)
        answer = response(head, call.subprotocol)
        if answer.status_code != 101:
            raise Refusal(answer.status_code, "the upgrade request is not a valid WebSocket handshake")
        return answer

    def _check(self, call: Call, principal: Principal) -> None:
        """What this key must not be used for.

        Raises:
            ClientFault: saying so.
        """
        restriction = principal.restriction
        is_limited = principal.terms.models is not None or (restriction and restriction.models is not None)
        if is_limited and call.model is None:
            raise forbidden(
                "this key is limited to certain models: only streams whose query names one may pass"
            )
        if principal.is_own_key:
            return
        wrong = call.passage.forbidden(call.passed_on)
        if wrong is not None:
            raise forbidden(wrong)

    # May it begin.

    @asynccontextmanager
    async def _stream(self, call_: GatewayCall, principal: Principal, place: Place) -> AsyncIterator[Plan]:
        """Open the credit, and make the plan around it.

        Raises:
            Fault: the budget, a limit, the store.
        """
        call = call_.call
        route = self._settings.routes[call.provider]
        model = call.model or route.default_model
        dial = request.dial(call, route.url, principal.credential)
        async with self._ledger.stream(
            session_id=call_.request_id,
            principal=principal,
            dialect="gateway",
            provider=call.provider,
            model=model,
            price_per_hour_usd=route.price_per_hour(principal, model, is_gateway=True),
        ) as credit:
            yield Plan(
                request_id=call_.request_id,
                key_id=principal.key_id,
                provider=call.provider,
                title=route.entry.title,
                model=model,
                dial=dial,
                refused=partial(_refused, route.entry, principal.credential),
                meter=call.passage.meter(call.handshake),
                opening=_opening(call, principal),
                end_of_audio=call.passage.end_of_audio,
                secret=_ours(principal.credential),
                accepted=place.accepted,
                observer=self._metrics.session(call.provider, "gateway"),
                credit=credit,
            )

    async def _upgrade(self, stream: ByteStream, head: Head, switching: Response) -> WebSocket:
        return await open_websocket(
            stream,
            head,
            switching,
            limits=self._settings.config.limits,
            poller=self._poller,
            text_bytes_max=None,
            counts_texts=False,
        )

    async def _run(
        self,
        plan: Plan,
        client: WebSocket,
        principal: Principal,
        place: Place,
        already: FirstMessages | None = None,
    ) -> None:
        limits = within(principal, self._settings.config.limits)
        dial = self._settings.routes[plan.provider].dialler(limits, self._poller)
        proxy = Proxy(plan, client, dial, limits, already=already)
        place.holds(proxy.finish)
        await self._running.run(proxy)

    async def _refuse(self, stream: ByteStream, call: Call, refusal: Refusal) -> None:
        media_type, body = closes.refusal(call, refusal.status, refusal.message)
        wait_s = refusal.retry_after_s
        headers = () if wait_s is None else (("retry-after", str(max(1, round(wait_s)))),)
        log.info("turned_away", status=refusal.status)
        await answer(stream, refusal.status, body, headers, media_type=media_type)


def _ours(credential: Credential | None) -> str | None:
    """Our own key for a provider; None: the client's, who knows it, or none."""
    return credential.secret if credential is not None and not credential.is_clients_own else None


def _in_close_frame(fault: Fault) -> LastWords:
    """The providers' protocols have error messages of their own, which are not ours to imitate."""
    return LastWords((), int(closes.close_code(fault)), fault.message)


def _refused(entry: Entry, credential: Credential | None, status: int, body: bytes) -> Fault:
    return closes.upstream_refusal(entry, status, body, credential)


def _opening(call: Call, principal: Principal) -> Callable[[str], str] | None:
    """Takes the client's key out of its first text message; its own for this provider stays."""
    member = call.passage.key_member
    credential = principal.credential
    if member is None or (credential is not None and call.sends_own_key_later(credential)):
        return None
    return partial(_without_key, member)


def _without_key(member: str, text: str) -> str:
    if len(text) > OPENING_CHARACTERS_MAX:
        raise ClientFault(
            f"the first text message has at most {OPENING_CHARACTERS_MAX} characters, got {len(text)}",
            code="invalid_parameter",
            close_code=CloseCode.TOO_BIG,
        )
    return without_member(text, member)[0]
