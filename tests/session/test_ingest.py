"""The ingest stage: what a client says, in order, until it has said its last."""

from collections.abc import Sequence

import pytest
import trio
from trio.testing import MockClock

from routeraudio.dialects.base import Command, Control, DialectEvent
from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.errors import ClientFault, CloseCode, Fault
from routeraudio.model.events import Event
from routeraudio.model.message import Message
from routeraudio.session.first_messages import FirstMessages
from routeraudio.session.ingest import PIECE_BYTES, Ingest
from routeraudio.session.link import Link
from routeraudio.session.observer import Arrivals, NullObserver
from routeraudio.session.received import Received
from routeraudio.session.streams import ClientGone, Closed
from tests.session.fakes import FakeStream


class Shorthand:
    """A dialect whose text messages are words: `f` finalize, `.` finish, `k` keepalive, `a` an aside, `?` forbidden."""

    def received(self, message: Message) -> Sequence[Command | DialectEvent]:
        if isinstance(message, bytes):
            return (message,)
        if "?" in message:
            raise ClientFault("no", code="audio_error", close_code=CloseCode.UNSUPPORTED_DATA)
        words: dict[str, Control | DialectEvent] = {
            "f": Control.FINALIZE,
            ".": Control.FINISH,
            "k": Control.KEEPALIVE,
            "a": DialectEvent("a"),
        }
        return [words.get(word, word.encode()) for word in message.split()]

    def event(self, event: Event | DialectEvent) -> Sequence[Message]:
        return ()

    def error(self, fault: Fault) -> Sequence[Message]:
        return ()

    def close_code(self, fault: Fault) -> CloseCode:
        return fault.close_code


class Ingesting:
    """The stage and its surroundings; what it hands on is in `taken`."""

    def __init__(
        self,
        client: FakeStream | None = None,
        *,
        room_bytes: int = 1000,
        already: FirstMessages | None = None,
    ) -> None:
        self.client = FakeStream() if client is None else client
        self._taken: list[Command] = []
        self._link = Link[Command](
            self._step,
            wait=trio.lowlevel.checkpoint,
            size=lambda command: len(command) if isinstance(command, bytes) else 1,
            room_bytes=room_bytes,
            on_room=self.client.resume,
        )
        self.received = Received(Arrivals(PCM_16K_MONO, NullObserver(), now_s=lambda: 0.0))
        self.asides: list[DialectEvent] = []
        self.has_room = True
        self.stage = Ingest(
            self.client, Shorthand(), self._link, self.received, aside=self._aside, already=already
        )

    def _aside(self, event: DialectEvent) -> bool:
        self.asides.append(event)
        return self.has_room

    def _step(self, command: Command) -> bool:
        self._taken.append(command)
        return True

    @property
    def taken(self) -> list[Command]:
        self._link.drain()
        return self._taken


def test_asides_go_the_other_way() -> None:
    """What a dialect tells itself is handed to the events, and never to the provider."""
    play = Ingesting()
    play.stage.message("one a f a")
    assert play.taken == [b"one", Control.FINALIZE]
    assert play.asides == [DialectEvent("a"), DialectEvent("a")]


def test_audio_and_controls_keep_their_order() -> None:
    """What one message or several mean is handed on in the order it was said; keepalives are for the watchdog."""
    play = Ingesting()
    for message in (b"a", "k f b f", b"c"):
        assert play.stage.message(message)
    assert play.taken == [b"a", Control.FINALIZE, b"b", Control.FINALIZE, b"c"]
    assert play.received.received_bytes == 3


def test_empty_audio_is_nothing() -> None:
    """An empty binary message is neither handed on (it ends some vendors' streams) nor a sign of life."""
    play = Ingesting()
    assert play.stage.message(b"")
    assert play.taken == []


def test_nothing_follows_the_end() -> None:
    """After the end of the stream neither audio nor controls are handed on, nor is the audio counted."""
    play = Ingesting()
    for message in (b"a", ".", b"b", "f", ".", "c . f"):
        play.stage.message(message)
    assert play.taken == [b"a", Control.FINISH]
    assert play.stage.is_finished
    assert play.received.received_bytes == 1


