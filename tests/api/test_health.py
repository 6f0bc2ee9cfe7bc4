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


async def test_how_providers_stand() -> None:
    """Only for whoever asks; a balancer's question stays as short as it was."""
    async with daemon_on(config()) as port:
        told = (await get(port, "/readyz?verbose")).json
        page = (await get(port, "/metrics")).body
    closed = {
        "state": "closed",
        "sessions": 0,
        "sessions_max": None,
        "failures": 0,
        "wait_s": 0.0,
        "ready_s": None,
    }
    assert told == {"status": "ready", "providers": {"deepgram": closed}}
    assert b'routeraudio_provider_state{provider="deepgram",state="closed"} 1.0' in page
    assert b'routeraudio_provider_connections{provider="deepgram"} 0.0' in page


async def test_no_metrics() -> None:
    """They can be turned off."""
    async with daemon_on(config(metrics=False)) as port:
        assert (await get(port, "/metrics")).status == 404
