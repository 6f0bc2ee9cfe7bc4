"""The page at `/`: speak into the browser, and see who speaks what."""

from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Final

from quart import Response
from quart_trio import QuartTrio

_FILES: Final = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
}

_HEADERS: Final = {
    # Nothing from elsewhere, nothing written into the page: what a provider says is shown, never run.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}


def mount(app: QuartTrio) -> None:
    """Add the page's paths to ``app``."""
    folder = resources.files("routeraudio") / "assets" / "page"
    for path, (name, content_type) in _FILES.items():
        body = (folder / name).read_bytes()
        app.add_url_rule(path, endpoint=f"page:{name}", view_func=_serving(body, content_type))


def _serving(body: bytes, content_type: str) -> Callable[[], Awaitable[Response]]:
    async def serve() -> Response:
        return Response(body, content_type=content_type, headers=_HEADERS)

    return serve