def test_our_own_finish_goes_behind_the_audio() -> None:
    """`finish` asks for the last words behind everything received, once."""
    play = Ingesting()
    play.stage.message(b"a")
    play.stage.finish()
    play.stage.finish()
    assert play.taken == [b"a", Control.FINISH]


@pytest.mark.parametrize("last", [b"3456", "f", "a f"])
def test_a_full_link_stops_the_reading(last: Message) -> None:
    """Whatever filled the link, the client's stream is asked to stop reading."""
    play = Ingesting(room_bytes=5)
    assert play.stage.message(b"1234")
    assert not play.stage.message(last)


async def test_reading_goes_on_when_there_is_room(autojump_clock: MockClock) -> None:
    """A client that was paused is read again when the link has room, and loses nothing."""
    play = Ingesting(room_bytes=3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_run_until_gone, play.stage)
        await trio.testing.wait_all_tasks_blocked()
        play.client.says_at_once(b"12")
        play.client.says_at_once(b"34")
        assert play.client.pauses == 1
        play.client.says_at_once(b"read already")
        assert play.taken == [b"12", b"34", b"read already"]
        assert not play.client.is_paused
        await play.client.says(b"56")
        assert play.taken[-1] == b"56"
        play.client.hangs_up()


def test_a_client_that_does_not_read_its_answers() -> None:
    """Is not read either, whatever else the message held."""
    play = Ingesting()
    play.has_room = False
    assert not play.stage.message("a one")
    assert play.taken == [b"one"]


async def test_what_was_said_before_the_session(autojump_clock: MockClock) -> None:
    """Comes first, in order."""
    already = FirstMessages()
    already.message(b"12")
    already.message("f")
    client = FakeStream()
    play = Ingesting(client, already=already)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_run_until_gone, play.stage)
        await client.says(b"34")
        assert play.taken == [b"12", Control.FINALIZE, b"34"]
        client.hangs_up()


async def test_a_client_that_left_before_the_session() -> None:
    """Has left."""
    already = FirstMessages()
    already.message(b"12")
    already.closed(Closed(1000, ""))
    await _run_until_gone(Ingesting(already=already).stage)


async def _run_until_gone(stage: Ingest) -> None:
    with pytest.raises(ClientGone):
        await stage.run()


@pytest.mark.parametrize("code", [1000, 1001, 1005, None])
async def test_a_client_that_leaves_ends_the_stage(code: int | None, nursery: trio.Nursery) -> None:
    """`run` raises `ClientGone`, which knows how; also when the client had left before it began."""
    play = Ingesting()
    play.client.stops_reading()
    nursery.start_soon(_hang_up_soon, play.client, code)
    with pytest.raises(ClientGone) as raised:
        await play.stage.run()
    assert raised.value.how.code == code


async def _hang_up_soon(client: FakeStream, code: int | None) -> None:
    await trio.testing.wait_all_tasks_blocked()
    client.hangs_up(code)


async def test_a_forbidden_message_ends_the_stage() -> None:
    """What the dialect refuses is raised by `run`, behind what came before it."""
    play = Ingesting(FakeStream(already=[b"a", "?", b"never"]))
    with pytest.raises(ClientFault) as raised:
        await play.stage.run()
    assert raised.value.code == "audio_error"
    assert play.taken == [b"a"]


async def test_the_first_reason_stands() -> None:
    """A crash and the close that follows it are one end: the crash."""
    play = Ingesting(FakeStream(already=["?"]))
    play.stage.crashed(ValueError("first"))
    with pytest.raises(ValueError, match="first"):
        await play.stage.run()


async def test_long_messages_are_cut_in_pieces() -> None:
    """A message of a megabyte becomes items a link can bound, with the same bytes in the same order."""
    ingesting = Ingesting(room_bytes=1 << 21)
    audio = bytes(range(256)) * 4096
    assert ingesting.stage.message(audio)
    pieces = [one for one in ingesting.taken if isinstance(one, bytes)]
    assert b"".join(pieces) == audio
    assert max(map(len, pieces)) == PIECE_BYTES
    assert ingesting.received.received_bytes == len(audio)
