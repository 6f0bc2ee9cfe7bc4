"""Who is asking, whose credential goes upstream, and whether the key allows it."""

import re
from typing import Final

import msgspec

from routeraudio.model.errors import UpstreamFault, forbidden, unauthorized
from routeraudio.policy.keys import Key, Restriction, Terms
from routeraudio.providers import models
from routeraudio.providers.base import Credential, Entry

KEY_CHARACTERS_MAX: Final = 4096
"""Providers' temporary tokens are JWTs of some hundred characters."""

CONFIGURED: Final = "config"
"""The account of keys that stand in the configuration."""

CONFIGURED_TERMS: Final = Terms(streams=True)
"""Of such keys: everything. Whoever writes one into the daemon's own configuration is its operator, and has no other
way to allow streams there; what is off by default is what an operator hands out."""

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

    @property
    def is_stranger(self) -> bool:
        """Nobody here vouches for it: a provider's own key, which only that provider can tell from an invented one."""
        return self.is_own_key and not self.account

    @property
    def is_own_key(self) -> bool:
        """The provider's key is the client's own: the provider charges for it, and we do not."""
        return self.credential is not None and self.credential.is_clients_own


class Holder(msgspec.Struct, frozen=True):
    """Who has shown a router key, or a token made with it."""

    key: Key
    restriction: Restriction | None = None


class AccessRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants."""

    entry: Entry
    stored: Credential | None
    """The operator's credential for this provider."""
    model: str | None = None
    """None: the provider's default."""
    origin: str | None = None
    """The browser page's; None: the client is no browser."""
    streams: bool = False
    """The gateway or stream pull."""
    own_provider_keys: bool = True
    """Whether this daemon lets clients bring a provider's own key."""
    is_open: bool = False
    """This daemon has no router keys at all."""


def configured_key(key_id: str) -> Key:
    """The record of a key that stands in the configuration."""
    return Key(id=key_id, account=CONFIGURED, name=key_id, terms=CONFIGURED_TERMS, created_at_s=0)


def check_characters(key: str) -> None:
    """Refuse what no header could carry, or what could break out of one.

    Raises:
        ClientFault: saying so, without the key.
    """
    if _KEY.fullmatch(key) is None:
        raise unauthorized("the key contains characters that no key has; check how it is passed")


def check_usable(key: Key, now_s: float) -> None:
    """Refuse a key that was good once.

    Raises:
        ClientFault: it has been disabled, or its time is over.
    """
    if key.is_disabled:
        raise unauthorized("the router key has been disabled; ask the operator")
    if key.expires_at_s is not None and key.expires_at_s <= now_s:
        raise unauthorized("the router key has expired; ask the operator for a new one")


def admit(holder: Holder | None, own_key: str | None, wanted: AccessRequest, now_s: float) -> Principal:
    """Decide on a client.

    Args:
        holder: who has shown a good router key or token; None: nobody.
        own_key: a provider's own key that the client has shown, alone or beside the router key.

    Raises:
        ClientFault: first for who it is, then for what the key may not do.
        UpstreamFault: a good key, but the operator has stored no credential for this provider.
    """
    if holder is None:
        return _stranger(own_key, wanted)
    check_usable(holder.key, now_s)
    _check_may(holder, wanted)
    credential = wanted.stored
    # Where none is needed a key says nothing about who pays, and anything would pass for one.
    if own_key is not None and wanted.entry.needs_key:
        _check_may_bring(holder.key.terms, wanted)
        credential = Credential(own_key, is_clients_own=True)
    if wanted.entry.needs_key and credential is None:
        raise UpstreamFault(
            f"no credential for {wanted.entry.title} is stored here; "
            f"ask the operator for one, or send your own {wanted.entry.title} key"
        )
    return Principal(holder.key.id, credential, holder.key.account, holder.key.terms, holder.restriction)


def check_origin(terms: Terms, origin: str | None) -> None:
    """Refuse a browser's page that is not on the key's list.

    Raises:
        ClientFault: naming what is checked, not the list.
    """
    # "null" is what sandboxed frames and files send, whoever wrote them: it stands for nobody, and is on no list.
    if terms.origins is not None and origin is not None and (origin == "null" or origin not in terms.origins):
        raise forbidden("this key may not be used from this web page's origin; ask the operator to allow it")


def is_listed(provider: str, model: str, allowed: tuple[str, ...] | None) -> bool:
    """Whether a list of models, each alone or as `provider/model`, has this one; None: every one."""
    return allowed is None or model in allowed or f"{provider}/{model}" in allowed


def _stranger(own_key: str | None, wanted: AccessRequest) -> Principal:
    title = wanted.entry.title
    if not wanted.entry.needs_key:
        # Open to all on a daemon without router keys, else to their holders.
        if not wanted.is_open:
            raise unauthorized(f"{title} is served to holders of a router key here; send one as x-api-key")
        return Principal("anonymous", None)
    if own_key is None:
        raise unauthorized("no key; send one in the header x-api-key or the query parameter api_key")
    if not wanted.own_provider_keys:
        raise forbidden(
            f"this daemon takes no {title} keys from clients; send a key that starts with router_"
        )
    return Principal("own", Credential(own_key, is_clients_own=True))


def _check_may(holder: Holder, wanted: AccessRequest) -> None:
    terms, restriction = holder.key.terms, holder.restriction
    check_origin(terms, wanted.origin)
    if wanted.streams and not terms.streams:
        raise forbidden("this key may not use stream processing; ask the operator to allow streams")
    narrowed = (restriction.providers, restriction.models) if restriction else (None, None)
    name, model = wanted.entry.name, wanted.model or models.load(wanted.entry.name).default_model
    for what, providers, listed in (
        ("key", terms.providers, terms.models),
        ("token", narrowed[0], narrowed[1]),
    ):
        if providers is not None and name not in providers:
            raise forbidden(
                f"this {what} may not use {wanted.entry.title}; it may use {', '.join(providers)}"
            )
        if not is_listed(name, model, listed):
            raise forbidden(
                f"this {what} may not use the model {model}; it may use {', '.join(listed or ())}"
            )


def _check_may_bring(terms: Terms, wanted: AccessRequest) -> None:
    if not terms.own_provider_keys:
        raise forbidden(f"this key may not be used with a {wanted.entry.title} key of your own beside it")
    if not wanted.own_provider_keys:
        raise forbidden(f"this daemon takes no {wanted.entry.title} keys from clients")
