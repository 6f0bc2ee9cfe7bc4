"""ElevenLabs as its documentation and recordings show it: every commit twice, the last one empty."""

import json
from typing import Any

from routeraudio.model.audio import AudioFormat
from routeraudio.model.options import Options

from .script import Closes, Conversation, Finishes, Says, Sends

SESSION_ID = "0c9f3f6e0c8f4f52a6a50d9d3d5c7c10"
PCM_16K = AudioFormat("pcm_s16le", 16000)


def started() -> str:
    """A `session_started`, recorded 2025-12."""
    config = {
        "sample_rate": 16000,
        "audio_format": "pcm_16000",
        "language_code": None,
        "timestamps_granularity": "word",
        "vad_commit_strategy": True,
        "vad_silence_threshold_secs": 0.5,
        "model_id": "scribe_v2_realtime",
        "include_timestamps": True,
    }
    return json.dumps({"message_type": "session_started", "session_id": SESSION_ID, "config": config})


def said(kind: str, text: str) -> str:
    """A message with text alone: `partial_transcript`, `committed_transcript`, …"""
    return json.dumps({"message_type": kind, "text": text})


def partial(text: str) -> str:
    """A `partial_transcript`."""
    return said("partial_transcript", text)


def plain(text: str) -> str:
    """A `committed_transcript`."""
    return said("committed_transcript", text)


def timed(text: str, start: float = 0.0, end: float = 0.0, **changes: Any) -> str:
    """Its twin with timestamps: the words of ``text`` fill its span evenly, with spaces between them."""
    spoken = text.split()
    step = (end - start) / max(len(spoken), 1)
    words: list[dict[str, Any]] = []
    for i, word in enumerate(spoken):
        at = start + i * step
        if words:
            words.append({"text": " ", "start": at, "end": at, "type": "spacing", "logprob": 0.0})
        words.append({"text": word, "start": at, "end": at + step, "type": "word", "logprob": -0.02})
    message = {
        "message_type": "committed_transcript_with_timestamps",
        "text": text,
        "language_code": "en",
        "words": words,
    }
    return json.dumps(message | changes)


def error(code: str, text: str = "it broke") -> str:
    """An error message."""
    return json.dumps({"message_type": code, "error": text})


SCRIBE = Conversation(
    title="scribe",
    options=Options(provider="elevenlabs", audio=PCM_16K, partial_results=True),
    steps=(
        Says(started()),
        Sends(2000),
        Says(partial("Two")),
        Says(partial("Two tickets")),
        Says(partial("Two tickets")),
        Says(plain("Two tickets, please.")),
        Says(timed("Two tickets, please.", 0.4, 1.4), settles="Two tickets, please."),
        Sends(1000),
        Says(partial("No")),
        Says(plain("No.")),
        Says(partial("No")),
        Says(timed(" No.", 2.0, 2.3), settles="No."),
        Says(plain("No.")),
        Sends(1000),
        Says(timed("No.", 2.8, 3.1), settles="No."),
        Says(timed("")),
        Says(plain("")),
        Says(partial("Thank")),
        Sends(500),
        Finishes(),
        Says(plain("Thank you.")),
        Says(timed("Thank you.", 3.2, 3.9), settles="Thank you."),
        Says(plain("")),
        Closes(1000),
    ),
    finals=("Two tickets, please.", "No.", "No.", "Thank you."),
    turn_ends=4,
    unknown='{"message_type":"mood_changed","mood":"cheerful"}',
    wraps_audio=True,
)

THROTTLED = Conversation(
    title="throttled",
    options=Options(provider="elevenlabs", audio=PCM_16K, partial_results=True, language="auto"),
    steps=(
        Says(started()),
        Sends(2000),
        Says(partial("Two tickets")),
        Says(plain("Two tickets, please.")),
        Says(timed("Two tickets, please.", 0.4, 1.4, words=None), settles="Two tickets, please."),
        Sends(1000),
        Finishes(),
        Says(error("commit_throttled", "Commit request ignored: only 0.01s of uncommitted audio.")),
        Closes(1000, "commit_throttled"),
    ),
    finals=("Two tickets, please.",),
    turn_ends=1,
    unknown='{"message_type":"speakers_merged","from_speaker_id":"speaker_2","to_speaker_id":"speaker_0"}',
    wraps_audio=True,
)

CONVERSATIONS = (SCRIBE, THROTTLED)
