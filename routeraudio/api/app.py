"""REST calls and pages (Quart-Trio, served by Hypercorn behind `edge.connection`)."""

from collections.abc import Callable, Sequence
from typing import Final

from quart import Response
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from routeraudio.api import catalogue, helpers, pages, uploads
from routeraudio.api.hypercorn import BODY_BYTES
from routeraudio.edge.http_error import error_body

Mount = Callable[[QuartTrio], None]
"""Adds paths to the application."""

JSON: Final = "application/json"


def create_app(mounts: Sequence[Mount] = (), file_bytes: Callable[[], int] = lambda: BODY_BYTES) -> QuartTrio:
    """The application.

    Args:
        mounts: what is served beside the catalogue; each adds its paths.
        file_bytes: how long a recording may be that is sent in a form.
    """
    app = QuartTrio("routeraudio")
    app.request_class = uploads.request_class(file_bytes)
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

    @app.errorhandler(Exception)
    async def failed(error: Exception) -> Response:
        """A bug: one log line of ours instead of the framework's traceback, which may quote a key."""
        return helpers.reply({"error": helpers.broken(error)}, 500)

    return app
