"""What adapters need for reading any vendor's WebSocket, whatever the vendor.

Vendors' words reach clients through faults, so they are cut, made printable and cleared of our key here.
"""

from collections.abc import Callable, Iterable
from typing import Final, TypeVar, get_args
from urllib.parse import urlencode

import msgspec

from routeraudio.model.errors import UpstreamFault
from routeraudio.model.events import Notice
from routeraudio.model.message import Message
from routeraudio.providers.base import Credential

T = TypeVar("T")

_WORDS_MAX: Final = 200
"""Characters of a vendor's explanation that are passed on: vendors need a sentence; bodies may be pages."""

_BODY_BYTES_MAX: Final = 1000
"""Of a refusal in plain text that are looked at."""

_NAME_MAX: Final = 64
"""Characters of a vendor's code or message type in a `Notice`."""

CLOSES_CLEAN: Final = frozenset({1000, 1005})
"""A close frame with "normal", or without any code: an intended end, where an end was asked for."""


_FIELDS_DECODER: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])

_NOT_JSON: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What msgspec raises for broken JSON, broken text and deep nesting; `ValidationError` is a `DecodeError` too."""


def read(decoder: msgspec.json.Decoder[T], message: Message, *, title: str) -> T | Notice | UpstreamFault:
    """Decode a text message into one struct of the tagged union of ``decoder``.

    Args:
        decoder: of a union of structs, all tagged by the same field: `type`, or what the vendor calls it.
        title: the vendor's name in faults.

    Returns:
        The struct; a `Notice` with the message's type where the union does not know it; a fault where the
        message is not JSON, or is of a known type but broken.
    """
    if not isinstance(message, str):
        return UpstreamFault(f"{title} sent a binary message where text was expected", is_retryable=True)
    try:
        return decoder.decode(message)
    except msgspec.ValidationError as error:
        # msgspec's text names types and the path (`$.channel…`), never a value.
        problem = str(error)
    except _NOT_JSON:
        return _not_json(title)
    kinds = [member.__struct_config__ for member in get_args(decoder.type)]
    try:
        tag = msgspec.json.decode(_FIELDS_DECODER.decode(message)[kinds[0].tag_field], type=str)
    except (msgspec.ValidationError, KeyError):
        return Notice(name(""))
    except _NOT_JSON:  # behind the place where it did not fit
        return _not_json(title)
    if tag in {kind.tag for kind in kinds}:
        return UpstreamFault(f"{title} sent a broken {tag} message: {problem}", is_retryable=True)
    return Notice(name(tag))


def _not_json(title: str) -> UpstreamFault:
    return UpstreamFault(f"{title} sent a message that is not JSON", is_retryable=True)


def name(text: str) -> str:
    """A vendor's code or message type as a `Notice` may carry it; never a sentence."""
    is_name = (
        0 < len(text) <= _NAME_MAX and text.isascii() and text.replace("_", "").replace("-", "").isalnum()
    )
    return text if is_name else "unknown_message"


def words(text: str, credential: Credential | None) -> str:
    """A vendor's explanation on one line: printable, without our key, at most 200 characters."""
    if credential is not None and credential.secret:
        text = text.replace(credential.secret, "…")
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= _WORDS_MAX else line[: _WORDS_MAX - 1] + "…"


def refusal_reader(
    kind: type[T], read: Callable[[T], str], *, or_plain: bool = False
) -> Callable[[bytes], str]:
    """What bodies of HTTP refusals say, read through a struct of which every field may be missing.

    Args:
        read: the struct's words.
        or_plain: whether the vendor also answers in plain text.
    """
    decode = msgspec.json.Decoder(kind).decode

    def words_of(body: bytes) -> str:
        try:
            return read(decode(body))
        except _NOT_JSON:
            return plain_refusal(body) if or_plain else ""  # the HTTP status says enough

    return words_of


def plain_refusal(body: bytes) -> str:
    """A body of plain text; empty for a proxy's HTML page, and for JSON that nobody knows."""
    text = body[:_BODY_BYTES_MAX].decode(errors="replace")
    return "" if text.lstrip()[:1] in ("<", "[", "{") else text


def colon_joined(*parts: str) -> str:
    """`code: explanation`, or the one of them that there is."""
    return ": ".join(part for part in parts if part)


def url(base: str, path: str, parameters: Iterable[tuple[str, str]]) -> str:
    """The address to dial. ``base`` may carry a path of its own, with or without a slash behind it."""
    return f"{base.rstrip('/')}{path}?{urlencode(list(parameters))}"
