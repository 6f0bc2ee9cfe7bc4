"""Messages in both directions, however they are cut, and what is said to those who break the rules."""

import pytest
import trio
import trio.testing
from trio.testing import MockClock
from wsproto.events import CloseConnection, Ping, Pong

from routeraudio.model.message import Message
from routeraudio.session.streams import Closed
from tests.transport.peers import (
    CLIENT,
    KINDS,
    MESSAGE_BYTES,
    SERVER,
    Kind,
    Recorder,
    at_once,
    binary,
    encoded,
    frame,
    open_line,
    text,
)

MESSAGES: tuple[Message, ...] = (
    "",
    b"",
    "word",
    "größer 語 🎙",
    b"\0\xff" * 8,
    *(bytes(length) for length in (125, 126, 127, 65_535, 65_536, MESSAGE_BYTES)),
    *("x" * length for length in (125, 126, 65_535, 65_536)),
)
"""Both sides of every boundary in the length of a frame (RFC 6455, 5.2)."""

CONVERSATION = (
    text("begin"),
    binary(b""),
    binary(b"a" * 130),
    text("grö", message_finished=False),
    Ping(payload=b"between"),
    text("ßer", message_finished=False),
    text("", message_finished=True),
    binary(b"one", message_finished=False),
    binary(b"two", message_finished=True),
    Pong(payload=b"unasked"),
    text(""),
    CloseConnection(code=4321, reason="all said"),
)
HEARD: list[Message] = ["begin", b"", b"a" * 130, "größer", b"onetwo", ""]


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_messages_arrive_as_they_were_sent(kind: Kind, autojump_clock: MockClock) -> None:
    """Every message reaches the listener whole, in order and with its type."""
    async with open_line(kind) as line:
        for message in MESSAGES:
            await line.peer.say(text(message) if isinstance(message, str) else binary(message))
        await line.listener.until(lambda: len(line.listener.messages) == len(MESSAGES))
    assert line.listener.messages == list(MESSAGES)


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_messages_leave_as_they_were_given(kind: Kind, autojump_clock: MockClock) -> None:
    """Every message reaches the peer whole, in order and with its type, however little the socket takes at once."""
    async with open_line(kind) as line:
        for message in MESSAGES:
            line.driver.send(message)
        assert [await line.peer.message() for _ in MESSAGES] == list(MESSAGES)


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_many_messages_in_one_segment_arrive_in_order(kind: Kind, autojump_clock: MockClock) -> None:
    """A segment that holds a thousand messages is a thousand messages."""
    async with open_line(kind) as line:
        await line.peer.say(*(text(str(number)) for number in range(1000)))
        await line.listener.until(lambda: len(line.listener.messages) == 1000)
    assert line.listener.messages == [str(number) for number in range(1000)]


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_byte_at_a_time_a_conversation_is_the_same(kind: Kind, autojump_clock: MockClock) -> None:
    """Frames that come one byte at a time mean what they mean when they come whole."""
    async with open_line(kind) as line:
        for byte in line.peer.encode(*CONVERSATION):
            await line.peer.say_raw(bytes([byte]))
            await trio.testing.wait_all_tasks_blocked()
        assert await line.listener.end() == Closed(4321, "all said")
        assert line.listener.messages == HEARD
        assert await line.peer.event() == Pong(payload=b"between")
        assert (await line.peer.closing()).code == 4321


@pytest.mark.parametrize("kind", [SERVER, CLIENT], ids=str)
async def test_wherever_it_is_split_a_conversation_is_the_same(kind: Kind, autojump_clock: MockClock) -> None:
    """Two segments mean what one means, wherever the cut is."""
    async with open_line(kind) as line:
        length = len(line.peer.encode(*CONVERSATION))
    for cut in range(length):
        async with open_line(kind) as line:
            data = line.peer.encode(*CONVERSATION)
            await line.peer.say_raw(data[:cut])
            await trio.testing.wait_all_tasks_blocked()
            await line.peer.say_raw(data[cut:])
            assert await line.listener.end() == Closed(4321, "all said"), cut
            assert line.listener.messages == HEARD, cut


