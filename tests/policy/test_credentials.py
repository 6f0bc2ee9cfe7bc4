"""What is ours is never taken for a provider's key."""

import jwt
import pytest

from routeraudio.model.router_token import TYPE
from routeraudio.policy.credentials import Kind, kind_of

OURS = jwt.encode({"jti": "x"}, "s" * 32, headers={"typ": TYPE})
THEIRS = jwt.encode({"jti": "x"}, "s" * 32)


@pytest.mark.parametrize(
    ("secret", "kind"),
    [
        ("router_abc_def", "router_key"),
        ("Router_abc_def", "router_key"),
        ("ROUTER_ABC", "router_key"),
        ("router_", "router_key"),
        (OURS, "token"),
        (OURS[:-3] + "xyz", "token"),
        (THEIRS, "provider_key"),
        ("dg-0123456789abcdef", "provider_key"),
        ("my-router_key", "provider_key"),
        ("", "provider_key"),
        ("a.b.c", "provider_key"),
    ],
)
def test_kinds(secret: str, kind: Kind) -> None:
    """By its looks alone: whether it is a good one is asked afterwards."""
    assert kind_of(secret) == kind
