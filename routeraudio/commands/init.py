"""`routeraudio init`: a configuration to start from, and on request everything else a server needs."""

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from routeraudio.commands.errors import DONE, usage

CONFIG: Final = "conf/routeraudio.toml"

INSTANCE: Final = (
    ("Description=routeraudio, one WebSocket endpoint", "Description=routeraudio %i, one WebSocket endpoint"),
    ("StateDirectory=routeraudio", "StateDirectory=routeraudio-%i"),
    (
        "RuntimeDirectory=routeraudio",
        "RuntimeDirectory=routeraudio-%i\n"
        "# All instances take connections from one socket, and share a PostgreSQL store, in which each has a name.\n"
        "Sockets=routeraudio.socket\n"
        "Environment=ROUTERAUDIO__SERVER__NODE=%H-%i",
    ),
)
"""What `routeraudio@.service` says differently from `routeraudio.service`."""


def init(folder: Path = Path(), /, *, everything: bool = False) -> int:
    """Write an annotated configuration file: every key with its default and a line of explanation.

    Parameters
    ----------
    folder
        Where to write; made if it is missing. No file is overwritten.
    everything
        Also units for systemd, and examples for HAProxy, nginx and Caddy.
    """
    wanted = dict(shipped()) if everything else {CONFIG: dict(shipped())[CONFIG]}
    targets = {folder / Path(name).name: content for name, content in wanted.items()}
    there = [str(path) for path in targets if path.exists()]
    if there:
        raise usage(f"{', '.join(there)}: already there, and not overwritten; name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in targets.items():
            path.write_text(content)
            print(path)
    except OSError as error:
        raise usage(f"{folder} cannot be written: {error.strerror}") from None
    return DONE


def shipped() -> Iterator[tuple[str, str]]:
    """Names (`conf/…`, `systemd/…`) and contents of the files that come with the package."""
    for room in ("conf", "systemd"):
        for file in sorted(_share().joinpath(room).iterdir(), key=lambda one: one.name):
            yield f"{room}/{file.name}", file.read_text()
    unit = _share().joinpath("systemd", "routeraudio.service").read_text()
    yield "systemd/routeraudio@.service", instance_unit(unit)


def instance_unit(unit: str) -> str:
    """`routeraudio@.service`, made from `routeraudio.service` so that the two stay the same."""
    for old, new in INSTANCE:
        assert old in unit, old
        unit = unit.replace(old, new)
    return unit


def _share() -> Traversable:
    """Inside the package where it is installed; beside it in a checkout."""
    installed = resources.files("routeraudio").joinpath("share")
    return installed if installed.is_dir() else Path(__file__).parents[2]
