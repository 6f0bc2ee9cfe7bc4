"""Trio as a guest of the poller's loop: everything works as under `trio.run`, and neither starves the other."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

import pytest
import trio
import trio.lowlevel

from routeraudio.transport import host
from routeraudio.transport.poller import READ, Poller
from tests.transport.peers import KINDS, Kind, open_line, text

PATIENCE_S = 60.0
"""Real time: ends a test that hangs."""


@pytest.fixture(autouse=True)
def deadline() -> Iterator[None]:
    """A loop that never gives Trio its turn cannot be ended by Trio's deadlines: an error is raised where it is."""

    def give_up(_number: int, _frame: FrameType | None) -> NoReturn:
        raise TimeoutError(f"not done after {2 * PATIENCE_S:g} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, 2 * PATIENCE_S)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def run(body: object) -> None:
    """`host.run` with a deadline and a poller that beats."""

    async def main(poller: Poller) -> None:
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(poller.run)
                await body(poller)  # type: ignore[operator]
                nursery.cancel_scope.cancel()

    host.run(main)


def test_the_result_is_the_functions() -> None:
    """What the function returns comes out, again and again."""

    async def answer(_poller: Poller) -> int:
        await trio.lowlevel.checkpoint()
        return 42

    assert [host.run(answer) for _ in range(3)] == [42, 42, 42]


def test_an_error_is_the_functions() -> None:
    """What the function raises comes out as it is."""

    async def fail(_poller: Poller) -> None:
        await trio.lowlevel.checkpoint()
        raise ZeroDivisionError("by zero")

    with pytest.raises(ZeroDivisionError, match="by zero"):
        host.run(fail)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_messages_wake_tasks_and_tasks_send_messages(kind: Kind) -> None:
    """A listener called outside Trio's turn wakes tasks; what they send leaves at once."""

    async def body(poller: Poller) -> None:
        async with open_line(kind, poller=poller) as line:
            for number in range(200):
                await line.peer.say(text(str(number)))
                await line.listener.until(lambda: len(line.listener.messages) > number)  # noqa: B023
                line.driver.send(f"got {number}")
                assert await line.peer.message() == f"got {number}"

    run(body)


def test_a_socket_that_is_always_ready_starves_nobody() -> None:
    """Deadlines, threads and tasks of Trio have their turns beside a busy poller."""

    async def body(poller: Poller) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.send(b"never read")
            poller.watch(ours, READ, lambda _events: None)
            await trio.sleep(0.01)
            assert await trio.to_thread.run_sync(lambda: "thread") == "thread"
            poller.watch(ours, 0, lambda _events: None)

    run(body)


def test_a_task_that_always_runs_starves_nobody() -> None:
    """Sockets are served beside busy tasks."""

    async def body(poller: Poller) -> None:
        async def spin() -> None:
            while True:
                await trio.lowlevel.checkpoint()

        async with open_line(poller=poller) as line, trio.open_nursery() as nursery:
            nursery.start_soon(spin)
            await line.peer.say(text("heard"))
            await line.listener.until(lambda: line.listener.messages)
            nursery.cancel_scope.cancel()

    run(body)


def test_other_threads_can_call_in() -> None:
    """A loop that waits for nothing but sockets hears of threads."""

    async def body(_poller: Poller) -> None:
        token, called = trio.lowlevel.current_trio_token(), trio.Event()
        thread = threading.Thread(target=lambda: token.run_sync_soon(called.set))
        thread.start()
        await called.wait()
        thread.join()

    run(body)


def test_signals_arrive() -> None:
    """A signal wakes whoever waits for it, also when nothing else happens."""

    async def body(_poller: Poller) -> None:
        with trio.open_signal_receiver(signal.SIGUSR1) as signals:
            timer = threading.Timer(0.01, lambda: os.kill(os.getpid(), signal.SIGUSR1))
            timer.start()
            assert await anext(signals) == signal.SIGUSR1
            timer.join()

    run(body)


def test_the_heartbeat_beats() -> None:
    """Silent peers are pinged here too."""

    async def body(poller: Poller) -> None:
        async with open_line(poller=poller, ping_s=0.0, pong_s=0.0) as line:
            assert (await line.listener.end()).code is None

    run(body)


def test_nothing_is_left_behind() -> None:
    """Every run closes what it opened."""

    async def nothing(_poller: Poller) -> None:
        await trio.lowlevel.checkpoint()

    host.run(nothing)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        host.run(nothing)
    assert len(os.listdir("/proc/self/fd")) == before
