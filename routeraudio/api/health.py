"""What watchers ask: `/healthz`, `/readyz`, `/metrics`. With several workers any of them answers for all.

`/healthz` says that a worker's loop runs; the parent sees to the others. `/readyz` is a balancer's question, whether
new sessions are welcome: they are while one worker takes them, because full workers leave new connections to it
(`workers.fair_listener`). Neither needs a key, and `/metrics` holds no secret; to hide it, turn it off in the
configuration or block it in the proxy.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

import msgspec
import trio
from quart import Response, request
from quart_trio import QuartTrio

from routeraudio.observability import metrics
from routeraudio.policy.health import Standing
from routeraudio.workers.shared_state import State

WORDS: Final[dict[State, str]] = {
    State.READY: "ready",
    State.STRAINED: "strained",
    State.FULL: "full",
    State.CUT_OFF: "store unavailable",
    State.LEAVING: "draining",
}

Engine = Callable[[], Awaitable[dict[str, object] | None]]
"""What the local engine says of itself; None: there is none here."""

PAGES: Final = trio.CapacityLimiter(1)
"""Metrics pages made at the same time: one scraper is usual, and many gain nothing from waiting in parallel."""


def mount(
    app: QuartTrio,
    standing: Callable[[], State],
    page: Callable[[], bytes] | None,
    engine: Engine,
    providers: Callable[[], Mapping[str, Standing]],
) -> None:
    """Add the paths to ``app``.

    Args:
        standing: what the daemon as a whole is.
        page: makes the metrics page, in a thread; None: there is none.
        engine: what the local engine says of itself.
        providers: how each configured one stands.
    """
    app.add_url_rule("/healthz", "healthz", _healthz)
    app.add_url_rule("/readyz", "readyz", partial(_readyz, standing, engine, providers))
    if page is not None:
        app.add_url_rule("/metrics", "metrics", partial(_metrics, page))


async def _healthz() -> Response:
    """Liveness: an answer proves that the event loop runs."""
    return _json({"status": "ok"})


async def _readyz(
    standing: Callable[[], State], engine: Engine, providers: Callable[[], Mapping[str, Standing]]
) -> Response:
    """Whether new sessions are welcome. They are while the local engine is still loading: only its own wait.

    With `?verbose` how each provider stands is told beside it, and changes nothing: there may be others.
    """
    state = standing()
    body: dict[str, object] = {"status": WORDS[state]}
    local = await engine()
    if local is not None:
        body["local"] = local
    if "verbose" in request.args:
        body["providers"] = providers()
    return _json(body, 200 if state == State.READY else 503)


async def _metrics(page: Callable[[], bytes]) -> Response:
    """For Prometheus."""
    return Response(await trio.to_thread.run_sync(page, limiter=PAGES), content_type=metrics.CONTENT_TYPE)


def _json(body: dict[str, object], status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, content_type="application/json")
