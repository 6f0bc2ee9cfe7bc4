"""What the processes of the engine are told by their environment: where things are, and no secret of the daemon's.

They load models and libraries of others and hear strangers' audio; provider keys, which may stand in the daemon's
environment, are nothing to them.
"""

import os
from typing import Final

from routeraudio.engine import weights

KEPT: Final = (
    *("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ", "XDG_CACHE_HOME", "HF_HOME"),
    *("PYTHONPATH", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", weights.VARIABLE),
)


def environment() -> dict[str, str]:
    """Of a process that is started now."""
    return {name: os.environ[name] for name in KEPT if name in os.environ}
