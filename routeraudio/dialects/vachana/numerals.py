"""Numbers in written form: `x-format: transcribe` and `itn_native_numerals`.

English numbers are rewritten by `text2num` (allo-media, MIT). For the Indian languages there is no library that we
would put between a speaker and a reader: NVIDIA's grammars need OpenFst and minutes to compile, and the small
packages tried (2026-11) turn "दो", which is also "give", into 2 wherever it stands. With those languages text comes as
the provider writes it, which with many is in digits anyway, and `connected` says so.

Digits, whoever wrote them, can be in the script of the language.
"""

from collections.abc import Callable
from typing import Final

from text_to_num import alpha2digit  # type: ignore[import-untyped]  # 3.1.0 ships no types

_ZEROS: Final = {
    "bn": "০",
    "gu": "૦",
    "hi": "०",
    "kn": "೦",
    "ml": "൦",
    "mr": "०",
    "pa": "੦",
    "ta": "௦",
    "te": "౦",
}
"""The native numbering systems of the CLDR; the ten digits of each follow one another in Unicode."""

_NATIVE: Final = {
    language: str.maketrans({str(digit): chr(ord(zero) + digit) for digit in range(10)})
    for language, zero in _ZEROS.items()
}


def normaliser(language: str) -> Callable[[str], str] | None:
    """Turns numbers in words into digits; None: there is none for the language.

    Args:
        language: `en`, without a region.
    """
    return _english if language == "en" else None


def has_numerals(language: str) -> bool:
    """Whether the language has digits of its own."""
    return language in _NATIVE


def native(text: str, language: str) -> str:
    """``text`` with its digits in the script of the language."""
    return text.translate(_NATIVE[language])


def _english(text: str) -> str:
    """Numbers up to three stay words where they stand alone: most are no counts ("no one", "one of them")."""
    return str(alpha2digit(text, "en"))
