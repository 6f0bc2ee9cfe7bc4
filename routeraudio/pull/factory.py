"""From the configuration to a registry."""

from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from routeraudio.config.schema import Config, Pull, Store, store_url
from routeraudio.config.state import database_file
from routeraudio.pull.guard import Guard, guarded_client
from routeraudio.pull.registry import Registry
from routeraudio.pull.source_reader import Bounds
from routeraudio.workers.context import ALONE, Place

FOLDER: Final = "pull"

CPU_SHARE: Final = 4
"""A decoder may use a quarter of a processor over a task's length; MP3 and AAC take one per cent."""


def guard(pull: Pull, *, is_isolating: bool = True) -> Guard:
    """What connects for tasks."""
    return Guard([ip_network(text) for text in pull.allow_networks], is_isolating=is_isolating)


def registry(config: Config, guard: Guard, secret: Callable[[str], bytes], place: Place = ALONE) -> Registry:
    """The registry of this process.

    Args:
        secret: an account → what its callbacks are signed with.
        place: which of several processes this is.
    """
    pull = config.pull
    return Registry(
        folder(pull, config.store),
        guard=guard,
        bounds=bounds(pull),
        client=guarded_client(guard, pull.webhook_s),
        secret=secret,
        answer_s=pull.webhook_s,
        queue_bytes=pull.queue_bytes,
        tasks_max=place.share(pull.tasks_max),
        tasks_per_account_max=place.share(pull.tasks_per_account_max),
    )


def bounds(pull: Pull) -> Bounds:
    """What a source may take."""
    return Bounds(
        first_audio_s=pull.first_audio_s,
        stall_s=pull.stall_s,
        retries_max=pull.retries_max,
        memory_bytes=pull.decoder_bytes,
        cpu_s=max(60, int(pull.task_s / CPU_SHARE)),
    )


def folder(pull: Pull, store: Store) -> Path | None:
    """Where records of tasks are kept; None: nowhere, like keys and usage of a daemon whose store is its memory."""
    if pull.state_dir is not None:
        return Path(pull.state_dir)
    if store.spool_dir is not None:
        return Path(store.spool_dir).parent / FOLDER
    database = database_file(store_url(store))
    return None if database is None else database.parent / FOLDER
