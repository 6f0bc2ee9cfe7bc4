"""One stream from the client's side."""

import os
import signal
from collections.abc import Callable

import pytest
import trio
import trio.testing
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from routeraudio.commands import wire
from routeraudio.commands.client import converse
from routeraudio.commands.conversation import END_OF_STREAM, LAST_WORDS_S, Conversation, Ending
from routeraudio.commands.errors import Trouble
from routeraudio.model.audio import PCM_16K_MONO
from tests.commands.conftest import Peer

URL = "ws://127.0.0.1:8080/"
FINAL = '{"type":"transcript","provider":"local","transcript":"go","start_time":0.1,"end_time":0.3}'
ERROR = '{"type":"error","error":"the provider is gone","code":"provider_error"}'

Serve = Callable[[Peer], None]
Talk = Callable[[WebSocketConnection], object]


class Tone:
    """Audio from memory."""

    format = PCM_16K_MONO
    is_live = False

    def __init__(self, duration_ms: int) -> None:
        self.duration_s: float | None = duration_ms / 1000
        self._left = b"ab" * (16 * duration_ms)

    def read(self, chunk_ms: int) -> bytes:
        size = 32 * chunk_ms
        chunk, self._left = self._left[:size], self._left[size:]
        return chunk


class Notes:
    """A display that remembers."""

    def __init__(self) -> None:
        self.positions_s: list[float] = []
        self.messages: list[tuple[str | bytes, wire.Message | None, float]] = []

    def __enter__(self) -> "Notes":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def sent(self, position_s: float, /) -> None:
        self.positions_s.append(position_s)

    def message(self, text: str | bytes, message: wire.Message | None, arrived_s: float, /) -> None:
        self.messages.append((text, message, arrived_s))


@pytest.fixture
def meet(serve: Serve) -> Callable[[Talk], None]:
    """Lets the client meet a WebSocket server that runs a conversation of its own."""

    def meet(talk: Talk) -> None:
        async def peer(stream: trio.abc.Stream) -> None:
            async with trio.open_nursery() as nursery:
                connection = await (await wrap_server_stream(nursery, stream)).accept()
                await talk(connection)
                nursery.cancel_scope.cancel()
            await trio.aclose_forcefully(stream)

        serve(peer)

    return meet


async def hold(conversation: Conversation) -> Ending | None:
    await converse(URL, {}, conversation)
    return conversation.ending


async def everything(connection: WebSocketConnection) -> list[str | bytes]:
    """What the client sends up to and with its end-of-stream message."""
    messages: list[str | bytes] = []
    while END_OF_STREAM not in messages:
        messages.append(await connection.get_message())
    return messages


async def test_audio_then_the_end(meet: Callable[[Talk], None]) -> None:
    """All audio goes out in chunks, then the end is announced; what comes back is shown until the close."""
    got = []

    async def talk(connection: WebSocketConnection) -> None:
        got.extend(await everything(connection))
        await connection.send_message(FINAL)
        await connection.aclose(1000)

    meet(talk)
    notes = Notes()
    ending = await hold(Conversation(Tone(250), notes, is_realtime=False))
    assert [len(message) for message in got[:-1]] == [3200, 3200, 1600]
    assert b"".join(got[:-1]) == b"ab" * 4000
    assert notes.positions_s == [0.1, 0.2, 0.25]
    assert notes.messages[0][0] == FINAL
    assert ending == Ending(1000, "", None)


async def test_realtime_sends_what_has_been_spoken(
    meet: Callable[[Talk], None], autojump_clock: trio.testing.MockClock
) -> None:
    """A paced chunk leaves when its last sample would have been spoken, and arrivals are timed from the start."""
    started_at = trio.current_time()
    times = []

    async def talk(connection: WebSocketConnection) -> None:
        for _ in range(3):
            await connection.get_message()
            times.append(round(trio.current_time() - started_at, 3))
        await connection.send_message(FINAL)
        await everything(connection)
        await connection.aclose(1000)

    meet(talk)
    notes = Notes()
    await hold(Conversation(Tone(250), notes, is_realtime=True))
    assert times == [0.1, 0.2, 0.25]
    assert notes.messages[0][2] == pytest.approx(0.25)


