"""What was read, and where each part of it came from, so that every error can name the place to correct."""

from collections.abc import Mapping
from typing import Final

import msgspec

from routeraudio.model.errors import ConfigFault

Path = tuple[str | int, ...]
"""Where a value stands: `("server", "bind")`, `("keys", 0, "id")`."""


def dotted(path: Path) -> str:
    """The path as people write it: `server.bind`, `keys[0].id`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


class ValueFault(ConfigFault):
    """A value that cannot be used, and where it stands."""

    def __init__(self, place: str, path: Path, message: str) -> None:
        super().__init__(": ".join(filter(None, (place, dotted(path), message))))
        self.path = dotted(path)


class Source(msgspec.Struct, frozen=True):
    """Values as read, before any type is checked."""

    values: dict[str, object]
    file: str
    """The file's name, or what stands for it when there is none."""
    variables: Mapping[Path, str] = {}
    """Environment variable that set the value at a path."""

    def place(self, path: Path) -> str:
        """The file or environment variable that is responsible for a path."""
        exact = self.variables.get(path)
        inside = (name for at, name in self.variables.items() if at[: len(path)] == path)
        variable = exact or (None if path == () else next(inside, None))
        return self.file if variable is None else f"environment variable {variable}"

    def fault(self, path: Path, message: str) -> ValueFault:
        """The error to raise about the value at ``path``."""
        return ValueFault(self.place(path), path, message)


NO_FILE: Final = "no configuration file"
