"""Listening sockets: those systemd has passed, else those the configuration names."""

import errno
import os
import socket
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import trio

from routeraudio.config.address import Tcp, Unix, parse
from routeraudio.model.errors import ConfigFault
from routeraudio.transport.tls import set_options

FIRST_PASSED_FD: Final = 3
"""sd_listen_fds(3)."""


async def open_listeners(bind: Sequence[str], environ: Mapping[str, str]) -> list[trio.SocketListener]:
    """Open what ``bind`` says, unless systemd has passed sockets: those win, and a restart refuses no connection.

    Raises:
        ConfigFault: an address that cannot be had.
    """
    listeners = _passed(environ) or await bound(bind)
    for listener in listeners:
        set_options(listener.socket)  # type: ignore[arg-type] # Trio's socket has the same methods
    return listeners


async def bound(bind: Sequence[str], key: str = "server.bind") -> list[trio.SocketListener]:
    """Open what ``bind`` says.

    Args:
        key: of the configuration, where it stands.

    Raises:
        ConfigFault: an address that cannot be had.
    """
    listeners: list[trio.SocketListener] = []
    for text in bind:
        address = parse(text)
        try:
            if isinstance(address, Tcp):
                listeners += await trio.open_tcp_listeners(address.port, host=address.host)
            else:
                listeners.append(_unix(address))
        except OSError as exc:
            for listener in listeners:
                listener.socket.close()
            raise ConfigFault(
                f"{key}: cannot listen on {text!r}: {(exc.strerror or 'unknown host').lower()}"
            ) from exc
    return listeners


def names(listeners: Sequence[trio.SocketListener]) -> list[str]:
    """The bound addresses as people write them."""
    return [_name(listener.socket.getsockname()) for listener in listeners]


def _name(address: object) -> str:
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"unix:{address}"


def inherited(descriptors: Iterable[int]) -> list[trio.SocketListener]:
    """Listening sockets that this process was started with.

    Raises:
        OSError: one of ``descriptors`` is no socket.
    """
    sockets = [socket.socket(fileno=fd) for fd in descriptors]
    for sock in sockets:
        sock.setblocking(False)
    return [trio.SocketListener(trio.socket.from_stdlib_socket(sock)) for sock in sockets]


def _passed(environ: Mapping[str, str]) -> list[trio.SocketListener]:
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = environ.get("LISTEN_FDS", "0")
    try:
        return inherited(range(FIRST_PASSED_FD, FIRST_PASSED_FD + int(count)))
    except (ValueError, OSError):
        raise ConfigFault(
            f"LISTEN_FDS: expected the number of sockets that systemd has passed, got {count!r}"
        ) from None


def _unix(address: Unix) -> trio.SocketListener:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(Path(address.path))
        sock.bind(address.path)
        sock.listen(socket.SOMAXCONN)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return trio.SocketListener(trio.socket.from_stdlib_socket(sock))


def _remove_stale(path: Path) -> None:
    """Remove a socket file without a listener: a daemon that was killed leaves one behind."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(str(path)) == errno.ECONNREFUSED:
            path.unlink()
