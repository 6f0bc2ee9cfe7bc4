"""`POST /v1/realtime/client_secrets` and, in the beta, `transcription_sessions`: OpenAI's front ends of our tokens."""

from functools import partial
from uuid import uuid4

from quart import Response
from quart_trio import QuartTrio

from routeraudio.api import helpers
from routeraudio.api.openai_answers import PLACES, answering
from routeraudio.api.tokens import TokenApi
from routeraudio.dialects.base import BadRequest
from routeraudio.dialects.choice import Choice, unknown_provider
from routeraudio.dialects.openai import secrets
from routeraudio.policy.tokens import TTL_S_MAX


class ClientSecretApi:
    """The calls."""

    def __init__(self, tokens: TokenApi) -> None:
        self._tokens = tokens

    def mount(self, app: QuartTrio) -> None:
        """Add the paths to ``app``."""
        for place in PLACES:
            for name, is_beta in (("client_secrets", False), ("transcription_sessions", True)):
                app.add_url_rule(
                    f"{place}/v1/realtime/{name}",
                    endpoint=f"{name}{place}",
                    view_func=answering(partial(self._secret, is_beta=is_beta)),
                    methods=["POST"],
                )

    async def _secret(self, provider: str = "", model: str | None = None, *, is_beta: bool) -> Response:
        """A token that opens one session."""
        if faults := unknown_provider(provider or None):
            raise BadRequest(faults)
        place = Choice(provider, model)
        wish = secrets.read(await helpers.body(), place, is_beta=is_beta, ttl_s_max=TTL_S_MAX)
        fields = {"ttl_seconds": wish.ttl_s, "metadata": secrets.packed(wish.settings)}
        minted = await self._tokens.mint(fields)
        return helpers.reply(
            secrets.answer(wish, minted.text, minted.expires_at_s, uuid4().hex, is_beta=is_beta)
        )
