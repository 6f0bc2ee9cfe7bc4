"""`Session`: our own bugs cost one session, are told with an id, and are logged without a word of what was said."""

from collections.abc import Callable, Sequence

import pytest
import trio
from trio.testing import MockClock

from routeraudio.dialects.base import Command, DialectEvent
from routeraudio.dialects.listen import Listen
from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import ClientFault, CloseCode, Fault, Overloaded
from routeraudio.model.events import Event
from routeraudio.model.message import Message
from routeraudio.model.options import Options
from routeraudio.session import pipeline as run_module
from routeraudio.session.streams import Refused
from tests.session.adapter import SECRET, FakeAdapter
from tests.session.conversation import CHUNK, Conversation, conversation, options, settled
from tests.session.fakes import FakeDialler, FakeStream

END = '{"type":"end_of_stream"}'
MULAW_8K = AudioFormat("pcm_mulaw", 8000)
INTERNAL = ["error internal", "1011"]
CULPRITS = ("_called", "_maybe", "__call__", "event")
"""The functions that raise in these tests."""


class Broken(Listen):
    """A dialect that raises in one of its verbs."""

    def __init__(self, wishes: Options, request_id: str, verb: str) -> None:
        super().__init__(wishes, request_id)
        self._verb = verb

    def received(self, message: Message) -> Sequence[Command]:
        self._maybe("received")
        return super().received(message)

    def event(self, event: Event | DialectEvent) -> Sequence[Message]:
        self._maybe("event")
        return super().event(event)

    def error(self, fault: Fault) -> Sequence[Message]:
        self._maybe("error")
        return super().error(fault)

    def _maybe(self, verb: str) -> None:
        if verb == self._verb:
            raise RuntimeError(SECRET)


def broken(verb: str) -> Callable[[Options, str], Listen]:
    """A maker of dialects that are broken in ``verb``."""
    return lambda wishes, request_id: Broken(wishes, request_id, verb)


class BrokenTranscoder:
    """A transcoder that raises in one of its verbs."""

    is_passthrough = False
    has_more = False
    source_ms = 0
    resumed_ms = 0
    warnings = ()

    def __init__(self, verb: str) -> None:
        self.source = self.target = MULAW_8K
        self._verb = verb

    def push(self, data: bytes) -> bytes:
        return self._maybe("push")

    def finish(self) -> bytes:
        return self._maybe("finish")

    def keep(self, duration_s: float) -> None:
        pass

    def forget(self, until_ms: int) -> None:
        pass

    def restart(self, since_ms: int | None = None) -> bytes:
        return b""

    def _maybe(self, verb: str) -> bytes:
        if verb == self._verb:
            raise RuntimeError(SECRET)
        return b"\x00\x00"


def check_quiet(play: Conversation) -> None:
    """One bug in the log, by type and place; its text nowhere."""
    (line,) = play.bugs
    assert line["error"] == "RuntimeError"
    assert line["request_id"] == "request-1"
    assert line["log_level"] == "error"
    assert line["where"][-1].split()[-1] in CULPRITS
    assert any(place.startswith("session/") for place in line["where"])
    assert SECRET not in repr(play.log)
    assert SECRET not in repr(play.client.heard)
    assert SECRET not in repr(play.upstream.heard)
    assert play.logged("session_ended")["close_code"] == 1011


async def _everything(play: Conversation) -> None:
    """A story in which every verb of the adapter, the dialect and the transcoder is called."""
    await settled()
    await play.upstream.says("ready")
    await settled()
    for message in (CHUNK, '{"type":"finalize"}', CHUNK):
        await play.client.says(message)
    await play.upstream.says("final 1")
    await trio.sleep(5)
    await play.client.says(END)
    await play.upstream.says("end")
    await settled()
    play.upstream.hangs_up(1000)


VERBS = ("dial", "opened", "audio", "finalize", "finish", "received", "tick")


