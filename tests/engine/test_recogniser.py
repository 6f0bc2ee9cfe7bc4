"""The recogniser in this process: what is heard, word by word, and what it does not depend on."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routeraudio.engine.loading import Loaded, Model, default_model, load
from routeraudio.engine.recogniser import Recogniser
from routeraudio.engine.wire import Done, Heard, Wish

from .clips import GO, MS_BYTES, REFERENCES, normalised, pcm, silence, split, word_errors


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return load(default_model("moonshine"))


@pytest.fixture(scope="module")
def sphinx() -> Loaded:
    return load(default_model("pocketsphinx"))


def hear(loaded: Loaded, chunks: Iterable[bytes], **wish: object) -> list[Heard | Done]:
    """Everything heard, with a recogniser of its own."""
    recogniser = Recogniser(loaded.ear, loaded.detector(), Wish(**wish))  # type: ignore[arg-type]
    heard: list[Heard | Done] = [each for chunk in chunks for each in recogniser.push(chunk)]
    return heard + list(recogniser.finish())


def finals(heard: Iterable[Heard | Done]) -> list[str]:
    return [each.text for each in heard if isinstance(each, Heard) and each.kind == "final"]


def partials(heard: Iterable[Heard | Done]) -> Iterator[Heard]:
    return (each for each in heard if isinstance(each, Heard) and each.kind == "partial")


def test_the_packaged_clip_is_heard_exactly(loaded: Loaded) -> None:
    """Text, case and punctuation are right, and each word is where it was said."""
    final, done = hear(loaded, [pcm("goforward")])
    assert isinstance(final, Heard)
    assert final.text == GO
    assert final.words is not None
    assert [word.text for word in final.words] == GO.split()
    # Where they can be seen in the waveform.
    for word, start_ms in zip(final.words, (460, 640, 1170, 1530), strict=True):
        assert abs(word.start_ms - start_ms) <= 60
    assert abs(final.end_ms - 2120) <= 60
    assert done == Done(len(pcm("goforward")) // MS_BYTES)


def test_word_error(loaded: Loaded) -> None:
    """Over the four clips at most one word in twenty is wrong."""
    errors = words = 0
    for name, reference in REFERENCES.items():
        errors += word_errors(reference, " ".join(finals(hear(loaded, [pcm(name)]))))
        words += len(normalised(reference))
    assert errors / words <= 0.05


def test_word_error_of_pocketsphinx(sphinx: Loaded) -> None:
    """Over the four clips at most one word in three is wrong."""
    errors = words = 0
    for name, reference in REFERENCES.items():
        errors += word_errors(reference, " ".join(finals(hear(sphinx, [pcm(name)]))))
        words += len(normalised(reference))
    assert errors / words <= 0.33


def test_pocketsphinx_gives_partials_and_times(sphinx: Loaded) -> None:
    """The back end for machines without the other one streams as well."""
    *heard, final, _ = hear(sphinx, [pcm("goforward")], partials=True)
    assert isinstance(final, Heard)
    assert final.text == "go forward ten meters"
    assert final.words is not None
    assert final.end_ms == final.words[-1].end_ms
    assert list(partials(heard))


@pytest.mark.parametrize("partials", [False, True])
def test_times_run_forward_inside_the_audio(loaded: Loaded, partials: bool) -> None:
    """Words follow each other, and none reaches beyond the audio sent; also behind a pause."""
    audio = silence(700) + pcm("goforward") + silence(1500) + pcm("austen-0930")
    for each in hear(loaded, split(audio, [3200]), partials=partials):
        if isinstance(each, Heard):
            assert each.words is not None
            edges = [edge for word in each.words for edge in (word.start_ms, word.end_ms)]
            assert edges == sorted(edges)
            assert (each.start_ms, each.end_ms) == (edges[0], edges[-1])
            assert edges[-1] <= len(audio) // MS_BYTES
            assert each.text == " ".join(word.text for word in each.words)


def test_positions_count_from_the_first_sample(loaded: Loaded) -> None:
    """Two seconds of silence before a clip move its words by two seconds."""
    (plain, _), (later, _) = (
        hear(loaded, [pcm("goforward")]),
        hear(loaded, [silence(2010), pcm("goforward")]),
    )
    assert isinstance(plain, Heard)
    assert isinstance(later, Heard)
    assert later.text == plain.text
    assert abs(later.start_ms - plain.start_ms - 2010) <= 60


def test_without_punctuation(loaded: Loaded) -> None:
    """Who wants none gets lower case without punctuation, in partials and words too."""
    for each in hear(loaded, [pcm("goforward")], partials=True, punctuate=False):
        if isinstance(each, Heard):
            assert each.text == each.text.lower()
            assert not set(each.text) & set(".,?!")
            assert each.text == " ".join(word.text for word in each.words or ())
    assert finals(hear(loaded, [pcm("goforward")], punctuate=False)) == ["go forward ten meters"]


def test_silence_gives_nothing(loaded: Loaded) -> None:
    """Silence is neither partial nor final, only audio that was heard."""
    assert hear(loaded, [silence(5000)], partials=True) == [Done(5000)]


def test_three_utterances_are_three_finals(loaded: Loaded) -> None:
    """Each silence longer than asked for closes an utterance."""
    audio = silence(800).join([pcm("goforward")] * 3)
    assert finals(hear(loaded, [audio])) == [GO, GO, GO]


@pytest.mark.parametrize("sizes", [[1], [640], [959, 3], [7, 333, 4001], [1 << 20]], ids=str)
def test_splitting_changes_nothing(loaded: Loaded, sizes: list[int]) -> None:
    """The same audio in other pieces, odd ones included, gives the same text and times, in partials too."""
    audio = pcm("goforward") + silence(600)
    assert hear(loaded, split(audio, sizes), partials=True) == hear(loaded, [audio], partials=True)


def test_partials_do_not_change_finals(loaded: Loaded) -> None:
    """Who asks for partials gets the finals of who does not."""
    audio = pcm("austen-0930")
    assert finals(hear(loaded, [audio], partials=True)) == finals(hear(loaded, [audio]))


def test_partials_grow_towards_the_final(loaded: Loaded) -> None:
    """Partials come before their final, never twice alike, and begin with what is said first."""
    heard = hear(loaded, [pcm("goforward") + silence(600), pcm("austen-0930") + silence(600)], partials=True)
    kinds = [each.kind for each in heard if isinstance(each, Heard)]
    texts = [each.text for each in partials(heard)]
    first_final = kinds.index("final")
    assert kinds[0] == "partial"
    assert kinds[first_final + 1] == "partial"
    assert kinds[-1] == "final"
    assert all(text != following for text, following in pairwise(texts))
    assert texts[0].startswith("Go")


def test_a_recogniser_that_is_late_leaves_partials_out(loaded: Loaded) -> None:
    """Audio that waited is heard without partials, and the final is the same."""
    recogniser = Recogniser(loaded.ear, loaded.detector(), Wish(partials=True))
    heard = [each for chunk in split(pcm("goforward"), [640]) for each in recogniser.push(chunk, 0.31)]
    heard += [each for each in recogniser.finish() if isinstance(each, Heard)]
    assert [(each.kind, each.text) for each in heard] == [("final", GO)]


def test_long_speech_is_cut_without_losing_a_word(loaded: Loaded) -> None:
    """Speech without a pause comes in several finals, whose words are those of the clips one by one."""
    clips = ("austen-0870", "austen-0920", "austen-0930")
    edge = 180 * MS_BYTES  # silence at both ends of each
    speech = b"".join(pcm(name)[edge:-edge] for name in clips) * 2
    heard = finals(hear(loaded, [speech], endpointing_ms=10_000))
    assert len(heard) >= 2
    wanted = " ".join(REFERENCES[name] for name in clips * 2)
    # Where the clips were joined, words stand closer than anybody says them; behind other cuts all are right.
    assert word_errors(wanted, " ".join(heard)) <= 5


def test_finalize_closes_with_all_audio_so_far(loaded: Loaded) -> None:
    """Finalize right behind the last word gives that word, and the stream goes on behind it."""
    recogniser = Recogniser(loaded.ear, loaded.detector(), Wish())
    spoken = 2130 * MS_BYTES  # "meters" ends at 2120 ms
    audio = pcm("goforward")
    list(recogniser.push(audio[:spoken]))
    assert normalised(" ".join(finals(recogniser.finalize()))) == normalised(GO)
    assert list(recogniser.finalize()) == []
    list(recogniser.push(audio[spoken:] + silence(300)))
    assert finals([*recogniser.push(audio), *recogniser.finish()]) == [GO]


@settings(max_examples=30)
@given(chunks=st.lists(st.binary(max_size=3000), max_size=6))
def test_no_bytes_break_it(loaded: Loaded, chunks: list[bytes]) -> None:
    """Any bytes are audio: the count is right and the end is reached."""
    heard = hear(loaded, chunks, partials=True)
    assert heard[-1] == Done(sum(map(len, chunks)) // MS_BYTES)


def test_the_model_is_known_by_name() -> None:
    """What is served where nothing is configured says what it is."""
    assert default_model("auto") == Model(id="moonshine-tiny-en", backend="moonshine")
