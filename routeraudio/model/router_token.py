"""Telling a token of a daemon like this one, good or bad, from keys: providers have JWTs of their own."""

from typing import Final

import jwt

TYPE: Final = "router+jwt"
"""Of our tokens (RFC 8725 3.11): no other JWT made with the same secret would pass for one."""

PARSED_BYTES_MAX: Final = 4096
"""Longer ones are not parsed: five megabytes cost PyJWT 0.4 s (hazards, section 4). No token of ours is longer."""


def is_token(text: str) -> bool:
    """Whether its head says that it is one of our tokens. Nothing is verified."""
    if len(text) > PARSED_BYTES_MAX or text.count(".") != 2:
        return False
    try:
        return jwt.get_unverified_header(text).get("typ") == TYPE
    except (jwt.PyJWTError, RecursionError):
        return False  # not ours, whatever else: json gives up at some thousand brackets