@pytest.mark.parametrize("verb", VERBS)
async def test_a_bug_in_the_adapter(autojump_clock: MockClock, verb: str) -> None:
    """Wherever an adapter breaks, the client is told an id and 1011, and the upstream is closed."""
    adapter = FakeAdapter(bug_in=frozenset({verb}), tick_s=3)
    async with conversation(adapter=adapter) as play, trio.open_nursery() as nursery:
        nursery.start_soon(_everything, play)
        await play.ends()
        nursery.cancel_scope.cancel()
    assert play.story[-2:] == INTERNAL
    assert "request-1" in play.told[-1]["error"]
    assert not play.upstream.is_started or play.upstream.close.code == 1000
    check_quiet(play)


async def test_a_bug_in_the_adapters_closed(autojump_clock: MockClock) -> None:
    """An adapter that breaks over a close costs its session and nothing else."""
    async with conversation(adapter=FakeAdapter(bug_in=frozenset({"closed"}))) as play:
        await play.ready()
        await play.upstream.says("final 1")
        play.upstream.hangs_up(1011)
        await play.ends()
        assert play.story == ["final 1", *INTERNAL]
        check_quiet(play)


async def test_a_bug_in_the_adapters_closed_at_the_last_words(autojump_clock: MockClock) -> None:
    """The same when the vendor is silent after finish, and nobody but our clock is there to notice."""
    async with conversation(adapter=FakeAdapter(bug_in=frozenset({"closed"}))) as play:
        await play.ready()
        await play.client.says(END)
        await play.ends()
        assert play.story == INTERNAL
        check_quiet(play)


async def test_a_bug_in_the_adapters_closed_after_a_fault(autojump_clock: MockClock) -> None:
    """The same when it is asked for what is settled because the client broke the rules."""
    async with conversation(adapter=FakeAdapter(bug_in=frozenset({"closed"}))) as play:
        await play.ready()
        await play.upstream.says("final 1")
        await play.client.says("nonsense")
        await play.ends()
        assert play.story == ["final 1", *INTERNAL]
        check_quiet(play)


async def test_a_bug_in_the_adapters_refused(autojump_clock: MockClock) -> None:
    """An adapter that breaks over a refusal is our bug, not the provider's."""
    upstream = FakeStream()
    async with conversation(
        adapter=FakeAdapter(bug_in=frozenset({"refused"})),
        upstream=upstream,
        dial=FakeDialler(upstream, fails=Refused(401, SECRET.encode())),
    ) as play:
        await play.ends()
        assert play.story == INTERNAL
        check_quiet(play)


async def test_a_bug_in_the_dialler(autojump_clock: MockClock) -> None:
    """What the dialler should not raise is our bug."""
    upstream = FakeStream()
    dial = FakeDialler(upstream, fails=RuntimeError(SECRET))
    async with conversation(upstream=upstream, dial=dial) as play:
        await play.ends()
        assert play.story == INTERNAL
        check_quiet(play)


async def test_a_bug_in_reading_the_client(autojump_clock: MockClock) -> None:
    """A dialect that breaks over a client's message costs that client its session."""
    async with conversation(make_dialect=broken("received")) as play:
        await play.ready()
        await play.upstream.says("final 1")
        await play.client.says(CHUNK)
        await play.ends()
        assert play.story == ["final 1", *INTERNAL]
        check_quiet(play)


async def test_a_bug_in_telling_the_client(autojump_clock: MockClock) -> None:
    """A dialect that breaks over an event ends the session with an id."""
    async with conversation(make_dialect=broken("event")) as play:
        await play.ready()
        await play.upstream.says("final 1")
        await play.ends()
        assert play.story == INTERNAL
        check_quiet(play)


