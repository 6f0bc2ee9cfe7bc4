"""Where clients of other vendors put their keys, and which of them are tokens of ours."""

from typing import Final

from routeraudio.model.router_token import is_token

_SCHEMES: Final = ("token", "bearer")


def key_and_token(shown: str | None) -> tuple[str | None, str | None]:
    """What a client has shown, as the key or the token that it is: there is one place for both."""
    if not shown:
        return None, None
    return (None, shown) if is_token(shown) else (shown, None)


def authorization(header: str) -> str | None:
    """The credential of `Authorization: Token …` or `Bearer …`, in any case; None: there is none of these schemes."""
    scheme, _, credential = header.strip().partition(" ")
    return credential.strip() if scheme.lower() in _SCHEMES else None


def from_subprotocols(header: str) -> tuple[str, str] | None:
    """Scheme and credential of `Sec-WebSocket-Protocol: token, KEY, …`, as browsers send them; None: another one."""
    scheme, _, rest = header.partition(",")
    credential = rest.partition(",")[0].strip()
    return (scheme.strip(), credential) if scheme.strip().lower() in _SCHEMES and credential else None
