"""A vendor that ends every connection by the clock: one session, one timeline, no word lost or repeated.

The vendor here is a stenographer: a chunk of audio is a numbered word or a pause, a pause closes the utterance, and
after the end of the audio come the words that are still open. It works for a while on everything it is sent.
"""

import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from routeraudio.audio.containers.ogg import OggDemuxer
from routeraudio.audio.containers.packets import Header, Packet
from routeraudio.dialects.base import Control
from routeraudio.dialects.listen import Listen
from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import UpstreamFault
from routeraudio.model.message import Message
from routeraudio.policy.limits import Limits
from routeraudio.providers.base import Dial
from routeraudio.session.candidate import Candidate
from routeraudio.session.deliver import Deliver
from tests.audio.written import ogg_pages
from tests.session.adapter import FakeAdapter
from tests.session.conversation import options
from tests.session.fakes import FakeStream, Unwatched

SESSION_S = 30.0
CHUNK_MS = 100
AUDIO = AudioFormat("pcm_s16le", 16000)
PAUSE = bytes(AUDIO.bytes_per_second * CHUNK_MS // 1000)


def word(number: int) -> bytes:
    """A loud chunk that holds its number."""
    return (10_000 + number).to_bytes(2, "little", signed=True) * (len(PAUSE) // 2)


@dataclass(frozen=True)
class Habits:
    """How the vendor works."""

    works_s: tuple[float, ...] = (0.05,)
    """On a chunk, by connection; the last one's for all that follow."""
    hears_pauses: bool = True
    ends_s: float = 0.0
    """From its last word to its end."""


class Stenographer(FakeStream):
    """One connection. Ends it after ``session_s`` with a close the adapter takes for a failure."""

    def __init__(self, nursery: trio.Nursery, session_s: float, habits: Habits, works_s: float) -> None:
        super().__init__()
        self._habits = habits
        self._send, self._receive = trio.open_memory_channel[Message](math.inf)
        self._works_s = works_s
        self._open_words: list[str] = []
        nursery.start_soon(self._work)
        nursery.start_soon(self._end, session_s)

    def send(self, message: Message) -> None:
        super().send(message)
        if self.is_open:
            self._send.send_nowait(message)

    async def _work(self) -> None:
        await self.says("ready")
        async for message in self._receive:
            await trio.sleep(self._works_s)
            if message == "FINISH":
                await self._final()
                await trio.sleep(self._habits.ends_s)
                await self.says("end")
                return
            if message == PAUSE:
                if self._habits.hears_pauses:
                    await self._final()
            elif isinstance(message, bytes):
                self._open_words.append(str(int.from_bytes(message[:2], "little") - 10_000))
                await self.says("partial " + " ".join(self._open_words))

    async def _final(self) -> None:
        if self._open_words:
            await self.says("final " + " ".join(self._open_words))
            self._open_words.clear()

    async def _end(self, session_s: float) -> None:
        await trio.sleep(session_s)
        self.hangs_up(1008, "session limit")


class Rotating:
    """A relay in front of as many stenographers as it dials."""

    def __init__(self, nursery: trio.Nursery, habits: Habits, fails: Callable[[int], bool]) -> None:
        self.connections: list[Stenographer] = []
        self.dials = 0
        self._nursery = nursery
        self._habits = habits
        self._fails = fails
        self.client = FakeStream()
        asked = options(partial_results=True)
        self.deliver = Deliver(self.client, Listen(asked, "request-1"), Limits(), on_room=lambda: None)
        candidate = Candidate(
            title="Steno", audio_format=AUDIO, adapter=FakeAdapter, dial=self._dial, session_s=SESSION_S
        )
        around = Unwatched(candidate, self.deliver, Limits())
        self.relay, self.succession = around.relay, around.succession

    async def _dial(self, dial: Dial) -> FakeStream:
        await trio.sleep(0.2)
        self.dials += 1
        if self._fails(self.dials):
            raise UpstreamFault("Steno is unreachable", is_retryable=True)
        works_s = self._habits.works_s[: len(self.connections) + 1][-1]
        self.connections.append(Stenographer(self._nursery, SESSION_S, self._habits, works_s))
        return self.connections[-1]

    async def speak(self, chunks: list[bytes]) -> None:
        """In real time."""
        for chunk in chunks:
            self.relay.link.push(chunk)
            await trio.sleep(CHUNK_MS / 1000)

    async def finish(self) -> None:
        self.relay.link.push(Control.FINISH)
        await self.deliver.ended.wait()

    @property
    def finals(self) -> list[dict[str, object]]:
        told = [json.loads(text) for text in self.client.texts]
        return [one for one in told if one["type"] == "transcript" and not one["is_partial"]]

    @property
    def numbers(self) -> list[int]:
        """Every word the client was told as final."""
        return [int(number) for final in self.finals for number in str(final["transcript"]).split()]


@asynccontextmanager
async def rotating(
    habits: Habits = Habits(), *, fails: Callable[[int], bool] = lambda dial: False
) -> AsyncIterator[Rotating]:
    async with trio.open_nursery() as nursery:
        play = Rotating(nursery, habits, fails)
        nursery.start_soon(play.succession.run)
        nursery.start_soon(play.deliver.run)
        yield play
        nursery.cancel_scope.cancel()


def speech(words: int, *, pause_every: int | None, pause_chunks: int = 4) -> list[bytes]:
    chunks = []
    for number in range(words):
        chunks.append(word(number))
        if pause_every is not None and number % pause_every == pause_every - 1:
            chunks += [PAUSE] * pause_chunks
    return chunks


@pytest.mark.parametrize("pause_every", [7, 40, None])
async def test_ten_minutes_lose_no_word(pause_every: int | None, autojump_clock: MockClock) -> None:
    """Ten minutes in connections of half a minute: every word once, in order, and the client sees one session."""
    async with rotating() as play:
        chunks = speech(4000, pause_every=pause_every)
        await play.speak(chunks)
        await play.finish()
        minutes = len(chunks) * CHUNK_MS / 60_000
        assert minutes > 6
        assert play.numbers == list(range(4000))
        assert play.dials == len(play.connections) >= minutes * 60 / SESSION_S
        assert play.deliver.ending is not None
        assert type(play.deliver.ending).__name__ == "Finished"
        starts = [float(str(final["start_time"])) for final in play.finals]
        assert all(earlier <= later for earlier, later in pairwise(starts))
        assert starts[-1] > minutes * 60 - 2 * SESSION_S


async def test_what_a_slow_vendor_owes_comes_before_what_its_successor_says(
    autojump_clock: MockClock,
) -> None:
    """The old connection's last words are told first, however late they are."""
    async with rotating(Habits(works_s=(0.11, 0.01))) as play:
        await play.speak(speech(400, pause_every=5))
        await play.finish()
        assert play.numbers == list(range(400))
        assert len(play.connections) > 2


async def test_a_partial_of_the_successor_waits_too(autojump_clock: MockClock) -> None:
    """No partial of the new connection is shown before the last final of the old one."""
    async with rotating(Habits(works_s=(0.11, 0.01))) as play:
        await play.speak(speech(600, pause_every=None))
        await play.finish()
        last = -1
        for text in play.client.texts:
            told = json.loads(text)
            if told["type"] == "notice":
                continue  # a vendor this slow owes some of it for ever
            first = int(told["transcript"].split()[0])
            assert first >= last
            last = first


async def test_every_old_connection_is_closed(autojump_clock: MockClock) -> None:
    """Rotation leaves one open connection."""
    async with rotating() as play:
        await play.speak(speech(1000, pause_every=10))
        assert len(play.connections) > 3
        assert [one.is_released for one in play.connections[:-1]] == [True] * (len(play.connections) - 1)
        await play.succession.aclose()
        assert play.connections[-1].is_released


async def test_a_dial_that_fails_is_tried_again(autojump_clock: MockClock) -> None:
    """A successor that cannot be reached at once is dialled again, in time."""
    async with rotating(fails=lambda dial: dial in (2, 3, 5)) as play:
        await play.speak(speech(900, pause_every=10))
        await play.finish()
        assert play.numbers == list(range(900))


async def test_a_vendor_that_stays_away_ends_the_session(autojump_clock: MockClock) -> None:
    """With no successor to be had the vendor's end is the session's; what was final has been told."""
    async with rotating(fails=lambda dial: dial > 1) as play:
        await play.speak(speech(400, pause_every=10))
        await play.deliver.ended.wait()
        assert type(play.deliver.ending).__name__ == "Failed"
        assert play.numbers == list(range(len(play.numbers)))
        assert len(play.numbers) > 150


async def test_the_end_of_the_audio_ends_rotation(autojump_clock: MockClock) -> None:
    """A stream that is finished while its successor waits ends on the connection that has heard it."""
    async with rotating(Habits(ends_s=8.0)) as play:
        await play.speak(speech(215, pause_every=None))
        assert len(play.connections) == 2
        await play.finish()
        assert play.numbers == list(range(215))
        assert play.connections[1].audio == b""


async def test_a_successor_that_leaves_is_replaced(autojump_clock: MockClock) -> None:
    """A vendor that ends the waiting connection gets another dial; no audio goes into the dead one."""
    async with rotating() as play:
        await play.speak(speech(205, pause_every=None))
        play.connections[1].hangs_up(1011)
        await play.speak([word(number) for number in range(205, 600)])
        await play.finish()
        assert play.numbers == list(range(600))
        assert play.connections[1].audio == b""


async def test_the_switch_is_made_in_a_pause(autojump_clock: MockClock) -> None:
    """Also where the vendor finds no end of an utterance: the audio itself tells where nobody speaks."""
    async with rotating(Habits(hears_pauses=False)) as play:
        await play.speak(speech(900, pause_every=10))
        await play.finish()
        assert play.numbers == list(range(900))
        assert len(play.connections) > 3
        assert all(one.audio.endswith(3 * PAUSE) for one in play.connections[:-1])


async def test_a_container_begins_anew_for_the_next_connection(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Each connection gets a header, and together they get every packet once, in order."""
    sent = [b"\x08" + number.to_bytes(2) + bytes(38) for number in range(4000)]
    first, second, *pages = ogg_pages(sent)
    head = first + second
    audio = AudioFormat("ogg_opus", 48000)
    connections: list[FakeStream] = []

    async def dial(dial: Dial) -> FakeStream:
        connections.append(FakeStream())
        return connections[-1]

    def adapter() -> FakeAdapter:
        return FakeAdapter(audio_format=audio, is_ready_when_opened=True)

    asked = options(partial_results=True)
    deliver = Deliver(FakeStream(), Listen(asked, "request-1"), Limits(), on_room=lambda: None)
    candidate = Candidate(title="Fake", audio_format=audio, adapter=adapter, dial=dial, session_s=SESSION_S)
    around = Unwatched(candidate, deliver, Limits())
    relay = around.relay
    nursery.start_soon(around.succession.run)
    nursery.start_soon(deliver.run)
    for piece in (head, *pages):
        out = around.source.push(piece)
        while around.source.has_more:
            out += around.source.push(b"")
        relay.link.push(out)
        await trio.sleep(0.2)
    assert relay.connections > 2
    got = [connection.audio for connection in connections]
    streams = [ogg_items(one) for one in got if one]
    assert all(isinstance(stream[0], Header) for stream in streams)
    bodies = [item.data for stream in streams for item in stream if isinstance(item, Packet)]
    assert bodies == sent[: len(bodies)]
    assert len(bodies) > len(sent) - 100


def ogg_items(data: bytes) -> list[Header | Packet]:
    """Everything in an Ogg stream."""
    demuxer, found = OggDemuxer(), []
    demuxer.feed(data)
    demuxer.end()
    while (item := demuxer.read()) is not None:
        found.append(item)
    return found
