"""What passes for a token of ours."""

import jwt
import pytest

from routeraudio.model.router_token import PARSED_BYTES_MAX, TYPE, is_token
from routeraudio.policy import tokens

SECRET = "s" * 32
OURS = jwt.encode({}, SECRET, "HS256", headers={"typ": TYPE})


def base64url(text: str) -> str:
    return jwt.utils.base64url_encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (OURS, True),
        (OURS[:-5] + "AAAAA", True),
        (jwt.encode({}, SECRET, "HS256"), False),
        (OURS + ".x", False),
        (OURS.rpartition(".")[0], False),
        ("", False),
        ("..", False),
        ("a.b.c", False),
        ("\u00e9.\u00e9.\u00e9", False),
        (base64url("[" * 2900) + ".e30.AAAA", False),
        (base64url("[]") + ".e30.AAAA", False),
        (base64url('{"typ":["router+jwt"]}') + ".e30.AAAA", False),
        (OURS + "A" * PARSED_BYTES_MAX, False),
    ],
)
def test_texts(text: str, expected: bool) -> None:
    """By its head alone, and nothing that a client may send raises."""
    assert is_token(text) is expected


def test_the_same_bounds_hold_when_it_is_verified() -> None:
    """What is made and verified is what is recognised."""
    assert (tokens.TYPE, tokens.TOKEN_BYTES_MAX) == (TYPE, PARSED_BYTES_MAX)
