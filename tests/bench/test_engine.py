"""The bench of the local engine: its sounds, and that figures come from what was heard. Nothing depends on speed."""

from pathlib import Path

import numpy as np
import pytest

from bench.engine import conditions
from bench.engine.measure import Delay, Figures, delay_at, invented_words, running, word_error
from bench.engine.table import delay_table, heard_table
from tests.engine.clips import REFERENCES, pcm


@pytest.mark.parametrize("name", conditions.NAMES)
def test_a_condition_is_the_same_each_time_and_lasts_as_long(name: str) -> None:
    """All but the tempo leave a clip's length."""
    made = conditions.clip("goforward", name)
    assert made == conditions.clip("goforward", name)
    share = {"faster": 1 / 1.25, "slower": 1 / 0.85}.get(name, 1)
    assert len(made) == pytest.approx(len(pcm("goforward")) * share, rel=0.02)


def test_an_unknown_condition_is_named() -> None:
    """With those that there are."""
    with pytest.raises(ValueError, match="no condition 'loud'; there are clean"):
        conditions.clip("goforward", "loud")


def test_a_telephone_has_no_high_notes() -> None:
    """Above 4 kHz nothing is left."""
    heard = np.frombuffer(conditions.clip("austen-0930", "telephone"), "<i2")
    spectrum = np.abs(np.fft.rfft(heard)) ** 2
    assert spectrum[len(spectrum) * 9 // 16 :].sum() < spectrum.sum() / 1000


def test_sounds_have_the_length_asked_for() -> None:
    """Eight kinds."""
    made = dict(conditions.sounds(0.5))
    assert len(made) == conditions.SOUNDS == 8
    assert {len(sound) for sound in made.values()} == {16_000}


def test_figures_of_a_running_engine(tmp_path: Path) -> None:
    """Words, words invented and delays of the default back end."""
    with running("moonshine", 2, tmp_path) as engine:
        wrong = word_error(engine, "clean")
        invented = invented_words(engine, 16)
        delay = delay_at(engine, 1, ["goforward"])
    assert wrong <= 0.05
    assert sum(invented.values()) == 0
    assert 0 < delay.first_partial_ms[0] < delay.final_ms[0] + conditions.SPEECH_MS["goforward"][1]
    assert delay.final_ms[0] >= 500
    assert delay.cpu_share > 0


def test_tables() -> None:
    """One row for each back end, one for each number of sessions."""
    delays = [Delay(count, (300.0, 400.0), (700.0, 800.0), 0.1, 30_000.0) for count in (1, 8)]
    figures = [Figures("moonshine", {"clean": 0.01, "room": 0.03}, 0.02, {"hum": 2}, 30.0, 150.0, delays)]
    assert figures[0].word_error == pytest.approx(0.02)
    assert heard_table(figures).row_count == 1
    assert delay_table(figures).row_count == 2
    assert len(REFERENCES) == len(conditions.SPEECH_MS)
