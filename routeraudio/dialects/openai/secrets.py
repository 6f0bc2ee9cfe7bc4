"""Ephemeral secrets, `ek_…`: tokens of ours, which carry the options of the session that they open.

A browser that has been given one may never send `session.update`. What a token says is read before it is verified; who
shows a spoiled one is refused for it before anything comes of its options.
"""

import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from routeraudio.dialects.choice import Choice, chosen
from routeraudio.dialects.openai import messages
from routeraudio.dialects.openai.settings import Settings, TurnDetection, merged
from routeraudio.dialects.parameters import LANGUAGE, MODEL
from routeraudio.model.audio import SAMPLE_RATES_HZ, AudioFormat, Encoding
from routeraudio.model.errors import invalid_parameter

PREFIX: Final = "ek_"
"""Browsers' clients take nothing else without being told that it is dangerous."""

TTL_S: Final = 600
"""The vendor's default."""

TTL_S_MIN: Final = 10

_ANCHOR: Final = "created_at"

_AUDIO: Final = re.compile(r"(?P<encoding>pcm_s16le|pcm_mulaw)/(?P<rate>[0-9]{4,5})")

_SILENCE: Final = re.compile(r"[0-9]{1,5}")

_COMMITS: Final = "none"


class Wish(msgspec.Struct, frozen=True):
    """What a secret is asked for with."""

    ttl_s: int
    settings: Settings


class _Claims(msgspec.Struct):
    metadata: dict[str, str] = {}


_decode: Final = msgspec.json.Decoder(_Claims).decode


def read(body: Mapping[str, Any], place: Choice, *, is_beta: bool, ttl_s_max: int) -> Wish:
    """A request's body.

    Args:
        place: what the path says: the session's own path need not say it again.
        is_beta: the body is the session itself.
        ttl_s_max: of a token; who asks for longer gets this.

    Raises:
        ClientFault: naming the member that cannot be.
    """
    after = body.get("expires_after")
    seconds = TTL_S if after is None else _seconds(after)
    session = {name: value for name, value in body.items() if name != "expires_after"} if is_beta else None
    wanted = msgspec.json.encode(body.get("session") or {} if session is None else session)
    settings = merged(Settings(), msgspec.Raw(wanted))
    choice = chosen(settings.model, place)
    if choice.provider:
        own = None if choice.is_vendors else choice.model
        model = f"{choice.provider}/{own}" if own else choice.provider
        settings = msgspec.structs.replace(settings, model=model)
    return Wish(min(seconds, ttl_s_max), settings)


def answer(wish: Wish, token: str, expires_at_s: int, request_id: str, *, is_beta: bool) -> dict[str, Any]:
    """The secret as the vendor tells it."""
    value = {"value": PREFIX + token, "expires_at": expires_at_s}
    session = messages.session(request_id, wish.settings, is_beta=is_beta)
    return session | {"client_secret": value} if is_beta else value | {"session": session}


def packed(settings: Settings) -> dict[str, str]:
    """The settings as a token's metadata, which holds short texts."""
    said = {
        "openai.model": settings.model,
        "openai.language": settings.language,
        "openai.audio": f"{settings.audio.encoding}/{settings.audio.sample_rate}",
        "openai.silence_ms": _COMMITS if settings.is_committed else str(settings.silence_ms),
    }
    return {name: text for name, text in said.items() if text is not None}


def unpacked(token: str) -> Settings:
    """The settings that a token carries; the usual ones for what it does not say, or nobody could have packed."""
    metadata = _metadata(token)
    audio = _AUDIO.fullmatch(metadata.get("openai.audio", ""))
    silence = metadata.get("openai.silence_ms", "")
    settings = Settings(
        model=_matching(MODEL, metadata.get("openai.model")),
        language=_matching(LANGUAGE, metadata.get("openai.language")),
    )
    if audio is not None and int(audio["rate"]) in SAMPLE_RATES_HZ:
        encoding = cast(Encoding, audio["encoding"])
        settings = msgspec.structs.replace(settings, audio=AudioFormat(encoding, int(audio["rate"])))
    if silence == _COMMITS:
        settings = msgspec.structs.replace(settings, turn_detection=None)
    elif _SILENCE.fullmatch(silence):
        turns = TurnDetection(silence_duration_ms=int(silence))
        settings = msgspec.structs.replace(settings, turn_detection=turns)
    return settings


def _metadata(token: str) -> dict[str, str]:
    claims = token.split(".")[1:2]
    try:
        text = claims[0]
        return _decode(urlsafe_b64decode(text + "=" * (-len(text) % 4))).metadata
    except (IndexError, ValueError, msgspec.MsgspecError, RecursionError):
        return {}


def _matching(pattern: re.Pattern[str], text: str | None) -> str | None:
    return text if text is not None and pattern.fullmatch(text) else None


def _seconds(after: object) -> int:
    seconds = after.get("seconds", TTL_S) if isinstance(after, dict) else None
    anchor = after.get("anchor", _ANCHOR) if isinstance(after, dict) else None
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < TTL_S_MIN or anchor != _ANCHOR:
        raise invalid_parameter(
            "expires_after",
            f'expires_after: expected {{"anchor":"{_ANCHOR}","seconds":…}} of {TTL_S_MIN} seconds or more',
        )
    return seconds
