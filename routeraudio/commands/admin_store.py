"""The store of a configuration, for administration commands, whether or not a daemon runs on it."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy.engine import make_url

from routeraudio.auth.key_admin import KeyAdmin, NoSuchKey
from routeraudio.auth.server_secret import check_secret, open_secrets
from routeraudio.commands.check_config import checked
from routeraudio.commands.errors import Trouble, usage
from routeraudio.config.running import State, find_state, hand_over
from routeraudio.config.schema import Config, store_url
from routeraudio.config.state import database_file, is_in_memory
from routeraudio.model.errors import ConfigFault, Fault
from routeraudio.policy.secrets import Secrets
from routeraudio.store.contract import NewerSchema, Store, StoreUnavailable
from routeraudio.store.selection import open_configured_store

ACTOR: Final = "cli"


class AdminStore(msgspec.Struct, frozen=True):
    """An open store, and what is needed to work on it."""

    config: Config
    secrets: Secrets
    store: Store

    @property
    def keyring(self) -> KeyAdmin:
        """The store's keys."""
        return KeyAdmin(self.store, self.secrets, actor=ACTOR, wall=time.time)


@contextmanager
def open_admin_store(config: Path | None) -> Iterator[AdminStore]:
    """The store that the daemon of this configuration uses; says on standard error which one that is.

    Raises:
        Trouble: whatever goes wrong in the block that a person can do something about.
    """
    service, environ = service_of(config)
    loaded = checked(config, environ)
    url = store_url(loaded.store)
    if is_in_memory(url):
        raise usage("store.url: this store is in the daemon's memory, where no command can reach it")
    try:
        secrets = open_secrets(loaded)
        store = open_configured_store(loaded)
        _say_where(url, service)
        try:
            store.migrate()
            check_secret(store, secrets)
            yield AdminStore(loaded, secrets, store)
        finally:
            store.close()
            if service is not None and service.folder.is_dir() and database_file(url) is not None:
                hand_over(service.folder)
    except (ConfigFault, NewerSchema, Fault) as fault:
        raise usage(str(fault)) from None
    except NoSuchKey:
        raise usage("there is no key of that id; routeraudio keys list shows all") from None
    except StoreUnavailable as fault:
        raise Trouble(str(fault)) from None


def service_of(config: Path | None) -> tuple[State | None, Mapping[str, str]]:
    """The service that uses this configuration, if one does, and the environment to read the file with."""
    service = find_state(config, os.environ, is_root=os.geteuid() == 0)
    return service, os.environ if service is None else {**os.environ, "STATE_DIRECTORY": str(service.folder)}


def _say_where(url: str, service: State | None) -> None:
    """Without a password."""
    place = database_file(url) or make_url(url).render_as_string(hide_password=True)
    print(f"store: {place}{f', {service.why}' if service else ''}", file=sys.stderr)


def pairs(texts: list[str]) -> dict[str, object]:
    """`name=value` texts as a dictionary.

    Raises:
        Trouble: one has no `=`.
    """
    found: dict[str, object] = {}
    for text in texts:
        name, is_there, value = text.partition("=")
        if not (name and is_there):
            raise usage(f"--metadata: expected name=value, got {text!r}")
        found[name] = value
    return found


def split(text: str | None) -> list[str] | None:
    """Names with commas between; None stays None."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]
