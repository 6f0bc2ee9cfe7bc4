"""REST calls and pages (Quart-Trio, served by Hypercorn behind the door)."""

import msgspec
from quart import Response
from quart_trio import QuartTrio

from routeraudio.server.admission import Admission
from routeraudio.server.answer import error_body
from routeraudio.server.http import BODY_BYTES


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

    @app.errorhandler(404)
    async def not_found(_error: Exception) -> Response:
        return Response(error_body("nothing is served at this path"), 404, content_type="application/json")

    return app


def _json(body: dict[str, str], status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, content_type="application/json")
