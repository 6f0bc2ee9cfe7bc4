"""What is asked of AssemblyAI: which model, which language, which silences."""

import re
from typing import Final

import msgspec

from routeraudio.model.audio import AudioFormat
from routeraudio.model.options import Options
from routeraudio.providers.base import Capabilities
from routeraudio.providers.compatibility import unknown_model, unsupported_language
from routeraudio.providers.models import Models, is_detection, load, spelled

TITLE: Final = "AssemblyAI"

CAPABILITIES: Final = Capabilities(
    encodings=("pcm_s16le", "pcm_mulaw", "ogg_opus"),
)
"""Mono only, at any rate from 8 to 96 kHz. WebM and MP3 are not taken."""

_TURN_SILENCE_MS_MIN: Final = 50
"""The least silence that may be asked for (vendor's reference)."""

_CONFIDENT_SILENCE_MS: Final = {"pro": 128, "universal": 400}
"""The vendor's own `min_turn_silence`, after which a turn ends that sounds complete."""

_MODEL_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

_NOT_SERVED: Final = "u3-pro"
"""In the SDK's list of models, refused by the service (recorded 2026-09-24)."""


def check(options: Options) -> None:
    """Refuse what cannot work.

    A model that the data file does not know is passed on: there are previews, and AssemblyAI's refusal of a misspelled
    one lists what it has.

    Raises:
        ClientFault: `invalid_parameter` or `unsupported_language`, naming alternatives.
    """
    model = model_of(options)
    if model == _NOT_SERVED or not _MODEL_NAME.fullmatch(model):
        raise unknown_model(TITLE, models(), model)
    spelled_language(model, options.language)


def models() -> Models:
    """AssemblyAI's models and their languages."""
    return load("assemblyai")


def model_of(options: Options) -> str:
    """See `Models.chosen`."""
    return models().chosen(options.model, options.language)


def is_pro(model: str) -> bool:
    """Which family a model is of; unknown names are INFERRED to be of the newer one."""
    return not model.startswith(("universal-streaming-", "whisper-"))


def ends_turns_twice(model: str) -> bool:
    """Whether, with `format_turns`, an unformatted final has a formatted copy. For `whisper-rt` that is INFERRED; the
    multilingual model formats as it goes."""
    return model in ("universal-streaming-english", "whisper-rt")


def says_noises(model: str) -> bool:
    """Whether it writes what it hears where nobody speaks."""
    return model == "whisper-rt"


def tells_speakers(model: str) -> bool:
    """All but `whisper-rt`, which is not among those documented."""
    return model != "whisper-rt"


def target(options: Options) -> AudioFormat:
    """What is sent. Containers, too, are converted where they are not mono."""
    source = options.audio
    return CAPABILITIES.otherwise if source.channels > 1 else CAPABILITIES.target(source)


def parameters(options: Options, audio: AudioFormat) -> list[tuple[str, str]]:
    """The query, always in the same order. The service ignores misspelt names; tests compare them with its SDK's."""
    model = model_of(options)
    wish = [("speech_model", model), ("encoding", audio.encoding)]
    if audio.is_raw:
        wish.append(("sample_rate", str(audio.sample_rate)))
    if is_pro(model):
        wish += _language(model, options.language)
    else:
        wish.append(("format_turns", "true" if options.punctuate else "false"))
    wish += _silences(model, options.endpointing_ms)
    if options.diarize and tells_speakers(model):
        wish.append(("speaker_labels", "true"))
    # With parse_json=false the client sees every message: it gets the partials it asked for, and no heartbeats.
    if not (options.parse_json or options.partial_results):
        wish.append(("include_partial_turns", "false"))
    if options.parse_json and options.punctuate and ends_turns_twice(model):
        wish.append(("session_heartbeat", "true"))
    return wish


def _silences(model: str, endpointing_ms: int) -> list[tuple[str, str]]:
    """Endpointing is the silence after which a turn ends whatever the model believes.

    Its own belief may end it sooner, after a silence that stays at the vendor's default unless it would be the longer
    one. That the two may be equal is INFERRED.
    """
    silence_ms = max(endpointing_ms, _TURN_SILENCE_MS_MIN)
    silences = [("max_turn_silence", str(silence_ms))]
    if silence_ms < _CONFIDENT_SILENCE_MS["pro" if is_pro(model) else "universal"]:
        silences.append(("min_turn_silence", str(silence_ms)))
    return silences


def _language(model: str, language: str) -> list[tuple[str, str]]:
    """For Pro models, which detect languages where none is named. The others take no language at all."""
    code = spelled_language(model, language)
    return [] if code == "multi" else [("language_codes", msgspec.json.encode([code]).decode())]


def spelled_language(model: str, language: str) -> str:
    """The language as AssemblyAI spells it, without region (`en-US` is `en`); `multi` for detection.

    Raises:
        ClientFault: `unsupported_language`, naming the nearest alternatives.
    """
    row = models().find(model)
    if row is None:
        return "multi" if is_detection(language) else language
    if is_detection(language) and row.multilingual_code_switching:
        return "multi"
    found = spelled(language, row.languages) or spelled(language.split("-")[0], row.languages)
    if found is None:
        raise unsupported_language(TITLE, models(), row, language)
    return found
