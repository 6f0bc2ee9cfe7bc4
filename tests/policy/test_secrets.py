"""The server's secret: lines, rotation, one key per purpose."""

import pytest

from routeraudio.policy.secrets import Secrets, parse

ONE = "canary-one-" + "a" * 30
TWO = "canary-two-" + "b" * 30


def test_a_secret_alone() -> None:
    """Gets a key id that tells nothing of it and stays the same."""
    (line,) = parse(f"{ONE}\n")
    assert line.secret == ONE.encode()
    assert line.kid == parse(ONE)[0].kid != parse(TWO)[0].kid
    assert len(line.kid) == 8


def test_several_lines() -> None:
    """With and without key ids; empty lines and remarks between them."""
    lines = parse(f"# new\n2027:{TWO}\n\n  {ONE}  \n")
    assert [line.secret for line in lines] == [TWO.encode(), ONE.encode()]
    assert lines[0].kid == "2027"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("# nothing", "is empty"),
        ("x" * 31, "line 1: the secret has less than 32 bytes"),
        (f"{ONE}\nkid:{'x' * 31}", "line 2: the secret has less than 32 bytes"),
        (f"{ONE} {TWO}", "line 1: expected kid:secret"),
        (f"é{ONE}", "line 1: expected kid:secret"),
        (f"a:{ONE}\na:{TWO}", "names the same key id twice"),
        (f"{ONE}\n{ONE}", "names the same key id twice"),
        ("\n".join(f"k{at}:{ONE}" for at in range(9)), "has 9 secrets; expected at most 8"),
    ],
)
def test_what_is_no_secret(text: str, message: str) -> None:
    """Told with the line, never with the text."""
    with pytest.raises(ValueError) as raised:
        parse(text)
    assert message in str(raised.value)
    assert "canary" not in str(raised.value)


def test_one_key_per_purpose() -> None:
    """Different for each purpose, account and secret; the same on every node."""
    secrets = Secrets(parse(ONE))
    keys = [
        secrets.derive("a"),
        secrets.derive("b"),
        secrets.peppers[0],
        secrets.token_keys[secrets.signing_kid],
        secrets.webhook_secret("a"),
        secrets.webhook_secret("b"),
        Secrets(parse(TWO)).derive("a"),
    ]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 32 for key in keys)
    assert Secrets(parse(ONE)).peppers == secrets.peppers


def test_the_first_line_makes_and_all_verify() -> None:
    """A new line goes first and takes nothing away."""
    before, after = Secrets(parse(f"old:{ONE}")), Secrets(parse(f"new:{TWO}\nold:{ONE}"))
    assert after.signing_kid == "new"
    assert after.token_keys["old"] == before.token_keys["old"]
    assert after.peppers[1] == before.peppers[0] != after.peppers[0]


def test_secrets_are_not_shown() -> None:
    """However they are printed."""
    secrets = Secrets(parse(ONE))
    for text in (repr(secrets), repr(parse(ONE)), str(parse(ONE)[0]), str(parse(ONE)[0].__rich_repr__())):
        assert "canary" not in text
