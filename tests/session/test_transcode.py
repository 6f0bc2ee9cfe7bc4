"""The transcode stage: audio and controls in their order, and nothing behind the end."""

from itertools import accumulate

import pytest
import trio
from trio.testing import MockClock

from routeraudio.audio.transcode import transcoder
from routeraudio.dialects.base import Command, Control
from routeraudio.model.audio import PCM_16K_MONO, AudioFormat, Encoding
from routeraudio.session.ingest import PIECE_BYTES
from routeraudio.session.link import Link
from routeraudio.session.transcode import WORK_BURST_S, WORK_SHARE, Transcode
from tests.audio.made import CONTAINERS, encoded, named, noise

MULAW_8K = AudioFormat("pcm_mulaw", 8000)


class Scripted:
    """A transcoder that holds back one chunk, and has as much more as the test says."""

    is_passthrough = False
    resumed_ms = 0
    warnings = ()

    def __init__(self, *, more: int = 0) -> None:
        self.source, self.target = MULAW_8K, PCM_16K_MONO
        self._held = b""
        self._more = more
        self.source_ms = 0

    @property
    def has_more(self) -> bool:
        return self._more > 0

    def keep(self, duration_s: float) -> None:
        pass

    def forget(self, until_ms: int) -> None:
        pass

    def restart(self, since_ms: int | None = None) -> bytes:
        return b""

    def push(self, data: bytes) -> bytes:
        if not data:
            assert self._more
            self._more -= 1
            return b"more"
        self.source_ms += 10 * len(data)
        held, self._held = self._held, data
        return held

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return held


def collecting(room_bytes: int = 1000) -> tuple[Link[Command], list[Command]]:
    """A link whose consumer has not begun, and what it takes when drained."""
    taken: list[Command] = []

    def step(command: Command) -> bool:
        taken.append(command)
        return True

    link = Link[Command](
        step, wait=trio.lowlevel.checkpoint, size=lambda _: 10, room_bytes=room_bytes, on_room=lambda: None
    )
    return link, taken


def test_what_is_held_back_comes_before_the_end() -> None:
    """The transcoder's tail goes between the last chunk and FINISH."""
    link, taken = collecting()
    stage = Transcode(Scripted(), link)
    for command in (b"a", b"b", Control.FINISH):
        assert stage.step(command)
    link.drain()
    assert taken == [b"a", b"b", Control.FINISH]


def test_no_empty_chunk_goes_on() -> None:
    """A chunk that yields nothing yet, and a transcoder without a tail, leave no trace."""
    link, taken = collecting()
    stage = Transcode(transcoder(PCM_16K_MONO, PCM_16K_MONO), link)
    stage.step(b"\x01")
    stage.step(Control.FINALIZE)
    stage.step(b"\x02\x03")
    stage.step(Control.FINISH)
    link.drain()
    assert taken == [Control.FINALIZE, b"\x01\x02", Control.FINISH]


@pytest.mark.parametrize("command", [b"\x01\x02", Control.FINALIZE, Control.FINISH])
def test_a_full_link_makes_the_stage_wait(command: Command) -> None:
    """The stage asks to wait when the next link is full, whatever it has just handed on."""
    link, _ = collecting(room_bytes=15)
    stage = Transcode(transcoder(PCM_16K_MONO, PCM_16K_MONO), link)
    assert stage.step(b"\x01\x02")
    assert not stage.step(command)


def test_long_work_lets_others_have_a_turn() -> None:
    """After converting a long piece the stage waits once; passing one through is no work."""
    link, _ = collecting()
    piece = bytes(PIECE_BYTES)
    assert not Transcode(transcoder(MULAW_8K, PCM_16K_MONO), link).step(piece)
    assert Transcode(transcoder(MULAW_8K, PCM_16K_MONO), link).step(piece[:-1])
    assert Transcode(transcoder(PCM_16K_MONO, PCM_16K_MONO), link).step(piece)


async def test_what_a_few_bytes_hold_comes_as_there_is_room() -> None:
    """A transcoder that has stopped at its bound is asked for the rest before anything else is taken."""
    link, taken = collecting()
    stage = Transcode(Scripted(more=3), link)
    assert not stage.step(b"a")
    await stage.wait()
    assert stage.step(Control.FINISH)
    link.drain()
    assert taken == [b"more", b"more", b"more", b"a", Control.FINISH]