@pytest.mark.parametrize("kind", [SERVER, CLIENT], ids=str)
async def test_what_stood_behind_the_handshake_comes_first(kind: Kind, autojump_clock: MockClock) -> None:
    """Frames, and pieces of frames, that arrived with the handshake are delivered before anything that follows."""
    async with open_line(kind) as line:
        length = len(line.peer.encode(*CONVERSATION))
    for cut in range(0, length + 1, 3):
        data = encoded(kind.side, *CONVERSATION)
        async with open_line(kind, unread=data[:cut]) as line:
            await line.peer.say_raw(data[cut:])
            assert await line.listener.end() == Closed(4321, "all said"), cut
            assert line.listener.messages == HEARD, cut


async def test_a_ping_is_answered_in_its_place(autojump_clock: MockClock) -> None:
    """A ping between the fragments of a message is answered, with its payload, while the message is still open."""
    async with open_line() as line:
        await line.peer.say(text("be", message_finished=False), Ping(payload=b"in between"))
        assert await line.peer.event() == Pong(payload=b"in between")
        await line.peer.say(text("gin", message_finished=True))
        await line.listener.until(lambda: line.listener.messages)
    assert line.listener.messages == ["begin"]


BROKEN: dict[str, tuple[bytes, int]] = {
    "invalid UTF-8": (frame(0x81, b"a\xff"), 1007),
    "cut character": (frame(0x81, "ö".encode()[:1]), 1007),
    "invalid UTF-8 in a fragment": (frame(0x01, b"a") + frame(0x80, b"\xff"), 1007),
    "too big, binary": (frame(0x82, length=1001), 1009),
    "too big, text": (frame(0x81, length=1001), 1009),
    "too big, a gibibyte": (frame(0x82, length=1 << 30), 1009),
    "too big, the most there is": (frame(0x82, length=(1 << 63) - 1), 1009),
    "too big in fragments": (
        frame(0x02, bytes(600)) + frame(0x00, bytes(300)) + frame(0x80, bytes(101)),
        1009,
    ),
    "text over its own bound": (frame(0x81, b"x" * 101), 1009),
    "text over its own bound, in fragments": (frame(0x01, b"x" * 60) + frame(0x80, b"x" * 41), 1009),
    "unmasked": (frame(0x81, b"hello", is_masked=False), 1002),
    "reserved bit, as compression sets it": (frame(0xC1, b"hello"), 1002),
    "reserved bit of a ping": (frame(0xA9, b"hello"), 1002),
    "unknown data opcode": (frame(0x83, b"hello"), 1002),
    "unknown control opcode": (frame(0x8B, b"hello"), 1002),
    "long ping": (frame(0x89, bytes(126)), 1002),
    "fragmented ping": (frame(0x09, b"hello"), 1002),
    "continuation of nothing": (frame(0x80, b"hello"), 1002),
    "message within a message": (frame(0x01, b"a") + frame(0x81, b"b"), 1002),
    "close code on one byte": (frame(0x88, b"\x03"), 1002),
    "close code that is reserved": (frame(0x88, (1006).to_bytes(2)), 1002),
    "close reason in invalid UTF-8": (frame(0x88, (1000).to_bytes(2) + b"\xff"), 1007),
    "close within a message": (frame(0x01, b"a") + frame(0x88), 1002),
}


@pytest.mark.parametrize("pieces", ["whole", "bytes", "with more behind"])
@pytest.mark.parametrize("name", BROKEN)
async def test_a_violation_ends_the_connection_with_its_code(
    name: str, pieces: str, autojump_clock: MockClock
) -> None:
    """Whoever breaks a rule is told which kind, and so is the listener, once; nothing behind it is delivered."""
    data, code = BROKEN[name]
    async with open_line(bytes_max=1000, text_bytes_max=100) as line:
        await line.peer.say(text("before"))
        if pieces == "bytes":
            for byte in data:
                await line.peer.say_raw(bytes([byte]))
                await trio.testing.wait_all_tasks_blocked()
        else:
            await line.peer.say_raw(data + (frame(0x82, b"behind") if pieces == "with more behind" else b""))
        with at_once():
            ended = await line.listener.end()
            assert (ended.code, ended.is_violation) == (code, True)
            assert (await line.peer.closing()).code == code
            await line.peer.eof()
        assert line.listener.messages == ["before"]
        assert len(line.listener.closings) == 1


