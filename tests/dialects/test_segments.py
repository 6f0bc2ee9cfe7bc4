"""Whose text is whose, and when it is complete."""

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from routeraudio.dialects.segments import EMPTY_S, GRACE_S, SLACK_MS, Done, Segment, Segments
from routeraudio.model.events import Final, Word

FIRST = Segment(1000, 2000, 2500)
SECOND = Segment(3000, 4000, 4500)


class Play:
    """Segments on a clock of the test's."""

    def __init__(self, **wishes: Any) -> None:
        self.now_s = 100.0
        self.segments = Segments(lambda: self.now_s, **wishes)
        self.segments.heard()

    def over(self, segment: Segment) -> list[Done]:
        """A segment begins and ends, as the audio comes in real time."""
        self.segments.began(segment.start_ms)
        self.now_s = 100.0 + segment.closed_ms / 1000
        return self.segments.closed(segment)

    def says(self, text: str, start_ms: int, end_ms: int) -> list[Done]:
        return self.segments.final(Final(text, start_ms, end_ms))


def texts(done: list[Done]) -> list[str]:
    return [each.text for each in done]


def words(*spoken: tuple[str, int, int]) -> Final:
    """A final with words."""
    placed = tuple(Word(text, start_ms, end_ms) for text, start_ms, end_ms in spoken)
    return Final(" ".join(word.text for word in placed), placed[0].start_ms, placed[-1].end_ms, placed)


def test_text_up_to_the_end_completes_a_segment() -> None:
    """The transcript has the segment's own length, and tells how long it took."""
    play = Play()
    assert play.over(FIRST) == []
    play.now_s += 0.25
    assert play.says("one", 1100, 1900) == [Done("one", 1000, 0.25, is_announced=True)]
    assert play.segments.rest(is_heard_out=True) == []


def test_several_finals_of_a_segment_are_joined() -> None:
    """A provider that cuts finer than we do gives one transcript all the same, whenever its finals come."""
    play = Play()
    play.segments.began(1000)
    assert play.says("one", 1100, 1300) == []
    assert play.over(FIRST) == []
    assert play.says("two", 1400, 1500) == []
    assert texts(play.says("three", 1600, 1900)) == ["one two three"]


def test_text_that_was_there_before_the_end_is_told_at_once() -> None:
    """A provider that finds the end sooner than we do is not waited for."""
    play = Play()
    play.segments.began(1000)
    assert play.says("one", 1100, 1900) == []
    assert play.over(FIRST) == [Done("one", 1000, 0.0, is_announced=True)]


def test_a_final_over_two_segments_is_divided() -> None:
    """Each word goes to the segment in which it was spoken."""
    play = Play()
    play.over(FIRST)
    play.over(SECOND)
    done = play.segments.final(
        words(("one", 1100, 1500), ("two", 1500, 1900), ("three", 3000, 3500), ("four", 3500, 4000))
    )
    assert texts(done) == ["one two", "three four"]


def test_a_final_over_a_finished_and_an_open_segment_is_divided() -> None:
    """Words of the open segment wait for its end."""
    play = Play()
    play.over(FIRST)
    play.segments.began(3000)
    assert texts(play.segments.final(words(("one", 1100, 1900), ("two", 3000, 3500)))) == ["one"]
    assert texts(play.over(SECOND)) == []
    assert texts(play.says("three", 3500, 3900)) == ["two three"]


def test_a_final_without_words_goes_where_its_middle_is() -> None:
    """Without words there is nothing to divide by; the segment before it has then nothing to come."""
    play = Play()
    play.over(FIRST)
    play.over(SECOND)
    assert texts(play.says("all of it", 1500, 3500)) == ["all of it"]
    assert texts(play.says("the rest", 3900, 3950)) == ["the rest"]


def test_text_of_a_later_segment_completes_earlier_ones() -> None:
    """Finals come in order: what is behind has been understood, or never will be."""
    play = Play()
    play.over(FIRST)
    play.over(SECOND)
    assert texts(play.says("two", 3100, 3900)) == ["", "two"]


def test_text_of_the_open_segment_completes_all_that_are_over() -> None:
    """The same, while somebody speaks on."""
    play = Play()
    play.over(FIRST)
    play.segments.began(3000)
    assert texts(play.says("two", 3100, 3300)) == [""]


