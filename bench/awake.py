"""Keeps a core from sleeping: a loop that runs only when nobody else wants the core.

Waking a core is part of the price of a message, and not the same part everywhere. With this loop (scheduling
class SCHED_IDLE, so everything else preempts it at once) the proxy's core never sleeps. It ends with its
standard input.
"""

import os
import select
import sys


def main() -> None:
    """Entry point of the process."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    while not select.select([sys.stdin], [], [], 0)[0]:
        for _ in range(1_000_000):
            pass


if __name__ == "__main__":
    main()
