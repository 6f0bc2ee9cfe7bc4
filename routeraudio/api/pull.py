"""Stream pull over HTTP: `/audio-stream/` `start`, `stop`, `status/<task_id>`, `tasks`; also below `/serve/api/v2`.

Everything that can be refused is refused before a task is promised: the key, the parameters, both addresses, a place
in the daemon and one in the ledger. Answers have the product's envelope; `message` and `msg` say the same, because its
pages use either.
"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from decimal import Decimal
from functools import partial
from typing import Annotated, Final, Protocol
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
from quart import Response, request
from quart_trio import QuartTrio

from routeraudio.api import helpers
from routeraudio.api.envelope import answering, reply
from routeraudio.auth.authenticator import PROVIDER_KEY_HEADER, Authenticator, PresentedKeys
from routeraudio.config.schema import Config
from routeraudio.dialects.base import Dialect
from routeraudio.edge.admission import Admission
from routeraudio.edge.forwarded import Network
from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.errors import (
    forbidden,
    invalid_parameter,
    unauthorized,
)
from routeraudio.model.options import Options
from routeraudio.policy.access import Principal
from routeraudio.policy.keys import PREFIX, Key
from routeraudio.providers.catalog import PROVIDERS
from routeraudio.pull.faults import SourceFault
from routeraudio.pull.guard import Guard
from routeraudio.pull.record import Record, hidden
from routeraudio.pull.registry import Registry
from routeraudio.pull.reservation import Reservation
from routeraudio.pull.sandbox.opening import PORTS
from routeraudio.routes.routes import Route
from routeraudio.session.credit import Credit
from routeraudio.session.observer import NullObserver, Observer
from routeraudio.session.pipeline import Plan, Session
from routeraudio.session.streams import MessageStream
from routeraudio.transport.poller import Poller

BASES: Final = ("", "/serve/api/v2")

URL_CHARACTERS_MAX: Final = 4096

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
"""A parameter's name as it may be repeated to the client."""

IGNORED_MAX: Final = 50

WEB_PORTS: Final = {"http": 80, "https": 443}

Url = Annotated[str, msgspec.Meta(pattern=rf"^[\x21-\x7e]{{1,{URL_CHARACTERS_MAX}}}\Z")]
Language = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}\Z")]
Model = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}\Z")]


class PullRequest(msgspec.Struct, kw_only=True):
    """What `start` may be told. The product has some forty options of file transcription besides, which do nothing."""

    audio_url: Url
    provider: str
    callback_url: Url | None = None
    raw: bool = False
    """Post the provider's messages bare."""
    language_code: Language | None = None
    model_id: Model | None = None
    speech_models: Annotated[tuple[Model, ...], msgspec.Meta(max_length=8)] = ()
    """AssemblyAI's way to say `model_id`; the first counts."""
    diarize: bool = False
    speaker_labels: bool = False
    """AssemblyAI's way to say `diarize`."""
    punctuate: bool = True


class Opens(Protocol):
    """The ledger, as far as it is needed here: `store.ledger.service.Ledger`."""

    def stream(
        self,
        *,
        session_id: str,
        principal: Principal,
        dialect: str,
        provider: str,
        model: str | None,
        price_per_hour_usd: Decimal,
    ) -> AbstractAsyncContextManager[Credit]:
        """A credit for a new stream."""


def _unwatched(provider: str, dialect: str) -> Observer:  # noqa: ARG001
    return NullObserver()


