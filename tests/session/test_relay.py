"""The relay stage: when audio may go, when the vendor is too slow, and what its messages become."""

import json

import pytest
import trio
from trio.testing import MockClock

from routeraudio.dialects.base import Control
from routeraudio.model.audio import PCM_16K_MONO, AudioFormat
from routeraudio.model.errors import BudgetUsedUp, Fault, UpstreamFault
from routeraudio.model.events import Failed, Finished
from routeraudio.policy.limits import Limits
from routeraudio.providers.base import Pace
from routeraudio.session.relay import Relay, room_bytes, size
from routeraudio.session.streams import Refused
from routeraudio.session.upstream import LAST_WORDS_FACTOR
from tests.session.adapter import FakeAdapter
from tests.session.conversation import CHUNK, SECOND, settled, short
from tests.session.fakes import FakeDialler, FakeStream, FakeTab
from tests.session.relaying import Relaying, relaying


@pytest.mark.parametrize(
    ("audio", "expected"),
    [
        (PCM_16K_MONO, 64_000),
        (AudioFormat("pcm_mulaw", 8000), 16_000),
        (AudioFormat("pcm_s16le", 48000, 2), 384_000),
        (AudioFormat("webm", 48000, 2), 32_000),
    ],
)
def test_room_is_seconds_of_audio(audio: AudioFormat, expected: int) -> None:
    """Two seconds of audio in bytes; for containers a generous guess."""
    assert room_bytes(audio, 2.0) == expected


def test_every_command_counts() -> None:
    """A chunk counts more than its audio and a control more than nothing, so that tiny items are bounded."""
    assert size(bytes(640)) > 640
    assert size(b"\x00") > 8
    assert size(Control.FINALIZE) > 0


async def test_what_opens_the_connection_comes_first() -> None:
    """`opened()` goes out before audio, also where the open connection is ready."""
    adapter = FakeAdapter(is_ready_when_opened=True, opens_with=('{"config":1}', b"hello"))
    async with relaying(adapter) as play:
        play.relay.link.push(CHUNK)
        await settled()
        assert play.upstream.heard == ['{"config":1}', b"hello", CHUNK]


async def test_a_vendors_pace_is_kept(autojump_clock: MockClock) -> None:
    """Beyond the burst audio goes out as fast as it is spoken, in order, and FINISH behind it."""
    adapter = FakeAdapter(is_ready_when_opened=True)
    async with relaying(adapter, pace=Pace(burst_s=2.0)) as play:
        began_s = trio.current_time()
        for number in range(10):
            play.relay.link.push(bytes([number]) * len(SECOND))
        play.relay.link.push(Control.FINISH)
        await settled()
        assert len(play.upstream.audio) <= 3 * len(SECOND)
        while "FINISH" not in play.upstream.texts:
            await trio.sleep(0.1)
            spoken_s = trio.current_time() - began_s
            assert len(play.upstream.audio) <= (spoken_s + 3) * len(SECOND)
        assert trio.current_time() - began_s == pytest.approx(8, abs=0.5)
        assert play.upstream.audio == b"".join(bytes([number]) * len(SECOND) for number in range(10))


async def test_a_container_s_piece_waits_for_all_of_its_cycles() -> None:
    """It cannot be cut at their borders; what comes behind it stays behind it."""
    credit = FakeTab(granted=1)
    adapter = FakeAdapter(audio_format=AudioFormat("ogg_opus", 48_000, 2), is_ready_when_opened=True)
    async with relaying(adapter, credit=credit, position_ms=lambda sent: sent * 1000) as play:
        for command in (b"123", b"45678901", b"2", Control.FINISH):
            play.relay.link.push(command)
        await settled()
        assert (play.upstream.heard, credit.marks, credit.waited) == ([b"123"], [1], [3])
        credit.grant(3)
        await settled()
        assert play.upstream.heard == [b"123", b"45678901", b"2", "FINISH"]
        assert credit.marks == [1, 3]


