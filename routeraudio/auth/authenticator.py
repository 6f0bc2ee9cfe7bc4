"""Who a client is: keys and tokens looked up, failures counted; `policy.access` decides."""

import hmac
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Final

import msgspec
import trio

from routeraudio.auth.key_cache import KeyCache
from routeraudio.config.schema import Config
from routeraudio.model.errors import ClientFault, Overloaded, unauthorized
from routeraudio.policy import tokens
from routeraudio.policy.access import (
    AccessRequest,
    Holder,
    Principal,
    admit,
    check_characters,
    check_usable,
    configured_key,
)
from routeraudio.policy.addresses import neighbourhood
from routeraudio.policy.credentials import kind_of
from routeraudio.policy.keys import Key, Terms, id_of, matches
from routeraudio.policy.rates import Rates
from routeraudio.policy.secrets import Secrets, parse
from routeraudio.providers.base import Credential, Entry
from routeraudio.store.contract import Store

BURST_S: Final = 10
"""Tokens of so many seconds may be made at once."""

FAILURE_BURST_S: Final = 60.0
"""Failures of this long may come at once."""

LOOKUPS_PER_S: Final = 2.0
LOOKUPS_BURST: Final = 10.0
"""Keys looked up for an address that has shown too many wrong ones: a good one behind the same proxy gets in, and is
known from then on, while guesses at this rate find a key of 128 bits never."""

PROVIDER_KEY_HEADER: Final = "x-provider-key"
"""A provider's own key beside a router key or token: the router key pays for nothing then, but its limits hold."""


