"""Taking one member out of a JSON object's text."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeraudio.gateway.json_member import without_member


@pytest.mark.parametrize(
    ("text", "rest", "found"),
    [
        ('{"api_key":"K","model":"m"}', '{"model":"m"}', "K"),
        ('{"model":"m","api_key":"K"}', '{"model":"m"}', "K"),
        ('{ "a" : 1 ,\n "api_key" : "K" , "b" : [1, 2.50] }', '{ "a" : 1 ,\n "b" : [1, 2.50] }', "K"),
        ('{"api_key":"K"}', "{}", "K"),
        ('{"api_key":"K","api_key":"L"}', "{}", "K"),
        ('{"api\\u005fkey":"K","a":"\\u00e9"}', '{"a":"\\u00e9"}', "K"),
        ('{"a":{"api_key":"inner"}}', '{"a":{"api_key":"inner"}}', None),
        ('{"api_key":5,"a":NaN}', '{"a":NaN}', None),
        ('{"a":"api_key"}', '{"a":"api_key"}', None),
        ("", "", None),
        ("[]", "[]", None),
        ('{"api_key":"K"', '{"api_key":"K"', None),
        ("{" * 10_000, "{" * 10_000, None),
        ('{"a":' * 10_000, '{"a":' * 10_000, None),
    ],
)
def test_a_member_is_taken_out(text: str, rest: str, found: str | None) -> None:
    """All else keeps its bytes; what is no object is the vendor's to refuse."""
    assert without_member(text, "api_key") == (rest, found)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(
    members=st.lists(st.tuples(st.sampled_from(["api_key", "a", "b", "c"]), VALUES), max_size=5),
    indent=st.sampled_from([None, 0, 2]),
)
def test_what_is_left_is_the_same_object(members: list[tuple[str, Any]], indent: int | None) -> None:
    """Whatever stands around it, the object without the member is what a parser makes of what is left."""
    text = json.dumps(dict(members), indent=indent)
    left, found = without_member(text, "api_key")
    expected = dict(members)
    value = expected.pop("api_key", None)
    assert json.loads(left) == expected
    assert found == (value if isinstance(value, str) else None)
    if "api_key" not in dict(members):
        assert left == text
