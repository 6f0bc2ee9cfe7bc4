"""REST calls and pages (Quart-Trio, served by Hypercorn behind the door)."""

from typing import Final

import msgspec
from quart import Response, request
from quart_trio import QuartTrio

from routeraudio.dialects import listen
from routeraudio.providers import languages, models
from routeraudio.providers.base import Entry
from routeraudio.providers.catalog import PROVIDERS
from routeraudio.server.admission import Admission
from routeraudio.server.answer import error_body
from routeraudio.server.http import BODY_BYTES

JSON: Final = "application/json"

QUERY_CHARACTERS_MAX: Final = 100
"""Of a search for a language; the longest names have about fifty."""


def create_app(admission: Admission) -> QuartTrio:
    """The application.

    Args:
        admission: tells whether the daemon takes new sessions.
    """
    app = QuartTrio("routeraudio")
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES
    app.config["BODY_TIMEOUT"] = 10

    @app.get("/healthz")
    async def healthz() -> Response:
        """The event loop runs: whoever gets this answer has seen it run."""
        return _json({"status": "ok"})

    @app.get("/readyz")
    async def readyz() -> Response:
        """Whether new sessions are welcome."""
        if admission.is_leaving:
            return _json({"status": "draining"}, 503)
        if admission.sessions >= admission.sessions_max:
            return _json({"status": "full"}, 503)
        return _json({"status": "ready"})

    @app.get("/v1/providers")
    async def providers() -> Response:
        """Every provider of the catalogue."""
        return _json({"providers": [_provider(entry) for entry in PROVIDERS.values()]})

    @app.get("/v1/models")
    async def all_models() -> Response:
        """The models of `?provider=`, or of all."""
        return _models(request.args.get("provider"))

    @app.get("/v1/providers/<provider>/models")
    async def models_of(provider: str) -> Response:
        """The models of one provider."""
        return _models(provider)

    @app.get("/v1/schema.json")
    async def schema() -> Response:
        """The JSON schema of what `/v1/listen` sends."""
        return _json(listen.schema())

    @app.get("/v1/languages")
    async def spoken() -> Response:
        """Who speaks `?q=`, a code, an English or a native name; all languages without it."""
        return _json({"languages": languages.find(request.args.get("q", "")[:QUERY_CHARACTERS_MAX])})

    @app.errorhandler(404)
    async def not_found(_error: Exception) -> Response:
        return Response(error_body("nothing is served at this path"), 404, content_type=JSON)

    return app


def _provider(entry: Entry) -> dict[str, object]:
    known = models.load(entry.name)
    return {
        "name": entry.name,
        "title": entry.title,
        "needs_key": entry.needs_key,
        "default_model": known.default_model,
        "models": [model.id for model in known.models],
        "as_of": known.as_of,
        "sources": known.sources,
    }


def _models(provider: str | None) -> Response:
    if provider is not None and provider not in PROVIDERS:
        named = ", ".join(PROVIDERS)
        return Response(error_body(f"no such provider; there are {named}"), 404, content_type=JSON)
    names = list(PROVIDERS) if provider is None else [provider]
    return _json({"models": [_model(name, model) for name in names for model in models.load(name).models]})


def _model(provider: str, model: models.Model) -> dict[str, object]:
    is_default = model.id == models.load(provider).default_model
    return {"provider": provider, "default": is_default, **msgspec.structs.asdict(model)}


def _json(body: dict[str, object], status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, content_type=JSON)
