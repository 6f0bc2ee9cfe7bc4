"""Vachana as its documentation and its SDK show it."""

import json
from typing import Any

from routeraudio.model.audio import AudioFormat
from routeraudio.model.options import Options

from .script import Closes, Conversation, Finalizes, Finishes, Says, Sends

REQUEST_ID = "c1d0a7f2-5a0e-4c36-9d0d-6f1c0a3f7b11"
PCM_16K = AudioFormat("pcm_s16le", 16000)


def connected(**changes: Any) -> str:
    """A `connected`."""
    message = {
        "type": "connected",
        "message": "STT service ready",
        "request_id": REQUEST_ID,
        "timestamp": "2026-11-20T10:00:00.000Z",
        "config": {"sample_rate": 16000, "chunk_size": 512},
    }
    return json.dumps(message | changes)


def signal(kind: str) -> str:
    """A message without content: `processing`, `speech_end` and their like."""
    return json.dumps({"type": kind, "timestamp": "2026-11-20T10:00:04.210Z"})


PROCESSING = signal("processing")


def transcript(text: str, duration_ms: int, index: int, **changes: Any) -> str:
    """A `transcript`."""
    message = {
        "type": "transcript",
        "timestamp": "2026-11-20T10:00:04.530Z",
        "text": text,
        "audio_duration_ms": duration_ms,
        "segment_id": f"6d1f0000-0000-4000-8000-{index:012}",
        "segment_index": str(index),
        "latency": 318,
        "detected_language": "hi-IN",
    }
    return json.dumps(message | changes)


def error(message: str) -> str:
    """An `error`."""
    return json.dumps({"type": "error", "message": message, "timestamp": "2026-11-20T10:00:00.020Z"})


TICKETS = Conversation(
    title="default",
    options=Options(provider="vachana", audio=PCM_16K, language="hi", partial_results=True),
    steps=(
        Says(connected()),
        Sends(3000),
        Says(PROCESSING),
        Sends(500),
        Says(transcript("मुझे दो टिकट चाहिए", 2336, 0), settles="मुझे दो टिकट चाहिए"),
        Sends(1500),
        Says(PROCESSING),
        Says(transcript("", 300, 1)),
        Says(signal("speech_start")),
        Sends(2000),
        Finalizes(),
        Says(signal("speech_end")),
        Says(PROCESSING),
        Says(transcript("दिल्ली के लिए", 1100, 2), settles="दिल्ली के लिए"),
        Sends(1000),
        Finishes(),
        Says(PROCESSING),
        Says(transcript("धन्यवाद", 600, 3), settles="धन्यवाद"),
        Closes(1000),
    ),
    finals=("मुझे दो टिकट चाहिए", "दिल्ली के लिए", "धन्यवाद"),
    turn_ends=2,
    has_partials=False,
    unknown='{"type":"mood","value":"cheerful","timestamp":"2026-11-20T10:00:00.000Z"}',
    wraps_audio=True,  # it travels as it is, but the silence that takes the place of controls is mixed in
)

CONVERSATIONS = (TICKETS,)
