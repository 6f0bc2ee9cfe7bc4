"""What workers know of each other, and who of them takes a connection."""

import os
import socket

import pytest
import trio

from routeraudio.workers import shared_state
from routeraudio.workers.fair_listener import FairListener
from routeraudio.workers.shared_state import SharedState, State, new_descriptor


@pytest.fixture
def shared_states() -> list[SharedState]:
    """The parent's view of two workers, and theirs."""
    descriptor = new_descriptor(2)
    seen = [SharedState.at(descriptor), SharedState.at(descriptor, 1), SharedState.at(descriptor, 2)]
    os.close(descriptor)
    for number in (1, 2):
        seen[0].started(number)
    return seen


def ready(worker: SharedState, connections: int, *, places: int = 9) -> None:
    worker.tell(State.READY, connections=connections, sessions=0, places=places)


def test_all_see_what_one_writes(shared_states: list[SharedState]) -> None:
    """A worker counts once it has told something; what it had is gone with it, but not how often it was started."""
    parent, one, two = shared_states
    assert [row.state for row in two.rows()] == [State.ABSENT, State.ABSENT]
    one.tell(State.READY, connections=3, sessions=2, places=5)
    row = two.rows()[0]
    assert (row.state, row.connections, row.sessions, row.places, row.starts) == (State.READY, 3, 2, 5, 1)
    parent.died(1)
    parent.started(1)
    row = two.rows()[0]
    assert (row.state, row.connections, row.sessions, row.places, row.starts) == (State.ABSENT, 0, 0, 0, 2)


def test_a_worker_that_stands_still_is_absent(
    shared_states: list[SharedState], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its numbers may be old; nothing is left to it."""
    _, one, two = shared_states
    ready(one, 0)
    ready(two, 5)
    assert two.lead() == 5
    later_ms = shared_state.now_ms() + shared_state.STALE_MS + 1
    monkeypatch.setattr(shared_state, "now_ms", lambda: later_ms)
    ready(two, 5)
    assert two.lead() == 0
    assert two.best_other() is State.ABSENT


def test_the_emptier_one_goes_first(shared_states: list[SharedState]) -> None:
    """Whoever has more connections leaves the next to others; among equals nobody waits."""
    _, one, two = shared_states
    ready(one, 2)
    ready(two, 2)
    assert one.lead() == two.lead() == 0
    one.has_one_more()
    assert (one.lead(), two.lead()) == (1, 0)


@pytest.mark.parametrize("state", [State.STRAINED, State.FULL, State.LEAVING])
def test_one_that_takes_no_sessions_gets_none(shared_states: list[SharedState], state: State) -> None:
    """However few connections it has, the others do not wait for it, and it waits for them."""
    _, one, two = shared_states
    one.tell(state, connections=0, sessions=0, places=9)
    ready(two, 5)
    assert (one.lead(), two.lead()) == (None, 0)
    assert one.best_other() is State.READY
    assert two.best_other() is state


def test_one_without_room_leaves_it_to_others(shared_states: list[SharedState]) -> None:
    """As many connections as places, and every one may become a session."""
    _, one, two = shared_states
    ready(one, 4, places=4)
    ready(two, 4, places=5)
    assert (one.lead(), two.lead()) == (None, 0)
    two.has_one_more()
    assert one.lead() == two.lead() == 0


async def test_courtesy(shared_states: list[SharedState], autojump_clock: trio.testing.MockClock) -> None:
    """With both waiting the emptier worker accepts; alone, the fuller one does too."""
    _, one, two = shared_states
    accepted: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as shared:
        address = shared.getsockname()
        full = _turns(shared, one, 5)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_accept, full, 1, accepted)
            nursery.start_soon(_accept, _turns(shared, two, 4), 2, accepted)
            async with await trio.open_tcp_stream(*address), await trio.open_tcp_stream(*address):
                await trio.sleep(1)
            nursery.cancel_scope.cancel()
        assert accepted == [2, 1]


def _turns(shared: socket.socket, worker: SharedState, connections: int) -> FairListener:
    sock = shared.dup()
    sock.setblocking(False)
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
    ready(worker, connections)
    return FairListener(listener, worker, lambda: ready(worker, connections))


async def _accept(turns: FairListener, number: int, accepted: list[int]) -> None:
    """One connection."""
    async with turns, await turns.accept():
        accepted.append(number)
        await trio.sleep_forever()