class PresentedKeys(msgspec.Struct, frozen=True):
    """What a client showed to be let in, all optional; the first of them that is there decides."""

    key: str | None = None
    """The header x-api-key, else the query parameter api_key: a router key, or a provider's own."""
    token: str | None = None
    provider_key: str | None = None
    """`PROVIDER_KEY_HEADER`."""

    def __repr__(self) -> str:
        return "PresentedKeys(…)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """For pretty printers, which do not ask `__repr__`."""
        return []


class Authenticator:
    """Looks clients up. One per process.

    Args:
        wall: Unix time, for expiry.
        on_away: called when the store has not answered.
    """

    def __init__(
        self,
        store: Store,
        secrets: Secrets,
        config: Config,
        *,
        wall: Callable[[], float] = time.time,
        on_away: Callable[[], None] = lambda: None,
    ) -> None:
        self.secrets = secrets
        self.records = KeyCache(
            store,
            read_s=config.store.statement_s,
            grace_s=config.store.outage_grace_s,
            on_away=on_away,
        )
        self.wall = wall
        self.configure(config)

    def configure(self, config: Config) -> None:
        """New clients are looked up in ``config``; what was counted is forgotten.

        So the server's secret is changed without a restart, where it stands in the configuration.
        """
        self.settings = config.access
        if config.access.token_secret is not None:
            self.secrets = Secrets(parse(config.access.token_secret.reveal()))
        self._configured = {key.id: configured_key(key.id) for key in config.keys}
        self._by_digest = {key.hash: key.id for key in config.keys}
        per_s = self.settings.failures_per_minute_max / 60
        self.tokens = Rates(
            self.settings.tokens_per_second_max, self.settings.tokens_per_second_max * BURST_S
        )
        """Made for each key, by its id."""
        self._failures = Rates(per_s, max(1.0, per_s * FAILURE_BURST_S))
        self._lookups = Rates(LOOKUPS_PER_S, LOOKUPS_BURST)

    async def principal(
        self,
        shown: PresentedKeys,
        *,
        entry: Entry,
        stored: Credential | None,
        model: str | None = None,
        origin: str | None = None,
        streams: bool = False,
        address: str = "",
    ) -> Principal:
        """Decide on a client who wants to stream.

        Args:
            stored: the operator's credential for this provider.
            model: the one that will be used; None: the provider's default.
            origin: the header Origin; None: the client is no browser.
            streams: through the gateway, or by stream pull.
            address: the client's, where wrong keys are counted; empty: a local socket's, not counted.

        Raises:
            ClientFault: first for who it is, then for what the key may not do.
            UpstreamFault: a good key, but no credential for this provider is stored here.
            Overloaded: too many wrong keys from there.
            Unavailable: the key cannot be looked up now.
        """
        holder, own_key = await self.who(shown, address)
        return await self.admit(
            holder, own_key, entry=entry, stored=stored, model=model, origin=origin, streams=streams
        )

    async def who(self, shown: PresentedKeys, address: str = "") -> tuple[Holder | None, str | None]:
        """Who has shown a router key or token, and the provider's own key that came with or without one.

        The first half of `principal`, for dialects whose provider the key decides.

        Raises:
            ClientFault: a key or token that is none of ours, or that no header can carry.
            Overloaded, Unavailable: as `principal`.
        """
        for text in (shown.key, shown.provider_key):
            if text is not None:
                check_characters(text)
        own_key = shown.provider_key
        if own_key is not None and kind_of(own_key) != "provider_key":
            raise unauthorized(
                f"{PROVIDER_KEY_HEADER} takes a provider's own key; send a router key as x-api-key, a token as "
                "jwt_token"
            )
        kind = None if shown.key is None else kind_of(shown.key)
        if shown.key is not None and kind == "router_key":
            return Holder(await self._find(shown.key, address)), own_key
        if (token := shown.key if kind == "token" else shown.token if kind is None else None) is not None:
            return await self._of_token(token, address), own_key
        return None, shown.key or own_key

    async def admit(
        self,
        holder: Holder | None,
        own_key: str | None,
        *,
        entry: Entry,
        stored: Credential | None,
        model: str | None = None,
        origin: str | None = None,
        streams: bool = False,
    ) -> Principal:
        """Decide on whom `who` has found: the second half of `principal`."""
        wanted = AccessRequest(
            entry=entry,
            stored=stored,
            model=model,
            origin=origin,
            streams=streams,
            own_provider_keys=self.settings.own_provider_keys,
            is_open=holder is None and not entry.needs_key and await self.is_open(),
        )
        return admit(holder, own_key, wanted, self.wall())

    async def terms(self, shown: PresentedKeys, address: str = "") -> Terms:
        """What a client's router key or token allows; a stranger's terms where there is none.

        Raises:
            ClientFault, Overloaded, Unavailable: as `who`.
        """
        holder, _ = await self.who(shown, address)
        return Terms() if holder is None else holder.key.terms

    async def key(self, text: str, address: str = "") -> Key:
        """The usable router key of that text.

        Raises:
            ClientFault: there is none, or its time is over.
            Overloaded: too many wrong keys from there.
            Unavailable: it cannot be looked up now.
        """
        check_characters(text)
        key = await self._find(text, address)
        check_usable(key, self.wall())
        return key

    async def is_open(self) -> bool:
        """Whether there are no router keys at all, in configuration and store."""
        return not self._configured and not await self.records.has_any()

    def check_failures(self, address: str) -> None:
        """Refuse an address that has shown too many wrong keys.

        Raises:
            Overloaded: telling when to come back.
        """
        wait_s = self._failures.wait_s(neighbourhood(address), trio.current_time()) if address else 0.0
        if wait_s > 0:
            raise Overloaded(
                "too many wrong keys came from your address; try again later", retry_after_s=wait_s
            )

    def _check_lookups(self, address: str) -> None:
        """From an address with too many wrong keys the store is asked now and then: a colleague's may be good.

        Raises:
            Overloaded: it was asked a moment ago.
        """
        try:
            self.check_failures(address)
        except Overloaded:
            if not self._lookups.take(neighbourhood(address), trio.current_time()):
                raise

    def failed(self, address: str, message: str) -> ClientFault:
        """Count a wrong key. Returns the fault to raise."""
        if address:
            self._failures.take(neighbourhood(address), trio.current_time())
        return unauthorized(message)

    async def _find(self, text: str, address: str) -> Key:
        # The digest of a guess tells nothing about the digests of keys, however long finding it takes.
        configured = self._by_digest.get("sha256:" + sha256(text.encode()).hexdigest())
        if configured is not None:
            return self._configured[configured]
        key_id = id_of(text)
        key = None if key_id is None else await self._stored(key_id, text, address)
        if key is None:
            self.check_failures(address)
            raise self.failed(address, "the router key is unknown here; check it, or create one")
        return key

    async def _stored(self, key_id: str, text: str, address: str) -> Key | None:
        """The key of that id and text. The store is asked for those known to be there, for others within a budget."""
        is_kept = self.records.is_kept(key_id)
        if not is_kept:
            self._check_lookups(address)
        record = await self.records.find(key_id)
        if is_kept and not self._is(record, text):
            # Its secret may have been rotated a moment ago.
            self._check_lookups(address)
            record = await self.records.find(key_id, age_s=0)
        return record[0] if self._is(record, text) and record is not None else None

    def _is(self, record: tuple[Key, bytes] | None, text: str) -> bool:
        return matches(text, record[1] if record else None, self.secrets.peppers)

    async def _of_token(self, text: str, address: str) -> Holder:
        try:
            token = tokens.verify(text, self.secrets.token_keys, self.wall())
        except ClientFault as fault:
            if fault.message == tokens.EXPIRED:
                raise
            self.check_failures(address)
            raise self.failed(address, fault.message) from None
        key = self._configured.get(token.key_id)
        if key is None:
            record = await self.records.find(token.key_id)
            key = record[0] if record else None
        if key is None:
            raise unauthorized("the key that this token was made with is unknown here")
        return Holder(key, token.restriction)


def is_same(one: str, other: str) -> bool:
    """Whether two secrets are the same, in a time that does not tell how much of them is."""
    return hmac.compare_digest(one.encode(), other.encode())
