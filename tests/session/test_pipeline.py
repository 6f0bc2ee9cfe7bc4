"""`Session`: whole conversations that go well, and back-pressure in both directions."""

import pytest
import trio
from trio.testing import MockClock

from routeraudio.dialects.base import Control
from routeraudio.model.audio import PCM_16K_MONO, AudioFormat
from routeraudio.model.message import Message
from routeraudio.policy.limits import Limits
from tests.session.adapter import FakeAdapter
from tests.session.conversation import CHUNK, SECOND, conversation, options, settled
from tests.session.fakes import FakeStream

END = '{"type":"end_of_stream"}'
FINALIZE = '{"type":"finalize"}'
KEEPALIVE = '{"type":"keepalive"}'


async def test_a_session_from_beginning_to_end(autojump_clock: MockClock) -> None:
    """Audio out, transcripts in, the last words after the end of the stream, 1000, and one line in the log."""
    async with conversation() as play:
        await play.ready()
        await play.client.says(SECOND)
        await play.upstream.says("partial good")
        await play.upstream.says("partial good morning")
        await play.client.says(FINALIZE)
        await play.upstream.says("final Good morning.")
        await play.upstream.says("turn 900")
        await play.client.says(END)
        assert play.upstream.heard == [SECOND, "FINALIZE", "FINISH"]
        await play.upstream.says("final Bye.")
        await play.upstream.says("usage 1000")
        await play.upstream.says("end")
        await play.ends()
        assert play.story == [
            "partial good",
            "partial good morning",
            "final Good morning.",
            "turn_end",
            "final Bye.",
            "1000",
        ]
        assert play.duration_s == 0
        line = play.logged("session_ended")
        assert (line["close_code"], line["error"], line["audio_ms"], line["cycles"]) == (1000, None, 1000, 1)
        assert line["upstream_audio_ms"] == 1000
        assert play.bugs == []


async def test_a_vendor_that_is_ready_when_opened(autojump_clock: MockClock) -> None:
    """Where the open connection is ready, audio goes at once."""
    async with conversation(adapter=FakeAdapter(is_ready_when_opened=True)) as play:
        await settled()
        await play.client.says(CHUNK)
        assert play.upstream.heard == [CHUNK]
        await play.client.says(END)
        await play.upstream.says("end")


async def test_partials_only_for_those_who_asked(autojump_clock: MockClock) -> None:
    """Without `partial_results` the client is told finals only, whatever the vendor sends."""
    async with conversation(wishes=options(partial_results=False)) as play:
        await play.ready()
        for word in ("partial a", "final A."):
            await play.upstream.says(word)
        await play.client.says(END)
        await play.upstream.says("end")
        await play.ends()
        assert play.story == ["final A.", "1000"]


async def test_raw_sessions_get_the_vendors_messages(autojump_clock: MockClock) -> None:
    """With `parse_json=false`: the vendor's messages byte for byte in order, and 1000."""
    said = ["ready x1", "partial \u00e9", "notice", "final  Two  blanks", "turn", "usage 7"]
    async with conversation(wishes=options(parse_json=False)) as play:
        await settled()
        for word in said:
            await play.upstream.says(word)
        await play.client.says(END)
        await play.upstream.says("end")
        await play.ends()
        assert play.client.heard == [*said, "end"]
        assert play.client.close.code == 1000


async def test_raw_sessions_get_our_errors_too(autojump_clock: MockClock) -> None:
    """With `parse_json=false` the only message of ours is the error, behind everything of the vendor's."""
    async with conversation(wishes=options(parse_json=False)) as play:
        await play.ready()
        await play.upstream.says("final a")
        await play.upstream.says("fail No more money")
        await play.ends()
        assert play.client.texts[:-1] == ["ready", "final a", "fail No more money"]
        assert '"type":"error"' in play.client.texts[-1]
        assert play.client.close.code == 4040


async def test_early_audio_is_kept_and_sent_first(autojump_clock: MockClock) -> None:
    """What the client says while we dial and the vendor gets ready is not lost, and keeps its order."""
    async with conversation(dial_s=3) as play:
        chunks = [bytes([number]) * 640 for number in range(150)]
        said: list[Message] = [*chunks[:50], FINALIZE, *chunks[50:]]
        for message in said:
            await play.client.says(message)
        await trio.sleep(4)
        assert play.upstream.heard == []
        await play.upstream.says("ready")
        await settled()
        assert play.upstream.heard == [*chunks[:50], "FINALIZE", *chunks[50:]]
        await play.client.says(END)
        await play.upstream.says("end")


