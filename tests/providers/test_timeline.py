"""Positions on a connection's timeline."""

from hypothesis import given
from hypothesis import strategies as st

from routeraudio.model.audio import PCM_16K_MONO, SAMPLE_RATES_HZ, AudioFormat, Encoding
from routeraudio.providers.timeline import SILENCE_PIECE_MS, Timeline


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 2000)), max_size=60))
def test_positions_never_run_backwards_and_stay_inside(pauses: list[tuple[int, int]]) -> None:
    """However audio and silence alternate, positions rise with the vendor's and stay inside the client's audio."""
    line = Timeline(PCM_16K_MONO)
    vendor_ms = client_ms = 0
    for audio_ms, silence_ms in pauses:
        line.sent(audio_ms * 32)
        vendor_ms += audio_ms + len(line.silence(silence_ms)) * SILENCE_PIECE_MS
        client_ms += audio_ms
    positions = [line.session_ms(vendor_ms * i / 100_000) for i in range(101)]
    assert positions == sorted(positions)
    assert positions[0] >= 0
    assert positions[-1] == client_ms


def test_one_long_pause_is_one_silence() -> None:
    """However often silence is put in before audio goes on, positions before it stay exact."""
    line = Timeline(PCM_16K_MONO)
    line.sent(32_000)
    for _ in range(100):
        line.silence(80)
    line.sent(32_000)
    assert [line.session_ms(position_s) for position_s in (0.5, 1.0, 5.0, 9.0, 9.5)] == [
        500,
        1000,
        1000,
        1000,
        1500,
    ]


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_mad_numbers_stay_inside(start_s: float, end_s: float) -> None:
    """No number a vendor can write leads outside the audio."""
    line = Timeline(PCM_16K_MONO)
    line.sent(32_000)
    start_ms, end_ms = line.span(start_s, end_s, from_ms=200)
    assert 200 <= start_ms <= end_ms <= 1000


def test_silence_is_whole_samples_at_every_rate() -> None:
    """One piece of silence lasts exactly as long as it is counted."""
    encodings: tuple[Encoding, ...] = ("pcm_s16le", "pcm_mulaw")
    for rate in SAMPLE_RATES_HZ:
        for encoding in encodings:
            audio = AudioFormat(encoding, rate)
            [piece] = Timeline(audio).silence(1)
            assert len(piece) * 1000 == audio.bytes_per_second * SILENCE_PIECE_MS


def test_containers_have_no_upper_bound() -> None:
    """The duration of compressed audio cannot be counted; positions are taken as the vendor says them."""
    line = Timeline(AudioFormat("webm", 48_000))
    line.sent(10)
    assert not line.takes_silence
    assert line.session_ms(3600.0) == 3_600_000
