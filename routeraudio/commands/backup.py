"""`routeraudio backup` and `routeraudio restore`: the embedded store and its secret in one file.

A database without the secret that its keys are hashed with opens for nobody, so both go into one tar archive, readable
by its owner only. PostgreSQL is saved by its own programs (docs/operations.md).
"""

import io
import os
import sqlite3
import tarfile
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from routeraudio import __version__
from routeraudio.commands.admin_store import open_admin_store, service_of
from routeraudio.commands.check_config import checked
from routeraudio.commands.errors import DONE, Trouble, usage
from routeraudio.config.running import hand_over
from routeraudio.config.schema import Config, store_url
from routeraudio.config.state import database_file, make_folder
from routeraudio.store.sql.sqlite import is_in_use

DATABASE: Final = "routeraudio.db"
SECRET: Final = "routeraudio.db.secret"  # noqa: S105  (a file's name)
ABOUT: Final = "about.json"

MEMBER_BYTES_MAX: Final = 1 << 40
"""A damaged archive is refused, not unpacked until the disk is full; a ledger line is some 300 bytes."""


class About(msgspec.Struct, frozen=True):
    """What an archive says of itself."""

    version: str
    made_at_s: int


def backup(file: Path, /, *, config: Path | None = None) -> int:
    """Save keys, used tokens and the usage ledger with the server's secret, while the daemon runs or not.

    Parameters
    ----------
    file
        The archive to write; it must not exist. It holds secrets: keep it like a key.
    config
        The daemon's configuration file; without one, defaults and the environment.
    """
    with open_admin_store(config) as admin:
        source = _file_of(admin.config)
        secret = Path(f"{source}.secret")
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            copy = Path(folder, DATABASE)
            with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(copy)) as saved:
                live.backup(saved)
                # One file, without a log beside it.
                saved.execute("PRAGMA journal_mode=DELETE")
            _write(file, copy, secret if secret.is_file() else None)
    where = "" if secret.is_file() else "; the server's secret is in the configuration: save that too"
    print(f"{file}: saved {source}{where}")
    return DONE


def restore(file: Path, /, *, config: Path | None = None, replace: bool = False) -> int:
    """Put back what `routeraudio backup` has saved. The daemon must not run.

    Parameters
    ----------
    file
        The archive.
    config
        The daemon's configuration file; without one, defaults and the environment.
    replace
        Replace a database that is there; it is kept beside as `.replaced`.
    """
    service, environ = service_of(config)
    target = _file_of(checked(config, environ))
    if target.exists() and is_in_use(target):
        raise usage(f"{target} is in use; stop the daemon first")
    if target.exists() and not replace:
        raise usage(f"{target} is there already; --replace keeps it beside as {target.name}.replaced")
    make_folder(target.parent)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        about = _unpack(file, Path(folder))
        _check(Path(folder, DATABASE), file)
        for name, place in ((DATABASE, target), (SECRET, Path(f"{target}.secret"))):
            if place.exists() and (Path(folder, name).exists() or name == DATABASE):
                os.replace(place, f"{place}.replaced")
            if Path(folder, name).exists():
                os.replace(Path(folder, name), place)
        for left in (Path(f"{target}-wal"), Path(f"{target}-shm")):
            left.unlink(missing_ok=True)
    if service is not None:
        hand_over(service.folder)
    made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(about.made_at_s))
    print(f"{target}: restored from {file}, saved {made} by routeraudio {about.version}")
    return DONE


def _file_of(config: Config) -> Path:
    file = database_file(store_url(config.store))
    if file is None:
        raise usage("store.url: only SQLite is saved here; for PostgreSQL use pg_dump and pg_restore")
    return file


def _write(file: Path, database: Path, secret: Path | None) -> None:
    about = msgspec.json.encode(About(__version__, int(time.time())))
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise usage(f"{file} exists; name another file") from None
    except OSError as error:
        raise usage(f"{file} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as raw, tarfile.open(fileobj=raw, mode="w:gz") as archive:
            info = tarfile.TarInfo(ABOUT)
            info.size = len(about)
            archive.addfile(info, io.BytesIO(about))
            archive.add(database, DATABASE)
            if secret is not None:
                archive.add(secret, SECRET)
            raw.flush()
            os.fsync(raw.fileno())
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _unpack(file: Path, folder: Path) -> About:
    """The archive's three members into ``folder``; nothing else of it is looked at."""
    try:
        with tarfile.open(file) as archive:
            members = {one.name: one for one in archive.getmembers() if one.isfile()}
            for name in (DATABASE, SECRET):
                if (member := members.get(name)) is not None and member.size < MEMBER_BYTES_MAX:
                    member.mode = 0o600
                    archive.extract(member, folder, filter="data")
            about = archive.extractfile(members[ABOUT])
            assert about is not None  # a file
            return msgspec.json.decode(about.read(65_536), type=About)
    except (OSError, EOFError, tarfile.TarError, KeyError, msgspec.MsgspecError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise usage(f"{file}: no archive of routeraudio backup, or a damaged one ({why})") from None


def _check(database: Path, file: Path) -> None:
    try:
        with closing(sqlite3.connect(database)) as connection:
            (answer,) = connection.execute("PRAGMA quick_check").fetchone()
    except sqlite3.Error as error:
        answer = type(error).__name__
    if answer != "ok":
        raise Trouble(
            f"{file}: the database in it is damaged ({str(answer).splitlines()[0]}); nothing was changed"
        )
