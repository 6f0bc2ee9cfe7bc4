"""Tokens: what is made is recognised, and nothing else is."""

import base64
import hmac
from collections.abc import Callable
from typing import Any

import jwt
import msgspec
import pytest

from routeraudio.model.errors import ClientFault, CloseCode
from routeraudio.policy.secrets import Secrets, parse
from routeraudio.policy.tokens import (
    AUDIENCE,
    ISSUER,
    LEEWAY_S,
    TOKEN_BYTES_MAX,
    TTL_S_MAX,
    TYPE,
    Narrowing,
    mint,
    verify,
)

SECRETS = Secrets(parse("now:" + "a" * 40 + "\nbefore:" + "b" * 40))
KEY = SECRETS.token_keys["now"]
NOW = 1_800_000_000
JTI = "0123456789abcdef"

HEAD: dict[str, Any] = {"alg": "HS256", "typ": TYPE, "kid": "now"}
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "key-1",
    "iat": NOW,
    "exp": NOW + 60,
    "jti": JTI,
}


def part(value: object) -> str:
    data = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(head: object = HEAD, claims: object = CLAIMS, *, key: bytes = KEY, digest: str = "sha256") -> str:
    """A token put together by hand, signed with ``key``."""
    signed = f"{part(head)}.{part(claims)}"
    return f"{signed}.{part(hmac.digest(key, signed.encode(), digest))}"


def without(table: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name not in names}


def test_what_is_made_is_recognised() -> None:
    """With everything that narrows it."""
    narrowing = Narrowing(
        providers=("deepgram",), models=("nova-3",), max_connection_s=9, max_concurrent=2, metadata={"u": "1"}
    )
    minted = mint("key-1", narrowing, SECRETS, now_s=NOW, ttl_s=30)
    token = verify(minted.text, SECRETS.token_keys, NOW)
    assert token.key_id == "key-1"
    assert (token.restriction.jti, token.restriction.expires_at_s) == (minted.jti, NOW + 30)
    assert msgspec.structs.asdict(narrowing).items() <= msgspec.structs.asdict(token.restriction).items()
    assert minted.text not in repr(minted)


def test_no_two_are_alike() -> None:
    """The same key in the same second gets different tokens."""
    made = [mint("key-1", Narrowing(), SECRETS, now_s=NOW) for _ in range(100)]
    assert len({one.jti for one in made}) == len({one.text for one in made}) == 100


def test_the_hand_made_one_is_good() -> None:
    """What the attacks below change is recognised unchanged, and by PyJWT."""
    assert verify(forged(), SECRETS.token_keys, NOW).restriction.jti == JTI
    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(
            forged(claims=CLAIMS | {"iat": 1, "exp": 2}),
            KEY,
            algorithms=["HS256"],
            audience=AUDIENCE,
        )


def test_rotation() -> None:
    """Tokens of the line before are good until it is taken away; nothing new is made with it."""
    old = forged(HEAD | {"kid": "before"}, key=SECRETS.token_keys["before"])
    assert verify(old, SECRETS.token_keys, NOW).key_id == "key-1"
    assert jwt.get_unverified_header(mint("k", Narrowing(), SECRETS, now_s=NOW).text)["kid"] == "now"
    with pytest.raises(ClientFault):
        verify(old, {"now": KEY}, NOW)


@pytest.mark.parametrize(
    ("at_s", "is_good"),
    [
        (-LEEWAY_S, True),
        (-LEEWAY_S - 1, False),
        (0, True),
        (60 + LEEWAY_S - 0.1, True),
        (60 + LEEWAY_S, False),
    ],
)
def test_when_it_is_good(at_s: float, is_good: bool) -> None:
    """From when it was made until it expires, and a little around for clocks that differ."""
    if is_good:
        assert verify(forged(), SECRETS.token_keys, NOW + at_s)
    else:
        with pytest.raises(ClientFault):
            verify(forged(), SECRETS.token_keys, NOW + at_s)


def test_the_longest_life() -> None:
    """An hour, and not a second more."""
    assert verify(forged(claims=CLAIMS | {"exp": NOW + TTL_S_MAX}), SECRETS.token_keys, NOW)
    with pytest.raises(ClientFault):
        verify(forged(claims=CLAIMS | {"exp": NOW + TTL_S_MAX + 1}), SECRETS.token_keys, NOW)


OTHER_KEY = SECRETS.token_keys["before"]

