"""Sessions whose client is not at a WebSocket: a file that is transcribed, an utterance at another kind of listener."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from uuid import uuid4

from routeraudio.auth.authenticator import Authenticator
from routeraudio.config.schema import Config
from routeraudio.dialects.base import Dialect
from routeraudio.edge.admission import Admission
from routeraudio.edge.choosing import model_of
from routeraudio.model.errors import CloseCode, Overloaded
from routeraudio.model.options import Options
from routeraudio.policy.access import Principal
from routeraudio.routes.routes import Route
from routeraudio.session.credit import Credit
from routeraudio.session.frame import Running
from routeraudio.session.observer import Observer
from routeraudio.session.pipeline import Plan, Session
from routeraudio.session.streams import MessageStream
from routeraudio.store.ledger.service import Ledger
from routeraudio.transport.poller import Poller

Converse = Callable[[MessageStream, Dialect], Awaitable[None]]
"""Runs the session of a client to its end."""


class Sessions:
    """Opens them.

    Args:
        config: the configuration in force, which a reload replaces.
        routes: the providers in force.
        watched: makes a session's metrics, from provider and dialect.
    """

    def __init__(
        self,
        access: Authenticator,
        ledger: Ledger,
        admission: Admission,
        *,
        config: Callable[[], Config],
        routes: Callable[[], Mapping[str, Route]],
        poller: Poller,
        watched: Callable[[str, str], Observer],
    ) -> None:
        self.access = access
        self.admission = admission
        self.config = config
        self.routes = routes
        self._ledger = ledger
        self._poller = poller
        self._watched = watched
        self._running = Running()

    def finish_all(self) -> None:
        """End every session with what has been heard: the daemon is stopping."""
        stopping = Overloaded("the daemon is stopping; try again", close_code=CloseCode.RESTART)
        self._running.finish_all(stopping)

    async def open(
        self, held: AsyncExitStack, dialect: str, principal: Principal, options: Options, route: Route
    ) -> Converse:
        """Take a place in the daemon and a credit, until ``held`` is closed.

        Args:
            dialect: for ledger and metrics.

        Raises:
            Fault: there is none, or the provider is not to be reached from here.
        """
        held.enter_context(self.admission.session(principal.terms.priority))
        request_id = uuid4().hex
        credit = await held.enter_async_context(
            self._ledger.stream(
                session_id=request_id,
                principal=principal,
                dialect=dialect,
                provider=options.provider,
                model=model_of(options),
                price_per_hour_usd=route.price_per_hour(principal, model_of(options), is_gateway=False),
            )
        )
        observer = self._watched(options.provider, dialect)
        return partial(self._converse, request_id, principal, options, route, credit, observer)

    async def _converse(
        self,
        request_id: str,
        principal: Principal,
        options: Options,
        route: Route,
        credit: Credit,
        observer: Observer,
        client: MessageStream,
        dialect: Dialect,
    ) -> None:
        limits = self.config().limits
        another = partial(route.adapter, options, principal.credential)
        plan = Plan(
            request_id=request_id,
            key_id=principal.key_id,
            title=route.entry.title,
            options=options,
            adapter=another(),
            another=another,
            session_s=route.session_s,
            pace=route.entry.pace,
            dialect=dialect,
            credit=credit,
            observer=observer,
        )
        await self._running.run(Session(plan, client, route.dialler(limits, self._poller), limits))