async def test_a_whole_utterance_before_the_vendor_is_ready(autojump_clock: MockClock) -> None:
    """A client may say everything and its end before we are connected: nothing is lost."""
    client = FakeStream(already=[CHUNK, CHUNK, END])
    async with conversation(client=client, dial_s=5) as play:
        await trio.sleep(6)
        await play.upstream.says("ready")
        await settled()
        assert play.upstream.heard == [CHUNK, CHUNK, "FINISH"]
        await play.upstream.says("final all of it")
        await play.upstream.says("end")
        await play.ends()
        assert play.story == ["final all of it", "1000"]


async def test_early_audio_is_bounded(autojump_clock: MockClock) -> None:
    """A client is paused at about ten seconds of early audio, and read again once the vendor takes it."""
    async with conversation(dial_s=5) as play, trio.open_nursery() as nursery:
        pusher = Pusher(play.client, CHUNK, count=3000)
        nursery.start_soon(pusher.run)
        await trio.sleep(4)
        assert play.client.is_paused
        assert 9.5 < pusher.pushed * 0.02 < 13
        await trio.sleep(2)
        await play.upstream.says("ready")
        await trio.sleep(1)
        assert play.client.pauses == 1
        assert pusher.pushed == 3000
        assert play.upstream.audio == CHUNK * 3000
        await play.client.says(END)
        await play.upstream.says("end")


async def test_tiny_early_chunks_are_bounded_too(autojump_clock: MockClock) -> None:
    """A client that sends single samples is paused long before they cost more memory than their audio."""
    async with conversation(dial_s=5) as play, trio.open_nursery() as nursery:
        pusher = Pusher(play.client, b"\x01\x02", count=100_000)
        nursery.start_soon(pusher.run)
        await trio.sleep(4)
        assert play.client.is_paused
        assert pusher.pushed < 8000
        play.client.hangs_up(1001)
        nursery.cancel_scope.cancel()


class Pusher:
    """A client that sends ``chunk`` as fast as it is read."""

    def __init__(self, client: FakeStream, chunk: bytes, *, count: int) -> None:
        self.pushed = 0
        self._client = client
        self._chunk = chunk
        self._count = count

    @property
    def pushed_bytes(self) -> int:
        return self.pushed * len(self._chunk)

    async def run(self) -> None:
        while self.pushed < self._count:
            await self._client.says(self._chunk)
            self.pushed += 1


async def test_a_stalled_upstream_stops_the_client_and_then_the_session(autojump_clock: MockClock) -> None:
    """Of 200 MB sent to a provider that stopped reading only seconds are taken; then it is told whose fault it is."""
    async with conversation() as play, trio.open_nursery() as nursery:
        began_s = trio.current_time()
        await play.ready()
        play.upstream.stops_reading()
        pusher = Pusher(play.client, bytes(65_536), count=3200)
        nursery.start_soon(pusher.run)
        await trio.sleep(9)
        assert play.client.is_paused
        assert pusher.pushed_bytes < 2 * 2 * 32_000 + 4 * 65_536
        await play.ends()
        assert play.client.close.at_s == pytest.approx(began_s + 10)
        assert play.story == ["error provider_unreachable", "4040"]
        assert "Fake has not read for 10 s" in play.told[-1]["error"]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("source", [PCM_16K_MONO, AudioFormat("pcm_s16le", 48000, 2)], ids=str)
