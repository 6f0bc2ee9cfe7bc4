"""The transparent gateway: a client speaks its vendor's own protocol, and we stand in between with our credential.

    /serve/ws/v2/audio-stream?provider=NAME&…    memories.ai's address for it; our key, or a token, in header or query
    /v1/audio-stream?provider=NAME&…             the same, shorter
    /gateway/NAME/the/vendor's/own/path?…        for the vendor's SDK, which changes nothing but its base URL: our key
                                                 travels in whatever form it has for the vendor's

Here is what can be decided by looking: what a request asks for, and what of it is passed on; `gateway_endings` has the
refusals and closes. Messages are never looked at but to count audio, with one exception: a key that stands in the first
one is taken out (`members`).
"""

import re
from collections.abc import Sequence
from typing import Final, Literal
from urllib.parse import unquote_plus

import msgspec

from routeraudio.dialects.base import Request
from routeraudio.providers.base import Credential, Dial
from routeraudio.providers.catalog import PROVIDERS
from routeraudio.providers.native import Handshake, NativeProtocol

GENERAL_PATHS: Final = ("/serve/ws/v2/audio-stream", "/v1/audio-stream")
VENDOR_PATHS: Final = "/gateway/"

KEY_HEADERS: Final = ("authorization", "x-api-key", "xi-api-key", "x-api-key-id")
"""In which a client of any vendor may send a key; the first one found counts."""

KEY_PARAMETERS: Final = (
    "api_key",
    "jwt_token",
    "token",
    "jwt",
    "access_token",
    "x-api-key",
    "xi-api-key",
    "x-api-key-id",
    "authorization",
)
"""The same in the query. None of them means anything else to any vendor."""

KEY_SUBPROTOCOLS: Final = ("token", "bearer", "soniox-api-key")
"""The subprotocol behind one of these is a key: browsers can send nothing else (Deepgram, Soniox)."""

KEY_SUBPROTOCOL_PREFIX: Final = "openai-insecure-api-key."

_SCHEME: Final = re.compile(r"(?:token|bearer|basic) +", re.IGNORECASE)
_PRINTABLE: Final = re.compile(r"[\t\x20-\x7e]*")
Named = Sequence[tuple[str, str]]
"""Parts of a query, each behind its name as any server would read it."""

Form = Literal["header", "subprotocol", "query"]


class PresentedKey(msgspec.Struct, frozen=True):
    """A key or token as it was sent."""

    secret: str
    form: Form
    name: str
    """Of the header, the parameter, or the subprotocol before it."""

    @property
    def is_said_to_be_a_token(self) -> bool:
        """Whether it came as a token, whatever it looks like."""
        return self.form == "query" and self.name == "jwt_token"

    def __repr__(self) -> str:
        return f"PresentedKey({self.form}, {self.name!r}, …)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """For pretty printers, which do not ask `__repr__`."""
        return [("form", self.form), ("name", self.name)]


class Problem(msgspec.Struct, frozen=True):
    """Why a request cannot be served, whoever sent it."""

    status: int
    message: str


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks of the gateway. Holds the request, so it is never printed."""

    request: Request
    is_general: bool
    """Came to one of `GENERAL_PATHS`."""
    provider: str
    """As asked for; may be none of ours."""
    path: str
    """The vendor's."""
    pieces: tuple[str, ...]
    """The query's parts as they came, without those that are ours."""
    offered: tuple[str, ...]
    """Subprotocols."""
    shown: PresentedKey | None
    problem: Problem | None

    def __repr__(self) -> str:
        return f"Call({self.provider!r}, …)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """For pretty printers, which do not ask `__repr__`."""
        return [("provider", self.provider)]

    @property
    def passage(self) -> NativeProtocol:
        """Of the provider asked for, which must be one of ours."""
        return PROVIDERS[self.provider].native

    @property
    def handshake(self) -> Handshake:
        """What the meter starts from."""
        pairs = (piece.partition("=") for piece in self.pieces if piece)
        decoded = tuple((unquote_plus(name), unquote_plus(value)) for name, _, value in pairs)
        return Handshake(decoded, self.request.headers)

    @property
    def passed_on(self) -> Handshake:
        """What the provider is told of it when the credential is ours."""
        kept = [piece for piece in self.pieces if _name(piece) not in KEY_PARAMETERS]
        return msgspec.structs.replace(self, pieces=tuple(kept)).handshake

    @property
    def subprotocol(self) -> str | None:
        """What the upgrade answers: a browser gives up when none of its offers comes back."""
        known = (*self.passage.subprotocols, *KEY_SUBPROTOCOLS)
        return next((name for name in self.offered if name in known), None)

    @property
    def sends_key_later(self) -> bool:
        """No key came with the handshake, and this vendor's clients may send theirs in the first message."""
        return not self.is_general and self.shown is None and self.passage.key_member is not None

    def sends_own_key_later(self, credential: Credential) -> bool:
        """Whether the client's own key for this provider stands in its first message, and may stay there."""
        return self.sends_key_later and credential.is_clients_own

    @property
    def secret(self) -> str | None:
        """What was shown."""
        return None if self.shown is None else self.shown.secret

    @property
    def model(self) -> str | None:
        """The model named in the query; None: none, or not in the query."""
        return next((_value(piece) for piece in self.pieces if _is_model(piece, self.passage)), None) or None


