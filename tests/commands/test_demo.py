"""`routeraudio demo`: what it measures and says."""

from routeraudio.commands.demo import CLIP, Stopwatch
from routeraudio.commands.display import PlainLines
from routeraudio.commands.sound import opened
from routeraudio.commands.wire import Transcript, TurnEnd


def test_the_stopwatch_measures_from_the_sound(capsys: object) -> None:
    """Added delay is arrival minus the moment at which the transcribed sound was spoken."""
    with Stopwatch(PlainLines()) as stopwatch:
        stopwatch.sent(0.1)
        for end_s, arrived_s in ((1.0, 1.2), (2.0, 2.1), (3.0, 3.4)):
            stopwatch.message("", Transcript("x", 0.0, end_s, is_partial=True), arrived_s)
        stopwatch.message("", Transcript("x", 0.0, 3.0), 3.7)
        stopwatch.message("", TurnEnd(3.0), 9.9)
    assert stopwatch.summary() == (
        "added delay: partials 0.20 s behind the sound (median of 3); finals 0.70 s after the last word, "
        "with the silence that ends an utterance"
    )


def test_finals_alone() -> None:
    """A provider without partials is said to have none."""
    stopwatch = Stopwatch(PlainLines())
    stopwatch.finals_s.append(0.5)
    assert stopwatch.summary().startswith("added delay: no partials came; finals 0.50 s")


def test_silence() -> None:
    """Audio without speech is told as such."""
    assert Stopwatch(PlainLines()).summary() == "no speech was recognised in this audio"


def test_the_clip_is_packaged() -> None:
    """The demo needs no file of the user's."""
    sound = opened(str(CLIP))
    assert (sound.format.sample_rate, sound.format.channels) == (16_000, 1)
