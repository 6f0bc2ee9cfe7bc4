"""Runs a Python module under cProfile, but profiles only between two signals.

`python -m bench._profiled FILE MODULE ARGUMENT…`: SIGUSR1 begins (start-up and imports stay out), SIGUSR2
ends and writes the figures to FILE. Only the main thread is profiled, which is where sessions live.
"""

import cProfile
import os
import runpy
import signal
import sys
from types import FrameType


def main() -> None:
    """Entry point of the process."""
    target, module, *arguments = sys.argv[1:]
    profiler = cProfile.Profile()

    def begin(_number: int, _frame: FrameType | None) -> None:
        profiler.enable()

    def end(_number: int, _frame: FrameType | None) -> None:
        profiler.disable()
        profiler.dump_stats(f"{target}.part")
        os.replace(f"{target}.part", target)  # whoever waits for the file gets all of it

    signal.signal(signal.SIGUSR1, begin)
    signal.signal(signal.SIGUSR2, end)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