CHARGED_BY: Final = ("encoding", "sample_rate", "channels", "audio_format")
"""Parameters that say how many bytes a second has, with one vendor or another (each vendor's `native`)."""

PARAMETERS_MAX: Final = 256
"""In a query. The longest that a vendor documents are lists of some 100 terms, repeated (Deepgram `keyterm`)."""

_TOO_MANY: Final = Problem(400, f"the query has more than {PARAMETERS_MAX} parameters")

# What a request asks for.


def is_served(path: str) -> bool:
    """Whether the gateway stands at ``path``."""
    return path in GENERAL_PATHS or path.startswith(VENDOR_PATHS)


def read(request: Request) -> Call:
    """Read the head of an upgrade request. Raises nothing: who asks is looked at first, what is wrong is told after."""
    pieces = tuple(request.query.split("&", PARAMETERS_MAX)) if request.query else ()
    if too_many := len(pieces) > PARAMETERS_MAX:
        pieces = ()  # nothing is done with them
    offered = tuple(
        name.strip() for name in request.headers.get("sec-websocket-protocol", "").split(",") if name.strip()
    )
    is_general = request.path in GENERAL_PATHS
    named = [(_name(piece), piece) for piece in pieces]
    if is_general:
        provider = next((_value(piece) for name, piece in named if name == "provider"), "")
        named = [(name, piece) for name, piece in named if name != "provider"]
        pieces = tuple(piece for _, piece in named)
        path = PROVIDERS[provider].native.default_path if provider in PROVIDERS else ""
    else:
        provider, _, rest = request.path.removeprefix(VENDOR_PATHS).partition("/")
        path = f"/{rest}"
    return Call(
        request=request,
        is_general=is_general,
        provider=provider,
        path=path,
        pieces=pieces,
        offered=offered,
        shown=_shown(request, named, offered),
        problem=_TOO_MANY
        if too_many
        else _problem(request, is_general, provider, path) or _ambiguity(named, provider),
    )


def _problem(request: Request, is_general: bool, provider: str, path: str) -> Problem | None:
    if provider not in PROVIDERS:
        # 400 as memories.ai documents; a path that nobody serves is 404 everywhere.
        status = 400 if is_general else 404
        return Problem(status, f"provider: expected one of {', '.join(PROVIDERS)}")
    passage = PROVIDERS[provider].native
    if passage.paths.fullmatch(path) is None:
        return Problem(404, f"{PROVIDERS[provider].title} serves no transcription at this path")
    if "#" in request.query:
        return Problem(400, "the query must be percent-encoded")
    for name in sorted(passage.headers | passage.own_headers):
        if _PRINTABLE.fullmatch(request.headers.get(name, "")) is None:
            return Problem(400, f"the header {name} must be printable ASCII")
    return None