async def test_a_container_s_piece_beyond_the_budget_is_not_sent() -> None:
    """Nor is it charged."""
    credit = FakeTab(granted=1)
    credit.refuse(BudgetUsedUp("used up"))
    adapter = FakeAdapter(audio_format=AudioFormat("ogg_opus", 48_000, 2), is_ready_when_opened=True)
    async with relaying(adapter, credit=credit, position_ms=lambda sent: sent * 1000) as play:
        for command in (b"123", b"45678901", b"2", Control.FINISH):
            play.relay.link.push(command)
        await settled()
        assert (play.upstream.heard, credit.marks) == ([b"123", "FINISH"], [1])
        assert len(play.faults) == 1


async def test_audio_waits_for_readiness() -> None:
    """Nothing but the opening goes out before the vendor is ready; then all that gathered, in order."""
    async with relaying(FakeAdapter(opens_with=("config",))) as play:
        for command in (b"1", Control.FINALIZE, b"2", Control.FINISH):
            play.relay.link.push(command)
        await trio.testing.wait_all_tasks_blocked()
        assert play.upstream.heard == ["config"]
        await play.upstream.says("ready")
        await settled()
        assert play.upstream.heard == ["config", b"1", "FINALIZE", b"2", "FINISH"]


async def test_ten_seconds_are_kept_while_dialling_and_two_afterwards(autojump_clock: MockClock) -> None:
    """The link has room for `dialling_audio_s` before readiness and `stage_audio_s` from then on."""
    async with relaying() as play:
        assert 9.0 < _filled_s(play.relay) <= 10.0
        await play.upstream.says("ready")
        await settled()
        play.upstream.stops_reading()
        assert 1.8 < _filled_s(play.relay) <= 2.1


async def test_a_vendor_that_is_not_ready_in_time_is_given_up(autojump_clock: MockClock) -> None:
    """`ready_s` after the connection opened it is the provider's fault, by name."""
    async with relaying(limits=Limits(ready_s=7), dial=FakeDialler(FakeStream(), after_s=3)) as play:
        await trio.sleep(9.9)
        assert play.fault is None
        await trio.sleep(0.2)
        _expect(play.fault, "Fake was not ready within 7 s", code="provider_unreachable")


async def test_a_vendor_that_does_not_read_is_given_up(autojump_clock: MockClock) -> None:
    """Audio that cannot be written for `send_s` is the provider's fault, by name."""
    async with relaying(limits=Limits(send_s=6)) as play:
        await play.upstream.says("ready")
        play.upstream.stops_reading()
        play.relay.link.push(CHUNK)
        play.relay.link.push(CHUNK)
        await trio.sleep(5.9)
        assert play.fault is None
        await trio.sleep(0.2)
        _expect(play.fault, "Fake has not read for 6 s", code="provider_unreachable")


async def test_a_vendor_that_reads_now_and_then_is_kept(autojump_clock: MockClock) -> None:
    """A provider that reads just in time is waited for."""
    async with relaying(limits=Limits(send_s=6)) as play:
        await play.upstream.says("ready")
        play.upstream.stops_reading()
        for number in range(5):
            play.relay.link.push(bytes([number]) * 2)
        for _ in range(5):
            await trio.sleep(5)
            play.upstream.reads(1)
        await settled()
        assert play.fault is None
        assert play.upstream.audio == b"\0\0\1\1\2\2\3\3\4\4"


async def test_a_vendor_that_owes_its_last_words_is_given_up(autojump_clock: MockClock) -> None:
    """`last_words_s` after `finish` what is settled is told, then whose fault it is."""
    async with relaying(limits=Limits(last_words_s=8)) as play:
        await play.upstream.says("ready")
        await play.upstream.says("settle so far")
        play.relay.link.push(Control.FINISH)
        await trio.sleep(7.9)
        assert not play.deliver.ended.is_set()
        await trio.sleep(0.2)
        assert isinstance(play.deliver.ending, Failed)
        _expect(play.deliver.ending.fault, "Fake did not finish within 8 s", code="provider_unreachable")
        assert "so far" in play.client.texts[0]


async def test_nobody_is_blamed_for_a_client_that_reads_the_last_words_slowly(
    autojump_clock: MockClock,
) -> None:
    """A vendor that finished in time has finished, however long the client takes to read it."""
    async with relaying(limits=Limits(last_words_s=8, send_s=30)) as play:
        await play.upstream.says("ready")
        play.client.stops_reading()
        play.relay.link.push(Control.FINISH)
        for word in ("final 1", "final 2", "end"):
            await play.upstream.says(word)
        await trio.sleep(20)
        play.client.reads()
        await settled()
        assert isinstance(play.deliver.ending, Finished)
        assert play.fault is None


