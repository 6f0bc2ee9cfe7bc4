"""Taking one member out of a JSON object's text, byte by byte what it was otherwise, in one pass over the text."""

import re
from json import JSONDecodeError, JSONDecoder
from typing import Final, NamedTuple

_JSON: Final = JSONDecoder(
    strict=False, parse_int=lambda _: 0, parse_float=lambda _: 0.0, parse_constant=lambda _: 0.0
)
"""Numbers are not looked at: making an integer of many digits takes quadratic time."""
_SPACE: Final = re.compile(r"[ \t\r\n]*")


class Member(NamedTuple):
    """One member of an object, and where it stands in the text."""

    name: str
    value: object
    start: int
    end: int


def without_member(text: str, member: str) -> tuple[str, str | None]:
    """A JSON object without one of its members, all else as it was, and that member's value where it is text.

    What is no object comes back as it is: the vendor will say so.
    """
    try:
        members = _members(text)
    except (JSONDecodeError, RecursionError):
        return text, None
    wanted = [one for one in members if one.name == member]
    if not wanted:
        return text, None
    found = next((one.value for one in wanted if isinstance(one.value, str)), None)
    return _joined(text, members, member), found


def _joined(text: str, members: list[Member], without: str) -> str:
    """The text without the members of that name, each cut out with the comma behind it, or before it at the end."""
    pieces: list[str] = []
    at = 0
    last_kept = max((index for index, one in enumerate(members) if one.name != without), default=None)
    for index, one in enumerate(members):
        if one.name != without:
            continue
        if last_kept is None or index < last_kept:
            start, end = one.start, members[index + 1].start if index + 1 < len(members) else one.end
        else:
            start, end = members[index - 1].end, one.end
        pieces.append(text[at:start])
        at = end
    return "".join((*pieces, text[at:]))


def _members(text: str) -> list[Member]:
    """Every member of a JSON object.

    Raises:
        JSONDecodeError: it is none.
    """
    members: list[Member] = []
    at = _expect(text, 0, "{")
    while text[at : at + 1] != "}":
        if members:
            at = _expect(text, at, ",")
        start = at
        name, at = _JSON.raw_decode(text, at)
        at = _expect(text, at, ":")
        value, end = _JSON.raw_decode(text, at)
        members.append(Member(str(name), value, start, end))
        at = _past_space(text, end)
    return members


def _expect(text: str, at: int, character: str) -> int:
    """Past ``character`` and the space around it."""
    at = _past_space(text, at)
    if text[at : at + 1] != character:
        raise JSONDecodeError(f"expected {character}", text, at)
    return _past_space(text, at + 1)


def _past_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at