def test_positions_are_shares_of_what_was_handed_on() -> None:
    """Where the provider has been sent half of the bytes, half of the audio counts."""
    link, _ = collecting()
    stage = Transcode(Scripted(), link)
    assert stage.position_ms(0) == 0
    for chunk in (b"abcd", b"efgh"):
        stage.step(chunk)
    assert stage.pushed_bytes == 4
    assert (stage.position_ms(4), stage.position_ms(2)) == (80, 40)


@pytest.mark.parametrize("length", [20, 640, 9600, 160_000, 160_002, 500_000])
def test_no_chunk_reaches_into_the_next_cycle(length: int) -> None:
    """Whatever the client's messages, what is handed on ends where a cycle ends, and nothing is lost or changed."""
    link, taken = collecting(room_bytes=10**9)
    stage = Transcode(transcoder(PCM_16K_MONO, PCM_16K_MONO), link)
    sound = bytes(range(256)) * 2500
    for at in range(0, len(sound), length):
        stage.step(sound[at : at + length])
    link.drain()
    chunks = [chunk for chunk in taken if isinstance(chunk, bytes)]
    assert b"".join(chunks) == sound
    assert {160_000, 320_000, 480_000, 640_000} <= set(accumulate(map(len, chunks)))
    assert stage.pushed_bytes == len(sound)


@pytest.mark.parametrize("is_passed_on", [False, True])
@pytest.mark.parametrize("encoding", CONTAINERS)
async def test_all_of_a_container_goes_on_before_more_is_taken(
    encoding: Encoding, is_passed_on: bool, autojump_clock: MockClock
) -> None:
    """Seconds of audio in one message, decoded or not: they do not wait for the next one, or for the end."""
    link, taken = collecting(room_bytes=10**9)
    converter = transcoder(named(encoding), named(encoding) if is_passed_on else PCM_16K_MONO)
    stage = Transcode(converter, link)
    assert not stage.step(encoded(encoding, noise(48_000, 6.0), 48_000))
    await stage.wait()
    assert converter.source_ms > 5900
    link.drain()
    assert max(len(chunk) for chunk in taken if isinstance(chunk, bytes)) < 40_000


class Costly(Scripted):
    """Every push takes so long on the clock of the test."""

    def __init__(self, work_s: float) -> None:
        super().__init__()
        self.now_s = 0.0
        self._work_s = work_s

    def push(self, data: bytes) -> bytes:
        self.now_s += self._work_s
        return super().push(data)


@pytest.mark.parametrize("work_s", [0.001, 0.004, 0.02])
async def test_work_is_a_share_of_the_time(work_s: float, autojump_clock: MockClock) -> None:
    """Whatever a client sends, and however fast: beyond the first tenth of a second, a tenth of a core."""
    link, _ = collecting(room_bytes=10**9)
    costly = Costly(work_s)
    stage = Transcode(costly, link, clock=lambda: costly.now_s)
    began_s = trio.current_time()
    for _ in range(1000):
        if not stage.step(b"a"):
            await stage.wait()
    lasted_s = trio.current_time() - began_s
    assert costly.now_s == pytest.approx(WORK_BURST_S + WORK_SHARE * lasted_s, abs=2 * work_s)


async def test_work_in_real_time_never_waits(autojump_clock: MockClock) -> None:
    """Twenty milliseconds of audio that take one."""
    link, _ = collecting(room_bytes=10**9)
    costly = Costly(0.001)
    stage = Transcode(costly, link, clock=lambda: costly.now_s)
    began_s = trio.current_time()
    for count in range(3000):
        if not stage.step(b"a"):
            await stage.wait()
        assert trio.current_time() == pytest.approx(began_s + count * 0.02)
        await trio.sleep_until(began_s + (count + 1) * 0.02)


async def test_raw_audio_that_passes_is_no_work(autojump_clock: MockClock) -> None:
    """Nobody looks at a clock for it."""
    link, _ = collecting(room_bytes=10**9)

    def clock() -> float:
        raise AssertionError

    assert Transcode(transcoder(PCM_16K_MONO, PCM_16K_MONO), link, clock=clock).step(b"\x01\x02")
