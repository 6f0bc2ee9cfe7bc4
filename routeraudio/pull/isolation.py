"""Whether decoders can be kept from the network on this machine, found out at the start and not by the first attack."""

import subprocess
import sys
from typing import Final

import structlog

from routeraudio.pull.sandbox import isolate

log = structlog.get_logger(__name__)

TRY_S: Final = 5.0
"""For an interpreter without a library, which takes hundredths of a second."""


def can_isolate() -> bool:
    """Whether a process started from here may leave the network, as each decoder does; if not, the log says so.

    Blocks for some hundredths of a second: for a daemon that does not serve yet.
    """
    is_possible = _try()
    if not is_possible:
        log.warning(
            "decoders_not_isolated",
            why="this machine lets no process have a network namespace of its own",
            next="sources are taken from pull.allow_networks only; see docs/pull.md",
        )
    return is_possible


def _try() -> bool:
    try:
        done = subprocess.run(  # noqa: S603  (our own program)
            [sys.executable, "-I", "-S", isolate.__file__],
            check=False,
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=TRY_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
