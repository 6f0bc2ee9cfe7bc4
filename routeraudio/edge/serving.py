"""Who may serve a request: its providers, each with the options that it would get, best first."""

import random
from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from routeraudio.audio import catalog as audio_catalog
from routeraudio.config.schema import Config
from routeraudio.dialects.base import DialectEntry, StreamRequest
from routeraudio.edge.choosing import fitted, model_of
from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.errors import ClientFault
from routeraudio.model.options import Options
from routeraudio.policy.routing import Budget, Ranked, ranking
from routeraudio.providers import models
from routeraudio.routes.expansion import Choice, Expanded, expand
from routeraudio.routes.prices import price_per_hour
from routeraudio.routes.routes import Route
from routeraudio.session.succession import Failover


class Server(msgspec.Struct, frozen=True):
    """A provider that may serve."""

    options: Options
    """What it is asked for."""
    route: Route

    @property
    def model(self) -> str:
        """The one that serves."""
        return model_of(self.options)


class Serving(msgspec.Struct, frozen=True):
    """All of them."""

    servers: tuple[Server, ...]
    failover: Failover | None
    """How the loss of a connection is survived; None: it ends the session."""

    @property
    def first(self) -> Server:
        """Who begins."""
        return self.servers[0]


def serving(
    asked: StreamRequest,
    entry: DialectEntry,
    usual: str | None,
    config: Config,
    routes: Mapping[str, Route],
    *,
    draw: float | None = None,
) -> Serving:
    """Who may serve ``asked``.

    Args:
        usual: who serves clients that name nobody, where their key says so.
        draw: of a weighted route, from 0 to below 1; None: by chance.

    Raises:
        ClientFault: nobody can: the reason of the first one.
    """
    options = asked.options
    name = options.provider or usual or entry.default_provider
    assert name is not None, "a dialect without a default requires the parameter"
    expanded = expand(name, options, config, routes)
    servers, faults = [], []
    for choice in expanded.choices:
        try:
            servers.append((choice, _server(asked, entry, choice, routes[choice.provider], expanded)))
        except ClientFault as fault:
            faults.append(fault)
    if not servers:
        raise faults[0]
    ranked = [_ranked(server, config, expanded, choice) for choice, server in servers]
    order = ranking(ranked, expanded.strategy, draw=_chance() if draw is None else draw)
    best = tuple(servers[at][1] for at in order)
    if not options.parse_json:
        # Whoever asked for a vendor's own messages gets one vendor's, and one connection's.
        return Serving(best[:1], None)
    return Serving(best, _failover(best, expanded, config))


def _failover(servers: Sequence[Server], expanded: Expanded, config: Config) -> Failover | None:
    if len(servers) == 1 and not servers[0].route.may_redial:
        return None
    general, table = config.failover, expanded.table
    replay_s = general.replay_s if table is None or table.replay_s is None else table.replay_s
    stall_s = general.stall_s if table is None or table.stall_s is None else table.stall_s
    hedge_s = general.hedge_s if table is None or table.hedge_s is None else table.hedge_s
    budget = Budget(attempts=general.attempts, within_s=general.within_s)
    return Failover(budget=budget, replay_s=replay_s, stall_s=stall_s, hedge_s=hedge_s)


def _server(
    asked: StreamRequest, entry: DialectEntry, choice: Choice, route: Route, expanded: Expanded
) -> Server:
    """The provider with its defaults filled in.

    Raises:
        ClientFault: a combination that cannot work.
    """
    is_alone = len(expanded.choices) == 1
    options = msgspec.structs.replace(asked.options, provider=choice.provider)
    if choice.model is not None:
        options = msgspec.structs.replace(options, model=choice.model)
    elif (asked.has_own_model or not is_alone) and not models.load(choice.provider).find(options.model or ""):
        # One of several has the model; the others serve with their own.
        options = msgspec.structs.replace(options, model=None)
    if not (is_alone or options.audio.is_raw):
        # The next provider may not take the container, and cannot be given the middle of one.
        audio_catalog.check(options.audio, PCM_16K_MONO)
        options = msgspec.structs.replace(options, audio=PCM_16K_MONO)
    return Server(fitted(options, entry, route), route)


def _ranked(server: Server, config: Config, expanded: Expanded, choice: Choice) -> Ranked:
    name = choice.provider
    health = server.route.record()
    at = expanded.choices.index(choice)
    return Ranked(
        name=name,
        price_per_hour_usd=_price(server, config) if expanded.strategy == "price" else Decimal(0),
        ready_s=None if health is None else health.ready_s,
        weight=expanded.weights[at] if expanded.weights else 1.0,
        is_healthy=health is None or not health.wait_s(),
    )


def _chance() -> float:
    return random.random()  # noqa: S311 - spreads load, keeps no secret


def _price(server: Server, config: Config) -> Decimal:
    name = server.options.provider
    return price_per_hour(name, server.model, config.providers.get(name), is_own_key=False, is_gateway=False)
