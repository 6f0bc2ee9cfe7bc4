"""What kind of secret a client has shown, wherever it put it. One answer for every door: what is ours is never a
provider's key, so it never goes to a provider.
"""

from typing import Literal

from routeraudio.model.router_token import is_token
from routeraudio.policy.keys import PREFIX

Kind = Literal["router_key", "token", "provider_key"]


def kind_of(secret: str) -> Kind:
    """A router key, or what is meant to be one, whatever its case; a token of a daemon like this one, good or bad; or
    else a provider's own key.
    """
    if secret[: len(PREFIX)].lower() == PREFIX:
        return "router_key"
    return "token" if is_token(secret) else "provider_key"
