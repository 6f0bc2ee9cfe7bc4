"""Moonshine on ONNX Runtime: an encoder, and a decoder that says one token after the other, the likeliest each time.

A folder holds `encoder_model.ort`, `tokenizer.bin` and `decoder_with_attention.onnx` (made by `attention_graph`)
or `decoder_model_merged.ort`, which gives no times for words. All sizes are read from the files, so that a user's
folder for another language or of the next bigger model works the same.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from routeraudio.engine import runtime
from routeraudio.engine.attention import Spoken, times
from routeraudio.engine.backend import Decoded, Traits
from routeraudio.engine.endpointing import SAMPLE_RATE
from routeraudio.engine.faults import EngineFault

Floats = npt.NDArray[np.float32]

BEGIN: Final = 1
END: Final = 2
"""Tokens of the vocabulary: beginning and end of a text."""

TOKENS_PER_S: Final = 6.5
TOKENS_PER_S_OTHER: Final = 13.0
"""The most that a text may have: as many as the authors allow, for English and for other scripts. A decoder that
does not stop is inventing."""
SAMPLES_MIN: Final = 1600
"""Shorter audio is filled with silence: the encoder needs some to stand on."""

DECODERS: Final = ("decoder_with_attention.onnx", "decoder_model_merged.ort")
WORD_MARK: Final = "\u2581"
"""Begins each token that begins a word."""

LATIN: Final = frozenset({"en", "es", "fr", "de", "it", "pt", "nl", "pl", "ca", "vi", "tr", "sv", "da", "nb"})


class Moonshine:
    """One loaded model; shared by forked workers, each of which uses it alone.

    Args:
        folder: see the module.
        languages: what it was trained for, BCP-47.

    Raises:
        EngineMissing: ONNX Runtime is not installed.
        EngineFault: a file is missing.
    """

    def __init__(self, folder: Path, languages: tuple[str, ...]) -> None:
        decoder = next((folder / name for name in DECODERS if (folder / name).is_file()), None)
        if decoder is None:
            raise EngineFault(f"{folder} holds none of {', '.join(DECODERS)}")
        self._encoder = runtime.session(folder / "encoder_model.ort")
        self._decoder = runtime.session(decoder)
        self._tokens = read_tokens((folder / "tokenizer.bin").read_bytes())
        inputs = {each.name: each.shape for each in self._decoder.get_inputs()}
        self._outputs = [each.name for each in self._decoder.get_outputs()]
        self._nothing: dict[str, Floats] = {
            name: np.zeros((1, shape[1], 1, shape[3]), np.float32)
            for name, shape in inputs.items()
            if name.startswith("past_key_values.")
        }
        self._attentions = [name for name in self._outputs if name.startswith("cross_attentions.")]
        has_times = bool(self._attentions)
        is_english = {language.split("-")[0] for language in languages} == {"en"}
        self._tokens_per_s = TOKENS_PER_S if is_english else TOKENS_PER_S_OTHER
        self.traits = Traits(
            languages=languages,
            words="native" if has_times else "none",
            is_latin=all(language.split("-")[0] in LATIN for language in languages),
        )

    def decode(self, pcm: bytes, draft: Sequence[int], language: str | None) -> Decoded:  # noqa: ARG002
        """See `SegmentBackend`."""
        samples = _samples(pcm)
        said = _Saying(self._tokens_max(len(samples)))
        for row in self._steps(samples, said, tuple(draft[: said.tokens_max - 1])):
            said.rows.append(row)
        text = _text(self._tokens, said.tokens)
        words = None
        if self._attentions and text:
            length_ms = len(samples) * 1000 // SAMPLE_RATE
            words = times(self._spoken(said.tokens), np.concatenate(said.rows), length_ms)
        return Decoded(text, words, tuple(said.tokens))

    def _steps(self, samples: Floats, said: "_Saying", draft: tuple[int, ...]) -> Iterator[Floats]:
        """Say the draft and go on until the end; gives attention as rows (tokens x frames of the encoder)."""
        mask = np.ones((1, len(samples)), np.int64)
        heard = self._encoder.run(None, {"input_values": samples[None], "attention_mask": mask})[0]
        given: dict[str, Any] = {"encoder_hidden_states": heard, "encoder_attention_mask": mask}
        past = self._nothing
        said.tokens += draft
        following = (BEGIN, *draft)
        while following:
            is_further = past is not self._nothing
            answers = self._decoder.run(
                None,
                {
                    "input_ids": np.array([following], np.int64),
                    "use_cache_branch": np.array([is_further]),
                    **given,
                    **past,
                },
            )
            told = dict(zip(self._outputs, answers, strict=True))
            if self._attentions:
                yield sum(told[name][0].mean(0) for name in self._attentions)
            token = int(told["logits"][0, -1].argmax())
            following = () if token == END or len(said.tokens) >= said.tokens_max else (token,)
            said.tokens += following
            past = {
                name: past[name] if is_further and ".encoder." in name else told[_present(name)]
                for name in past
            }

    def _tokens_max(self, samples: int) -> int:
        return max(1, math.ceil(samples / SAMPLE_RATE * self._tokens_per_s))

    def _spoken(self, tokens: Sequence[int]) -> list[Spoken]:
        """The words, and which tokens say each."""
        words: list[list[int]] = []
        for index, token in enumerate(tokens):
            if not words or self._tokens[token].startswith(WORD_MARK.encode()):
                words.append([index, index])
            words[-1][1] = index
        spoken = (Spoken(_text(self._tokens, tokens[first : last + 1]), first, last) for first, last in words)
        return [each for each in spoken if each.text]


class _Saying(msgspec.Struct):
    """A text while it is said."""

    tokens_max: int
    tokens: list[int] = []
    rows: list[Floats] = []


def read_tokens(data: bytes) -> list[bytes]:
    """The vocabulary: each entry is its length, in one byte or in two from 128 on, and its bytes."""
    tokens: list[bytes] = []
    position = 0
    while position < len(data):
        length = data[position]
        position += 1
        if length >= 128:
            length += data[position] * 128 - 128
            position += 1
        tokens.append(data[position : position + length])
        position += length
    return tokens


def _text(vocabulary: Sequence[bytes], tokens: Sequence[int]) -> str:
    joined = b"".join(map(_bytes, (vocabulary[token] for token in tokens)))
    return " ".join(joined.decode("utf-8", "replace").replace(WORD_MARK, " ").split())


def _bytes(token: bytes) -> bytes:
    """What a token writes: itself, one byte (`<0xE2>`), or nothing (`<s>`)."""
    if len(token) > 2 and token.startswith(b"<") and token.endswith(b">"):
        return bytes([int(token[3:-1], 16)]) if token.startswith(b"<0x") else b""
    return token


def _samples(pcm: bytes) -> Floats:
    samples = np.frombuffer(pcm, "<i2", len(pcm) // 2).astype(np.float32) / 32768
    return np.pad(samples, (0, max(0, SAMPLES_MIN - len(samples))))


def _present(past: str) -> str:
    """The output that continues this input."""
    return past.replace("past_key_values", "present")
