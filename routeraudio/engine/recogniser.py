"""PocketSphinx behind our words: audio in, partials and finals out. Synchronous; runs in a worker process.

Partials come from decoding the open utterance as it arrives. Its final comes from a second pass over the whole
utterance, whose cepstral mean is then known instead of guessed. On our four clips, as they are and in seven
variations (noise, tempo, level, telephone band; 416 words, "mr" taken for "mister"), the second pass has a word
error of 0.27.

Both passes run without the flat and the best-path search: 0.27 against 0.32 with them, in three quarters of the time.
The second pass takes about 0.14 of real time on one core, the first, with a narrower beam, 0.10. PocketSphinx 5.1.1,
its packaged English model.

The mean that the first pass starts with is that of the last utterance in which words were found, and before any a
measured one: the decoder's default (40,3,-1) is far from any of our clips.

Each pass has a decoder of its own. A decoder keeps more from one utterance to the next than its mean (it scores the
same audio slightly differently afterwards), and finals must not depend on whether partials were asked for.
"""

import importlib.util
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Literal, Protocol

import msgspec

from routeraudio.engine import endpointing
from routeraudio.engine.endpointing import BYTES_PER_MS, FRAME_BYTES, FRAME_MS, Mark, Segment
from routeraudio.engine.faults import EngineMissing
from routeraudio.engine.wire import Done, Heard, HeardWord, Wish

PARTIAL_MS: Final = 6 * FRAME_MS
"""How often the open utterance is decoded further (180 ms): about a word."""

DECODER_FRAME_MS: Final = 10

CEPSTRAL_MEAN: Final = (
    "52.5153,6.88855,-4.34834,20.1896,-11.454,3.85684,-6.88038,"
    "-4.96597,2.29148,-3.96587,2.29834,-3.23074,-0.605816"
)
"""Measured over the four clips in tests/assets/audio together."""

_VARIANT: Final = re.compile(r"\(\d+\)$")
"""The dictionary's second and further pronunciations: `the(2)`."""


FIRST_PASS_HMMS_MAX: Final = 3000
"""Per frame. A tenth of the default: a third less time, and partials are replaced soon anyway."""


class DecodedWord(Protocol):
    """PocketSphinx's `Segment`: frames of 10 ms within the utterance, the last one included."""

    word: str
    start_frame: int
    end_frame: int


class Decoder(Protocol):
    """The part of PocketSphinx's `Decoder` used here."""

    def start_stream(self) -> None: ...
    def start_utt(self) -> None: ...
    def process_raw(self, data: bytes, no_search: bool = ..., full_utt: bool = ...) -> None: ...
    def end_utt(self) -> None: ...
    def hyp(self) -> object | None: ...
    def seg(self) -> Iterable[DecodedWord]: ...
    def get_cmn(self, update: bool = ...) -> str: ...
    def set_cmn(self, cmn: str) -> None: ...


def check_installed() -> None:
    """Look for PocketSphinx without importing it: only the zygote ever needs it in memory.

    Raises:
        EngineMissing: PocketSphinx is not installed.
    """
    if importlib.util.find_spec("pocketsphinx") is None:
        raise EngineMissing


class Decoders(msgspec.Struct, frozen=True):
    """What one recogniser needs for itself."""

    first: Decoder
    second: Decoder


def new_decoders() -> Decoders:
    """Load the model, once for each pass: half a second and 200 MiB, mostly shared by forked processes.

    Raises:
        EngineMissing: PocketSphinx is not installed.
    """
    decoder = _pocketsphinx().Decoder
    common = {"loglevel": "FATAL", "cmninit": CEPSTRAL_MEAN, "fwdflat": False, "bestpath": False}
    return Decoders(decoder(**common, maxhmmpf=FIRST_PASS_HMMS_MAX), decoder(**common))


def new_detector() -> Callable[[bytes], bool]:
    """A voice activity detector for one stream.

    The second strictest of its four modes: looser ones take steady noise for speech, the strictest cuts the ends
    of words. Word error is about the same with the three strictest.
    """
    module = _pocketsphinx()
    is_speech: Callable[[bytes], bool] = module.Vad(mode=module.Vad.MEDIUM_STRICT).is_speech
    return is_speech


