"""AssemblyAI as its own clients see it: binary audio, described by the query.

Keys: `token`, or `Authorization` without a scheme.
"""

import re
from typing import Final

from routeraudio.providers.native import (
    BY_THE_CLOCK,
    USER_AGENT,
    AudioCounter,
    Handshake,
    NativeProtocol,
    as_json,
    pcm_rate,
)


def _meter(handshake: Handshake) -> AudioCounter:
    bytes_per_sample = {"pcm_s16le": 2, "pcm_mulaw": 1}.get(handshake.parameter("encoding", "pcm_s16le"))
    if bytes_per_sample is None:
        return AudioCounter(BY_THE_CLOCK)
    return AudioCounter(
        pcm_rate(handshake.parameter("sample_rate", "16000"), bytes_per_sample=bytes_per_sample)
    )


_PARAMETERS: Final = frozenset(
    (
        "acknowledge_silence",
        "agent_context",
        "continuous_partials",
        "domain",
        "encoding",
        "end_of_turn_confidence_threshold",
        "filter_profanity",
        "format_turns",
        "inactivity_timeout",
        "include_partial_turns",
        "interruption_delay",
        "keyterms_prompt",
        "language_code",
        "language_codes",
        "language_detection",
        "max_speakers",
        "max_turn_silence",
        "min_end_of_turn_silence_when_confident",
        "min_turn_silence",
        "mode",
        "previous_context_n_turns",
        "prompt",
        "redact_pii",
        "redact_pii_policies",
        "redact_pii_sub",
        "sample_rate",
        "session_heartbeat",
        "speaker_labels",
        "speaker_labels_revision_interval_ms",
        "speech_model",
        "vad_threshold",
        "voice_focus",
        "voice_focus_threshold",
    )
)
"""All of `/v3/ws` but what sends transcripts elsewhere or costs extra: `llm_gateway`, `webhook_…`, support captures."""


NATIVE: Final = NativeProtocol(
    default_path="/v3/ws",
    paths=re.compile(r"/v3/ws"),
    key_header="authorization",
    headers=USER_AGENT | {"assemblyai-version"},
    model_parameter="speech_model",
    parameters=_PARAMETERS,
    meter=_meter,
    end_of_audio=lambda _: '{"type":"Terminate"}',
    refusal=lambda _, message: as_json({"error": message}),
)