async def test_an_error_message_is_kept(meet: Callable[[Talk], None]) -> None:
    """Error message and close code are both reported; audio still to come is not sent."""

    async def talk(connection: WebSocketConnection) -> None:
        await connection.get_message()
        await connection.send_message(ERROR)
        await connection.aclose(4040, "provider")

    meet(talk)
    ending = await hold(Conversation(Tone(60_000), Notes(), is_realtime=True))
    assert ending == Ending(4040, "provider", wire.Error("the provider is gone", "provider_error"))


async def test_a_lost_connection(serve: Serve, meet: Callable[[Talk], None]) -> None:
    """A connection that falls without a close frame is an ending without a good code."""

    async def talk(connection: WebSocketConnection) -> None:
        await connection.get_message()

    meet(talk)

    ending = await hold(Conversation(Tone(60_000), Notes(), is_realtime=True))
    assert ending is not None
    assert ending.code in (None, 1006)


async def test_a_server_that_has_nothing_more_to_say(
    meet: Callable[[Talk], None], autojump_clock: trio.testing.MockClock
) -> None:
    """After the end of the audio each silence is bounded; a message starts the wait anew."""
    ended_at = []

    async def talk(connection: WebSocketConnection) -> None:
        await everything(connection)
        await trio.sleep(LAST_WORDS_S - 1)
        await connection.send_message(FINAL)
        ended_at.append(trio.current_time())
        await trio.sleep_forever()

    meet(talk)
    with pytest.raises(Trouble, match="silent for 60 s after the end"):
        await hold(Conversation(Tone(100), Notes(), is_realtime=False))
    assert LAST_WORDS_S <= trio.current_time() - ended_at[0] <= LAST_WORDS_S + 3


async def test_a_long_silence_in_the_middle_is_no_fault(
    meet: Callable[[Talk], None], autojump_clock: trio.testing.MockClock
) -> None:
    """While audio is going out nobody has to say anything."""

    async def talk(connection: WebSocketConnection) -> None:
        await everything(connection)
        await connection.aclose(1000)

    meet(talk)
    conversation = Conversation(Tone(180_000), Notes(), is_realtime=True, chunk_ms=10_000)
    assert await hold(conversation) == Ending(1000, "", None)


async def test_the_first_interrupt_waits_for_the_last_words(meet: Callable[[Talk], None]) -> None:
    """Ctrl-C ends the audio with the end-of-stream message, and finals still arrive."""

    async def talk(connection: WebSocketConnection) -> None:
        await connection.get_message()
        os.kill(os.getpid(), signal.SIGINT)
        await everything(connection)
        await connection.send_message(FINAL)
        await connection.aclose(1000)

    meet(talk)
    notes = Notes()
    assert await hold(Conversation(Tone(3_600_000), notes, is_realtime=True)) == Ending(1000, "", None)
    assert notes.messages[0][0] == FINAL


async def test_the_second_interrupt_stops(meet: Callable[[Talk], None]) -> None:
    """Ctrl-C twice does not wait for anybody."""

    async def talk(connection: WebSocketConnection) -> None:
        await connection.get_message()
        os.kill(os.getpid(), signal.SIGINT)
        await everything(connection)
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(ConnectionClosed):
            await connection.get_message()

    meet(talk)
    assert await hold(Conversation(Tone(3_600_000), Notes(), is_realtime=True)) is None


async def test_a_message_of_another_protocol(meet: Callable[[Talk], None]) -> None:
    """Text that is no transcript ends the conversation with the reason."""

    async def talk(connection: WebSocketConnection) -> None:
        await connection.send_message("welcome!")
        with pytest.raises(ConnectionClosed):
            await everything(connection)

    meet(talk)
    with pytest.raises(Trouble, match="a message that is not of this protocol"):
        await hold(Conversation(Tone(60_000), Notes(), is_realtime=True))
