"""The engine that a daemon starts itself, as the configuration wants it."""

from functools import partial
from urllib.parse import urlsplit

import trio

from routeraudio.config.schema import Provider
from routeraudio.engine.supervise import supervise


async def spawned(nursery: trio.Nursery, local: Provider) -> str:
    """Start the engine on the configured port, or on any free one. Returns its base URL, which restarts keep.

    Raises:
        EngineMissing: what its models need is not installed.
        EngineFault: its address cannot be bound.
    """
    parts = urlsplit(local.url or "ws://127.0.0.1:0")
    host = parts.hostname or "127.0.0.1"
    engine = partial(supervise, host=host, port=parts.port or 0, workers_max=local.workers_max)
    port = await nursery.start(engine)
    return f"ws://{f'[{host}]' if ':' in host else host}:{port}"
