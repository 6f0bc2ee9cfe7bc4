"""The service manager's notification protocol (sd_notify(3), sd_watchdog_enabled(3)), also from workers to parent."""

import os
import socket
import time
from collections.abc import Mapping
from typing import Final

import structlog

log = structlog.get_logger(__name__)

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
ALIVE: Final = "WATCHDOG=1"

ENVIRONMENT: Final = (
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
)
"""What a manager says to one process and what its children must not take for themselves."""


def notify(state: str) -> None:
    """Tell the manager; without one nothing happens."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    with socket.socket(
        socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    ) as sock:
        try:
            sock.connect("\0" + path[1:] if path.startswith("@") else path)
            sock.sendall(state.encode())
        except OSError as exc:
            log.warning("notify_failed", why=(exc.strerror or "unknown").lower())


def reloading() -> str:
    """What `notify` says before a reload; `reloaded` follows. systemd wants the time with it (sd_notify(3))."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"


def reloaded(refused: str | None) -> str:
    """The reload is over; ``refused`` says why nothing has changed, for `systemctl status`."""
    status = "" if refused is None else f"reload refused, the old configuration stays: {refused}"
    return f"{READY}\nSTATUS={status.splitlines()[0] if status else ''}"


def watchdog_s(environ: Mapping[str, str]) -> float | None:
    """How long the manager waits for `ALIVE` before it restarts the service; None: it does not watch."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    text = environ.get("WATCHDOG_USEC", "")
    return int(text) / 1_000_000 if text.isdecimal() and int(text) else None
