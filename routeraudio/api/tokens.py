"""`POST /v1/token`: a short-lived, single-use token for a router key. Nothing is written for it."""

from collections.abc import Sequence

import structlog
import trio
from quart import Response, request
from quart_trio import QuartTrio

from routeraudio.api import helpers
from routeraudio.auth.authenticator import Authenticator
from routeraudio.auth.key_admin import Raw
from routeraudio.auth.token_issuer import coin, view
from routeraudio.edge.forwarded import Network
from routeraudio.model.errors import Overloaded, unauthorized
from routeraudio.policy.access import check_origin
from routeraudio.policy.keys import PREFIX, Key
from routeraudio.policy.tokens import Minted

log = structlog.get_logger(__name__)


class TokenApi:
    """The mint."""

    def __init__(self, access: Authenticator, trusted_proxies: Sequence[Network] = ()) -> None:
        self._access = access
        self._trusted_proxies = tuple(trusted_proxies)

    def mount(self, app: QuartTrio) -> None:
        """Add the mint's path to ``app``."""
        app.add_url_rule("/v1/token", view_func=helpers.answering(self._token), methods=["POST"])

    async def mint(self, wish: Raw) -> Minted:
        """Exchange the router key that the request shows for a token.

        Args:
            wish: fields of a `auth.requests.TokenWish`.
        """
        key = await self._key()
        minted = coin(key, wish, self._access.secrets, now_s=int(self._access.wall()))
        log.info("token_minted", key_id=key.id, jti=minted.jti, ttl_s=minted.ttl_s)
        return minted

    async def _token(self) -> Response:
        return helpers.reply(view(await self.mint(await helpers.body())))

    async def _key(self) -> Key:
        text = helpers.shown_key()
        if text is None:
            raise unauthorized("no key; send a router key in the header x-api-key")
        if not text.startswith(PREFIX):
            raise unauthorized("tokens are made for router keys only; a provider's key cannot be exchanged")
        key = await self._access.key(text, helpers.caller(self._trusted_proxies))
        check_origin(key.terms, request.headers.get("origin"))
        now_s = trio.current_time()
        if not self._access.tokens.take(key.id, now_s):
            wait_s = self._access.tokens.wait_s(key.id, now_s)
            raise Overloaded("too many tokens were made for this key; try again later", retry_after_s=wait_s)
        return key
