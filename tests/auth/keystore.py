"""A store of keys in memory that counts, waits and fails as it is told; written from the contract, not from a store."""

import threading
from typing import Any

import msgspec

from routeraudio.policy.keys import Key, Terms, keyed_hash, new_text
from routeraudio.policy.secrets import Secrets, parse
from routeraudio.store.contract import Audit, Store, StoreUnavailable

SECRETS = Secrets(parse("test:" + "s" * 40))


class KeyStore(Store):
    """Only what has to do with keys."""

    threads_max = 4

    def __init__(self) -> None:
        self.records: dict[str, tuple[Key, bytes]] = {}
        self.entries: list[Audit] = []
        self.reads = 0
        self.is_down = False
        self.gate: threading.Event | None = None
        """Reads wait for it."""
        self.reading = threading.Event()
        """A read has begun."""

    def make(self, secrets: Secrets = SECRETS, **terms: Any) -> tuple[Key, str]:
        """A key in the store, and its text; fields of the key itself by their own names."""
        text = new_text()
        own = {name: terms.pop(name) for name in list(terms) if name in Key.__struct_fields__}
        key = Key(
            **{"id": text.id, "account": "acme", "name": "k", "created_at_s": 1, **own}, terms=Terms(**terms)
        )
        self.records[key.id] = (key, keyed_hash(text.text, secrets.peppers[0]))
        return key, text.text

    def change(self, key: Key, **fields: Any) -> Key:
        """As another node would."""
        changed = msgspec.structs.replace(key, **fields)
        self.records[key.id] = (changed, self.records[key.id][1])
        return changed

    def add_key(self, key: Key, hash: bytes, audit: Audit) -> None:
        self.records[key.id] = (key, hash)
        self.entries.append(audit)

    def set_key(self, key: Key, audit: Audit, hash: bytes | None = None) -> None:
        self.records[key.id] = (key, hash or self.records[key.id][1])
        self.entries.append(audit)

    def keys(self, account: str | None = None) -> list[Key]:
        self._read()
        return [key for key, _ in self.records.values() if account in (None, key.account)]

    def key(self, key_id: str) -> tuple[Key, bytes] | None:
        found = self.records.get(key_id)
        self._read()
        return found

    def _read(self) -> None:
        self.reads += 1
        self.reading.set()
        if self.gate is not None:
            assert self.gate.wait(30)
        if self.is_down:
            raise StoreUnavailable("the store is down")
