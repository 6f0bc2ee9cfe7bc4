"""Where the daemon keeps persistent state: the database, and usage that could not be written to it yet."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from routeraudio.config.schema import Store
from routeraudio.config.secret import Secret

SQLITE: Final = "sqlite://"
"""What follows is an absolute path, or nothing: a database in memory."""

DATABASE: Final = "routeraudio.db"

SPOOL: Final = "spool"


def placed(store: Store, beside: Path, environ: Mapping[str, str]) -> Store:
    """The table with its defaults and with absolute paths. Creates nothing.

    Args:
        beside: the configuration's folder, where a relative `spool_dir` begins.
    """
    folder = state_folder(environ)
    url = f"{SQLITE}{folder / DATABASE}" if store.url is None else store.url.reveal()
    file = database_file(url)
    default = None if is_in_memory(url) else (folder if file is None else file.parent) / SPOOL
    spool = default if store.spool_dir is None else beside.resolve() / store.spool_dir
    return msgspec.structs.replace(store, url=Secret(url), spool_dir=str(spool) if spool else None)


def state_folder(environ: Mapping[str, str]) -> Path:
    """Systemd's `StateDirectory=`, else the user's (XDG Base Directory Specification 0.8)."""
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    home = environ.get("XDG_STATE_HOME", "")
    # The specification has relative paths ignored.
    return (Path(home) if home.startswith("/") else Path.home() / ".local" / "state") / "routeraudio"


def database_file(url: str) -> Path | None:
    """The file of an SQLite address; None: it is no file."""
    path = url.removeprefix(SQLITE).lstrip("/")
    return Path("/") / path if url.startswith(SQLITE) and path else None


def is_in_memory(url: str) -> bool:
    """Whether the database ends with its process."""
    return url.startswith(SQLITE) and database_file(url) is None


def make_folder(folder: Path) -> None:
    """Create a folder that only its owner may enter, with those above it; one that exists stays as it is.

    Raises:
        OSError: it cannot be created.
    """
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        os.makedirs(folder, mode=0o700, exist_ok=True)
