"""Which provider and model speaks a language: the search behind `/v1/languages` and `routeraudio languages`.

Names come from the Unicode CLDR, through Babel. Vendors spell codes in their own way (`cmn`, `jw`, `tl`); languages are
gathered under the CLDR's code (`zh`, `jv`, `fil`), and each offer keeps the vendor's spelling.
"""

import unicodedata
from functools import cache
from typing import Final

import msgspec
from babel.core import Locale, UnknownLocaleError, get_global

from routeraudio.providers import models

_COMBINING: Final = range(0x300, 0x370)
"""Accents on Latin, Greek and Cyrillic letters (Combining Diacritical Marks); vowel signs of other scripts stay."""

_INSIDE_MIN: Final = 3
"""Characters a query must have to be looked for inside names; shorter ones are inside most."""


class Offer(msgspec.Struct, frozen=True):
    """One model that speaks a language."""

    provider: str
    model: str
    code: str
    """As this provider spells it; what `language` must be."""


class Language(msgspec.Struct, frozen=True):
    """A language or regional variant, and who speaks it."""

    code: str
    """BCP-47."""
    name: str
    """English."""
    native_name: str
    offers: tuple[Offer, ...]


def find(query: str) -> tuple[Language, ...]:
    """Languages by code (`ta`, `tam`, `pt-br`), English name or native name, best first; all for an empty query."""
    wanted = folded(query.strip())
    ranked = [(rank, language) for language in every() if (rank := _rank(language, wanted)) is not None]
    return tuple(language for _, language in sorted(ranked, key=lambda one: (one[0], one[1].name)))


@cache
def every() -> tuple[Language, ...]:
    """All languages any model in the catalogue speaks, by English name."""
    languages = [Language(code, *_names(code), found) for code, found in offers().items()]
    return tuple(sorted(languages, key=lambda language: language.name))


@cache
def offers() -> dict[str, tuple[Offer, ...]]:
    """Who speaks a language, by its canonical code. Without names, which take the CLDR a second to find."""
    found: dict[str, list[Offer]] = {}
    for provider in models.names():
        for model in models.load(provider).models:
            for code in model.languages:
                found.setdefault(canonical(code), []).append(Offer(provider, model.id, code))
    return {code: tuple(its) for code, its in found.items()}


def canonical(code: str) -> str:
    """The CLDR's spelling of a code: `cmn` is `zh`, `tam` is `ta`, `PT-br` is `pt-BR`."""
    language, *rest = code.replace("_", "-").split("-")
    language = get_global("language_aliases").get(language.lower(), language.lower())
    return "-".join([language, *map(_part, rest)])


def folded(text: str) -> str:
    """``text`` without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", "".join(one for one in decomposed if ord(one) not in _COMBINING))


def _part(subtag: str) -> str:
    """RFC 5646, 2.1.1: scripts in title case, regions in upper case."""
    return subtag.title() if len(subtag) == 4 else subtag.upper()


def _names(code: str) -> tuple[str, str]:
    english = Locale("en")
    try:
        locale = Locale.parse(code, sep="-")
    except (UnknownLocaleError, ValueError):
        # The CLDR has a name for more languages than it has data for.
        name = english.languages.get(code.partition("-")[0], code)
        return name, name
    return locale.get_display_name("en") or code, locale.get_display_name() or code


def _rank(language: Language, wanted: str) -> int | None:
    """How well a language fits a folded query; None: not at all."""
    code = language.code.casefold()
    names = (folded(language.name), folded(language.native_name))
    if not wanted or wanted == code or canonical(wanted).casefold() == code:
        return 0
    if wanted in names:
        return 1
    if code.startswith(f"{wanted}-"):
        return 2
    if any(name.startswith(wanted) for name in names):
        return 3
    if len(wanted) >= _INSIDE_MIN and any(wanted in name for name in names):
        return 4
    return None
