"""`routeraudio token`: a token for a router key, without a daemon."""

import time
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from routeraudio.auth.key_admin import Raw
from routeraudio.auth.token_issuer import coin, view
from routeraudio.commands.admin_store import ACTOR, open_admin_store, pairs, split
from routeraudio.commands.errors import DONE
from routeraudio.policy.access import check_usable, configured_key
from routeraudio.policy.keys import Key
from routeraudio.policy.tokens import TTL_S, Minted
from routeraudio.store.contract import Audit, Store


def token(
    key_id: str,
    /,
    *,
    config: Path | None = None,
    ttl: int = TTL_S,
    providers: str | None = None,
    models: str | None = None,
    max_connection: int | None = None,
    max_concurrent: int | None = None,
    metadata: Annotated[list[str] | None, Parameter(negative=())] = None,
    json: bool = False,
) -> int:
    """Make a short-lived, single-use token for a router key, and print it.

    Parameters
    ----------
    key_id
        The key's id, as `routeraudio keys list` shows it.
    config
        The daemon's configuration file; without one, defaults and the environment.
    ttl
        Seconds within which a client must connect, at most 3600.
    providers
        Providers it may use, with commas between; all that the key may use otherwise.
    models
        Models it may use, alone or as provider/model, with commas between.
    max_connection
        Seconds after which its connection is closed.
    max_concurrent
        Streams at the same time that are opened with such tokens.
    metadata
        name=value, kept in the token; may be given several times.
    json
        Print what POST /v1/token answers.
    """
    wish: Raw = {
        "ttl_seconds": ttl,
        "providers": split(providers),
        "models": split(models),
        "max_connection_seconds": max_connection,
        "max_concurrent": max_concurrent,
        "metadata": pairs(metadata or []),
    }
    with open_admin_store(config) as admin:
        configured = {key.id: configured_key(key.id) for key in admin.config.keys}
        key = configured.get(key_id) or admin.keyring.get(key_id)
        check_usable(key, time.time())
        minted = coin(key, wish, admin.secrets, now_s=int(time.time()))
        _note(admin.store, key, minted)
    print(msgspec.json.encode(view(minted)).decode() if json else minted.text)
    return DONE


def _note(store: Store, key: Key, minted: Minted) -> None:
    detail = {"key": key.id, "ttl_s": str(minted.ttl_s)}
    store.audit(Audit(at_s=time.time(), actor=ACTOR, action="token.mint", subject=minted.jti, detail=detail))
