"""From when audio came to how late its text is."""

import pytest

from routeraudio.model.audio import PCM_16K_MONO, AudioFormat
from routeraudio.model.events import Final, Notice, Partial
from routeraudio.session.observer import MARKS_MAX, Arrivals, NullObserver

BYTES_PER_MS = 32


class Noted(NullObserver):
    """What was told."""

    def __init__(self) -> None:
        self.first: list[float] = []
        self.finals: list[float] = []

    def first_text(self, after_s: float) -> None:
        self.first.append(round(after_s, 6))

    def final(self, after_s: float) -> None:
        self.finals.append(round(after_s, 6))


class Stream:
    """Audio in real time from second 100 on, in chunks of 20 ms, as a session counts it."""

    def __init__(self, audio: AudioFormat = PCM_16K_MONO) -> None:
        self.now_s = 100.0
        self.observer = Noted()
        self.looks = 0
        self.received_bytes = 0
        self.arrivals = Arrivals(audio, self.observer, lambda: self.now_s)

    def hear(self, duration_ms: int, *, chunk_ms: int = 20) -> None:
        for _ in range(duration_ms // chunk_ms):
            self.now_s += chunk_ms / 1000
            self.received_bytes += chunk_ms * BYTES_PER_MS
            if self.received_bytes >= self.arrivals.look_at_bytes:
                self.looks += 1
                self.arrivals.came(self.received_bytes)


@pytest.mark.parametrize("end_ms", [1, 20, 333, 1000, 2480, 2500])
def test_a_final_is_as_late_as_its_last_sample_is_old(end_ms: int) -> None:
    """Between two looks at the clock the time is interpolated; before the first chunk was whole nothing had come."""
    stream = Stream()
    stream.hear(2500)
    stream.now_s += 0.4
    stream.arrivals.told(Final("x", 0, end_ms))
    assert stream.observer.finals == [pytest.approx((2500 - max(end_ms, 20)) / 1000 + 0.4, abs=0.002)]


def test_few_looks_at_the_clock() -> None:
    """Ten a second at most, however small the chunks."""
    stream = Stream()
    stream.hear(5000)
    assert stream.looks <= 51


def test_the_first_text_counts_once() -> None:
    """From the first audio to the first partial or final, whichever it is."""
    stream = Stream()
    stream.hear(20)
    stream.now_s += 0.5
    stream.arrivals.told(Notice("warning"))
    stream.arrivals.told(Partial("x", 0, 10))
    stream.now_s += 0.5
    stream.arrivals.told(Final("x", 0, 20))
    assert stream.observer.first == [0.5]
    assert len(stream.observer.finals) == 1


def test_a_final_behind_the_audio_is_not_counted() -> None:
    """A vendor's position that nobody has sent yet tells nothing about delays."""
    stream = Stream()
    stream.arrivals.told(Final("x", 0, 100))
    stream.hear(1000)
    stream.arrivals.told(Final("x", 0, 5000))
    assert stream.observer.finals == []


def test_memory_is_bounded() -> None:
    """A final for what came long ago counts as late as can be told."""
    stream = Stream()
    stream.hear(MARKS_MAX * 100 * 3)
    stream.arrivals.told(Final("x", 0, 100))
    assert MARKS_MAX / 10 / 2 - 1 <= stream.observer.finals[0] <= MARKS_MAX / 10 + 1


def test_containers_have_no_positions() -> None:
    """What only a decoder could tell is not guessed."""
    stream = Stream(AudioFormat("ogg_opus", 48000))
    stream.hear(1000)
    stream.arrivals.told(Final("x", 0, 100))
    assert (stream.looks, stream.observer.finals) == (0, [])
