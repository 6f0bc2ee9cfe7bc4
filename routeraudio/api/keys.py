"""`/v1/keys` and `/v1/audit`: the administration of router keys, with the admin key."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar

import structlog
import trio
from quart import Response, request
from quart_trio import QuartTrio

from routeraudio.api import helpers
from routeraudio.auth.authenticator import Authenticator, is_same
from routeraudio.auth.key_admin import KeyAdmin, Made, iso, view, view_made
from routeraudio.edge.forwarded import Network
from routeraudio.model.errors import forbidden, unauthorized
from routeraudio.policy.keys import PREFIX, Key
from routeraudio.store.contract import Audit, Store

log = structlog.get_logger(__name__)

T = TypeVar("T")

AUDITS: Final = 100
AUDITS_MAX: Final = 1000


class KeyApi:
    """The administration over HTTP. Off without `access.admin_key`."""

    def __init__(self, access: Authenticator, store: Store, trusted_proxies: Sequence[Network] = ()) -> None:
        self._access = access
        self._store = store
        self._trusted_proxies = tuple(trusted_proxies)
        self._turn = trio.Lock()
        """Changes read a record and write it: one after the other."""

    def mount(self, app: QuartTrio) -> None:
        """Add the administration's paths to ``app``."""
        for path, method, handler in (
            ("/v1/keys", "GET", self._list),
            ("/v1/keys", "POST", self._create),
            ("/v1/keys/<key_id>", "GET", self._show),
            ("/v1/keys/<key_id>", "PATCH", self._update),
            ("/v1/keys/<key_id>/disable", "POST", self._disable),
            ("/v1/keys/<key_id>/rotate", "POST", self._rotate),
            ("/v1/audit", "GET", self._audits),
        ):
            app.add_url_rule(
                path,
                endpoint=f"admin{handler.__name__}",
                view_func=self._for_admins(handler),
                methods=[method],
            )

    async def is_admin(self) -> bool:
        """Whether the request shows the admin key. Another key is none, whatever it may be.

        Whoever has it gets in, whatever others behind the same proxy have tried; it is too long to be guessed.
        """
        given, admin_key = helpers.shown_key(), self._access.settings.admin_key
        return given is not None and admin_key is not None and is_same(given, admin_key.reveal())

    @property
    def _keyring(self) -> KeyAdmin:
        """Made anew, since a reload may change the server's secret."""
        return KeyAdmin(self._store, self._access.secrets, actor="admin", wall=self._access.wall)

    def _for_admins(self, handler: Callable[..., Awaitable[Response]]) -> Callable[..., Awaitable[Response]]:
        async def guarded(**named: str) -> Response:
            if not await self.is_admin():
                await self._turn_away()
            return await handler(**named)

        guarded.__name__ = handler.__name__
        return helpers.answering(guarded)

    async def _turn_away(self) -> None:
        given, address = helpers.shown_key(), helpers.caller(self._trusted_proxies)
        if given is None:
            raise unauthorized("no key; send the admin key in the header x-api-key")
        if self._access.settings.admin_key is None:
            raise forbidden("administration over HTTP is off here; the operator sets access.admin_key_file")
        if given.startswith(PREFIX):
            await self._access.key(given, address)
            raise forbidden("a router key may not administer keys; send the admin key")
        self._access.check_failures(address)
        raise self._access.failed(address, "this is not the admin key")

    async def _list(self) -> Response:
        account = request.args.get("account")
        keys = await self._do(self._keyring.list, account)
        return helpers.reply({"keys": [view(key) for key in keys]})

    async def _create(self) -> Response:
        made: Made = await self._do(self._keyring.create, await helpers.body())
        log.info("key_created", key_id=made.key.id, account=made.key.account)
        return helpers.reply(view_made(made), 201)

    async def _show(self, key_id: str) -> Response:
        return helpers.reply(view(await self._do(self._keyring.get, key_id)))

    async def _update(self, key_id: str) -> Response:
        raw = await helpers.body()
        key: Key = await self._change(key_id, partial(self._keyring.update, key_id, raw))
        log.info("key_updated", key_id=key_id, fields=sorted(raw))
        return helpers.reply(view(key))

    async def _disable(self, key_id: str) -> Response:
        key: Key = await self._change(key_id, partial(self._keyring.disable, key_id))
        log.info("key_disabled", key_id=key_id)
        return helpers.reply(view(key))

    async def _rotate(self, key_id: str) -> Response:
        made: Made = await self._change(key_id, partial(self._keyring.rotate, key_id))
        log.info("key_rotated", key_id=key_id)
        return helpers.reply(view_made(made))

    async def _audits(self) -> Response:
        """The latest acts, `?limit=` of them."""
        given = request.args.get("limit", str(AUDITS))
        if not (given.isdecimal() and 1 <= int(given[:9]) <= AUDITS_MAX):
            raise helpers.BadBody(f"limit: expected a number from 1 to {AUDITS_MAX}")
        audits: list[Audit] = await self._do(self._store.audits, int(given))
        return helpers.reply({"audit": [_shown(entry) for entry in audits]})

    async def _change(self, key_id: str, change: Callable[[], T]) -> T:
        async with self._turn:
            changed = await self._do(change)
        self._access.records.forget(key_id)
        return changed

    async def _do(self, work: Callable[..., T], *arguments: object) -> T:
        return await self._access.records.in_thread(work, *arguments)


def _shown(entry: Audit) -> dict[str, object]:
    return {
        "at": iso(entry.at_s),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "detail": entry.detail,
    }
