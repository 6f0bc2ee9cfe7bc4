"""The process that loads the model once and forks a worker per recognition: `python -m routeraudio.engine.zygote
FD MODEL`.

Forking is safe here and nowhere else: this process has one thread, no event loop and no library that keeps threads. A
library that does keep some is loaded by each worker for itself, behind the fork.

MODEL is a `loading.Model` in JSON. FD is a sequenced-packet socket. It says `READY` once, takes `FORK` with one
descriptor each, and ends the process when its other side closes.
"""

import gc
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from functools import partial

import msgspec

from routeraudio.engine import wire
from routeraudio.engine.faults import EngineFault
from routeraudio.engine.loading import Loaded, Model, is_forkable, load
from routeraudio.engine.worker import work


def main(control: socket.socket, model: Model) -> None:
    """Serve `control` until its other side closes."""
    # A core file would hold what somebody said.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # An interrupt at the terminal reaches everybody; the pool decides when work ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The kernel buries dead workers; their pools see their sockets end.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    give = partial(load, model)
    if is_forkable(model):
        loaded = give()
        give = partial(_same, loaded)
    # What exists now is never collected: its pages stay shared with the workers.
    gc.freeze()
    control.send(wire.READY)
    while True:
        _, descriptors, _, _ = socket.recv_fds(control, len(wire.FORK), 1)
        if not descriptors:
            return
        with socket.socket(fileno=descriptors[0]) as session:
            _fork(control, session, give)


def _same(loaded: Loaded) -> Loaded:
    return loaded


def _fork(control: socket.socket, session: socket.socket, give: Callable[[], Loaded]) -> None:
    try:
        pid = os.fork()
    except OSError as error:
        # The pool sees its socket end before a hello and says so.
        print(f"routeraudio engine: cannot start a recogniser: {error.strerror}", file=sys.stderr)
        return
    if pid == 0:
        control.close()
        os._exit(_run(session, give))


def _run(session: socket.socket, give: Callable[[], Loaded]) -> int:
    """The worker's whole life; nothing may escape into the zygote's own loop."""
    try:
        work(session, give)
    except ConnectionError:
        return 0
    except BaseException as error:  # noqa: BLE001  (a fork must end here, whatever happened)
        # The place, not the text: an exception's text could hold what somebody said.
        print(f"routeraudio engine: a recogniser ended with {type(error).__name__}", file=sys.stderr)
        traceback.print_tb(error.__traceback__)
        return 1
    return 0


if __name__ == "__main__":
    try:
        main(
            socket.socket(fileno=int(sys.argv[1])),
            msgspec.json.decode(sys.argv[2], type=Model),
        )
    except EngineFault as fault:
        raise SystemExit(f"routeraudio engine: {fault}") from None
