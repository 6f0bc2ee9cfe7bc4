"""Deepgram's protocols, `v1/listen` (Nova) and `v2/listen` (Flux): its unmodified clients, served by any provider.

They are served at `/as/deepgram[/PROVIDER[/MODEL]]/v1/listen` and `…/v2/listen`, and at the root for clients that drop
the path of the address they are given. The root's `/v1/listen` is routeraudio's own, too: Deepgram's clients are known
by the scheme of their `Authorization` and by their subprotocol, and by having no `provider`.

Documentation: https://developers.deepgram.com/reference/speech-to-text (2026-11), and what its clients do.

What is odd about them:

- Flux is greeted at once; Nova is not greeted.
- Old Python clients fail for messages without `metadata.model_info`, or with a speaker that is no integer.
- LiveKit ends speech at `speech_final` or `UtteranceEnd` only, and drops Flux transcripts without words.
- pipecat waits for `from_finalize` on the final that answers its `Finalize`.
- JavaScript clients connect again up to 30 times after any close but 1000: what can be refused is, before the upgrade.
"""

from typing import Final

from routeraudio.dialects.base import Dialect, DialectEntry, Opening
from routeraudio.dialects.deepgram import messages
from routeraudio.dialects.deepgram.flux import Flux
from routeraudio.dialects.deepgram.nova import Nova
from routeraudio.dialects.deepgram.request import More, claims, parse


def _dialect(opening: Opening) -> Dialect:
    more = opening.wish.more
    assert isinstance(more, More)
    return Flux(opening) if more.is_flux else Nova(opening, more)


ENTRY: Final = DialectEntry(
    name="deepgram",
    paths=("/v2/listen", "/as/deepgram/v1/listen", "/as/deepgram/v2/listen"),
    claims=claims,
    parse=parse,
    dialect=_dialect,
    bad_request=messages.bad_request,
    refusal=messages.refusal,
    default_provider="deepgram",
)
