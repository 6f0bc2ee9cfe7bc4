"""One task for all sockets: fair, unbreakable, and quiet after its end."""

import socket

import structlog
import trio
import trio.testing
from trio.testing import MockClock

from routeraudio.transport.poller import HEARTBEAT_S, READ, WRITE, Poller
from tests.transport.peers import open_line, polling, text


class Member:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.flushes = 0
        self.beats: list[float] = []

    def flush(self) -> None:
        self.flushes += 1

    def heartbeat(self, now_s: float) -> None:
        self.beats.append(now_s)


def pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return ours, theirs


async def test_ready_sockets_are_served_until_forgotten(autojump_clock: MockClock) -> None:
    """A handler is called while its event holds, and not after its socket was forgotten."""
    ours, theirs = pair()
    with ours, theirs:
        async with polling() as poller:
            calls: list[int] = []
            called = trio.Event()

            def ready(events: int) -> None:
                calls.append(events)
                ours.recv(1)
                called.set()

            poller.watch(ours, READ, ready)
            theirs.send(b"ab")
            await called.wait()
            await trio.testing.wait_all_tasks_blocked()
            assert calls == [READ, READ]
            poller.watch(ours, READ | WRITE, ready)
            poller.watch(ours, 0, ready)
            theirs.send(b"c")
            await trio.testing.wait_all_tasks_blocked()
            assert len(calls) == 2


async def test_a_socket_forgotten_in_the_same_pass_is_not_served(autojump_clock: MockClock) -> None:
    """One handler may release another's socket although both were found ready together."""
    first, theirs_1 = pair()
    second, theirs_2 = pair()
    with first, second, theirs_1, theirs_2:
        poller = Poller()
        served: list[str] = []

        def serve(name: str, mine: socket.socket, other: socket.socket) -> None:
            served.append(name)
            poller.watch(other, 0, lambda _events: None)
            mine.recv(10)

        poller.watch(first, READ, lambda _events: serve("first", first, second))
        poller.watch(second, READ, lambda _events: serve("second", second, first))
        theirs_1.send(b"a")
        theirs_2.send(b"b")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poller.run)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    assert len(served) == 1


async def test_one_talker_does_not_starve_the_others(autojump_clock: MockClock) -> None:
    """A socket that is always readable shares the poller with the rest, and with all other tasks."""
    loud, theirs_1 = pair()
    quiet, theirs_2 = pair()
    with loud, quiet, theirs_1, theirs_2:
        async with polling() as poller:
            heard = trio.Event()

            def listen(_events: int) -> None:
                quiet.recv(10)
                heard.set()

            poller.watch(loud, READ, lambda _events: None)  # reads nothing: stays readable
            poller.watch(quiet, READ, listen)
            theirs_1.send(b"loud")
            theirs_2.send(b"quiet")
            await heard.wait()
            for _ in range(10):
                await trio.lowlevel.checkpoint()


async def test_outside_a_pass_flushing_is_immediate() -> None:
    """What a task sends is not kept for the poller's next turn."""
    member = Member()
    Poller().flush_soon(member)
    assert member.flushes == 1


async def test_within_a_pass_flushing_waits_for_its_end(autojump_clock: MockClock) -> None:
    """All that handlers send in one pass is written together when the pass ends."""
    ours, theirs = pair()
    member = Member()
    within: list[int] = []
    with ours, theirs:
        async with polling() as poller:

            def ready(_events: int) -> None:
                ours.recv(10)
                poller.flush_soon(member)
                within.append(member.flushes)

            poller.watch(ours, READ, ready)
            theirs.send(b"a")
            await trio.testing.wait_all_tasks_blocked()
    assert (within, member.flushes) == ([0], 1)


async def test_members_hear_the_heartbeat(autojump_clock: MockClock) -> None:
    """Every member is asked once per interval, also when others come and go meanwhile."""
    async with polling() as poller:
        stays, leaves = Member(), Member()
        poller.add(stays)
        poller.add(leaves)
        await trio.sleep(2.5 * HEARTBEAT_S)
        poller.discard(leaves)
        poller.discard(leaves)
        await trio.sleep(2 * HEARTBEAT_S)
    assert (len(stays.beats), len(leaves.beats)) == (4, 2)


async def test_the_order_of_connections_does_not_matter(autojump_clock: MockClock) -> None:
    """Fifty connections on one poller each get their own messages."""
    async with polling() as poller:
        lines = [open_line(poller=poller) for _ in range(50)]
        opened = [await line.__aenter__() for line in lines]
        for number, line in enumerate(opened):
            await line.peer.say(text(str(number)))
        for number, line in enumerate(opened):
            await line.listener.until(lambda: line.listener.messages)  # noqa: B023
            assert line.listener.messages == [str(number)]
        for each in lines:
            await each.__aexit__(None, None, None)


async def test_a_handler_that_raises_costs_only_itself() -> None:
    """The poller hears no more of its socket and goes on serving the others."""
    poller = Poller(is_hosted=True)
    served: list[str] = []

    def broken(events: int) -> None:
        served.append("broken")
        raise RuntimeError("SECRET")

    pairs = [socket.socketpair() for _ in range(2)]
    for _ours, theirs in pairs:
        theirs.send(b"x")
    poller.watch(pairs[0][0], READ, broken)
    poller.watch(pairs[1][0], READ, lambda events: served.append("sound"))
    with structlog.testing.capture_logs() as log:
        poller.serve(0)
        poller.serve(0)
    assert sorted(served) == ["broken", "sound", "sound"]
    (line,) = [line for line in log if line["event"] == "handler_bug"]
    assert (line["error"], "SECRET" in str(line)) == ("RuntimeError", False)
    assert "test_poller.py" in line["where"][-1]
    for ours, theirs in pairs:
        ours.close()
        theirs.close()
    poller.close()


async def test_what_is_left_is_done_in_the_next_pass(autojump_clock: MockClock) -> None:
    """Whoever asks for it, in a pass or from a task; others are served in between."""
    async with polling() as poller:
        order: list[str] = []
        done = trio.Event()

        def portion(number: int) -> None:
            order.append(f"portion {number}")
            if number < 3:
                poller.again(lambda: portion(number + 1))
            else:
                done.set()

        ours, theirs = pair()
        with ours, theirs:

            def ready(_events: int) -> None:
                ours.recv(1)
                order.append("other")

            poller.watch(ours, READ, ready)
            poller.again(lambda: portion(1))
            theirs.send(b"ab")
            with trio.fail_after(1):
                await done.wait()
            assert order.count("other") == 2
            assert order.index("other") < order.index("portion 3")


def test_a_portion_that_raises_costs_only_itself() -> None:
    """Like a handler."""
    poller = Poller(is_hosted=True)
    done: list[int] = []
    poller.again(lambda: done[1].real)  # type: ignore[arg-type,return-value] # an IndexError
    poller.again(lambda: done.append(1))
    with structlog.testing.capture_logs() as log:
        poller.serve(0)
    assert done == [1]
    assert [line["event"] for line in log] == ["handler_bug"]
    poller.close()
