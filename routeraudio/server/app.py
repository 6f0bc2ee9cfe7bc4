"""REST calls and pages (Quart-Trio, served by Hypercorn behind the door)."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from quart import Response
from quart_trio import QuartTrio

from routeraudio.server import catalogue, pages
from routeraudio.server.admission import Admission
from routeraudio.server.answer import error_body
from routeraudio.server.http import BODY_BYTES

Mount = Callable[[QuartTrio], None]
"""Adds paths to the application."""

JSON: Final = "application/json"


def create_app(admission: Admission, mounts: Sequence[Mount] = ()) -> QuartTrio:
    """The application.

    Args:
        admission: tells whether the daemon takes new sessions.
        mounts: what else is served; each adds its paths.
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

    for mount in (catalogue.mount, pages.mount, *mounts):
        mount(app)

    @app.errorhandler(404)
    async def not_found(_error: Exception) -> Response:
        return Response(error_body("nothing is served at this path"), 404, content_type=JSON)

    return app


def _json(body: dict[str, object], status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, content_type=JSON)
