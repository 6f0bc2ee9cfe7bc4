"""OpenAI's upgrade requests: path, query and the places of its keys; and what a session's settings come to."""

import re
from typing import Final

import msgspec

from routeraudio.dialects import credentials
from routeraudio.dialects.base import BadRequest, Request, StreamRequest
from routeraudio.dialects.choice import (
    DETECTION,
    Choice,
    chosen,
    detected_or_english,
    serving,
    unknown_provider,
)
from routeraudio.dialects.openai import secrets
from routeraudio.dialects.openai.settings import SILENCE_MS, SILENCE_MS_MAX, Settings, merged
from routeraudio.dialects.parameters import LANGUAGE, MODEL, Given, choice, matching, query_pairs
from routeraudio.model.options import Options

SUBPROTOCOL: Final = "realtime"

KEY_SUBPROTOCOL: Final = "openai-insecure-api-key."

_PATH: Final = re.compile(r"(?:/as/openai(?:/(?P<provider>[a-z]+)(?:/(?P<model>[^/]+))?)?)?/v1/realtime")


class More(msgspec.Struct, frozen=True, kw_only=True):
    """What no other protocol has."""

    settings: Settings
    place: Choice
    """What the path says."""
    is_beta: bool = False
    """Whether the client speaks as before the protocol was generally available."""


def claims(request: Request) -> bool:
    """Whether a request is an OpenAI client's."""
    path = request.path
    return path.endswith("/realtime") and path.startswith("/as/openai/") and _PATH.fullmatch(path) is not None


def parse(request: Request) -> StreamRequest:
    """Read path, query and headers.

    Raises:
        BadRequest: with every parameter that is wrong.
    """
    found = _PATH.fullmatch(request.path)
    assert found is not None, "the catalogue brings nothing else"
    given = Given(query_pairs(request.query))
    given.take("intent", choice(("transcription",)), default=None)
    offered = [name.strip() for name in request.headers.get("sec-websocket-protocol", "").split(",")]
    key, token = _key_and_token(request, offered)
    settings = Settings() if token is None else secrets.unpacked(token)
    settings = msgspec.structs.replace(
        settings,
        model=given.take(
            "model", matching(MODEL, "a model name, PROVIDER or PROVIDER/MODEL"), default=settings.model
        ),
        language=given.take(
            "language", matching(LANGUAGE, "a language code like en or pt-BR"), default=settings.language
        ),
    )
    faults = [*unknown_provider(found["provider"]), *given.faults]
    if faults:
        raise BadRequest(faults)
    beta = "realtime=v1" in request.headers.get("openai-beta", "") or "openai-beta.realtime-v1" in offered
    more = More(settings=settings, place=Choice(found["provider"] or "", found["model"]), is_beta=beta)
    wish = StreamRequest(
        _options(Choice(), settings),
        key,
        token,
        given.unknown,
        subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None,
    )
    return _settled(wish, more)


def updated(wish: StreamRequest, update: msgspec.Raw, *, is_beta: bool) -> StreamRequest:
    """The wish after a `session.update`.

    Raises:
        ClientFault: naming the member that cannot be.
    """
    more = wish.more
    assert isinstance(more, More)
    settings = merged(more.settings, update)
    return _settled(wish, msgspec.structs.replace(more, settings=settings, is_beta=more.is_beta or is_beta))


def fit(options: Options) -> Options:
    """The options for the provider and model that serve: where nobody detects languages, English is meant, and where
    nobody gives finals on demand, silence makes them.
    """
    options = detected_or_english(options)
    model = serving(options)
    if model and options.endpointing_ms == SILENCE_MS_MAX and model.support.finalize == "ignored":
        options = msgspec.structs.replace(options, endpointing_ms=SILENCE_MS)
    return options


def credential(shown: str | None) -> tuple[str | None, str | None]:
    """The key or the token that was shown: tokens come with or without `ek_`."""
    return credentials.key_and_token(shown and shown.removeprefix(secrets.PREFIX))


def _settled(wish: StreamRequest, more: More) -> StreamRequest:
    choice_ = chosen(more.settings.model, more.place)
    return msgspec.structs.replace(
        wish,
        options=_options(choice_, more.settings),
        more=more,
        has_own_model=choice_.is_vendors,
        advice=more.settings.advice,
    )


def _options(choice_: Choice, settings: Settings) -> Options:
    return Options(
        provider=choice_.provider,
        audio=settings.audio,
        model=choice_.model,
        language=settings.language or DETECTION,
        diarize=settings.is_diarized,
        partial_results=True,
        endpointing_ms=settings.silence_ms,
    )


def _key_and_token(request: Request, offered: list[str]) -> tuple[str | None, str | None]:
    """A browser can send headers of its own only as subprotocols."""
    shown = credentials.authorization(request.headers.get("authorization", ""))
    if shown is None:
        shown = next((name for name in offered if name.startswith(KEY_SUBPROTOCOL)), "")
    return credential(shown.removeprefix(KEY_SUBPROTOCOL))
