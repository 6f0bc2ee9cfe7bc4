"""Numbers in written form."""

import unicodedata

import hypothesis.strategies as st
import pytest
from hypothesis import given

from routeraudio.dialects.vachana import numerals
from routeraudio.dialects.vachana.request import LANGUAGES

FAMILIES = [code.partition("-")[0] for code in LANGUAGES]


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("go forward ten meters", "go forward 10 meters"),
        ("I need five thousand rupees.", "I need 5000 rupees."),
        ("the twenty first of march two thousand twenty six", "the 21st of march 2026"),
        ("one point five lakh", "1.5 lakh"),
        ("no one knows", "no one knows"),
        ("he came second", "he came second"),
        ("", ""),
        ("पाँच हजार", "पाँच हजार"),
    ],
)
def test_english(spoken: str, written: str) -> None:
    """Numbers become digits; small words that are mostly no numbers stay words."""
    normalise = numerals.normaliser("en")
    assert normalise is not None
    assert normalise(spoken) == written


@given(text=st.text())
def test_any_text_is_survived(text: str) -> None:
    """Whatever a provider writes has a written form."""
    normalise = numerals.normaliser("en")
    assert normalise is not None
    assert isinstance(normalise(text), str)


@pytest.mark.parametrize("language", [*(family for family in FAMILIES if family != "en"), "", "fr"])
def test_where_there_is_no_library(language: str) -> None:
    """Other languages say so."""
    assert numerals.normaliser(language) is None


@pytest.mark.parametrize("language", [family for family in FAMILIES if family != "en"])
def test_native_numerals(language: str) -> None:
    """Digits change their script and keep their value; everything else stays."""
    assert numerals.has_numerals(language)
    written = numerals.native("₹5,000 x 1234567890", language)
    digits = [letter for letter in written if letter.isdigit()]
    assert [unicodedata.digit(letter) for letter in digits] == [5, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    assert all(not letter.isascii() for letter in digits)
    assert len({unicodedata.name(letter).split()[0] for letter in digits}) == 1
    assert "".join("0" if letter.isdigit() else letter for letter in written) == "₹0,000 x 0000000000"


def test_the_seeds_example() -> None:
    """₹५,००० is what the vendor's page shows."""
    assert numerals.native("₹5,000", "hi") == "₹५,०००"


def test_english_has_no_other_digits() -> None:
    """Latin digits are its own."""
    assert not numerals.has_numerals("en")