async def test_a_vendor_we_do_not_read_is_not_late(autojump_clock: MockClock) -> None:
    """While a slow client keeps us from reading the vendor, its last words are not overdue."""
    limits = Limits(last_words_s=8, send_s=30, outbox_messages_max=2, outbox_bytes=2000)
    async with relaying(limits=limits) as play:
        await play.upstream.says("ready")
        play.client.stops_reading()
        for number in range(3):
            await play.upstream.says(f"final {number}")
        assert play.upstream.is_paused
        play.relay.link.push(Control.FINISH)
        await trio.sleep(20)
        play.client.reads()
        await settled()
        await play.upstream.says("end")
        await settled()
        assert isinstance(play.deliver.ending, Finished)


async def test_a_vendor_that_still_talks_is_waited_for(autojump_clock: MockClock) -> None:
    """A provider that was sent audio faster than real time and still works on it is not late while it says so."""
    async with relaying(limits=Limits(last_words_s=8)) as play:
        await play.upstream.says("ready")
        play.relay.link.push(Control.FINISH)
        for number in range(9):
            await trio.sleep(7)
            await play.upstream.says(f"final {number}")
        await play.upstream.says("end")
        await settled()
        assert isinstance(play.deliver.ending, Finished)
        assert len(play.client.texts) == 9


async def test_a_vendor_that_talks_for_ever_is_given_up(autojump_clock: MockClock) -> None:
    """Even a provider that keeps talking has to come to an end."""
    async with relaying(limits=Limits(last_words_s=8)) as play:
        await play.upstream.says("ready")
        play.relay.link.push(Control.FINISH)
        began_s = trio.current_time()
        with trio.move_on_after(1000):
            while not play.deliver.ended.is_set():
                await play.upstream.says("notice")
                await trio.sleep(1)
        assert isinstance(play.deliver.ending, Failed)
        longest_s = LAST_WORDS_FACTOR * 8
        assert longest_s <= trio.current_time() - began_s <= longest_s + 8 + 1


async def test_a_vendor_that_fell_silent_again_is_given_up(autojump_clock: MockClock) -> None:
    """What was said before the end of the audio buys no time after it, and what is said after it buys it once."""
    async with relaying(limits=Limits(last_words_s=8)) as play:
        for word in ("ready", "final 1", "final 2"):
            await play.upstream.says(word)
        play.relay.link.push(Control.FINISH)
        await trio.sleep(5)
        await play.upstream.says("final 3")
        await trio.sleep(10.9)
        assert not play.deliver.ended.is_set()
        await trio.sleep(0.2)
        assert isinstance(play.deliver.ending, Failed)


async def test_ticks_come_when_they_are_due(autojump_clock: MockClock) -> None:
    """The adapter is ticked once at the opening, then at every `due_s`, until the session finishes."""
    adapter = FakeAdapter(tick_s=3)
    async with relaying(adapter) as play:
        await play.upstream.says("ready")
        assert play.upstream.heard == []
        await trio.sleep(10)
        assert play.upstream.heard == ["tick"] * 3
        play.relay.link.push(Control.FINISH)
        await trio.sleep(7)
        assert play.upstream.heard == ["tick"] * 3 + ["FINISH"]


async def test_no_ticks_for_a_vendor_that_wants_none(autojump_clock: MockClock) -> None:
    """`due_s` None means: once at the opening and never again."""
    adapter = FakeAdapter(tick_s=None)
    async with relaying(adapter) as play:
        await play.upstream.says("ready")
        await trio.sleep(1000)
        assert adapter.calls.count("tick") == 1


async def test_the_adapter_is_left_alone_after_the_last_event(autojump_clock: MockClock) -> None:
    """After `Finished` or `Failed` nothing is called any more: no audio, tick, message, close or deadline."""
    adapter = FakeAdapter(tick_s=3)
    async with relaying(adapter, Limits(last_words_s=5, send_s=1000)) as play:
        await play.upstream.says("ready")
        play.client.stops_reading()
        for word in ("final 1", "final 2", "fail gone", "final never", "nonsense"):
            await play.upstream.says(word)
        calls = list(adapter.calls)
        for command in (CHUNK, Control.FINALIZE, Control.FINISH):
            play.relay.link.push(command)
        await trio.sleep(100)
        play.upstream.hangs_up(1011)
        await settled()
        assert adapter.calls == calls
        assert play.fault is None


