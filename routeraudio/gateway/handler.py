"""From an upgrade request to a running passage: who is asking, what for, may it begin; then the 101, then the dial.

The upgrade is answered before the provider is dialled, because some SDKs give up after a second. What can be refused
before is refused in HTTP, in this order: 401, 403, 400 and 404, 402, 429, 503. What goes wrong later is a close code.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Protocol
from uuid import uuid4

import jwt
import msgspec
import structlog
import trio
from websockets.http11 import Response

from routeraudio.auth.authenticator import PROVIDER_KEY_HEADER, PresentedKeys
from routeraudio.config.schema import Config
from routeraudio.edge.admission import Admission, Ticket
from routeraudio.edge.http_error import answer
from routeraudio.edge.request_head import Head
from routeraudio.edge.stream_handler import within
from routeraudio.edge.upgrade import open_websocket, response
from routeraudio.gateway import closes as endings
from routeraudio.gateway import request
from routeraudio.gateway.first_message import FirstMessage
from routeraudio.gateway.json_member import without_member
from routeraudio.gateway.proxy import Plan, Proxy
from routeraudio.gateway.request import Call
from routeraudio.model.errors import (
    ClientFault,
    CloseCode,
    Fault,
    Overloaded,
    UpstreamFault,
    forbidden,
    unauthorized,
)
from routeraudio.observability.metrics import Metrics
from routeraudio.policy import tokens
from routeraudio.policy.access import Principal
from routeraudio.policy.keys import PREFIX
from routeraudio.providers.base import Credential, Entry
from routeraudio.providers.catalog import PROVIDERS
from routeraudio.routes.routes import Route
from routeraudio.session.credit import Credit
from routeraudio.transport.bytestream import ByteStream
from routeraudio.transport.poller import Poller
from routeraudio.transport.upstream import open_upstream
from routeraudio.transport.websocket import WebSocket

log = structlog.get_logger(__name__)


class Settings(Protocol):
    """What new passages get. `edge.stream_handler.StreamHandler` has it."""

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

    async def open(
        self,
        *,
        session_id: str,
        principal: Principal,
        dialect: str,
        provider: str,
        model: str | None,
        price_per_hour_usd: Decimal,
    ) -> Credit: ...


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
        self._passages: set[Proxy] = set()

    async def serve(self, stream: ByteStream, head: Head, ticket: Ticket) -> None:
        """One client, from its upgrade request to its end. Owns ``stream``."""
        call_ = GatewayCall(uuid4().hex, request.read(head.request), ticket)
        try:
            await self._serve(stream, head, call_)
        except Refusal as refusal:
            await self._refuse(stream, call_.call, refusal)
        except Fault as fault:
            self._metrics.turned_away("gateway", endings.close_code(fault), fault.code)
            retry_after_s = fault.retry_after_s if isinstance(fault, Overloaded) else None
            why = Refusal(endings.status(fault), fault.message, retry_after_s)
            await self._refuse(stream, call_.call, why)

    def finish_all(self) -> None:
        """Ask every passage for its provider's last words: the daemon is stopping."""
        stopping = Overloaded("the daemon is stopping; connect again", close_code=CloseCode.RESTART)
        for passage in self._passages:
            passage.finish(stopping)

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
            call_.ticket.authenticated()
            with self._admission.session(principal.terms.priority):
                plan = await self._open(call_, principal)
                client = await self._upgrade(stream, head, switching, plan.credit)
                try:
                    await self._run(plan, client, principal)
                finally:
                    client.release()

    async def _serve_late(
        self, stream: ByteStream, switching: Response, head: Head, call_: GatewayCall
    ) -> None:
        """A client whose key stands in its first message: let in to say it, and closed if it is none."""
        client = await self._upgrade(stream, head, switching, None)
        overture = FirstMessage()
        client.start(overture)
        try:
            principal = await self._principal(call_, await self._key_of_first_message(call_.call, overture))
            self._check(call_.call, principal)
            call_.ticket.authenticated()
            with self._admission.session(principal.terms.priority):
                plan = await self._open(call_, principal)
                await self._run(plan, client, principal, overture)
        except Fault as fault:
            self._metrics.turned_away("gateway", endings.close_code(fault), fault.code)
            log.info("turned_away", close_code=int(endings.close_code(fault)), error=fault.code)
            client.close(endings.close_code(fault), fault.message)
            await client.aclose()
        finally:
            client.release()

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
        """Refuse a request for no provider of ours, but whoever may not come in at all hears that first.

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

    async def _key_of_first_message(self, call: Call, overture: FirstMessage) -> str | None:
        with trio.move_on_after(self._settings.config.limits.ready_s):
            await overture.first()
        first = overture.messages[0] if overture.messages else None
        member = call.passage.key_member
        if member is None or not isinstance(first, str):
            return None
        return without_member(first, member)[1]

    # What for.

    def _answer(self, head: Head, call: Call) -> Response:
        """The 101.

        Raises:
            Refusal: it is no valid upgrade, or asks for what nobody serves.
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
        wrong = call.passage.check(call.handshake)
        if wrong is not None:
            raise forbidden(wrong)

    # May it begin.

    async def _open(self, call_: GatewayCall, principal: Principal) -> Plan:
        """Open the credit, and make the plan around it.

        Raises:
            Fault: the budget, a limit, the store.
        """
        call = call_.call
        route = self._settings.routes[call.provider]
        model = call.model or route.default_model
        dial = request.dial(call, route.url, principal.credential)
        return Plan(
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
            observer=self._metrics.session(call.provider, "gateway"),
            credit=await self._ledger.open(
                session_id=call_.request_id,
                principal=principal,
                dialect="gateway",
                provider=call.provider,
                model=model,
                price_per_hour_usd=route.price_per_hour(
                    model, is_own_key=principal.is_own_key, is_gateway=True
                ),
            ),
        )

    async def _upgrade(
        self, stream: ByteStream, head: Head, switching: Response, credit: Credit | None
    ) -> WebSocket:
        limits = self._settings.config.limits
        try:
            return await open_websocket(
                stream,
                head,
                switching,
                limits=limits,
                poller=self._poller,
                text_bytes_max=None,
                counts_texts=False,
            )
        except BaseException:
            # Nobody will run this passage, and whoever has opened a credit closes it.
            if credit is not None:
                await credit.close(audio_ms=0, connected_ms=0, provider_ms=None, ending="client_gone")
            raise

    async def _run(
        self, plan: Plan, client: WebSocket, principal: Principal, already: FirstMessage | None = None
    ) -> None:
        limits = within(principal, self._settings.config.limits)
        try:
            dial = partial(
                open_upstream,
                title=plan.title,
                limits=limits,
                poller=self._poller,
                tls=self._settings.routes[plan.provider].tls,
            )
            passage = Proxy(plan, client, dial, limits, already=already)
        except BaseException:
            # There is no passage to close the credit.
            await plan.credit.close(audio_ms=0, connected_ms=0, provider_ms=None, ending="internal")
            raise
        self._passages.add(passage)
        try:
            await passage.run()
        finally:
            self._passages.discard(passage)

    async def _refuse(self, stream: ByteStream, call: Call, refusal: Refusal) -> None:
        media_type, body = endings.refusal(call, refusal.status, refusal.message)
        wait_s = refusal.retry_after_s
        headers = () if wait_s is None else (("retry-after", str(max(1, round(wait_s)))),)
        log.info("turned_away", status=refusal.status)
        await answer(stream, refusal.status, body, headers, media_type=media_type)


def is_token(text: str) -> bool:
    """Whether it is a token made by a daemon like this one, good or bad: providers have JWTs of their own."""
    if len(text) > tokens.TOKEN_BYTES_MAX or text.count(".") != 2:
        return False
    try:
        return jwt.get_unverified_header(text).get("typ") == tokens.TYPE
    except jwt.InvalidTokenError:
        return False


def _refused(entry: Entry, credential: Credential | None, status: int, body: bytes) -> Fault:
    return endings.upstream_refusal(entry, status, body, credential)


def _opening(call: Call, principal: Principal) -> Callable[[str], str] | None:
    """Takes the client's key out of its first text message; its own for this provider stays."""
    member = call.passage.key_member
    credential = principal.credential
    if member is None or (credential is not None and call.sends_own_key_later(credential)):
        return None
    return lambda text: without_member(text, member)[0]
