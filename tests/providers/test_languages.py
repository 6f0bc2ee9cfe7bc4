"""Finding a language by whatever a person types."""

import pytest

from routeraudio.providers.catalog import PROVIDERS
from routeraudio.providers.languages import canonical, every, find, folded


@pytest.mark.parametrize("query", ["ta", "tam", "Tamil", "tamil ", "தமிழ்", "TA"])
def test_tamil_is_found_first(query: str) -> None:
    """By either ISO code, by its English name and by its own."""
    best = find(query)[0]
    assert (best.code, best.name, best.native_name) == ("ta", "Tamil", "தமிழ்")
    assert any(offer.provider == "deepgram" and offer.model == "nova-3" for offer in best.offers)


def test_accents_do_not_matter() -> None:
    """A keyboard without them finds the same."""
    assert find("portugues")[0].code == find("Português")[0].code == "pt"
    assert folded("தமிழ்") == "தமிழ்"


def test_variants_follow_their_language() -> None:
    """A language's code brings its regional variants behind it."""
    codes = [language.code for language in find("en")]
    assert codes[0] == "en"
    assert {"en-GB", "en-IN", "en-US"} <= set(codes)


def test_nothing_speaks_nonsense() -> None:
    """An unknown word finds nothing; no word finds all."""
    assert find("xyzzy") == ()
    assert find("") == every()


def test_short_queries_are_not_looked_for_inside_names() -> None:
    """Two letters are a code or a beginning; inside names they would be everywhere."""
    assert all(not language.name.casefold().endswith("sh") for language in find("sh"))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("cmn", "zh"),
        ("jw", "jv"),
        ("tl", "fil"),
        ("PT-br", "pt-BR"),
        ("zh-hant", "zh-Hant"),
        ("es-419", "es-419"),
    ],
)
def test_codes_are_spelled_as_the_cldr_does(code: str, expected: str) -> None:
    """Vendors' old and odd codes come together under one."""
    assert canonical(code) == expected


def test_every_offer_names_what_the_provider_understands() -> None:
    """Each provider is there, and each language has names and somebody who speaks it."""
    offers = [offer for language in every() for offer in language.offers]
    assert {offer.provider for offer in offers} == set(PROVIDERS)
    assert all(language.name and language.native_name and language.offers for language in every())