class PullApi:
    """The calls.

    Args:
        config: the configuration in force, which a reload replaces.
        routes: the providers in force.
        guard: of the registry, too.
    """

    def __init__(
        self,
        registry: Registry,
        access: Authenticator,
        ledger: Opens,
        admission: Admission,
        *,
        config: Callable[[], Config],
        routes: Callable[[], Mapping[str, Route]],
        poller: Poller,
        guard: Guard,
        watched: Callable[[str, str], Observer] = _unwatched,
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        self._registry = registry
        self._access = access
        self._ledger = ledger
        self._admission = admission
        self._config = config
        self._routes = routes
        self._poller = poller
        self._guard = guard
        self._watched = watched
        self._trusted_proxies = tuple(trusted_proxies)

    def mount(self, app: QuartTrio) -> None:
        """Add the paths to ``app``."""
        for base in BASES:
            for path, method, handler in (
                ("start", "POST", self._start),
                ("stop", "POST", self._stop),
                ("status/<task_id>", "GET", self._status),
                ("tasks", "GET", self._tasks),
            ):
                app.add_url_rule(
                    f"{base}/audio-stream/{path}",
                    endpoint=f"pull{base}{handler.__name__}",
                    view_func=answering(handler),
                    methods=[method],
                )

    # The calls.

    async def _start(self) -> Response:
        key = await self._key()
        body = await helpers.body()
        pull_request = _read_body(body)
        principal, route = await self._principal(pull_request)
        assert principal.account == key.account
        options = _options(pull_request, route)
        # A provider that is not to be reached here is told before a promise.
        route.adapter(options, principal.credential)
        callback_url = await self._checked(pull_request, principal)
        task_id = str(uuid4())
        price = route.price_per_hour(principal, options.model, is_gateway=True)
        record = Record(
            task_id=task_id,
            account=principal.account,
            key_id=principal.key_id,
            provider=route.entry.name,
            model=options.model,
            audio_url=hidden(pull_request.audio_url),
            callback_url=callback_url,
            is_raw=pull_request.raw,
            price_per_hour_usd=price,
            started_at_s=time.time(),
        )
        async with AsyncExitStack() as not_started:
            reservation = await self._reserve(record, principal, options, route)
            not_started.push_async_callback(reservation.leave, "internal")
            await self._registry.start(record, pull_request.audio_url, reservation)
            not_started.pop_all()
        ignored = sorted(
            name for name in body.keys() - set(PullRequest.__struct_fields__) if NAME.fullmatch(name)
        )
        data: dict[str, object] = {"task_id": task_id, "message": "Audio stream transcription started"}
        return reply(200, "success", data | ({"ignored": ignored[:IGNORED_MAX]} if ignored else {}))

    async def _stop(self) -> Response:
        key = await self._key()
        task_id = (await helpers.body()).get("task_id")
        if not isinstance(task_id, str) or not await self._registry.stop(key.account, task_id):
            raise invalid_parameter("task_id", "task_id: there is no such running task")
        return reply(200, "success", {"task_id": task_id, "message": "Audio stream stopped successfully"})

    async def _status(self, task_id: str) -> Response:
        key = await self._key()
        record = await self._registry.find(key.account, task_id)
        if record is None:
            raise invalid_parameter("task_id", "task_id: there is no such task")
        return reply(200, "success", record.shown())

    async def _tasks(self) -> Response:
        key = await self._key()
        records = await self._registry.all(key.account)
        return reply(200, "success", {"tasks": [record.shown() for record in records]})

    # Who, what, and whether there is room.

    async def _principal(self, pull_request: PullRequest) -> tuple[Principal, Route]:
        """Whether the key, whose holder is known by now, may do this."""
        route = self._routes().get(pull_request.provider)
        if route is None:
            raise invalid_parameter("provider", f"provider: expected one of {', '.join(PROVIDERS)}")
        principal = await self._access.principal(
            self._shown(),
            entry=route.entry,
            stored=route.stored,
            model=_model(pull_request, route),
            origin=request.headers.get("origin"),
            streams=True,
            address=helpers.caller(self._trusted_proxies),
        )
        return principal, route

    async def _key(self) -> Key:
        """The router key that is shown, which may use streams. Nobody else can be told their own tasks from others'."""
        text = self._shown().key
        if text is None:
            raise unauthorized("no key; send a router key in the header Authorization")
        if not text.startswith(PREFIX):
            raise unauthorized(
                "stream pull needs a router key; send your provider key as x-provider-key beside it"
            )
        key = await self._access.key(text, helpers.caller(self._trusted_proxies))
        if not key.terms.streams:
            raise forbidden("this key may not use stream processing; ask the operator to allow streams")
        return key

    def _shown(self) -> PresentedKeys:
        key = helpers.shown_key() or request.args.get("api_key")
        return PresentedKeys(key=key, provider_key=request.headers.get(PROVIDER_KEY_HEADER))

    async def _checked(self, pull_request: PullRequest, principal: Principal) -> str:
        """Both addresses are such as may be connected to. Returns the webhook's.

        Raises:
            ClientFault: naming the one that is not.
        """
        callback_url = pull_request.callback_url or principal.terms.webhook_url
        if callback_url is None:
            raise invalid_parameter("callback_url", "An async request requires at least one webhook.")
        ports = {**WEB_PORTS, **PORTS}
        allowed: dict[str, int] = {name: ports[name] for name in self._config().pull.schemes}
        await self._check_url("audio_url", pull_request.audio_url, allowed, self._guard.source_addresses)
        await self._check_url("callback_url", callback_url, WEB_PORTS, self._guard.addresses)
        return callback_url

    async def _check_url(
        self,
        name: str,
        url: str,
        ports: Mapping[str, int],
        addresses: Callable[[str, int], Awaitable[object]],
    ) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or parts.scheme not in ports:
            raise invalid_parameter(name, f"{name}: expected a URL that begins with {', '.join(ports)}")
        try:
            await addresses(host, port or ports[parts.scheme])
        except SourceFault as fault:
            if fault.is_refused:
                raise invalid_parameter(name, f"{name}: {fault.message}") from None
            # A name that is unknown now may be known in a moment: the task finds out.

    async def _reserve(
        self, record: Record, principal: Principal, options: Options, route: Route
    ) -> Reservation:
        """A place in the daemon and in the ledger.

        Raises:
            Overloaded: there is none.
        """
        self._registry.check_room(record.account)
        async with AsyncExitStack() as place:
            place.enter_context(self._admission.session(principal.terms.priority))
            credit = await place.enter_async_context(
                self._ledger.stream(
                    session_id=record.task_id,
                    principal=principal,
                    dialect="pull",
                    provider=record.provider,
                    model=record.model,
                    price_per_hour_usd=record.price_per_hour_usd,
                )
            )
            return Reservation(
                credit, place.pop_all(), partial(self._session, record, principal, options, route)
            )

    def _session(
        self,
        record: Record,
        principal: Principal,
        options: Options,
        route: Route,
        credit: Credit,
        client: MessageStream,
        dialect: Dialect,
    ) -> Session:
        config = self._config()
        limits = msgspec.structs.replace(config.limits, session_s=config.pull.task_s)
        another = partial(route.adapter, options, principal.credential)
        plan = Plan(
            request_id=record.task_id,
            key_id=record.key_id,
            title=route.entry.title,
            options=options,
            adapter=another(),
            another=another,
            session_s=route.session_s,
            pace=route.entry.pace,
            dialect=dialect,
            credit=credit,
            observer=self._watched(record.provider, "pull"),
        )
        return Session(plan, client, route.dialler(limits, self._poller), limits)


def _read_body(body: dict[str, object]) -> PullRequest:
    """The fields of the body.

    Raises:
        ClientFault: one is missing or of the wrong kind.
    """
    try:
        return msgspec.convert(body, PullRequest)
    except msgspec.ValidationError as error:
        # Names what was expected and where, not what came.
        raise invalid_parameter("body", str(error)) from None


def _model(pull_request: PullRequest, route: Route) -> str | None:
    return pull_request.model_id or next(iter(pull_request.speech_models), None) or route.default_model


def _options(pull_request: PullRequest, route: Route) -> Options:
    """What the provider is asked for.

    Raises:
        ClientFault: it cannot do that.
    """
    options = Options(
        provider=route.entry.name,
        audio=PCM_16K_MONO,
        model=_model(pull_request, route),
        diarize=pull_request.diarize or pull_request.speaker_labels,
        punctuate=pull_request.punctuate,
        partial_results=True,
        parse_json=False,
    )
    if pull_request.language_code is not None:
        options = msgspec.structs.replace(options, language=pull_request.language_code)
    route.entry.check(options)
    return options
