"""From what a token's maker asks for to a token: over HTTP and on the command line alike."""

from routeraudio.auth.key_admin import Raw, iso
from routeraudio.auth.requests import narrowed, token_wish
from routeraudio.config.source import Source
from routeraudio.policy.keys import Key
from routeraudio.policy.secrets import Secrets
from routeraudio.policy.tokens import TOKEN_BYTES_MAX, Minted, mint


def coin(key: Key, raw: Raw, secrets: Secrets, *, now_s: int) -> Minted:
    """A token for a key.

    Args:
        raw: fields of a `wishes.TokenWish`.

    Raises:
        ValueFault: naming a field that is wrong.
        ClientFault: the key may make none, or has less itself.
    """
    wish = token_wish(raw)
    minted = mint(key.id, narrowed(wish, key.terms), secrets, now_s=now_s, ttl_s=wish.ttl_seconds)
    if len(minted.text) > TOKEN_BYTES_MAX:
        message = f"the token would have more than {TOKEN_BYTES_MAX} bytes; ask for shorter lists"
        raise Source({}, "").fault((), message)
    return minted


def view(minted: Minted) -> dict[str, object]:
    """What the maker of a token is told."""
    return {
        "token": minted.text,
        "token_type": "jwt",
        "expires_in": minted.ttl_s,
        "expires_at": iso(minted.expires_at_s),
    }