async def test_settling_is_the_adapters_last_call() -> None:
    """When the session ends first, what is settled is told once, no end is made up, and nothing more is asked."""
    adapter = FakeAdapter()
    async with relaying(adapter) as play:
        await play.upstream.says("ready")
        await play.upstream.says("settle so far")
        play.relay.settle()
        calls = list(adapter.calls)
        play.relay.settle()
        play.relay.step(CHUNK)
        play.relay.step(Control.FINISH)
        await play.upstream.says("final never")
        play.upstream.hangs_up(1011)
        assert adapter.calls == calls
        assert [short(json.loads(text)) for text in play.client.texts] == ["final so far"]
        assert play.deliver.ending is None


async def test_settling_before_there_is_an_upstream_is_nothing() -> None:
    """An adapter that was never connected has nothing to settle."""
    adapter = FakeAdapter()
    Relaying(adapter, Limits(), None).relay.settle()
    assert adapter.calls == []


async def test_usage_is_kept_for_the_log() -> None:
    """What the vendor says it heard is kept, the latest counts, and the client is not told."""
    async with relaying() as play:
        for word in ("ready", "usage 1000", "usage 2000"):
            await play.upstream.says(word)
        assert play.relay.usage is not None
        assert play.relay.usage.audio_ms == 2000
        assert play.client.heard == []


async def test_raw_messages_come_as_they_are() -> None:
    """With `parse_json=false` every message of the vendor's is passed on once, byte for byte, up to its last."""
    said = ["ready", "partial  a\u00e9", "notice", "final a", "usage 5", "fail now", "final never"]
    async with relaying(parse_json=False) as play:
        for word in said:
            await play.upstream.says(word)
        assert play.client.heard == said[:-1]


@pytest.mark.parametrize("code", [None, 1000, 1011])
async def test_a_close_is_the_adapters_to_read(code: int | None) -> None:
    """How the vendor closed decides with the adapter what becomes of the session."""
    async with relaying() as play:
        await play.upstream.says("ready")
        play.upstream.hangs_up(code)
        await settled()
        assert isinstance(play.deliver.ending, Failed)
        assert play.deliver.ending.fault.message == f"Fake closed the connection (close code {code})"


async def test_a_violation_is_no_clean_close() -> None:
    """Where we ended it because of what the vendor sent, its adapter is not told of a close frame."""
    async with relaying() as play:
        await play.upstream.says("ready")
        play.relay.link.push(Control.FINISH)
        await settled()
        assert play.upstream.heard == ["FINISH"]
        play.upstream.hangs_up(1000, is_violation=True)
        await settled()
        assert isinstance(play.deliver.ending, Failed)


async def test_a_refusal_is_read_by_the_adapter() -> None:
    """An HTTP answer instead of the upgrade becomes the adapter's fault, without its body in the way."""
    async with relaying(dial=FakeDialler(FakeStream(), fails=Refused(402, b"hush"))) as play:
        _expect(play.fault, "Fake refused the connection (HTTP 402)", code="provider_error")
        assert play.fault is not None
        assert "hush" not in repr(play.fault)


async def test_what_the_dialler_says_is_passed_on() -> None:
    """A provider that cannot be reached fails with the dialler's own words."""
    fault = UpstreamFault("Fake is unreachable", code="provider_unreachable")
    async with relaying(dial=FakeDialler(FakeStream(), fails=fault)) as play:
        assert play.fault is fault


async def test_closing_before_dialling_is_nothing() -> None:
    """A relay without an upstream has nothing to close and nothing to resume."""
    play = Relaying(FakeAdapter(), Limits(), None)
    play.succession.resume()
    await play.succession.aclose()
    assert not play.upstream.is_started


def _filled_s(relay: Relay) -> float:
    """Seconds of audio that the link takes before it is full."""
    return 0.02 * next(number for number in range(10_000) if not relay.link.push(CHUNK))


def _expect(fault: Exception | None, words: str, *, code: str) -> None:
    assert isinstance(fault, Fault)
    assert words in fault.message
    assert (fault.code, fault.close_code) == (code, 4040)
