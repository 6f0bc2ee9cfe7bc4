"""Telling a token of a daemon like this one, good or bad, from keys: providers have JWTs of their own."""

from base64 import urlsafe_b64decode
from typing import Final

import msgspec

TYPE: Final = "router+jwt"
"""Of our tokens (RFC 8725 3.11): no other JWT made with the same secret would pass for one."""

PARSED_BYTES_MAX: Final = 4096
"""Longer ones are not parsed: five megabytes cost PyJWT 0.4 s (hazards, section 4). No token of ours is longer."""


class _Head(msgspec.Struct):
    typ: str = ""


_decode: Final = msgspec.json.Decoder(_Head).decode


def is_token(text: str) -> bool:
    """Whether its head says that it is one of our tokens. Nothing is verified: a token that was spoiled
    on its way is a token too, and no provider's key.
    """
    if len(text) > PARSED_BYTES_MAX or text.count(".") != 2:
        return False
    head = text.partition(".")[0]
    try:
        return _decode(urlsafe_b64decode(head + "=" * (-len(head) % 4))).typ == TYPE
    except (ValueError, msgspec.MsgspecError, RecursionError):
        return False  # not ours, whatever else
