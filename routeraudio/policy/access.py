"""Who is asking, and whose credential goes upstream."""

import hmac
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

import msgspec

from routeraudio.model.errors import UpstreamFault, forbidden, unauthorized
from routeraudio.policy.keys import Restriction, Terms
from routeraudio.providers.base import Credential, Entry

ROUTER_KEY_PREFIX: Final = "router_"
"""How our own keys are told from providers' keys (seed router.audio, section 3)."""

KEY_CHARACTERS_MAX: Final = 4096
"""Providers' temporary tokens are JWTs of some hundred characters."""

_KEY: Final = re.compile(rf"[\x21-\x7e]{{1,{KEY_CHARACTERS_MAX}}}")
"""What may travel in a header of ours to a provider."""


class Principal(msgspec.Struct, frozen=True):
    """Who pays, what opens the provider's door, and within which terms."""

    key_id: str
    """A router key's id; `own` for a provider key of the client's, `anonymous`."""
    credential: Credential | None
    account: str = ""
    """Whose limits count; empty for `own` and `anonymous`, who have none."""
    terms: Terms = Terms()
    restriction: Restriction | None = None
    """What a token narrows the terms to."""


def authenticate(
    *,
    key: str | None,
    token: str | None,
    entry: Entry,
    hashes: Mapping[str, str],
    stored: Credential | None,
    own_provider_keys: bool,
) -> Principal:
    """Decide on a client's key.

    Args:
        hashes: router keys by id, as `sha256:` and hexadecimal digits.
        stored: the operator's credential for this provider.
        own_provider_keys: whether clients may bring a provider's own key.

    Raises:
        ClientFault: no key, an unknown one, or one that may not do this.
        UpstreamFault: a good key, but the operator has stored no credential for this provider.
    """
    if key is not None and _KEY.fullmatch(key) is None:
        raise unauthorized("the key contains characters that no key has; check how it is passed")
    if key is not None and key.startswith(ROUTER_KEY_PREFIX):
        key_id = _find(key, hashes)
        if entry.needs_key and stored is None:
            raise UpstreamFault(
                f"no credential for {entry.title} is stored here; "
                f"ask the operator for one, or send your own {entry.title} key"
            )
        return Principal(key_id, stored)
    if key is None and token is not None:
        raise unauthorized("tokens are not enabled on this daemon; send a key as x-api-key or api_key")
    if not entry.needs_key:
        return _keyless(entry, hashes)
    if key is None:
        raise unauthorized("no key; send one in the header x-api-key or the query parameter api_key")
    if not own_provider_keys:
        raise forbidden(
            f"this daemon takes no {entry.title} keys from clients; send a key that starts with router_"
        )
    return Principal("own", Credential(key, is_clients_own=True))


def _keyless(entry: Entry, hashes: Mapping[str, str]) -> Principal:
    """A provider without credentials is open to all on a daemon without router keys, else to their holders."""
    if hashes:
        raise unauthorized(f"{entry.title} is served to holders of a router key here; send one as x-api-key")
    return Principal("anonymous", None)


def _find(key: str, hashes: Mapping[str, str]) -> str:
    """The id of ``key``. Looks at every entry, so that time tells nothing about which one was near."""
    digest = "sha256:" + sha256(key.encode()).hexdigest()
    found = None
    for key_id, known in hashes.items():
        if hmac.compare_digest(digest, known):
            found = key_id
    if found is None:
        raise unauthorized("the router key is unknown here; check it, or create one")
    return found
