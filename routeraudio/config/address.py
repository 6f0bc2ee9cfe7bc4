"""Where a listener binds, as text in the configuration and as a value in the daemon."""

import re
from typing import Final

import msgspec

ALLOWED: Final = '"host:port", "[IPv6]:port" or "unix:/absolute/path"'

_TCP = re.compile(r"^(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:\[\]/]+)):(?P<port>[0-9]{1,5})\Z")
_PATH_BYTES_MAX: Final = 107
"""`sockaddr_un.sun_path` on Linux, less the closing zero (unix(7))."""


class Tcp(msgspec.Struct, frozen=True):
    """A TCP listener; port 0 lets the kernel choose."""

    host: str
    port: int


class Unix(msgspec.Struct, frozen=True):
    """A listener in the file system."""

    path: str


def parse(text: str) -> Tcp | Unix:
    """Read one entry of `server.bind`.

    Raises:
        ValueError: naming what is allowed.
    """
    if text.startswith("unix:"):
        return _unix(text.removeprefix("unix:"))
    match = _TCP.match(text)
    if match is None or int(match["port"]) > 65_535:
        raise ValueError(f"expected {ALLOWED}")
    return Tcp(match["ipv6"] or match["host"], int(match["port"]))


def _unix(path: str) -> Unix:
    if not path.startswith("/"):
        raise ValueError(f"expected {ALLOWED}")
    if len(path.encode()) > _PATH_BYTES_MAX:
        raise ValueError(f"a socket's path may have at most {_PATH_BYTES_MAX} bytes")
    return Unix(path)
