"""REST calls and pages (Quart-Trio, served by Hypercorn behind the door)."""

from collections.abc import Callable, Sequence
from typing import Final

from quart import Response
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from routeraudio.api import catalogue, pages
from routeraudio.api.hypercorn import BODY_BYTES
from routeraudio.edge.http_error import error_body

Mount = Callable[[QuartTrio], None]
"""Adds paths to the application."""

JSON: Final = "application/json"


def create_app(mounts: Sequence[Mount] = ()) -> QuartTrio:
    """The application.

    Args:
        mounts: what is served beside the catalogue; each adds its paths.
    """
    app = QuartTrio("routeraudio")
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES
    app.config["BODY_TIMEOUT"] = 10

    for mount in (catalogue.mount, pages.mount, *mounts):
        mount(app)

    @app.errorhandler(404)
    async def not_found(_error: Exception) -> Response:
        return Response(error_body("nothing is served at this path"), 404, content_type=JSON)

    @app.errorhandler(HTTPException)
    async def refused(error: HTTPException) -> Response:
        """What Quart refuses by itself (a method, a long body) in the shape of our own refusals, not as a page."""
        answer = Response(error_body(error.description or error.name), error.code, content_type=JSON)
        answer.headers.update({name: text for name, text in error.get_headers() if name != "Content-Type"})
        return answer

    return app
