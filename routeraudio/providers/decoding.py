"""What adapters need for reading any vendor's WebSocket, whatever the vendor.

Vendors' words reach clients through faults, so they are cut, made printable and cleared of our key here.
"""

from collections.abc import Iterable
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

_NAME_MAX: Final = 64
"""Characters of a vendor's code or message type in a `Notice`."""

_CLOSES_RETRYABLE: Final = frozenset({1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014})
"""Close codes after which the same request may succeed: early ends, restarts, overload (RFC 6455 7.4, IANA).
The others (1002, 1003, 1007–1010, vendors' 3xxx and 4xxx) are about what we sent and would come again."""

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


def closing(title: str, code: int | None, reason: str, *, credential: Credential | None) -> UpstreamFault:
    """The usual reading of a provider's close before its work was done."""
    if code is None:
        return UpstreamFault(f"the connection to {title} was lost without a close frame", is_retryable=True)
    said = words(reason, credential)
    return UpstreamFault(
        f"{title} closed the connection before all audio was transcribed (close code {code}"
        + (f": {said})" if said else ")"),
        is_retryable=code in _CLOSES_RETRYABLE,
    )


def url(base: str, path: str, parameters: Iterable[tuple[str, str]]) -> str:
    """The address to dial. ``base`` may carry a path of its own, with or without a slash behind it."""
    return f"{base.rstrip('/')}{path}?{urlencode(list(parameters))}"