ATTACKS: dict[str, Callable[[], str]] = {
    "nothing": lambda: "",
    "no JWT": lambda: "canary",
    "no signature": lambda: f"{part(HEAD)}.{part(CLAIMS)}.",
    "four parts": lambda: forged() + ".x",
    "line break": lambda: forged() + "\n",
    "padding": lambda: forged() + "=",
    "not ASCII": lambda: "é" + forged(),
    "too long": lambda: forged(claims=CLAIMS | {"metadata": {"m": "x" * TOKEN_BYTES_MAX}}),
    "much too long": lambda: "a" * 5_000_000,
    "deep": lambda: f"{part(b'[' * 2200)}.{part(CLAIMS)}.x",
    "deep claims": lambda: forged(claims=b'{"metadata":' + b"[" * 1400),
    "claims no object": lambda: forged(claims=[CLAIMS]),
    "claims no text": lambda: forged(claims=b"\xff\xfe"),
    "head no object": lambda: forged(head="HS256"),
    "alg none": lambda: f"{part(HEAD | {'alg': 'none'})}.{part(CLAIMS)}.x",
    "alg none, signed": lambda: forged(HEAD | {"alg": "none"}),
    "alg in other letters": lambda: forged(HEAD | {"alg": "hs256"}),
    "other alg": lambda: forged(HEAD | {"alg": "HS512"}, digest="sha512"),
    "other alg, asymmetric": lambda: forged(HEAD | {"alg": "RS256"}),
    "no alg": lambda: forged(without(HEAD, "alg")),
    "no kid": lambda: forged(without(HEAD, "kid")),
    "unknown kid": lambda: forged(HEAD | {"kid": "later"}),
    "kid of another key": lambda: forged(HEAD | {"kid": "before"}),
    "key of another kid": lambda: forged(key=OTHER_KEY),
    "kid a path": lambda: forged(HEAD | {"kid": "../../dev/null"}, key=b""),
    "kid a number": lambda: forged(HEAD | {"kid": 0}),
    "kid a list": lambda: forged(HEAD | {"kid": ["now"]}),
    "typ of any JWT": lambda: forged(HEAD | {"typ": "JWT"}),
    "no typ": lambda: forged(without(HEAD, "typ")),
    "crit": lambda: forged(HEAD | {"crit": ["exp"]}),
    "key in the head": lambda: forged(HEAD | {"jwk": {"kty": "oct", "k": part(b"k" * 32)}}, key=b"k" * 32),
    "empty key": lambda: forged(key=b""),
    "pepper for key": lambda: forged(key=SECRETS.peppers[0]),
    **{f"no {name}": lambda name=name: forged(claims=without(CLAIMS, name)) for name in CLAIMS},  # type: ignore[misc]
    **{f"{name} null": lambda name=name: forged(claims=CLAIMS | {name: None}) for name in CLAIMS},  # type: ignore[misc]
    "exp a text": lambda: forged(claims=CLAIMS | {"exp": str(NOW + 60)}),
    "exp a fraction": lambda: forged(claims=CLAIMS | {"exp": NOW + 60.5}),
    "exp huge": lambda: forged(claims=CLAIMS | {"exp": 10**30}),
    "exp in a century": lambda: forged(claims=CLAIMS | {"exp": NOW + 3_000_000_000}),
    "exp before iat": lambda: forged(claims=CLAIMS | {"exp": NOW - 1}),
    "exp is iat": lambda: forged(claims=CLAIMS | {"exp": NOW}),
    "long ago, for a century": lambda: forged(claims=CLAIMS | {"iat": 0, "exp": NOW + 60}),
    "from the future": lambda: forged(claims=CLAIMS | {"iat": NOW + 30, "exp": NOW + 60}),
    "aud a list": lambda: forged(claims=CLAIMS | {"aud": [AUDIENCE]}),
    "aud a list of several": lambda: forged(claims=CLAIMS | {"aud": [AUDIENCE, "other"]}),
    "other aud": lambda: forged(claims=CLAIMS | {"aud": "other"}),
    "other iss": lambda: forged(claims=CLAIMS | {"iss": "other"}),
    "sub a number": lambda: forged(claims=CLAIMS | {"sub": 1}),
    "jti short": lambda: forged(claims=CLAIMS | {"jti": "x" * 15}),
    "jti long": lambda: forged(claims=CLAIMS | {"jti": "x" * 65}),
    "jti of other characters": lambda: forged(claims=CLAIMS | {"jti": "'; drop table x--"}),
    "jti a number": lambda: forged(claims=CLAIMS | {"jti": 10**20}),
    "unknown claim": lambda: forged(claims=CLAIMS | {"admin": True}),
    "providers a text": lambda: forged(claims=CLAIMS | {"providers": "deepgram"}),
    "last character changed": lambda: forged()[:-2] + ("AA" if forged()[-2:] != "AA" else "BB"),
    "claims changed": lambda: forged().replace(part(CLAIMS), part(CLAIMS | {"sub": "key-2"})),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks(attack: str) -> None:
    """Anything but our own token is refused with 3000 and words that do not quote it."""
    text = ATTACKS[attack]()
    with pytest.raises(ClientFault) as raised:
        verify(text, SECRETS.token_keys, NOW)
    assert (raised.value.code, raised.value.close_code) == ("unauthorized", CloseCode.UNAUTHORIZED)
    assert "canary" not in raised.value.message


def test_an_expired_one_is_told_so() -> None:
    """The only case in which a client can do something about it."""
    with pytest.raises(ClientFault, match="expired; fetch a new one"):
        verify(forged(), SECRETS.token_keys, NOW + 100)
