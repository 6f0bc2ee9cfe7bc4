"""One recognition in a process of its own: forked by the zygote, ended by its pool. Blocking, without Trio.

It dies when its pool has gone (its socket ends), when one step takes absurdly long, and after its last word.
"""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Final, assert_never

from routeraudio.engine import wire
from routeraudio.engine.loading import Loaded
from routeraudio.engine.recogniser import Recogniser

STEP_CPU_S: Final = 60.0
"""Processor time one answer may take. The longest honest one, 15 s of speech by Whisper, takes some 3 s; processor
time does not count what a busy machine spends elsewhere."""

NICENESS: Final = 10
"""Recognition gives way to the daemon, which must stay prompt for everybody."""


def work(session: socket.socket, load: Callable[[], Loaded]) -> None:
    """Serve one recognition until `Finish` or until the pool closes.

    Args:
        load: gives the model, loaded before the fork or now.

    Raises:
        OSError: the pool has gone.
    """
    os.nice(NICENESS)
    loaded = load()
    _say_hello(session)
    commands = _commands(session)
    wish = next(commands, None)
    if not isinstance(wish, wire.Wish):
        return
    recogniser = Recogniser(loaded.ear, loaded.detector(), wish)
    for command in commands:
        for answer in _watched(_step(recogniser, command)):
            session.send(wire.encode(answer))


def _say_hello(session: socket.socket) -> None:
    """Give the pool a descriptor of this process: unlike a number, it can never mean another process later."""
    descriptor = os.pidfd_open(os.getpid())
    socket.send_fds(session, [wire.HELLO], [descriptor])
    os.close(descriptor)


def _commands(session: socket.socket) -> Iterator[wire.Command]:
    while packet := session.recv(wire.PACKET_BYTES_MAX):
        yield wire.decode_command(packet)


def _step(recogniser: Recogniser, command: wire.Command) -> Iterator[wire.Answer]:
    match command:
        case wire.Audio(pcm, sent_s):
            yield from recogniser.push(pcm, monotonic() - sent_s)
        case wire.Finalize():
            yield from recogniser.finalize()
        case wire.Finish():
            yield from recogniser.finish()
        case wire.Wish():
            raise ValueError("the pool said its wish twice")
        case _:
            assert_never(command)


def _watched(answers: Iterator[wire.Answer]) -> Iterator[wire.Answer]:
    """The same answers; a step that computes for too long ends the process (SIGPROF's default action).

    The timer rests while an answer is being sent: a reader that is slow is no fault of ours.
    """
    while True:
        signal.setitimer(signal.ITIMER_PROF, STEP_CPU_S)
        answer = next(answers, None)
        signal.setitimer(signal.ITIMER_PROF, 0)
        if answer is None:
            return
        yield answer
