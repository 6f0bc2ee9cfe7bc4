"""The engine that a daemon starts itself, as the configuration wants it, and what it tells of itself."""

from collections.abc import Sequence
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import msgspec
import trio
from trio_websocket import ConnectionClosed, HandshakeError, connect_websocket_url

from routeraudio.config.schema import Provider
from routeraudio.engine.loading import Model, default_model
from routeraudio.engine.protocol import STATUS_PATH, Status
from routeraudio.engine.supervise import supervise
from routeraudio.providers import languages
from routeraudio.providers import models as catalogue

ASK_S: Final = 1.0
"""An engine answers in milliseconds; one that is only starting lets its connections wait."""


async def spawned(nursery: trio.Nursery, local: Provider) -> str:
    """Start the engine on the configured port, or on any free one. Returns its base URL at once, which restarts
    keep; connections wait until it has loaded its models.

    Raises:
        EngineMissing: what its models need is not installed.
        EngineFault: its address cannot be bound.
    """
    parts = urlsplit(local.url or "ws://127.0.0.1:0")
    host = parts.hostname or "127.0.0.1"
    engine = partial(
        supervise, host=host, port=parts.port or 0, models=served(local), workers_max=local.workers_max
    )
    port = await nursery.start(engine)
    return f"ws://{f'[{host}]' if ':' in host else host}:{port}"


def served(local: Provider) -> list[Model]:
    """What the engine serves.

    Raises:
        EngineMissing: what was asked for is not installed.
    """
    listed = [
        Model(id=model.id, backend=model.backend, path=model.path, languages=model.languages)
        for model in local.models
    ]
    return listed or [default_model(local.backend)]


def publish(served: Sequence[Model]) -> None:
    """Have the catalogue show these as the models of `local`, instead of all that there might be."""
    packaged = catalogue.packaged("local")
    pattern = packaged.models[0]
    shown = tuple(_shown(model, packaged.find(model.id) or pattern) for model in served)
    widest = max(shown, key=lambda model: len(model.languages))
    catalogue.install(
        msgspec.structs.replace(
            packaged, models=shown, default_model=shown[0].id, widest_language_model=widest.id
        )
    )
    languages.every.cache_clear()
    languages.offers.cache_clear()


def _shown(model: Model, pattern: catalogue.Model) -> catalogue.Model:
    has_words = model.backend != "whisper" or "en" in model.languages
    support = msgspec.structs.replace(
        pattern.support,
        punctuate="ignored" if model.backend in ("pocketsphinx", "sherpa") else "native",
        words="native" if has_words else "ignored",
        language_auto="native" if model.backend == "whisper" else pattern.support.language_auto,
    )
    return msgspec.structs.replace(pattern, id=model.id, languages=model.languages, support=support)


async def status(url: str) -> Status | None:
    """What the engine at this base URL says of itself; None: it does not answer."""
    with trio.move_on_after(ASK_S):
        try:
            async with trio.open_nursery() as nursery:
                websocket = await connect_websocket_url(nursery, url + STATUS_PATH)
                said = await websocket.get_message()
                nursery.cancel_scope.cancel()
                return msgspec.json.decode(said, type=Status)
        except* (OSError, ConnectionClosed, HandshakeError, msgspec.DecodeError):
            pass  # not there, or something else
    return None
