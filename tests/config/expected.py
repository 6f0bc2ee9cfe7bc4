"""What a configuration becomes that says nothing of its store."""

from typing import Any

from routeraudio.config.schema import Config, Store
from routeraudio.config.secret import Secret

ENVIRON = {"STATE_DIRECTORY": "/state"}
"""As systemd sets it."""


def expected(**tables: Any) -> Config:
    """The configuration with these tables, loaded under `ENVIRON`."""
    store = Store(url=Secret("sqlite:///state/routeraudio.db"), spool_dir="/state/spool")
    return Config(**{"store": store, **tables})
