"""PocketSphinx as a recogniser: for machines without ONNX Runtime. English, lower case, no punctuation.

Partials come from decoding the open utterance as it arrives. Its final comes from a second pass over the whole
utterance, whose cepstral mean is then known instead of guessed. Both passes run without the flat and the
best-path search: word error 0.27 against 0.32 with them, in three quarters of the time.

The mean that the first pass starts with is that of the last utterance in which words were found, and before any a
measured one: the decoder's default (40,3,-1) is far from any of our clips. Each pass has a decoder of its own:
one keeps more from an utterance to the next than its mean, and finals must not depend on whether partials were
asked for.
"""

import importlib
import importlib.util
import re
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, Final, Protocol

from routeraudio.engine.backend import Decoded, Traits
from routeraudio.engine.faults import EngineMissing
from routeraudio.engine.wire import HeardWord

FRAME_MS: Final = 10
"""Of the decoder."""

CEPSTRAL_MEAN: Final = (
    "52.5153,6.88855,-4.34834,20.1896,-11.454,3.85684,-6.88038,"
    "-4.96597,2.29148,-3.96587,2.29834,-3.23074,-0.605816"
)
"""Measured over the four clips in tests/assets/audio together."""

FIRST_PASS_HMMS_MAX: Final = 3000
"""Per frame. A tenth of the default: a third less time, and partials are replaced soon anyway."""

_VARIANT: Final = re.compile(r"\(\d+\)$")
"""The dictionary's second and further pronunciations: `the(2)`."""


class DecodedWord(Protocol):
    """PocketSphinx's `Segment`: frames of 10 ms within the utterance, the last one included."""

    word: str
    start_frame: int
    end_frame: int


def is_installed() -> bool:
    """Whether PocketSphinx can be imported; does not import it."""
    return importlib.util.find_spec("pocketsphinx") is not None


def decoder(**settings: object) -> Any:
    """A new decoder of the packaged English model; the package carries no types.

    Raises:
        EngineMissing: PocketSphinx is not installed.
    """
    if not is_installed():
        raise EngineMissing("PocketSphinx")
    return importlib.import_module("pocketsphinx").Decoder(loglevel="FATAL", **settings)


class Sphinx:
    """The packaged English model, loaded once for each pass; see `StreamBackend`."""

    traits = Traits(languages=("en",), words="native")

    def __init__(self) -> None:
        common = {"cmninit": CEPSTRAL_MEAN, "fwdflat": False, "bestpath": False}
        self._first = decoder(**common, maxhmmpf=FIRST_PASS_HMMS_MAX)
        self._second = decoder(**common)
        self._mean = CEPSTRAL_MEAN
        self._is_open = False

    def accept(self, pcm: bytes) -> None:
        """First pass."""
        if not self._is_open:
            start(self._first)
            self._is_open = True
        self._first.process_raw(pcm)

    def partial(self) -> Decoded:
        """What the first pass thinks now."""
        return _heard(self._first)

    def finish(self, pcm: bytes) -> Decoded:
        """Second pass. The first ran with a guessed mean; the next begins with the true one."""
        start(self._second)
        self._second.process_raw(pcm, full_utt=True)
        self._second.end_utt()
        heard = _heard(self._second)
        if heard.text:
            self._mean = self._second.get_cmn(False)
        if self._is_open:
            self._first.end_utt()
            self._first.set_cmn(self._mean)
            self._is_open = False
        return heard


def start(decoder: Any) -> None:
    """Begin an utterance that knows nothing of the one before."""
    # Without it the noise estimate of one utterance leaks into the next. Called unnecessary by a warning; it changes
    # results measurably in 5.1.1.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        decoder.start_stream()
    decoder.start_utt()


def words(decoded: Iterable[DecodedWord]) -> Iterator[HeardWord]:
    """The words among the decoder's `<s>`, `<sil>`, `[NOISE]`."""
    for each in decoded:
        if not each.word.startswith(("<", "[", "+", "(")):
            text = _VARIANT.sub("", each.word)
            yield HeardWord(text, each.start_frame * FRAME_MS, (each.end_frame + 1) * FRAME_MS)


def _heard(decoder: Any) -> Decoded:
    """The decoder's present hypothesis."""
    if decoder.hyp() is None:
        return Decoded("")
    heard = tuple(words(decoder.seg()))
    return Decoded(" ".join(word.text for word in heard), heard)
