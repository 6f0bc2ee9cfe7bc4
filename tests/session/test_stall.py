"""A provider that is connected and silent while somebody speaks is left; for silence, music and noise nobody is."""

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
from trio.testing import MockClock

from routeraudio.audio.g711 import MulawDecoder
from routeraudio.dialects.listen import Listen
from routeraudio.model.audio import AudioFormat
from routeraudio.model.message import Message
from routeraudio.policy.limits import Limits
from routeraudio.providers.base import Dial
from routeraudio.session.pipeline import Plan, Session
from routeraudio.session.replay import Kept
from routeraudio.session.stall import FRAME_MS, Stall, hears
from routeraudio.session.succession import Failover
from tests.session.conversation import options
from tests.session.fakes import FakeStream
from tests.session.numbered import NumberedAdapter

AUDIO = AudioFormat("pcm_s16le", 16000)
ASSETS = Path(__file__).parent.parent / "assets" / "audio"
STALL_S = 8.0


def spoken(duration_s: float = 30.0) -> bytes:
    """Real speech, one clip behind the other."""
    clips = b""
    for path in sorted(ASSETS.glob("*.wav")):
        with wave.open(str(path)) as clip:
            clips += clip.readframes(clip.getnframes())
    length = int(duration_s * AUDIO.bytes_per_second)
    return (clips * (length // len(clips) + 1))[:length]


def noise(seed: int, tilt: float, level: float) -> Any:
    """Thirty seconds of noise: white, pink, brown, and what is between."""
    count = 30 * AUDIO.sample_rate
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    shaped = np.fft.irfft(spectrum / np.maximum(1, np.arange(len(spectrum))) ** (tilt / 2), count)
    return shaped / np.abs(shaped).max() * level


def tones(seed: int) -> Any:
    """Thirty seconds of chords that swell and die away."""
    draw = np.random.default_rng(seed)
    count = 30 * AUDIO.sample_rate
    music = np.zeros(count + 4 * AUDIO.sample_rate)
    for start in range(0, count, AUDIO.sample_rate // 4):
        for _ in range(draw.integers(1, 4)):
            pitch_hz = 220 * 2 ** (draw.integers(0, 24) / 12)
            at_s = np.arange(AUDIO.sample_rate) / AUDIO.sample_rate
            note = sum(np.sin(2 * np.pi * pitch_hz * harmonic * at_s) / harmonic for harmonic in range(1, 6))
            music[start : start + AUDIO.sample_rate] += note * np.exp(-at_s * draw.uniform(0.5, 3))
    return music[:count] / np.abs(music).max() * 12_000


def stalled_after_s(audio: bytes, format_: AudioFormat = AUDIO) -> float | None:
    """When it is noticed that nothing is said about ``audio``; None: never."""
    stall, kept = Stall(format_, STALL_S), Kept(format_, 30.0)
    chunk_bytes = format_.bytes_per_second * FRAME_MS // 1000
    for start in range(0, len(audio), chunk_bytes):
        kept.keep(audio[start : start + chunk_bytes])
        sent_bytes = min(start + chunk_bytes, len(audio))
        if sent_bytes >= stall.look_at_bytes and stall.look(kept, sent_bytes):
            return sent_bytes / format_.bytes_per_second
    return None


def samples(sound: Any) -> bytes:
    return np.clip(sound, -32_768, 32_767).astype("<i2").tobytes()


def test_speech_without_text_is_a_stall() -> None:
    """Within `stall_s` and one look more."""
    after_s = stalled_after_s(spoken())
    assert after_s is not None
    assert STALL_S <= after_s <= STALL_S + 2.0


@pytest.mark.parametrize("level", [0.1, 0.3])
def test_quiet_speech(level: float) -> None:
    """Also from the other end of a room."""
    after_s = stalled_after_s(samples(np.frombuffer(spoken(), "<i2") * level))
    assert after_s is not None
    assert after_s <= STALL_S + 4.0


def test_speech_with_pauses() -> None:
    """A speaker who thinks in between."""
    clip, parts = spoken(), []
    for start in range(0, len(clip), 3 * AUDIO.bytes_per_second):
        parts += [clip[start : start + 3 * AUDIO.bytes_per_second], bytes(2 * AUDIO.bytes_per_second)]
    after_s = stalled_after_s(b"".join(parts))
    assert after_s is not None
    assert after_s <= 2 * STALL_S


@pytest.mark.parametrize("tilt", [0.0, 0.5, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("level", [0, 30, 300, 3000, 12_000, 30_000])
@pytest.mark.parametrize("seed", range(4))
def test_noise_is_no_speech(seed: int, tilt: float, level: float) -> None:
    """Of any colour and loudness, and silence."""
    assert stalled_after_s(samples(noise(seed, tilt, level))) is None


@pytest.mark.parametrize("seed", range(20))
def test_held_tones_are_no_speech(seed: int) -> None:
    """Chords without a gap, which the detector alone takes for speech."""
    assert stalled_after_s(samples(tones(seed))) is None


@pytest.mark.parametrize("hum_hz", [50, 60, 100, 120, 400, 1000])
def test_hum_is_no_speech(hum_hz: int) -> None:
    """Mains, fans, a test tone."""
    at_s = np.arange(30 * AUDIO.sample_rate) / AUDIO.sample_rate
    hum = 3000 * np.sin(2 * np.pi * hum_hz * at_s) + 1000 * np.sin(6 * np.pi * hum_hz * at_s)
    assert stalled_after_s(samples(hum)) is None


def test_after_a_stall_somebody_must_have_said_something() -> None:
    """If the next provider hears no words either, there are none."""
    stall, kept = Stall(AUDIO, STALL_S), Kept(AUDIO, 30.0)
    audio = spoken(10)
    kept.keep(audio)
    assert looked(stall, kept, len(audio))
    stall.left(len(audio))
    kept.keep(audio)
    assert not looked(stall, kept, 2 * len(audio))
    stall.text(2 * len(audio))
    kept.keep(audio)
    assert looked(stall, kept, 3 * len(audio))


def looked(stall: Stall, kept: Kept, sent_bytes: int) -> bool:
    """All looks that are due, each at a little."""
    found = [stall.look(kept, sent_bytes) for _ in range(4)]
    assert stall.look_at_bytes > sent_bytes
    return any(found)


@pytest.mark.parametrize(
    ("format_", "expected"),
    [
        (AUDIO, True),
        (AudioFormat("pcm_mulaw", 8000), True),
        (AudioFormat("pcm_s16le", 24_000), True),
        (AudioFormat("pcm_s16le", 48_000, 2), True),
        (AudioFormat("pcm_s16le", 44_100), False),
        (AudioFormat("webm", 48_000, 2), False),
    ],
)
def test_what_can_be_listened_to(format_: AudioFormat, expected: bool) -> None:
    """Other formats are not looked at."""
    assert hears(format_) is expected
    if expected and format_.encoding == "pcm_s16le":
        frames = np.frombuffer(spoken(), "<i2")
        repeats = format_.sample_rate // 8000
        again = np.repeat(np.repeat(frames[::2], repeats), format_.channels)
        assert stalled_after_s(again.astype("<i2").tobytes(), format_) is not None
    if expected and format_.encoding == "pcm_mulaw":
        assert MulawDecoder(format_) is not None
        assert stalled_after_s(bytes([0xFF]) * 240_000, format_) is None


class Listening(FakeStream):
    """A vendor that says a partial every second; after `stops_at_s` it says nothing, or only that it is there."""

    def __init__(self, nursery: trio.Nursery, *, stops_at_s: float, is_there: bool) -> None:
        super().__init__()
        self._stops_at_s = stops_at_s
        self._is_there = is_there
        nursery.start_soon(self._speak)

    def send(self, message: Message) -> None:
        super().send(message)
        if message == "FINALIZE" and self._is_there and self.is_open:
            self.says_at_once('{"is": "final", "words": [], "end_ms": 0}')

    async def _speak(self) -> None:
        await self.says('{"is": "ready"}')
        began_s = trio.current_time()
        while (now_s := trio.current_time() - began_s) < self._stops_at_s and self.is_open:
            await trio.sleep(1)
            end_ms = round(now_s * 1000)
            await self.says(json.dumps({"is": "partial", "words": [["word", 0, end_ms]], "end_ms": end_ms}))


@pytest.mark.parametrize(
    ("audio", "is_there", "dials"),
    [
        (
            spoken(40),
            False,
            2,
        ),  # whoever says nothing at all is left, once: the next one may hear no words either
        (spoken(40), True, 1),
        (bytes(40 * AUDIO.bytes_per_second), False, 1),
        (samples(noise(0, 1.0, 12_000)), False, 1),
    ],
)
async def test_who_is_left(autojump_clock: MockClock, audio: bytes, is_there: bool, dials: int) -> None:
    """Within `stall_s` and three seconds of speech without text; an answer, or nobody speaking, keeps it."""
    times_s: list[float] = []
    client = FakeStream()
    asked = options()

    async with trio.open_nursery() as nursery:

        async def dial(_: Dial) -> FakeStream:
            times_s.append(trio.current_time())
            return Listening(nursery, stops_at_s=5.0 if len(times_s) == 1 else 0.0, is_there=is_there)

        plan = Plan(
            request_id="r1",
            key_id="k1",
            title="One",
            options=asked,
            adapter=NumberedAdapter(),
            another=NumberedAdapter,
            dialect=Listen(asked, "r1"),
            failover=Failover(stall_s=STALL_S),
        )
        session = Session(plan, client, dial, Limits())
        nursery.start_soon(session.run)
        for start in range(0, len(audio), 3200):
            await client.says(audio[start : start + 3200])
            await trio.sleep(0.1)
        assert len(times_s) == dials
        if dials == 2:
            assert 5.0 + STALL_S <= times_s[1] <= 5.0 + STALL_S + 3.5
        nursery.cancel_scope.cancel()
