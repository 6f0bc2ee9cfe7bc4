"""The audio_meter: what is sent counts, by samples, and goes as far as it is granted."""

import pytest
import trio
from trio.testing import MockClock

from routeraudio.model.audio import PCM_16K_MONO, AudioFormat
from routeraudio.model.errors import BudgetUsedUp, Fault
from routeraudio.session.audio_meter import AudioMeter
from tests.session.fakes import FakeTab

MULAW_8K = AudioFormat("pcm_mulaw", 8000)
WEBM = AudioFormat("webm", 48000, 2)


class Charged:
    """A charge on a fake credit, and the faults it has called with."""

    def __init__(self, audio: AudioFormat = PCM_16K_MONO, granted: float = 1000) -> None:
        self.credit = FakeTab(granted)
        self.faults: list[Fault] = []
        self.container_ms = 0
        self.audio_meter = AudioMeter(
            self.credit, audio, position_ms=lambda _: self.container_ms, on_refused=self.faults.append
        )

    def send(self, duration_ms: int, chunk_ms: int = 20, *, audio: AudioFormat = PCM_16K_MONO) -> None:
        """Send ``duration_ms`` in chunks."""
        for at_ms in range(chunk_ms, duration_ms + 1, chunk_ms):
            self.audio_meter.sent(at_ms * audio.bytes_per_second // 1000)


@pytest.mark.parametrize(
    ("audio", "sent_bytes", "cycles"),
    [
        (PCM_16K_MONO, 0, 0),
        (PCM_16K_MONO, 32, 1),
        (PCM_16K_MONO, 160_000, 1),
        (PCM_16K_MONO, 160_032, 2),
        (PCM_16K_MONO, 384_000, 3),
        (MULAW_8K, 8 * 5000, 1),
        (MULAW_8K, 8 * 5001, 2),
        (AudioFormat("pcm_s16le", 48000, 2), 192 * 12_000, 3),
    ],
)
def test_counts_what_was_sent(audio: AudioFormat, sent_bytes: int, cycles: int) -> None:
    """A cycle begins with its first millisecond; 12 s are three, nothing is none."""
    charged = Charged(audio)
    assert charged.audio_meter.sent(sent_bytes)
    assert charged.audio_meter.cycles == cycles
    assert charged.credit.marks == ([cycles] if cycles else [])


@pytest.mark.parametrize("chunk_ms", [1, 20, 100, 2500, 4999, 7000])
def test_chunks_change_nothing(chunk_ms: int) -> None:
    """Each cycle is told once, in order, whatever the chunks."""
    charged = Charged()
    charged.send(35_000 // chunk_ms * chunk_ms, chunk_ms)
    assert charged.credit.marks[-1] == -(-(35_000 // chunk_ms * chunk_ms) // 5000)
    assert charged.credit.marks == sorted(set(charged.credit.marks))


def test_a_container_is_measured_by_its_own_clock() -> None:
    """Where bytes are no time, the position says how far the audio has come."""
    charged = Charged(WEBM, granted=2)
    assert charged.audio_meter.sent(10)
    assert charged.credit.marks == []
    charged.container_ms = 4999
    assert charged.audio_meter.sent(20)
    charged.container_ms = 10_000
    assert not charged.audio_meter.sent(30)
    assert charged.credit.marks == [1, 2]


async def test_goes_as_far_as_it_is_granted(autojump_clock: MockClock) -> None:
    """The chunk that reaches the end of what is granted goes; the next one waits for the next grant."""
    charged = Charged(granted=1)
    assert charged.audio_meter.sent(159_998)
    assert not charged.audio_meter.sent(160_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(charged.audio_meter.room)
        await trio.testing.wait_all_tasks_blocked()
        assert charged.credit.waited == [2]
        charged.credit.grant(2)
    assert charged.audio_meter.sent(160_640)
    assert charged.credit.marks == [1, 2]
    assert charged.faults == []


async def test_a_grant_that_came_in_time_is_not_waited_for() -> None:
    """The next grant arrives while the cycle before still runs: nothing stops at the border."""
    charged = Charged(granted=1)
    charged.audio_meter.sent(32_000)
    charged.credit.granted = 2
    assert charged.audio_meter.sent(160_000)
    assert charged.audio_meter.sent(200_000)


async def test_a_refusal_cuts_once() -> None:
    """When no more is granted the session is told once, and nothing more is sent."""
    charged = Charged(granted=1)
    charged.audio_meter.sent(160_000)
    fault = BudgetUsedUp("nothing left")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(charged.audio_meter.room)
        await trio.testing.wait_all_tasks_blocked()
        charged.credit.refuse(fault)
    await charged.audio_meter.room()
    assert charged.audio_meter.is_cut
    assert charged.faults == [fault]
    assert charged.audio_meter.cycles == 1
