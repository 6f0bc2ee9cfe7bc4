"""The catalogue's REST views: providers, their models, which support a language, the shape of what is sent.

`support` has one shape wherever it stands, `routeraudio.providers.models.Support`: whether an option is
fulfilled by the vendor (`native`), by us (`emulated`) or not at all (`ignored`).
"""

from datetime import UTC, datetime
from typing import Final

import msgspec
from quart import Response, request
from quart_trio import QuartTrio

from routeraudio.dialects import listen
from routeraudio.edge.http_error import error_body
from routeraudio.providers import languages, models
from routeraudio.providers.base import Entry
from routeraudio.providers.catalog import PROVIDERS

JSON: Final = "application/json"

QUERY_CHARACTERS_MAX: Final = 100
"""Of a search for a language; the longest names have about fifty."""


def mount(app: QuartTrio) -> None:
    """Add the catalogue's paths to ``app``."""
    app.add_url_rule("/v1/providers", view_func=_all_providers)
    app.add_url_rule("/v1/models", view_func=_all_models)
    app.add_url_rule("/as/openai/v1/models", endpoint="openai_models", view_func=_all_models)
    app.add_url_rule("/v1/providers/<provider>/models", view_func=_models_of)
    app.add_url_rule("/v1/schema.json", view_func=_schema)
    app.add_url_rule("/v1/languages", view_func=_spoken)


async def _all_providers() -> Response:
    """Every provider of the catalogue."""
    return _json({"providers": [_provider(entry) for entry in PROVIDERS.values()]})


async def _all_models() -> Response:
    """The models of `?provider=`, or of all."""
    return _models(request.args.get("provider"))


async def _models_of(provider: str) -> Response:
    """The models of one provider."""
    return _models(provider)


async def _schema() -> Response:
    """The JSON schema of what `/v1/listen` sends."""
    return _json(listen.schema())


async def _spoken() -> Response:
    """Who speaks `?q=`, a code, an English or a native name; all languages without it."""
    return _json({"languages": languages.find(request.args.get("q", "")[:QUERY_CHARACTERS_MAX])})


def _provider(entry: Entry) -> dict[str, object]:
    known = models.load(entry.name)
    default = known.find(known.default_model)
    return {
        "name": entry.name,
        "title": entry.title,
        "needs_key": entry.needs_key,
        "default_model": known.default_model,
        "default_model_with_partials": known.default_model_with_partials or known.default_model,
        "support": default and default.support,
        "models": [model.id for model in known.models],
        "as_of": known.as_of,
        "sources": known.sources,
    }


def _models(provider: str | None) -> Response:
    if provider is not None and provider not in PROVIDERS:
        named = ", ".join(PROVIDERS)
        return Response(error_body(f"no such provider; there are {named}"), 404, content_type=JSON)
    names = list(PROVIDERS) if provider is None else [provider]
    rows = [(name, model) for name in names for model in models.load(name).models]
    return _json(
        {
            "object": "list",
            "data": [_listed(name, model) for name, model in rows],
            "models": [_model(name, model) for name, model in rows],
        }
    )


def _listed(provider: str, model: models.Model) -> dict[str, object]:
    """As OpenAI's clients read it: the id is what they send back as `model`."""
    as_of = datetime.strptime(models.load(provider).as_of, "%Y-%m").replace(tzinfo=UTC)
    return {
        "id": f"{provider}/{model.id}",
        "object": "model",
        "created": int(as_of.timestamp()),
        "owned_by": provider,
    }


def _model(provider: str, model: models.Model) -> dict[str, object]:
    is_default = model.id == models.load(provider).default_model
    return {"provider": provider, "default": is_default, **msgspec.structs.asdict(model)}


def _json(body: dict[str, object]) -> Response:
    return Response(msgspec.json.encode(body), content_type=JSON)
