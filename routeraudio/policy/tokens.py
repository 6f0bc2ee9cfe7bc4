"""Tokens: what a key's holder gives to a browser, for one connection within the next minute.

A token is a signed JWT (RFC 7519), HS256 and nothing else (RFC 8725 3.1): the algorithm belongs to the key id in its
head, not to what the head says. Everything that a token may hold is checked here but two things: that it has not been
used before, which only the store can tell, and that its key is still good. PyJWT checks the signature and the names;
times are ours to check, because PyJWT would look at the clock, and allows a token to live for a century.
"""

import re
import secrets
from collections.abc import Mapping
from typing import Any, Final

import jwt
import msgspec

from routeraudio.model import router_token
from routeraudio.model.errors import ClientFault, unauthorized
from routeraudio.policy.keys import Restriction
from routeraudio.policy.secrets import Secrets

TOKEN_BYTES_MAX: Final = router_token.PARSED_BYTES_MAX

TTL_S: Final = 60
TTL_S_MAX: Final = 3600
LEEWAY_S: Final = 5
"""Between the clocks of two nodes."""

ALGORITHM: Final = "HS256"
TYPE: Final = router_token.TYPE
ISSUER: Final = "routeraudio"
AUDIENCE: Final = "routeraudio/stream"
_REQUIRED: Final = ["exp", "iat", "jti", "iss", "aud", "sub"]

_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_JTI: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
_JTI_BYTES: Final = 16

_CODEC: Final = jwt.PyJWT(
    {
        "require": _REQUIRED,
        "strict_aud": True,
        "enforce_minimum_key_length": True,
        "verify_exp": False,
        "verify_iat": False,
        "verify_nbf": False,
    }
)


class Narrowing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a token takes away from its key."""

    providers: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    max_connection_s: int | None = None
    max_concurrent: int | None = None
    metadata: dict[str, str] = {}


class Claims(Narrowing, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a token says."""

    iss: str
    aud: str
    sub: str
    """The key's id."""
    iat: int
    exp: int
    jti: str


class Token(msgspec.Struct, frozen=True):
    """A token that was made or has been checked."""

    key_id: str
    restriction: Restriction


class Minted(msgspec.Struct, frozen=True):
    """A new token."""

    text: str
    jti: str
    ttl_s: int
    expires_at_s: int

    def __repr__(self) -> str:
        return f"Minted({self.jti!r}, …)"


EXPIRED: Final = "the token has expired; fetch a new one for each connection"
"""Said of a token that was good once: no guess."""


def mint(key_id: str, narrowing: Narrowing, secrets_: Secrets, *, now_s: int, ttl_s: int = TTL_S) -> Minted:
    """A token for a key. Needs nothing but the processor.

    Args:
        ttl_s: 1 to `TTL_S_MAX`.
    """
    assert 1 <= ttl_s <= TTL_S_MAX
    jti = secrets.token_urlsafe(_JTI_BYTES)
    claims = Claims(
        iss=ISSUER,
        aud=AUDIENCE,
        sub=key_id,
        iat=now_s,
        exp=now_s + ttl_s,
        jti=jti,
        **msgspec.structs.asdict(narrowing),
    )
    text = _CODEC.encode(
        msgspec.to_builtins(claims),
        secrets_.token_keys[secrets_.signing_kid],
        algorithm=ALGORITHM,
        headers={"typ": TYPE, "kid": secrets_.signing_kid},
    )
    return Minted(text, jti, ttl_s, now_s + ttl_s)


def verify(text: str, keys: Mapping[str, bytes], now_s: float) -> Token:
    """A token as it was made.

    Args:
        keys: signing keys by key id.

    Raises:
        ClientFault: it is no token of ours, or its time is over; never quotes it.
    """
    claims = _claims(text, _key(text, keys))
    if not (1 <= claims.exp - claims.iat <= TTL_S_MAX and claims.iat <= now_s + LEEWAY_S):
        raise _bad()
    if claims.exp + LEEWAY_S <= now_s:
        raise unauthorized(EXPIRED)
    return Token(
        claims.sub,
        Restriction(
            jti=claims.jti,
            expires_at_s=claims.exp,
            providers=claims.providers,
            models=claims.models,
            max_connection_s=claims.max_connection_s,
            max_concurrent=claims.max_concurrent,
            metadata=claims.metadata,
        ),
    )


def _key(text: str, keys: Mapping[str, bytes]) -> bytes:
    """The key that the token's head names, when the head is one of ours."""
    if len(text) > TOKEN_BYTES_MAX or _SHAPE.fullmatch(text) is None:
        raise _bad()
    try:
        head: dict[str, Any] = jwt.get_unverified_header(text)
    except (jwt.InvalidTokenError, RecursionError):
        raise _bad() from None
    kid = head.get("kid")
    if head != {"alg": ALGORITHM, "typ": TYPE, "kid": kid} or not isinstance(kid, str) or kid not in keys:
        raise _bad()
    return keys[kid]


def _claims(text: str, key: bytes) -> Claims:
    try:
        said = _CODEC.decode(text, key, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER)
        claims = msgspec.convert(said, Claims)
    except (jwt.InvalidTokenError, msgspec.ValidationError, RecursionError, OverflowError):
        raise _bad() from None
    if _JTI.fullmatch(claims.jti) is None:
        raise _bad()
    return claims


def _bad() -> ClientFault:
    return unauthorized("the token is not one that is valid here; fetch a new one for each connection")