@pytest.mark.parametrize(("end_ms", "wait_s"), [(None, EMPTY_S), (FIRST.end_ms - SLACK_MS - 1, GRACE_S)])
def test_a_deadline_decides_where_nothing_else_does(end_ms: int | None, wait_s: float) -> None:
    """A segment in which nothing is understood, or not up to its end, has a transcript in the end."""
    play = Play()
    play.over(FIRST)
    expected = ""
    if end_ms is not None:
        expected = "one"
        assert play.says(expected, 1100, end_ms) == []
    play.now_s += wait_s - 0.001
    assert play.segments.overdue() == []
    play.now_s += 0.002
    assert texts(play.segments.overdue()) == [expected]


def test_a_burst_is_no_reason_for_haste() -> None:
    """Deadlines count from when the audio would have been spoken, however fast it came."""
    play = Play()
    late = Segment(59_000, 60_000, 60_500)
    play.segments.began(late.start_ms)
    assert play.segments.closed(late) == []
    play.now_s += 60.5 + EMPTY_S - 0.001
    assert play.segments.overdue() == []
    play.now_s += 0.002
    assert texts(play.segments.overdue()) == [""]


def test_text_for_no_segment_becomes_one() -> None:
    """What the detector missed, or what comes for a segment that was given up, is told."""
    play = Play()
    play.over(FIRST)
    play.now_s += EMPTY_S
    assert texts(play.segments.overdue()) == [""]
    assert play.says("one", 1100, 1900) == [Done("one", 800, 0.0, is_announced=False)]


def test_the_rest() -> None:
    """At the end every segment has its transcript; after a fault only those with text."""
    for is_heard_out, expected in ((True, ["one", "", "three"]), (False, ["one", "three"])):
        play = Play()
        play.over(FIRST)
        play.says("one", 1100, 1200)
        play.over(SECOND)
        play.segments.began(5000)
        play.segments._early.extend(play.segments._pieces(Final("three", 5100, 5200)))
        assert texts(play.segments.rest(is_heard_out=is_heard_out)) == expected
        assert play.segments.rest(is_heard_out=True) == []


def test_without_positions_only_the_order_counts() -> None:
    """Texts of a provider that says no positions go to the segments one by one, even where all seem too late."""
    play = Play(has_positions=False)
    third = Segment(5000, 6000, 6500)
    for segment in (FIRST, SECOND, third):
        play.over(segment)
    assert texts(play.says("one", 5500, 6400)) == ["one"]
    assert texts(play.says("two", 5600, 6400)) == ["two"]
    assert texts(play.says("three", 5700, 6500)) == ["three"]


@given(data=st.data())
def test_no_text_is_lost_and_every_segment_has_one_transcript(data: st.DataObject) -> None:
    """Whatever a provider says, and whenever: as many announced transcripts as segments, and all of the text."""
    play = Play(has_positions=data.draw(st.booleans()))
    done: list[Done] = []
    said: list[str] = []
    position_ms = 0
    count = data.draw(st.integers(0, 4))
    for _ in range(count):
        start_ms = position_ms + data.draw(st.integers(0, 2000))
        end_ms = start_ms + data.draw(st.integers(200, 3000))
        position_ms = end_ms + 500
        done += speak(data, play, said, position_ms)
        play.segments.began(start_ms)
        done += speak(data, play, said, position_ms)
        done += play.segments.closed(Segment(start_ms, end_ms, position_ms))
        play.now_s += data.draw(st.sampled_from((0.0, 0.5, 20.0)))
        done += play.segments.overdue()
    done += speak(data, play, said, position_ms)
    done += play.segments.rest(is_heard_out=True)
    assert sorted(" ".join(texts(done)).split()) == sorted(said)
    assert sum(each.is_announced for each in done) == count
    assert all(each.text for each in done if not each.is_announced)


def speak(data: st.DataObject, play: Play, said: list[str], until_ms: int) -> list[Done]:
    """Some finals, somewhere in the audio so far, with words or without."""
    done: list[Done] = []
    for _ in range(data.draw(st.integers(0, 2))):
        spans = sorted(data.draw(st.lists(st.integers(0, until_ms), min_size=4, max_size=4)))
        texts = [f"w{len(said)}", f"w{len(said) + 1}"]
        said += texts
        final = words((texts[0], spans[0], spans[1]), (texts[1], spans[2], spans[3]))
        bare = Final(final.text, final.start_ms, final.end_ms)
        done += play.segments.final(final if data.draw(st.booleans()) else bare)
    return done