async def test_a_violation_is_found_wherever_it_is_split(autojump_clock: MockClock) -> None:
    """The verdict does not depend on where segments end."""
    for name, (data, code) in BROKEN.items():
        for cut in range(1, min(len(data), 24)):
            async with open_line(bytes_max=1000, text_bytes_max=100) as line:
                await line.peer.say_raw(data[:cut])
                await trio.testing.wait_all_tasks_blocked()
                await line.peer.say_raw(data[cut:])
                ended = await line.listener.end()
                assert (ended.code, ended.is_violation, name, cut) == (code, True, name, cut)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(0x81, b"hello"), 1002),
        (frame(0x82, length=1001, is_masked=False), 1009),
        (frame(0x81, b"\xff", is_masked=False), 1007),
        (frame(0xC2, b"hello", is_masked=False), 1002),
    ],
    ids=["masked", "too big", "invalid UTF-8", "compressed"],
)
async def test_a_server_that_breaks_a_rule_is_told(data: bytes, code: int, autojump_clock: MockClock) -> None:
    """The client's end judges servers by the rules for servers."""
    async with open_line(CLIENT, bytes_max=1000) as line:
        await line.peer.say_raw(data)
        with at_once():
            ended = await line.listener.end()
            assert (ended.code, ended.is_violation) == (code, True)
            assert (await line.peer.closing()).code == code


async def test_lengths_may_be_written_longer_than_needed(autojump_clock: MockClock) -> None:
    """A short length in the long form, which RFC 6455 forbids senders, does not throw the framing off."""
    async with open_line() as line:
        await line.peer.say_raw(frame(0x82, b"a", width=2) + frame(0x82, b"b", width=8) + frame(0x82, b"c"))
        await line.listener.until(lambda: len(line.listener.messages) == 3 or line.listener.closings)
    assert line.listener.messages in ([b"a", b"b", b"c"], [])


async def test_messages_before_a_violation_in_the_same_segment_are_delivered(
    autojump_clock: MockClock,
) -> None:
    """What was right still counts."""
    async with open_line() as line:
        await line.peer.say_raw(frame(0x82, b"good") + frame(0x81, b"\xff") + frame(0x82, b"late"))
        assert (await line.listener.end()).code == 1007
    assert line.listener.messages == [b"good"]


async def test_a_listener_may_close_from_within_its_call(autojump_clock: MockClock) -> None:
    """After it, nothing that was already read reaches the listener."""
    async with open_line() as line:
        line.listener.on_message = lambda _message: line.driver.close(1000, "enough")
        await line.peer.say(text("one"), text("two"))
        assert (await line.peer.closing()).reason == "enough"
    assert line.listener.messages == ["one"]


async def test_a_listener_may_answer_from_within_its_call(autojump_clock: MockClock) -> None:
    """Answers leave in the order in which they were given."""
    async with open_line() as line:
        line.listener.on_message = lambda message: line.driver.send(message)
        await line.peer.say(text("one"), binary(b"two"), text("three"))
        assert [await line.peer.message() for _ in range(3)] == ["one", b"two", "three"]


async def test_sending_after_the_end_is_ignored(autojump_clock: MockClock) -> None:
    """`send` after the close frame or the loss of the connection writes nothing and raises nothing."""
    async with open_line() as line:
        line.driver.close(1000)
        line.driver.send("late")
        assert isinstance(await line.peer.event(), CloseConnection)
        line.driver.release()
        line.driver.send(b"later still")
        await line.peer.eof()


async def test_the_far_side_may_be_a_recorder_too(autojump_clock: MockClock) -> None:
    """Two drivers understand each other."""
    async with open_line(SERVER) as server, open_line(CLIENT, poller=server.poller) as client:
        server.listener.on_message = lambda message: client.driver.send(message)
        await server.peer.say(binary(b"through both"))
        assert await client.peer.message() == b"through both"
    assert isinstance(server.listener, Recorder)