def _ambiguity(named: Named, provider: str) -> Problem | None:
    """What is allowed and charged depends on these; which of two counts, or in which case, is the vendor's secret."""
    native = PROVIDERS[provider].native
    single = (native.parameters or frozenset()) - native.lists
    for name in dict.fromkeys((native.model_parameter, *CHARGED_BY, *sorted(single))):
        alike = [piece for known, piece in named if known == name]
        if any(unquote_plus(piece.partition("=")[0]) != name for piece in alike):
            return Problem(400, f"parameter {name}: write it in lower case")
        if len({_value(piece) for piece in alike}) > 1:
            return Problem(400, f"parameter {name}: given more than once")
    return None


def _is_model(piece: str, passage: NativeProtocol) -> bool:
    return passage.model_parameter is not None and _name(piece) == passage.model_parameter


def _shown(request: Request, named: Named, offered: Sequence[str]) -> PresentedKey | None:
    """The key that counts: headers first, then subprotocols, then the query."""
    for name in KEY_HEADERS:
        text = request.headers.get(name, "").strip()
        if text:
            return PresentedKey(
                _SCHEME.sub("", text, count=1) if name == "authorization" else text, "header", name
            )
    for word, following in zip(offered, (*offered[1:], ""), strict=False):
        if word.startswith(KEY_SUBPROTOCOL_PREFIX):
            return PresentedKey(
                word.removeprefix(KEY_SUBPROTOCOL_PREFIX), "subprotocol", KEY_SUBPROTOCOL_PREFIX
            )
        if word in KEY_SUBPROTOCOLS and following:
            return PresentedKey(following, "subprotocol", word)
    for name in KEY_PARAMETERS:
        text = next((_value(piece) for known, piece in named if known == name), "")
        if text:
            return PresentedKey(text, "query", name)
    return None


def _name(piece: str) -> str:
    """The parameter's name as any server would read it."""
    name = piece.partition("=")[0]
    return unquote_plus(name).lower() if "%" in name or "+" in name else name.lower()


def _value(piece: str) -> str:
    return unquote_plus(piece.partition("=")[2])


# What of it is passed on.


def dial(call: Call, base_url: str, credential: Credential | None) -> Dial:
    """Where to connect, and as whom.

    Nothing of what the client showed us goes on, in no form, but its own key for this provider: that stands where the
    client put it.
    """
    shown = call.shown
    own = (
        shown
        if shown and credential and credential.is_clients_own and credential.secret == shown.secret
        else None
    )
    query = "&".join(
        piece
        for piece in call.passage.query(call.pieces)
        if _name(piece) not in KEY_PARAMETERS or (own and own.form == "query" and own.name == _name(piece))
    )
    url = f"{base_url.rstrip('/')}{call.path}"
    return Dial(
        url=f"{url}?{query}" if query else url,
        headers=_headers(call, credential, own),
        subprotocols=_subprotocols(call, own),
    )


def _headers(
    call: Call, credential: Credential | None, own: PresentedKey | None
) -> tuple[tuple[str, str], ...]:
    passage, sent = call.passage, call.request.headers
    is_own = credential is not None and credential.is_clients_own
    wanted = sorted(passage.headers | passage.own_headers if is_own else passage.headers)
    headers = [(name, sent[name]) for name in wanted if name in sent]
    if own is not None and own.form == "header":
        headers.append((own.name, sent[own.name]))
    elif credential is not None and own is None and not call.sends_own_key_later(credential):
        headers.append((passage.key_header, passage.key_scheme + credential.secret))
    return tuple(headers)


def _subprotocols(call: Call, own: PresentedKey | None) -> tuple[str, ...]:
    if own is not None and own.form == "subprotocol":
        return call.offered
    return tuple(name for name in call.offered if name in call.passage.subprotocols)
