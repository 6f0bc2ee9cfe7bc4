"""Taking one member out of a JSON object's text, byte by byte what it was otherwise."""

import re
from json import JSONDecodeError, JSONDecoder
from typing import Final

_JSON: Final = JSONDecoder(strict=False)
_SPACE: Final = re.compile(r"[ \t\r\n]*")


def without_member(text: str, member: str) -> tuple[str, str | None]:
    """A JSON object without one of its members, all else as it was, and that member's value where it is text.

    What is no object comes back as it is: the vendor will say so.
    """
    found: str | None = None
    try:
        spans = _members(text)
    except (JSONDecodeError, RecursionError):
        return text, None
    for index in reversed(range(len(spans))):
        name, value, start, end = spans[index]
        if name != member:
            continue
        found = value if isinstance(value, str) else found
        if index + 1 < len(spans):
            end = spans[index + 1][2]
        elif index:
            start = spans[index - 1][3]
        text = text[:start] + text[end:]
        spans = _members(text)
    return text, found


def _members(text: str) -> list[tuple[str, object, int, int]]:
    """Name, value, first character and end of every member of a JSON object.

    Raises:
        JSONDecodeError: it is none.
    """
    spans: list[tuple[str, object, int, int]] = []
    at = _expect(text, 0, "{")
    while text[at : at + 1] != "}":
        if spans:
            at = _expect(text, at, ",")
        start = at
        name, at = _JSON.raw_decode(text, at)
        at = _expect(text, at, ":")
        value, end = _JSON.raw_decode(text, at)
        spans.append((str(name), value, start, end))
        at = _past_space(text, end)
    return spans


def _expect(text: str, at: int, character: str) -> int:
    """Past ``character`` and the space around it."""
    at = _past_space(text, at)
    if text[at : at + 1] != character:
        raise JSONDecodeError(f"expected {character}", text, at)
    return _past_space(text, at + 1)


def _past_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at
