"""Who serves a request: the provider and model that it names, the key's usual ones, or the operator's."""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from routeraudio.audio import catalog as audio_catalog
from routeraudio.dialects.base import StreamRequest
from routeraudio.model.options import Options
from routeraudio.providers import models
from routeraudio.routes.routes import Route


class Chooses(Protocol):
    """What a protocol says of it: `dialects.base.DialectEntry`."""

    @property
    def default_provider(self) -> str | None: ...

    @property
    def fit(self) -> Callable[[Options], Options]: ...


def chosen(
    stream_request: StreamRequest, entry: Chooses, usual: str | None, routes: Mapping[str, Route]
) -> tuple[Options, Route]:
    """The options with the provider's defaults filled in.

    Args:
        usual: the provider of the key, for requests that name none.

    Raises:
        ClientFault: a combination that cannot work.
    """
    options = stream_request.options
    if not options.provider:
        assert entry.default_provider is not None, "a dialect without a default requires the parameter"
        options = msgspec.structs.replace(options, provider=usual or entry.default_provider)
    route = routes[options.provider]
    if stream_request.has_own_model and not models.load(options.provider).find(options.model or ""):
        options = msgspec.structs.replace(options, model=None)
    return fitted(options, entry, route), route


def fitted(options: Options, entry: Chooses, route: Route) -> Options:
    """The options with the defaults of the provider that they name.

    Raises:
        ClientFault: a combination that cannot work.
    """
    if options.model is None and route.default_model is not None:
        options = msgspec.structs.replace(options, model=route.default_model)
    options = entry.fit(options)
    route.entry.check(options)
    audio_catalog.check(options.audio, route.entry.audio_format(options))
    return options


def model_of(options: Options) -> str:
    """The one that serves: the client's, the operator's, or the provider's default for what is wanted."""
    known = models.load(options.provider)
    return known.chosen(options.model, options.language, has_partials=options.partial_results)
