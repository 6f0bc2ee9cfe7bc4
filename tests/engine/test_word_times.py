"""Words are told where they were said: synthetic speech with known times, and real speech over a telephone line."""

import subprocess
from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np
import pytest

from bench.engine import conditions
from routeraudio.engine.loading import Loaded, default_model, load
from routeraudio.engine.recogniser import Recogniser
from routeraudio.engine.wire import Heard, Wish

from .clips import MS_BYTES, REFERENCES, normalised, pcm, silence

NEAR_MS = 100

SENTENCES = (
    "please call me back tomorrow morning before nine",
    "the weather will be cold and windy in the north",
    "we need seven green apples and a bottle of water",
    "my brother lives in a small house near the river",
    "my father wrote a long letter to the president",
    "the train from london arrives at the second platform",
)

Placed = Sequence[tuple[str, float]]


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    """The default model with its aligner."""
    return load(default_model("moonshine"))


def test_starts_of_synthetic_words(loaded: Loaded) -> None:
    """At least 95 % are within 100 ms of where the word was put."""
    errors_ms: list[float] = []
    for sentence in SENTENCES:
        audio, placed = _synthetic(sentence)
        errors_ms += _errors_ms(placed, _heard(loaded, audio))
    assert len(errors_ms) >= 0.85 * sum(len(sentence.split()) for sentence in SENTENCES)
    assert _near(errors_ms) >= 0.95


def test_starts_of_words_on_the_telephone(loaded: Loaded) -> None:
    """At least 85 % are within 100 ms of where they are in the full band."""
    errors_ms: list[float] = []
    for name in REFERENCES:
        clear = _heard(loaded, pcm(name))
        errors_ms += _errors_ms(clear, _heard(loaded, conditions.clip(name, "telephone")))
    assert len(errors_ms) >= 0.9 * sum(len(normalised(text)) for text in REFERENCES.values())
    assert _near(errors_ms) >= 0.85


def test_where_nobody_knows_there_are_no_times(loaded: Loaded) -> None:
    """An English aligner that finds nothing, and a back end without attention, bring none rather than guesses."""
    assert loaded.ear.aligner is not None
    assert loaded.ear.aligner.align(["…"], pcm("goforward")) is None


def _near(errors_ms: Sequence[float]) -> float:
    return float((np.abs(errors_ms) <= NEAR_MS).mean())


def _heard(loaded: Loaded, audio: bytes) -> Placed:
    recogniser = Recogniser(loaded.ear, loaded.detector(), Wish())
    answers = [*recogniser.push(audio + silence(1000)), *recogniser.finish()]
    return [
        (text, word.start_ms)
        for heard in answers
        if isinstance(heard, Heard)
        for word in heard.words or ()
        for text in normalised(word.text)
    ]


def _errors_ms(placed: Placed, heard: Placed) -> list[float]:
    """Of the words that were recognised."""
    matcher = SequenceMatcher(None, [text for text, _ in placed], [text for text, _ in heard], autojunk=False)
    return [
        heard[block.b + index][1] - placed[block.a + index][1]
        for block in matcher.get_matching_blocks()
        for index in range(block.size)
    ]


def _synthetic(sentence: str) -> tuple[bytes, Placed]:
    """Words spoken one by one, 60 ms apart, and where each begins."""
    audio = silence(500)
    placed = []
    for word in sentence.split():
        said = _spoken(word)
        placed.append((word, len(audio) / MS_BYTES))
        audio += said + silence(60)
    return audio, placed


def _spoken(word: str) -> bytes:
    """One word of espeak-ng at 16 kHz, without the silence around it."""
    wave = subprocess.run(
        ["espeak-ng", "-v", "en-us", "--stdout", word], capture_output=True, check=True
    ).stdout
    command = ["ffmpeg", "-v", "error", "-i", "-", "-ar", "16000", "-ac", "1", "-f", "s16le", "-"]
    samples = np.frombuffer(
        subprocess.run(command, input=wave, capture_output=True, check=True).stdout, "<i2"
    )
    loud = np.flatnonzero(np.abs(samples.astype(int)) > 300)
    return samples[loud[0] : loud[-1] + 1].tobytes()
