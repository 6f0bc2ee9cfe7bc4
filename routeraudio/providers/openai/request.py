"""What an OpenAI transcription session is asked for: model, language, format, who ends a turn.

Sources: SDK 3.52 `types/realtime/audio_transcription*.py`, guides "Realtime transcription" and "Voice activity
detection" (2026-11).
"""

import re
from typing import Any, Final

from routeraudio.audio.vad import SILENCE_MS_MIN
from routeraudio.model.audio import AudioFormat
from routeraudio.model.options import Options
from routeraudio.providers.base import Capabilities
from routeraudio.providers.compatibility import unknown_model, unsupported_language
from routeraudio.providers.models import Model, Models, is_detection, load, spelled

TITLE: Final = "OpenAI"

CAPABILITIES: Final = Capabilities(
    encodings=("pcm_s16le",),
    sample_rates=(24_000,),
    otherwise=AudioFormat("pcm_s16le", 24_000),
)
"""PCM is taken at 24 kHz only. `MULAW` is native too; rates go with encodings, which this struct cannot say."""

MULAW: Final = AudioFormat("pcm_mulaw", 8000)
"""`audio/pcmu` has no field for a rate; 8 kHz is G.711's (INFERRED)."""

LIVE: Final = frozenset({"gpt-live-transcribe", "gpt-realtime-whisper"})
"""Models that stream text and detect no turns; all others detect turns and give text afterwards."""

LISTED: Final = frozenset({"gpt-live-transcribe", "gpt-transcribe"})
"""Models that take `languages`, a list; all others take `language`."""

_PADDING_MS: Final = 300
_THRESHOLD: Final = 0.5
"""The vendor's defaults for `server_vad`, sent because its own example of a session shows others."""

_SNAPSHOT: Final = re.compile(r"-\d{4}-\d{2}-\d{2}$")
"""How dated versions of a model end, e.g. `gpt-4o-mini-transcribe-2025-12-15`."""


def target(options: Options) -> AudioFormat:
    """What the vendor is sent."""
    return options.audio if options.audio == MULAW else CAPABILITIES.target(options.audio)


def is_live(options: Options) -> bool:
    """Whether the session's model leaves it to us to end turns."""
    return _family(_model(options)) in LIVE


def session(options: Options) -> dict[str, Any]:
    """The fields of the first `session.update`. No `include`: nobody reads log probabilities here."""
    audio = target(options)
    heard = {
        "format": {"type": "audio/pcmu"}
        if audio == MULAW
        else {"type": "audio/pcm", "rate": audio.sample_rate},
        "transcription": {"model": _model(options)} | _language(options),
        # The session's own default is detection, which live models refuse.
        "turn_detection": None if is_live(options) else _detection(options),
    }
    return {"audio": {"input": heard}}


def check(options: Options) -> None:
    """Refuse what cannot work: models and languages that the data file does not know.

    Raises:
        ClientFault: naming the alternatives.
    """
    model = _model(options)
    row = _row(model)
    if row is None:
        raise unknown_model(TITLE, _models(), model, "does not transcribe")
    if not is_detection(options.language) and spelled(_cut(options.language), row.languages) is None:
        raise unsupported_language(TITLE, _models(), row, options.language)


def _detection(options: Options) -> dict[str, Any]:
    # Bounds of `silence_duration_ms` are not documented. Less than the pauses inside words makes no sense (INFERRED).
    return {
        "type": "server_vad",
        "threshold": _THRESHOLD,
        "prefix_padding_ms": _PADDING_MS,
        "silence_duration_ms": max(options.endpointing_ms, SILENCE_MS_MIN),
    }


def _language(options: Options) -> dict[str, Any]:
    """The hint in the model's own field; none for detection, since an empty list is refused."""
    if is_detection(options.language):
        return {}
    code = _cut(options.language)
    return {"languages": [code]} if _family(_model(options)) in LISTED else {"language": code}


def _cut(language: str) -> str:
    """`pt-BR` → `pt`: the vendor knows ISO 639-1 codes only."""
    return language.lower().split("-")[0]


def _models() -> Models:
    return load("openai")


def _model(options: Options) -> str:
    return _models().chosen(options.model, options.language, has_partials=options.partial_results)


def _family(model: str) -> str:
    """The model without the date of its version."""
    return _SNAPSHOT.sub("", model)


def _row(model: str) -> Model | None:
    return _models().find(model) or _models().find(_family(model))
