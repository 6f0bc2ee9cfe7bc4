"""The recogniser in this process: what is heard, word by word, and what it does not depend on."""

import importlib.util
from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeraudio.engine.faults import EngineMissing
from routeraudio.engine.recogniser import Decoders, Recogniser, new_decoders, new_detector
from routeraudio.engine.wire import Done, Heard, Wish

from .clips import GO, MS_BYTES, REFERENCES, pcm, silence, split, word_errors


@pytest.fixture(scope="module")
def decoders() -> Decoders:
    return new_decoders()


def hear(
    decoders: Decoders, chunks: Iterable[bytes], *, partials: bool = False, endpointing_ms: int = 500
) -> list[Heard | Done]:
    """Everything heard, with a recogniser of its own."""
    recogniser = Recogniser(decoders, new_detector(), Wish(partials=partials, endpointing_ms=endpointing_ms))
    heard: list[Heard | Done] = [each for chunk in chunks for each in recogniser.push(chunk)]
    return heard + list(recogniser.finish())


def finals(heard: Iterable[Heard | Done]) -> list[str]:
    return [each.text for each in heard if isinstance(each, Heard) and each.kind == "final"]


def partials(heard: Iterable[Heard | Done]) -> Iterator[Heard]:
    return (each for each in heard if isinstance(each, Heard) and each.kind == "partial")


def test_the_packaged_clip_is_heard_exactly(decoders: Decoders) -> None:
    """The first utterance a recogniser hears is right to the word, and each word is where it was said."""
    final, done = hear(decoders, [pcm("goforward")])
    assert isinstance(final, Heard)
    assert final.text == GO
    assert [word.text for word in final.words] == GO.split()
    # Where the decoder aligned them when this was written; 60 ms are two frames of the detector.
    assert abs(final.start_ms - 460) <= 60
    assert abs(final.end_ms - 2120) <= 60
    assert done == Done(len(pcm("goforward")) // MS_BYTES)


def test_word_error(decoders: Decoders) -> None:
    """Over the four clips at most three words in ten are wrong."""
    errors = words = 0
    for name, reference in REFERENCES.items():
        errors += word_errors(reference, " ".join(finals(hear(decoders, [pcm(name)]))))
        words += len(reference.split())
    print(f"word error {errors}/{words} = {errors / words:.3f}")
    assert errors / words <= 0.30


@pytest.mark.parametrize("partials", [False, True])
def test_times_run_forward_inside_the_audio(decoders: Decoders, partials: bool) -> None:
    """Words follow each other, and none reaches beyond the audio sent; also behind a pause."""
    audio = silence(700) + pcm("goforward") + silence(1500) + pcm("austen-0930")
    for each in hear(decoders, split(audio, [3200]), partials=partials):
        if isinstance(each, Heard):
            edges = [edge for word in each.words for edge in (word.start_ms, word.end_ms)]
            assert edges == sorted(edges)
            assert (each.start_ms, each.end_ms) == (edges[0], edges[-1])
            assert edges[-1] <= len(audio) // MS_BYTES
            assert each.text == " ".join(word.text for word in each.words)


def test_positions_count_from_the_first_sample(decoders: Decoders) -> None:
    """Two seconds of silence before a clip move its words by two seconds."""
    (plain, _), (later, _) = (
        hear(decoders, [pcm("goforward")]),
        hear(decoders, [silence(2010), pcm("goforward")]),
    )
    assert isinstance(plain, Heard)
    assert isinstance(later, Heard)
    assert later.text == plain.text
    assert abs(later.start_ms - plain.start_ms - 2010) <= 60


def test_silence_gives_nothing(decoders: Decoders) -> None:
    """Silence is neither partial nor final, only audio that was heard."""
    assert hear(decoders, [silence(5000)], partials=True) == [Done(5000)]


def test_three_utterances_are_three_finals(decoders: Decoders) -> None:
    """Each silence longer than asked for closes an utterance."""
    audio = silence(800).join([pcm("goforward")] * 3)
    assert finals(hear(decoders, [audio])) == [GO, GO, GO]


@pytest.mark.parametrize("sizes", [[1], [640], [959, 3], [7, 333, 4001], [1 << 20]], ids=str)
def test_splitting_changes_nothing(decoders: Decoders, sizes: list[int]) -> None:
    """The same audio in other pieces, odd ones included, gives the same text and times."""
    audio = pcm("goforward") + silence(600)
    wanted = hear(decoders, [audio], partials=True)
    heard = hear(decoders, split(audio, sizes), partials=True)
    assert [
        (each.text, each.words) for each in heard if isinstance(each, Heard) and each.kind == "final"
    ] == [(each.text, each.words) for each in wanted if isinstance(each, Heard) and each.kind == "final"]


def test_partials_do_not_change_finals(decoders: Decoders) -> None:
    """Who asks for partials gets the finals of who does not."""
    audio = pcm("austen-0930")
    assert finals(hear(decoders, [audio], partials=True)) == finals(hear(decoders, [audio]))


def test_partials_grow_towards_the_final(decoders: Decoders) -> None:
    """Partials come before their final, never twice alike, and begin with what is said first."""
    heard = hear(
        decoders, [pcm("goforward") + silence(600), pcm("austen-0930") + silence(600)], partials=True
    )
    kinds = [each.kind for each in heard if isinstance(each, Heard)]
    texts = [each.text for each in partials(heard)]
    first_final = kinds.index("final")
    assert kinds[0] == "partial"
    assert kinds[first_final + 1] == "partial"
    assert kinds[-1] == "final"
    assert all(text != following for text, following in pairwise(texts))
    assert texts[0] == "go"


def test_finalize_closes_with_all_audio_so_far(decoders: Decoders) -> None:
    """Finalize right behind the last word gives that word, and the stream goes on behind it."""
    recogniser = Recogniser(decoders, new_detector(), Wish())
    spoken = 2130 * MS_BYTES  # "meters" ends at 2120 ms
    audio = pcm("goforward")
    list(recogniser.push(audio[:spoken]))
    assert finals(recogniser.finalize()) == [GO]
    assert list(recogniser.finalize()) == []
    list(recogniser.push(audio[spoken:] + silence(300)))
    list(recogniser.push(audio))
    assert finals(recogniser.finish()) == [GO]


@given(chunks=st.lists(st.binary(max_size=3000), max_size=6))
def test_no_bytes_break_it(decoders: Decoders, chunks: list[bytes]) -> None:
    """Any bytes are audio: the count is right and the end is reached."""
    heard = hear(decoders, chunks, partials=True)
    assert heard[-1] == Done(sum(map(len, chunks)) // MS_BYTES)


def test_without_pocketsphinx_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is missing the error names it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EngineMissing, match=r"pip install routeraudio\[local\]"):
        new_decoders()
