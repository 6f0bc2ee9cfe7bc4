"""Where a running service keeps its state, for commands that work on the same store.

A service's state folder comes from its unit (`StateDirectory=`) and is not written in the configuration. A command that
an administrator runs on the same file would otherwise open a store of its own in that person's home, and make keys that
the daemon does not know.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

RECORD: Final = "routeraudio-daemon.json"
"""In the unit's `RuntimeDirectory=`."""

ETC: Final = Path("/etc/routeraudio")
"""`ConfigurationDirectory=` of the unit that is shipped."""

VAR: Final = Path("/var/lib/routeraudio")
"""`StateDirectory=` of the unit that is shipped. Made here before the unit has ever run, systemd takes it over."""

RUN: Final = Path("/run")


class Record(msgspec.Struct, frozen=True):
    """What a daemon says of itself."""

    pid: int
    config: str | None
    """Absolute path of its configuration file."""
    state: str
    """Absolute path of its state folder."""


class State(msgspec.Struct, frozen=True):
    """A state folder, and how it was found."""

    folder: Path
    why: str


@contextmanager
def recorded(config: Path | None, environ: Mapping[str, str]) -> Iterator[None]:
    """Say where this daemon keeps its state, while it runs; nothing outside a unit that has both folders."""
    runtime, state = environ.get("RUNTIME_DIRECTORY"), environ.get("STATE_DIRECTORY")
    if not runtime or not state:
        yield
        return
    said = Record(os.getpid(), None if config is None else str(config.resolve()), state.split(":")[0])
    path = Path(runtime.split(":")[0], RECORD)
    path.write_bytes(msgspec.json.encode(said))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def find_state(
    config: Path | None,
    environ: Mapping[str, str],
    *,
    is_root: bool,
    run: Path = RUN,
    etc: Path = ETC,
    var: Path = VAR,
) -> State | None:
    """The state folder of the service that uses this configuration; None: the caller's own is meant.

    In this order: of a daemon that runs with this file; of the unit that is shipped, for its configuration.
    """
    if config is None or environ.get("STATE_DIRECTORY"):
        return None
    path = config.resolve()
    for said in _records(run):
        if said.config == str(path) and Path(f"/proc/{said.pid}").exists():
            return State(Path(said.state), f"of the running daemon (process {said.pid})")
    if is_root and path.is_relative_to(etc):
        return State(var, "of routeraudio.service")
    return None


def hand_over(folder: Path) -> None:
    """Give what root has made in a service's state folder to the folder's owner, who must write it later."""
    owner = folder.stat()
    for path in (folder, *folder.rglob("*")):
        found = path.lstat()
        if (found.st_uid, found.st_gid) != (owner.st_uid, owner.st_gid):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _records(run: Path) -> list[Record]:
    found = []
    for path in run.glob(f"*/{RECORD}"):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=Record))
        except (OSError, msgspec.MsgspecError):
            continue  # not ours to read, or gone meanwhile
    return found
