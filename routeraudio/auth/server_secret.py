"""Where the server's secret comes from: the configuration, else a file beside the database, made at the first start."""

import os
import secrets
import tempfile
from pathlib import Path
from typing import Final

from routeraudio.config.files import SECRET_BYTES_MAX
from routeraudio.config.schema import Config, store_url
from routeraudio.config.state import database_file, is_in_memory, make_folder
from routeraudio.model.errors import ConfigFault
from routeraudio.policy.secrets import Secrets, ServerSecret, parse
from routeraudio.store.contract import Store

SECRET_RANDOM_BYTES: Final = 48
"""64 characters of base64."""


def open_secrets(config: Config) -> Secrets:
    """What this daemon, and every other one on the same store, signs and hashes with.

    Without one in the configuration: a file beside an SQLite database, made when it is not there; for a database in
    memory, which forgets its keys with the process, a secret that is forgotten too.

    Raises:
        ConfigFault: saying what to do.
    """
    if config.access.token_secret is not None:
        return Secrets(parse(config.access.token_secret.reveal()))
    url = store_url(config.store)
    if is_in_memory(url):
        return Secrets(parse(_new()))
    file = database_file(url)
    if file is None:
        raise ConfigFault(
            "access.token_secret_file: is missing; daemons that share a PostgreSQL database need the same secret: "
            "put 32 random characters or more into a file, and the same file on every node"
        )
    return Secrets(_kept(Path(f"{file}.secret")))


def check_secret(store: Store, secrets: Secrets) -> None:
    """Refuse to work on a database whose keys were made with another secret: every one of them would be unknown.

    Raises:
        ConfigFault: saying what to do.
        StoreUnavailable: the database does not answer.
    """
    if not store.adopt_secret(secrets.fingerprints):
        raise ConfigFault(
            f"the router keys in {store.name} were made with another server secret (access.token_secret_file, or the "
            f"file DATABASE.secret beside an SQLite database), and would all be unknown; put back the secret that "
            f"was in use, or add it as a further line"
        )


def _kept(path: Path) -> tuple[ServerSecret, ...]:
    try:
        make_folder(path.parent)
        if not path.exists():
            _make(path)
        with path.open("rb") as file:
            return parse(file.read(SECRET_BYTES_MAX + 1).decode("latin-1"))
    except OSError as error:
        raise ConfigFault(f"{path}: the server's secret cannot be kept there: {error.strerror}") from None
    except ValueError as error:
        raise ConfigFault(f"{path}: {error}") from None


def _make(path: Path) -> None:
    """Whole or not at all, and once: of several processes that start together all read what the first has written."""
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # for its owner only
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{_new()}\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)


def _new() -> str:
    return secrets.token_urlsafe(SECRET_RANDOM_BYTES)
