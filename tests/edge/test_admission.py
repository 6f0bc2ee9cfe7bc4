"""Places are taken and given back; none is ever given twice or kept."""

from contextlib import ExitStack
from typing import get_args

import msgspec
import pytest
import trio
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from trio.testing import MockClock

from routeraudio.edge.admission import ANSWERS_MAX, Admission, Ticket
from routeraudio.model.errors import CloseCode, Overloaded
from routeraudio.policy.addresses import neighbourhood
from routeraudio.policy.keys import Priority
from routeraudio.policy.limits import Limits

LIMITS = msgspec.structs.replace(
    Limits(), connections_max=6, connections_unauthenticated_max=4, connections_per_address_max=2
)
ADDRESSES = ("192.0.2.1", "192.0.2.2", "2001:db8::1", "")


class Comings(RuleBasedStateMachine):
    """Connections and sessions come, show keys, and go in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.admission: Admission = trio.run(self._make)
        self.open: list[tuple[object, Ticket]] = []
        self.waiting: dict[int, str | None] = {}

    async def _make(self) -> Admission:
        return Admission(LIMITS, 3)

    @rule()
    def come(self) -> None:
        come: list[Ticket] = []
        place = self.admission.connection(lambda: self.waiting.pop(id(come[0])))
        is_full = len(self.open) >= 6
        try:
            ticket = place.__enter__()
        except Overloaded as full:
            was_refused = full.close_code is CloseCode.TRY_LATER
        else:
            was_refused = False
            come.append(ticket)
            self.open.append((place, ticket))
            self.waiting[id(ticket)] = None
        assert was_refused == is_full
        assert len(self.waiting) <= 4

    @precondition(lambda self: any(address is None for address in self.waiting.values()))
    @rule(address=st.sampled_from(ADDRESSES))
    def tell_address(self, address: str) -> None:
        ticket = next(ticket for _, ticket in self.open if self.waiting.get(id(ticket), "") is None)
        is_full = list(self.waiting.values()).count(address) >= 2
        try:
            ticket.comes_from(address)
        except Overloaded:
            was_refused = True
        else:
            was_refused = False
            self.waiting[id(ticket)] = address
        assert was_refused == is_full

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 5))
    def show_a_key(self, which: int) -> None:
        _, ticket = self.open[which % len(self.open)]
        ticket.authenticated()
        self.waiting.pop(id(ticket), None)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 5))
    def go(self, which: int) -> None:
        place, ticket = self.open.pop(which % len(self.open))
        self.waiting.pop(id(ticket), None)
        place.__exit__(None, None, None)  # type: ignore[attr-defined]

    @invariant()
    def counts_are_right(self) -> None:
        assert self.admission.connections == len(self.open)
        assert self.admission.waiting == len(self.waiting)

    def teardown(self) -> None:
        while self.open:
            self.go(0)
        self.counts_are_right()
        with self.admission.connection() as ticket:
            for address in ADDRESSES:
                # Nothing of earlier connections is remembered: each address has all its places.
                self.admission.count_address(address)
                self.admission.count_address(address)
            ticket.authenticated()


TestComings = Comings.TestCase


def fail(ticket: Ticket) -> None:
    ticket.comes_from("192.0.2.1")
    raise ZeroDivisionError


async def test_a_place_is_given_back_whatever_happened() -> None:
    """Errors and cancellation inside give the place back too."""
    admission = Admission(LIMITS, 3)
    with pytest.raises(ZeroDivisionError), admission.connection() as ticket, admission.session():
        fail(ticket)
    with trio.CancelScope() as scope, admission.connection(), admission.session():
        scope.cancel()
        await trio.lowlevel.checkpoint()
    assert (admission.connections, admission.waiting, admission.sessions) == (0, 0, 0)


async def test_sessions_have_a_bound() -> None:
    """One more than allowed is told to try later; one that ends makes room."""
    admission = Admission(LIMITS, 2)
    with admission.session():
        with admission.session(), pytest.raises(Overloaded) as caught, admission.session():
            pass
        assert caught.value.close_code is CloseCode.TRY_LATER
        with admission.session():
            assert admission.sessions == 2


async def test_a_draining_daemon_takes_no_sessions() -> None:
    """New sessions are sent to the successor, also when there would be room."""
    admission = Admission(LIMITS, 2)
    admission.is_draining = True
    with pytest.raises(Overloaded) as caught, admission.session():
        pass
    assert caught.value.close_code is CloseCode.RESTART


async def test_emptied_waits_for_the_last_session(autojump_clock: MockClock) -> None:
    """It returns at once when nothing runs, else when the last session has ended."""
    admission = Admission(LIMITS, 3)
    await admission.emptied()

    async def session(duration_s: float) -> None:
        with admission.session():
            await trio.sleep(duration_s)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(session, 3)
        nursery.start_soon(session, 7)
        await trio.sleep(1)
        began_s = trio.current_time()
        await admission.emptied()
        assert trio.current_time() - began_s == pytest.approx(6)


async def test_the_lowest_class_is_refused_first() -> None:
    """As the daemon fills up, low, then normal, then high keys find it full."""
    admission = Admission(LIMITS, 20)
    refused: list[tuple[int, str]] = []
    with ExitStack() as stack:
        for taken in range(21):
            for priority in get_args(Priority):
                if taken >= admission.places(priority):
                    with pytest.raises(Overloaded), admission.session(priority):
                        pass
                    refused.append((taken, priority))
            if taken < 20:
                stack.enter_context(admission.session("high"))
    first = {priority: min(at for at, name in refused if name == priority) for _, priority in refused}
    assert first == {"low": 16, "normal": 19, "high": 20}
    assert admission.sessions == 0


@pytest.mark.parametrize("priority", get_args(Priority))
async def test_a_small_daemon_keeps_no_place_free(priority: Priority) -> None:
    """With few places everybody may have every one."""
    assert Admission(LIMITS, 3).places(priority) == 3


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_what_counts_as_one_address(address: str, counted: str) -> None:
    """An IPv6 customer has a whole /64 and could otherwise come from everywhere in it."""
    assert neighbourhood(address) == counted


async def test_a_strained_daemon_takes_only_the_highest_class() -> None:
    """Who would make every transcript late is told why, and may come when the strain is over."""
    admission = Admission(LIMITS, 20)
    admission.strain = "its loop is late"
    for priority in ("low", "normal"):
        with pytest.raises(Overloaded, match="its loop is late"), admission.session(priority):
            pass
    with admission.session("high"):
        pass
    admission.strain = None
    with admission.session("low"):
        pass


def waiting(admission: Admission, stack: ExitStack, addresses: list[str]) -> tuple[list[Ticket], list[int]]:
    """Connections from these addresses, and which of them have had to give way."""
    gone: list[int] = []
    tickets = []
    for number, address in enumerate(addresses):
        ticket = stack.enter_context(admission.connection(lambda number=number: gone.append(number)))  # type: ignore[misc]
        ticket.comes_from(address)
        tickets.append(ticket)
    return tickets, gone


async def test_who_has_most_company_gives_way() -> None:
    """The oldest of the address with the most connections; who has shown a key lately goes last."""
    limits = msgspec.structs.replace(LIMITS, connections_max=100, connections_per_address_max=10)
    admission = Admission(limits, 3)
    with ExitStack() as stack:
        first = stack.enter_context(admission.connection())
        first.comes_from("192.0.2.9")
        first.authenticated()
        _, gone = waiting(admission, stack, ["192.0.2.9", "192.0.2.9", "192.0.2.9", "192.0.2.1"])
        stack.enter_context(admission.connection())
        assert gone == [3]
        stack.enter_context(admission.connection())
        assert gone == [3]


async def test_a_network_has_a_bound_too() -> None:
    """All /64 of a /48 together."""
    limits = msgspec.structs.replace(
        LIMITS, connections_max=100, connections_unauthenticated_max=100, connections_per_address_max=2
    )
    admission = Admission(limits, 3)
    with ExitStack() as stack:
        waiting(admission, stack, [f"2001:db8:0:{number:x}::1" for number in range(8)])
        ticket = stack.enter_context(admission.connection())
        with pytest.raises(Overloaded):
            ticket.comes_from("2001:db8:0:99::1")
        ticket.comes_from("2001:db8:1:99::1")


async def test_refused_peers_have_a_bound() -> None:
    """Beyond it they are closed without a word, and keep no descriptor."""
    admission = Admission(LIMITS, 3)
    with ExitStack() as stack:
        told = [stack.enter_context(admission.answer()) for _ in range(ANSWERS_MAX + 3)]
    assert told == [True] * ANSWERS_MAX + [False] * 3
    assert admission.answers == 0


async def test_strangers_give_way() -> None:
    """To whoever has a router key, the oldest first; to nobody once their provider has accepted them."""
    admission = Admission(LIMITS, 3)
    ended: list[str] = []
    with ExitStack() as stack:
        accept = stack.enter_context(admission.session("low", displaced=lambda _: ended.append("accepted")))
        stack.enter_context(admission.session("low", displaced=lambda _: ended.append("first")))
        stack.enter_context(admission.session("low", displaced=lambda _: ended.append("second")))
        accept()
        with pytest.raises(Overloaded), admission.session("low", displaced=lambda _: None):
            pass
        stack.enter_context(admission.session())
        assert ended == ["first"]
        stack.enter_context(admission.session())
        assert ended == ["first", "second"]
        with pytest.raises(Overloaded), admission.session():
            pass
    assert admission.sessions == 0
