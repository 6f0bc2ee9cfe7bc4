"""What an utterance is asked for with, and how this server describes itself. Nothing here waits."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from routeraudio.config.schema import Wyoming
from routeraudio.dialects.base import StreamRequest
from routeraudio.dialects.choice import DETECTION, detected_or_english
from routeraudio.dialects.parameters import LANGUAGE
from routeraudio.model.audio import CHANNELS_MAX, SAMPLE_RATES_HZ, AudioFormat
from routeraudio.model.errors import invalid_parameter
from routeraudio.model.options import Options
from routeraudio.providers import models
from routeraudio.providers.catalog import PROVIDERS

ENDPOINTING_MS: Final = 700
"""Home Assistant's own silence at the end of a command."""

_WIDTH_BYTES: Final = 2

_ATTRIBUTION: Final = {"name": "routeraudio", "url": "https://github.com/routeraudio/routeraudio"}


class Choosing(msgspec.Struct, frozen=True):
    """See `edge.choosing.Chooses`."""

    default_provider: str | None = None
    fit: Any = detected_or_english


def wanted(listener: Wyoming, transcribe: Mapping[str, Any], audio: Mapping[str, Any]) -> StreamRequest:
    """The session that an utterance needs.

    Args:
        transcribe: the data of `transcribe`, which may not have come.
        audio: of `audio-start`, or of the first `audio-chunk`.

    Raises:
        ClientFault: audio that is not taken here.
    """
    language, name = transcribe.get("language"), transcribe.get("name")
    known = models.load(listener.provider)
    asked = language if isinstance(language, str) and LANGUAGE.fullmatch(language) else listener.language
    options = Options(
        provider=listener.provider,
        audio=_format(audio),
        model=name if isinstance(name, str) and known.find(name) else listener.model,
        language=asked or DETECTION,
        endpointing_ms=ENDPOINTING_MS,
    )
    key = None if listener.api_key is None else listener.api_key.reveal()
    return StreamRequest(options, key)


def _format(audio: Mapping[str, Any]) -> AudioFormat:
    rate, width, channels = (audio.get(name, 0) for name in ("rate", "width", "channels"))
    if width != _WIDTH_BYTES or rate not in SAMPLE_RATES_HZ or channels not in range(1, CHANNELS_MAX + 1):
        rates = ", ".join(map(str, SAMPLE_RATES_HZ))
        raise invalid_parameter(
            "audio", f"audio: expected a width of {_WIDTH_BYTES} bytes and one of {rates} Hz"
        )
    return AudioFormat("pcm_s16le", int(rate), int(channels))


def info(listener: Wyoming) -> dict[str, Any]:
    """What Home Assistant is told: it offers the languages of the first program's models."""
    title = PROVIDERS[listener.provider].title
    known = models.load(listener.provider)
    named = known.find(listener.model or "")
    chosen = known.chosen(named.id if named else None, listener.language or DETECTION)
    rows = sorted(known.models, key=lambda model: model.id != chosen)
    if listener.model is not None:
        rows = rows[
            :1
        ]  # the operator's own model may be none of those: its languages are taken for the default's
    program = {
        "name": f"routeraudio {listener.provider}",
        "description": f"{title}, by routeraudio",
        "installed": True,
        "version": None,
        "attribution": _ATTRIBUTION,
        "models": [
            {
                "name": row.id,
                "description": f"{title} {row.id}",
                "installed": True,
                "version": None,
                "languages": list(row.languages),
                "attribution": {"name": title, "url": _ATTRIBUTION["url"]},
            }
            for row in rows
        ],
        "supports_transcript_streaming": False,
        "requires_external_vad": True,
    }
    return {"asr": [program]}