async def test_a_slow_upstream_slows_the_client(autojump_clock: MockClock, source: AudioFormat) -> None:
    """A provider that reads in fits gets everything, and never is more under way than the links may hold."""
    source_bytes = source.bytes_per_second * 60
    async with conversation(wishes=options(audio=source)) as play, trio.open_nursery() as nursery:
        await play.ready()
        play.upstream.stops_reading()
        chunk = bytes(source.bytes_per_second // 10)
        pusher = Pusher(play.client, chunk, count=600)
        nursery.start_soon(pusher.run)
        heard_s, most_s = 0.0, 0.0
        while len(play.upstream.audio) < 1_900_000:
            await trio.sleep(5)
            most_s = max(most_s, pusher.pushed_bytes / source.bytes_per_second - heard_s)
            play.upstream.reads(10)
            heard_s = len(play.upstream.audio) / 32_000
        assert 3 < most_s < 2 * 2 + 0.5
        assert pusher.pushed_bytes == source_bytes
        assert play.client.pauses > 5
        play.upstream.reads()
        await play.client.says(END)
        await play.upstream.says("end")


async def test_a_slow_client_gets_all_finals_and_the_vendor_waits(autojump_clock: MockClock) -> None:
    """While the client reads slowly the upstream is not read; every final arrives, in order, and the end is good."""
    limits = Limits(outbox_messages_max=8, outbox_bytes=8000, idle_s=1000)
    async with conversation(limits=limits) as play, trio.open_nursery() as nursery:
        await play.ready()
        play.client.stops_reading()
        nursery.start_soon(_talk, play.upstream, 50)
        await trio.sleep(1)
        assert play.upstream.is_paused
        for _ in range(30):
            await trio.sleep(5)
            play.client.reads(2)
        play.client.reads()
        await trio.sleep(1)
        await play.client.says(END)
        await play.upstream.says("end")
        await play.ends()
        finals = [each for each in play.story if each.startswith("final")]
        assert finals == [f"final {number}" for number in range(50)]
        assert play.story[-1] == "1000"
        assert play.upstream.pauses > 3


async def _talk(upstream: FakeStream, count: int) -> None:
    for number in range(count):
        await upstream.says(f"partial {number}?")
        await upstream.says(f"final {number}")


async def test_a_client_that_does_not_read_is_closed(autojump_clock: MockClock) -> None:
    """After ten seconds without reading the client is closed, and the upstream with it."""
    async with conversation(client=FakeStream(is_polite=False)) as play:
        await play.ready()
        play.client.stops_reading()
        await play.upstream.says("final 1")
        await play.upstream.says("final 2")
        await play.ends()
        assert play.client.close.code == 3008
        assert play.upstream.close.code == 1000
        assert 10 <= play.duration_s <= 10 + 2 + 0.1
        play.client.reads()
        assert play.story == ["final 1", "final 2", "error timeout", "3008"]


async def test_keepalive_and_audio_are_not_mixed_up(autojump_clock: MockClock) -> None:
    """Keepalive messages are for us; the vendor gets its own, when its adapter says so."""
    async with conversation(adapter=FakeAdapter(tick_s=4)) as play:
        await play.ready()
        for _ in range(5):
            await trio.sleep(2)
            await play.client.says(KEEPALIVE)
        assert play.upstream.heard == ["tick", "tick"]
        await play.client.says(END)
        await play.upstream.says("end")


async def test_the_half_sample_at_the_end_is_dropped(autojump_clock: MockClock) -> None:
    """Chunks cut in the middle of a sample are put together; a byte that never gets its other half is nothing."""
    async with conversation() as play:
        await play.ready()
        for message in (b"\x01", b"\x02\x03", b"\x04\x05", END):
            await play.client.says(message)
        assert play.upstream.audio == b"\x01\x02\x03\x04"
        assert play.upstream.heard[-1] == "FINISH"
        await play.upstream.says("end")


async def test_audio_after_the_end_is_ignored(autojump_clock: MockClock) -> None:
    """What a client says after its end of stream goes nowhere and harms nothing."""
    async with conversation() as play:
        await play.ready()
        for message in (CHUNK, END, CHUNK, FINALIZE, END, KEEPALIVE, '{"type":"new"}'):
            await play.client.says(message)
        assert play.upstream.heard == [CHUNK, "FINISH"]
        await play.upstream.says("end")
        await play.ends()
        assert play.story == ["1000"]
        assert play.logged("session_ended")["audio_ms"] == 20


@pytest.mark.parametrize("control", list(Control))
async def test_every_control_is_reachable_from_the_dialect(
    autojump_clock: MockClock, control: Control
) -> None:
    """Each control has a message that means it, and the session survives it before any audio."""
    text = {"finish": END, "finalize": FINALIZE, "keepalive": KEEPALIVE}[control.value]
    expected = {"finish": ["FINISH"], "finalize": ["FINALIZE"], "keepalive": []}[control.value]
    async with conversation() as play:
        await play.ready()
        await play.client.says(text)
        assert play.upstream.heard == expected
        await play.client.says(END)
        await play.upstream.says("end")
