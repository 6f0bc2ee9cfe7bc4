"""AssemblyAI's streaming protocol v3: its unmodified clients, served by any provider.

They are served at `/as/assemblyai[/PROVIDER[/MODEL]]/v3/ws`: the vendor's Python client knows its own models only, so
that a provider is named by the path, or by the key's default.

Documentation: https://www.assemblyai.com/docs/api-reference/streaming-api (2026-11), and what its clients do.

What is odd about them:

- The key is the whole `Authorization` header; browsers send a token in the query.
- Python gives up connecting after a second: `Begin` is told at once, before the provider is ready.
- One member that is missing, or a time that is no integer, ends Python's reading thread without a word.
- LiveKit drops turns without words.
"""

from typing import Final

from routeraudio.dialects.assemblyai import messages
from routeraudio.dialects.assemblyai.request import claims, parse
from routeraudio.dialects.assemblyai.turns import Turns
from routeraudio.dialects.base import DialectEntry
from routeraudio.dialects.choice import detected_or_english

ENTRY: Final = DialectEntry(
    name="assemblyai",
    paths=("/as/assemblyai/v3/ws",),
    claims=claims,
    parse=parse,
    dialect=Turns,
    bad_request=messages.bad_request,
    refusal=messages.refusal,
    default_provider="assemblyai",
    fit=detected_or_english,
)