async def test_a_bug_in_telling_a_slow_client(autojump_clock: MockClock) -> None:
    """The same for events that waited, of which each one breaks it again."""

    class Late(Listen):
        def event(self, event: Event | DialectEvent) -> Sequence[Message]:
            messages = super().event(event)
            if any("final 1" not in str(message) and "transcript" in str(message) for message in messages):
                raise RuntimeError(SECRET)
            return messages

    async with conversation(make_dialect=Late) as play:
        await play.ready()
        play.client.stops_reading()
        for number in range(1, 5):
            await play.upstream.says(f"final final {number}")
        await settled()
        play.client.reads()
        await play.ends()
        assert play.story == ["final final 1", *INTERNAL]
        assert {line["error"] for line in play.bugs} == {"RuntimeError"}
        assert SECRET not in repr(play.log)


async def test_a_bug_in_telling_what_waited_when_the_session_ended(autojump_clock: MockClock) -> None:
    """A dialect that breaks over the last finals, after another fault, is told as the bug it is."""

    class Late(Broken):
        def event(self, event: Event | DialectEvent) -> Sequence[Message]:
            if "2" in repr(event):
                raise RuntimeError(SECRET)
            return super().event(event)

    async with conversation(make_dialect=lambda wishes, id_: Late(wishes, id_, "")) as play:
        await play.ready()
        play.client.stops_reading()
        await play.upstream.says("final 1")
        await play.upstream.says("final 2")
        await play.client.says("nonsense")
        await settled()
        play.client.reads()
        await play.ends()
        assert play.story == ["final 1", *INTERNAL]
        check_quiet(play)


async def test_a_bug_in_telling_the_error(autojump_clock: MockClock) -> None:
    """A dialect that breaks over the error itself: the close frame has the id."""
    async with conversation(make_dialect=broken("error")) as play:
        await play.ready()
        await play.upstream.says("fail gone")
        await play.ends()
        assert play.story == ["1011"]
        assert "request-1" in play.client.close.reason
        assert len(play.bugs) == 1
        assert SECRET not in repr(play.log)


@pytest.mark.parametrize("verb", ["push", "finish"])
@pytest.mark.parametrize("is_early", [True, False])
async def test_a_bug_in_the_transcoder(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, verb: str, is_early: bool
) -> None:
    """A transcoder that breaks, on the fast path or while audio gathers, ends the session with an id."""
    monkeypatch.setattr(run_module, "transcoder", lambda source, target: BrokenTranscoder(verb))
    async with conversation(wishes=options(audio=MULAW_8K)) as play:
        if not is_early:
            await play.ready()
        await play.client.says(CHUNK)
        await play.client.says(END)
        await play.ends()
        assert play.story == INTERNAL
        check_quiet(play)


@pytest.mark.parametrize("is_early", [True, False])
async def test_audio_that_cannot_be_decoded(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, is_early: bool
) -> None:
    """A decoder that refuses the audio is the client's fault: `audio_error`, 1003, and no bug."""

    class Refusing(BrokenTranscoder):
        def push(self, data: bytes) -> bytes:
            raise ClientFault("not audio", code="audio_error", close_code=CloseCode.UNSUPPORTED_DATA)

    monkeypatch.setattr(run_module, "transcoder", lambda source, target: Refusing(""))
    async with conversation(wishes=options(audio=MULAW_8K)) as play:
        if not is_early:
            await play.ready()
        await play.client.says(CHUNK)
        await play.ends()
        assert play.story == ["error audio_error", "1003"]
        assert play.bugs == []


async def test_a_bug_met_while_the_daemon_stops_stays_in_its_session(autojump_clock: MockClock) -> None:
    """`finish` never raises into whoever finishes all sessions; the session it broke says so itself."""
    async with conversation(adapter=FakeAdapter(bug_in=frozenset({"finish"}))) as play:
        await play.ready()
        await play.client.says(CHUNK)
        play.session.finish(Overloaded("stopping", close_code=CloseCode.RESTART))
        await play.ends()
        assert play.story == INTERNAL
        check_quiet(play)
