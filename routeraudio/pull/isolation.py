"""Whether decoders can be kept from the network on this machine, found out at the start and not by the first attack."""

import subprocess
import sys
from typing import Final

import trio

from routeraudio.pull.sandbox import isolate

TRY_S: Final = 5.0
"""For an interpreter without a library."""


async def can_isolate() -> bool:
    """Whether a process started from here may leave the network, as each decoder does."""
    with trio.move_on_after(TRY_S):
        done = await trio.run_process(
            [sys.executable, "-I", "-S", isolate.__file__],
            check=False,
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return done.returncode == 0
    return False
