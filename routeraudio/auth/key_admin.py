"""Administration of router keys: each act writes the record and its line in the audit log in one transaction.

Synchronous, for the command line and for a thread of the daemon. Other nodes see what was done within five seconds.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from routeraudio.auth.requests import key_wish
from routeraudio.policy.keys import Key, keyed_hash, new_text
from routeraudio.policy.secrets import Secrets
from routeraudio.store.contract import Audit, Store

_UNTOLD: Final = ("metadata", "webhook_url")
"""Fields whose value stays out of the audit log: people put personal data and secrets there."""

Raw = dict[str, object]
"""Fields of a `wishes.KeyWish`, as JSON has them."""


class NoSuchKey(Exception):
    """There is no key of that id in the store."""


class Made(msgspec.Struct, frozen=True):
    """A key and its text, which is not kept anywhere."""

    key: Key
    text: str

    def __repr__(self) -> str:
        return f"Made({self.key!r}, …)"


class KeyAdmin:
    """The keys of a store.

    Args:
        actor: who acts, for the audit log.
        wall: Unix time.
    """

    def __init__(self, store: Store, secrets: Secrets, *, actor: str, wall: Callable[[], float]) -> None:
        self._store = store
        self._secrets = secrets
        self._actor = actor
        self._wall = wall

    def create(self, raw: Raw) -> Made:
        """A new key.

        Raises:
            ValueFault: naming a field that is missing or wrong.
        """
        given = key_wish({"name": None, **raw}, self._wall())
        text = new_text()
        blank = Key(id=text.id, account=text.id, name="", created_at_s=int(self._wall()))
        key = _changed(blank, given)
        self._store.add_key(key, self._hash(text.text), self._audit("key.create", key.id, given))
        return Made(key, text.text)

    def update(self, key_id: str, raw: Raw) -> Key:
        """Change the fields that are given.

        Raises:
            NoSuchKey: there is none of that id.
            ValueFault: naming a field that is wrong.
        """
        given = key_wish(raw, self._wall())
        key = _changed(self.get(key_id), given)
        self._store.set_key(key, self._audit("key.update", key_id, given))
        return key

    def disable(self, key_id: str) -> Key:
        """Let the key open nothing any more; `update` with ``disabled`` false takes it back.

        Raises:
            NoSuchKey: there is none of that id.
        """
        key = msgspec.structs.replace(self.get(key_id), is_disabled=True)
        self._store.set_key(key, self._audit("key.disable", key_id, {}))
        return key

    def rotate(self, key_id: str) -> Made:
        """Another secret for the same key; the old one opens nothing any more.

        Raises:
            NoSuchKey: there is none of that id.
        """
        key = self.get(key_id)
        text = new_text(key_id).text
        self._store.set_key(key, self._audit("key.rotate", key_id, {}), self._hash(text))
        return Made(key, text)

    def get(self, key_id: str) -> Key:
        """A key's record.

        Raises:
            NoSuchKey: there is none of that id.
        """
        found = self._store.key(key_id)
        if found is None:
            raise NoSuchKey
        return found[0]

    def list(self, account: str | None = None) -> list[Key]:
        """All keys, or those of an account."""
        return self._store.keys(account)

    def _hash(self, text: str) -> bytes:
        return keyed_hash(text, self._secrets.peppers[0])

    def _audit(self, action: str, key_id: str, given: dict[str, Any]) -> Audit:
        detail = {name: "…" if name in _UNTOLD else _told(value) for name, value in given.items()}
        return Audit(at_s=self._wall(), actor=self._actor, action=action, subject=key_id, detail=detail)


def view(key: Key) -> dict[str, object]:
    """A key as it is listed: every field that can be asked for, under the same name."""
    return {
        "id": key.id,
        "account": key.account,
        "name": key.name,
        "disabled": key.is_disabled,
        "created_at": iso(key.created_at_s),
        "expires_at": None if key.expires_at_s is None else iso(key.expires_at_s),
        **msgspec.to_builtins(key.terms),
    }


def view_made(made: Made) -> dict[str, object]:
    """The same with the key itself, for the one time that it is shown."""
    return {"id": made.key.id, "key": made.text, **view(made.key)}


def iso(at_s: float) -> str:
    """Unix time as people write it, UTC."""
    return datetime.fromtimestamp(int(at_s), UTC).isoformat().replace("+00:00", "Z")


def _changed(key: Key, given: dict[str, Any]) -> Key:
    own = {"name": "name", "account": "account", "disabled": "is_disabled", "expires_at": "expires_at_s"}
    terms = {name: value for name, value in given.items() if name not in own}
    return msgspec.structs.replace(
        key,
        terms=msgspec.structs.replace(key.terms, **terms),
        **{own[name]: value for name, value in given.items() if name in own},
    )


def _told(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