class Recogniser:
    """One stream of audio.

    Every method gives what was heard as an iterator, which must be exhausted before the next call. What is heard
    depends on the audio and on where in it `finalize` was called, not on how it was split or how fast it came.

    Args:
        decoders: used by this recogniser alone.
        is_speech: a fresh voice activity detector.
    """

    def __init__(self, decoders: Decoders, is_speech: Callable[[bytes], bool], wish: Wish) -> None:
        self._first = decoders.first
        self._second = decoders.second
        self._partials = wish.partials
        self._endpointer = endpointing.Endpointer(is_speech, wish.endpointing_ms)
        self._mean = CEPSTRAL_MEAN
        self._rest = bytearray()
        """Less than a frame, waiting for more."""
        self._heard_bytes = 0
        self._decoded_bytes = 0
        """How much of the open utterance the first pass has been given."""
        self._partial_text = ""

    def push(self, pcm: bytes) -> Iterator[Heard]:
        """Audio of any length, odd ones included."""
        self._heard_bytes += len(pcm)
        self._rest += pcm
        while len(self._rest) >= FRAME_BYTES:
            frame = bytes(self._rest[:FRAME_BYTES])
            del self._rest[:FRAME_BYTES]
            mark = self._endpointer.feed(frame)
            if mark is Mark.OPEN and self._partials:
                yield from self._further()
            elif mark is Mark.CLOSED:
                yield from self._final(self._endpointer.take())

    def finalize(self) -> Iterator[Heard]:
        """Close the open utterance, if any, with all audio so far."""
        if self._endpointer.is_open:
            whole_bytes = len(self._rest) & ~1
            rest = bytes(self._rest[:whole_bytes])
            del self._rest[:whole_bytes]
            yield from self._final(self._endpointer.take(rest))

    def finish(self) -> Iterator[Heard | Done]:
        """`finalize`, then the last word."""
        yield from self.finalize()
        yield Done(self._heard_bytes // BYTES_PER_MS)

    def _further(self) -> Iterator[Heard]:
        """First pass over what is new, when there is enough of it."""
        open_pcm = self._endpointer.open_pcm
        if len(open_pcm) - self._decoded_bytes < PARTIAL_MS * BYTES_PER_MS:
            return
        if self._decoded_bytes == 0:
            _start(self._first)
        self._first.process_raw(bytes(open_pcm[self._decoded_bytes :]))
        self._decoded_bytes = len(open_pcm)
        partial = _heard(self._first, "partial", self._endpointer.start_ms, len(open_pcm))
        if partial is not None and partial.text != self._partial_text:
            self._partial_text = partial.text
            yield partial

    def _final(self, segment: Segment) -> Iterator[Heard]:
        """Second pass."""
        _start(self._second)
        self._second.process_raw(segment.pcm, full_utt=True)
        self._second.end_utt()
        final = _heard(self._second, "final", segment.start_ms, len(segment.pcm))
        if final is not None:
            self._mean = self._second.get_cmn(False)
        self._end_first_pass()
        if final is not None:
            yield final

    def _end_first_pass(self) -> None:
        """Forget the utterance. Its first pass ran with a guessed mean; the next begins with the true one."""
        if self._decoded_bytes == 0:
            return
        self._first.end_utt()
        self._first.set_cmn(self._mean)
        self._decoded_bytes = 0
        self._partial_text = ""


def _start(decoder: Decoder) -> None:
    # Without it the noise estimate of one utterance leaks into the next. Called unnecessary by a warning; it changes
    # results measurably in 5.1.1.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        decoder.start_stream()
    decoder.start_utt()


def _heard(
    decoder: Decoder, kind: Literal["partial", "final"], start_ms: int, length_bytes: int
) -> Heard | None:
    """The decoder's present hypothesis; None where it holds no word."""
    if decoder.hyp() is None:
        return None
    words = tuple(_words(decoder.seg(), start_ms, start_ms + length_bytes // BYTES_PER_MS))
    if not words:
        return None
    text = " ".join(word.text for word in words)
    return Heard(kind, text, words[0].start_ms, words[-1].end_ms, words)


def _words(decoded: Iterable[DecodedWord], start_ms: int, end_ms: int) -> Iterator[HeardWord]:
    """The words among the decoder's `<s>`, `<sil>`, `[NOISE]`; at most as long as the audio was."""
    for each in decoded:
        if each.word.startswith(("<", "[", "+")):
            continue
        word_start_ms = start_ms + each.start_frame * DECODER_FRAME_MS
        word_end_ms = start_ms + (each.end_frame + 1) * DECODER_FRAME_MS
        yield HeardWord(_VARIANT.sub("", each.word), min(word_start_ms, end_ms), min(word_end_ms, end_ms))


def _pocketsphinx() -> Any:
    """The module, imported only where it is needed; it carries no types."""
    check_installed()
    return importlib.import_module("pocketsphinx")
