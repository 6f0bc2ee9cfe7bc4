"""Router keys: what one looks like and how it is recognised."""

import re

import pytest

from routeraudio.policy.keys import id_of, keyed_hash, matches, new_text

PEPPER, OLDER = b"p" * 32, b"q" * 32
KEY = "router_abcdefABCDEF_0123456789abcdefghijABCDEFGHIJ01"


def test_a_new_key() -> None:
    """An id of 12 and a secret of 32 letters and digits; no two alike."""
    made = [new_text() for _ in range(100)]
    assert all(re.fullmatch(r"router_[0-9A-Za-z]{12}_[0-9A-Za-z]{32}", one.text) for one in made)
    assert all(id_of(one.text) == one.id for one in made)
    assert len({one.id for one in made}) == len({one.text[20:] for one in made}) == 100


def test_another_secret_for_the_same_id() -> None:
    """As rotation wants it."""
    first = new_text()
    second = new_text(first.id)
    assert second.id == first.id
    assert second.text != first.text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "router_",
        "router_x",
        KEY[:-1],
        KEY + "0",
        KEY + "\n",
        KEY.replace("_0", "-0"),
        KEY.upper(),
        KEY[7:],
        f" {KEY}",
        KEY.replace("a", "é"),
    ],
)
def test_what_is_no_key(text: str) -> None:
    """What is not of exactly that form has no id."""
    assert id_of(KEY) == "abcdefABCDEF"
    assert id_of(text) is None


def test_recognising() -> None:
    """The whole key counts, under any of the peppers."""
    stored = keyed_hash(KEY, OLDER)
    assert matches(KEY, stored, [PEPPER, OLDER])
    assert not matches(KEY, stored, [PEPPER])
    assert not matches(KEY[:-1] + "0", stored, [PEPPER, OLDER])
    assert not matches(KEY.replace("abc", "abd"), stored, [PEPPER, OLDER])


def test_unknown_keys_match_nothing() -> None:
    """Whatever is compared in the place of their hash."""
    assert not matches(KEY, None, [PEPPER])
    assert not matches(KEY, b"", [PEPPER])


def test_a_new_key_is_not_shown_by_accident() -> None:
    """Its representation has the id only."""
    made = new_text()
    assert made.text not in repr(made)
    assert made.id in repr(made)
