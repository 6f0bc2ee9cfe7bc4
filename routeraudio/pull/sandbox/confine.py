"""What a decoder process takes from itself before it meets a stranger's bytes.

Memory-safety faults in demuxers and decoders are found every year. So a decoder has no secrets in its environment, no
files worth reading in its folder, bounds on memory, processor time and descriptors, no way to more rights, and, where
the kernel lets a plain user have a network namespace, no network but the sockets that the daemon hands it.

It ends with the daemon by noticing that its standard input has closed. The kernel's own way (PR_SET_PDEATHSIG) means
the *thread* that started the process, which in the daemon is a worker thread that ends whenever Trio likes.
"""

import ctypes
import os
import resource
import tempfile
import threading
from typing import Final

from routeraudio.pull.sandbox.isolate import isolate
from routeraudio.pull.wire import Job

PR_SET_NO_NEW_PRIVS: Final = 38
"""prctl(2)."""

DESCRIPTORS: Final = 64
"""Three pipes, the control socket, a playlist, a segment, a key, the loopback pair, libraries being loaded."""


def confine(job: Job) -> bool:
    """Give up what the job does not need; whether the network was part of it. Before any thread is started."""
    _leave_the_folder()  # before it may not write any more: it makes one first
    _limit(resource.RLIMIT_AS, job.memory_bytes)
    _limit(resource.RLIMIT_CPU, job.cpu_s)
    _limit(resource.RLIMIT_NOFILE, DESCRIPTORS)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return isolate()


def end_with_the_daemon() -> None:
    """From now on this process ends when its standard input does."""
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)


def _limit(what: int, most: int) -> None:
    _soft, hard = resource.getrlimit(what)
    allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (allowed, allowed))


def _leave_the_folder() -> None:
    """Stand in an empty folder that nobody else can enter, because it is gone already."""
    try:
        folder = tempfile.mkdtemp()
    except OSError:
        os.chdir("/")  # nowhere to make one; libav has no file protocol here anyway
        return
    os.chdir(folder)
    os.rmdir(folder)
