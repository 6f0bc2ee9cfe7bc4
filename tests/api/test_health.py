"""What watchers ask."""

from tests.edge.fakes import config, daemon_on, get


async def test_an_idle_daemon() -> None:
    """It runs, takes sessions, and has numbers to show."""
    async with daemon_on(config()) as port:
        assert (await get(port, "/healthz")).json == {"status": "ok"}
        assert (await get(port, "/readyz")).json == {"status": "ready"}
        answer = await get(port, "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b'routeraudio_workers{state="ready"} 1.0' in answer.body


async def test_no_metrics() -> None:
    """They can be turned off."""
    async with daemon_on(config(metrics=False)) as port:
        assert (await get(port, "/metrics")).status == 404
