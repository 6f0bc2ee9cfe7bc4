"""What is asked of Soniox: which model, which language, which audio, and the first message that says so."""

from typing import Any, Final

from routeraudio.model.audio import AudioFormat, Encoding
from routeraudio.model.options import Options
from routeraudio.providers.base import Capabilities
from routeraudio.providers.compatibility import unknown_model, unsupported_language
from routeraudio.providers.models import Models, is_detection, load, spelled

TITLE: Final = "Soniox"

CAPABILITIES: Final = Capabilities(
    encodings=("pcm_s16le", "pcm_mulaw", "ogg_opus", "webm", "mp3"),
)
"""Any rate. It takes several channels too, but that it mixes them is
INFERRED and no token names one, so they are mixed here: raise `channels_max` to leave it to the vendor."""

_FORMATS: Final[dict[Encoding, str]] = {
    "pcm_s16le": "pcm_s16le",
    "pcm_mulaw": "mulaw",
    "ogg_opus": "ogg",
    "webm": "webm",
    "mp3": "mp3",
}
"""`audio_format`. Never `auto`: raw audio declared so is not decoded at all."""

_LANGUAGE_ALIASES: Final = {"nb": "no", "nn": "no", "fil": "tl"}
"""BCP-47 primary subtags that Soniox spells otherwise."""

_ENDPOINT_DELAY_MS: Final = (500, 3000)
"""What `max_endpoint_delay_ms` may be. Endpoint detection is never off: text without any end helps nobody."""


def check(options: Options) -> None:
    """Refuse what cannot work.

    A model of Soniox's real-time kind that the data file does not know is passed on: new ones come, old names
    live on as aliases. Its other models do not stream.

    Raises:
        ClientFault: the model is none of the streaming ones, or does not speak the language.
    """
    model = options.model or models().default_model
    if models().find(model) is None and not _is_realtime_name(model):
        raise unknown_model(TITLE, models(), model, "is none of its streaming models")
    hint_of(options)


def target(options: Options) -> AudioFormat:
    """What is sent."""
    return CAPABILITIES.target(options.audio)


def models() -> Models:
    """Soniox's models and their languages."""
    return load("soniox")


def _is_realtime_name(model: str) -> bool:
    return model.startswith("stt-rt-") and len(model) <= 64 and model.replace("-", "").isalnum()


def hint_of(options: Options) -> str | None:
    """The language as Soniox spells it, without region or script; None for detection.

    Raises:
        ClientFault: `unsupported_language`, naming the alternatives.
    """
    if is_detection(options.language):
        return None
    primary = options.language.lower().split("-")[0]
    code = _LANGUAGE_ALIASES.get(primary, primary)
    row = models().find(options.model or models().default_model)
    if row is not None and spelled(code, row.languages) is None:
        raise unsupported_language(TITLE, models(), row, options.language)
    return code


def start(options: Options, audio: AudioFormat, hint: str | None) -> dict[str, Any]:
    """The first message: the wishes, and never the key."""
    message: dict[str, Any] = {
        "model": options.model or models().default_model,
        "audio_format": _FORMATS[audio.encoding],
    }
    if audio.is_raw:
        message |= {"sample_rate": audio.sample_rate, "num_channels": audio.channels}
    if hint is None:
        message["enable_language_identification"] = True
    else:
        message["language_hints"] = [hint]
    if options.diarize:
        message["enable_speaker_diarization"] = True
    shortest_ms, longest_ms = _ENDPOINT_DELAY_MS
    message["enable_endpoint_detection"] = True
    message["max_endpoint_delay_ms"] = min(max(options.endpointing_ms, shortest_ms), longest_ms)
    return message
