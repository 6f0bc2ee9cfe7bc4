"""`GET /v1/usage`: a key's holder sees its account, an administrator all."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import msgspec
from quart import Response, request
from quart_trio import QuartTrio

from routeraudio.api import helpers
from routeraudio.api.usage_report import parse, read, view
from routeraudio.auth.authenticator import Authenticator
from routeraudio.model.errors import forbidden, unauthorized
from routeraudio.store.contract import Store


class UsageApi:
    """The usage over HTTP.

    Args:
        is_admin: whether the request that is being answered shows the admin key.
    """

    def __init__(
        self,
        access: Authenticator,
        store: Store,
        is_admin: Callable[[], Awaitable[bool]],
        trusted_proxies: Sequence[helpers.Network] = (),
    ) -> None:
        self._access = access
        self._store = store
        self._is_admin = is_admin
        self._trusted_proxies = tuple(trusted_proxies)

    def mount(self, app: QuartTrio) -> None:
        """Add the usage's path to ``app``."""
        app.add_url_rule("/v1/usage", view_func=helpers.answering(self._usage))

    async def _usage(self) -> Response:
        is_admin = await self._is_admin()
        account = None if is_admin else await self._account()
        try:
            query = parse(request.args)
        except ValueError as error:
            raise helpers.BadBody(str(error)) from None
        if account is not None:
            if query.account not in (None, account):
                raise forbidden(f"account: this key may see the usage of {account} only")
            query = msgspec.structs.replace(query, account=account)
        report = await self._access.records.in_thread(partial(read, self._store, query))
        return helpers.reply(view(report))

    async def _account(self) -> str:
        text = helpers.shown_key()
        if text is None:
            raise unauthorized("no key; send a router key or the admin key in the header x-api-key")
        return (await self._access.key(text, helpers.caller(self._trusted_proxies))).account
