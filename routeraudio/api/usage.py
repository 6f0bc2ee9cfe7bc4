"""`GET /v1/usage`: a key's holder sees its account, an administrator all.

Reports are made one at a time, beside the looks for keys and with a time of their own: whatever somebody asks for, no
stream waits for it, and a long report says nothing about the store.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import msgspec
import trio
from quart import Response, request
from quart_trio import QuartTrio

from routeraudio.api import helpers
from routeraudio.api.usage_report import parse, read, view
from routeraudio.auth.authenticator import Authenticator
from routeraudio.edge.forwarded import Network
from routeraudio.model.errors import Overloaded, forbidden, unauthorized
from routeraudio.store.calls import ask
from routeraudio.store.contract import ReportTooLong, Store, UsageQuery

REPORT_S: Final = 10.0
"""What one report may take; those of whole days take milliseconds."""

TURN_S: Final = 10.0
"""What somebody may wait for others' reports."""

ROWS_MAX: Final = 10_000

NARROWER: Final = "ask for less, with since, until, account, key or provider, or without session in by"


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
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        self._access = access
        self._store = store
        self._is_admin = is_admin
        self._trusted_proxies = tuple(trusted_proxies)
        self._turn = trio.CapacityLimiter(1)

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
        return await self._report(query)

    async def _report(self, query: UsageQuery) -> Response:
        query = msgspec.structs.replace(query, rows_max=ROWS_MAX + 1)
        with trio.move_on_after(TURN_S + REPORT_S):
            try:
                make = partial(read, self._store, query, within_s=REPORT_S)
                report = await ask(self._store, make, self._turn)
            except ReportTooLong:
                raise _too_long() from None
            if len(report.rows) > ROWS_MAX:
                raise helpers.BadBody(f"more than {ROWS_MAX} rows; {NARROWER}")
            return helpers.reply(view(report))
        raise _too_long()

    async def _account(self) -> str:
        text = helpers.shown_key()
        if text is None:
            raise unauthorized("no key; send a router key or the admin key in the header x-api-key")
        return (await self._access.key(text, helpers.caller(self._trusted_proxies))).account


def _too_long() -> Overloaded:
    return Overloaded(f"this report takes too long, or others are being made; {NARROWER}")
