"""AssemblyAI as its specification and recordings show it: a Pro model, and the English model that formats turns."""

import json
from typing import Any

from routeraudio.model.audio import AudioFormat
from routeraudio.model.options import Options

from .script import Closes, Conversation, Finalizes, Finishes, Says, Sends

SESSION_ID = "7f1c1a52-7d0e-4f0f-8a1f-0d4fb6f0f8a1"
PCM_16K = AudioFormat("pcm_s16le", 16000)


def begin() -> str:
    """The first message."""
    configuration = {"model": "universal-3-6-pro", "mode": "balanced", "api_version": "2025-05-12"}
    return json.dumps(
        {"type": "Begin", "id": SESSION_ID, "expires_at": 1795177500, "configuration": configuration}
    )


def spoken(text: str, start: int, end: int, settled: int = 0, **changes: Any) -> list[dict[str, Any]]:
    """`words`: those of ``text`` fill the span evenly, the first ``settled`` of them finalised."""
    each = text.split()
    step = (end - start) // max(len(each), 1)
    return [
        {
            "start": start + i * step,
            "end": start + (i + 1) * step,
            "text": word,
            "confidence": 0.99,
            "word_is_final": i < settled,
        }
        | changes
        for i, word in enumerate(each)
    ]


def turn(order: int, text: str, start: int, end: int, **changes: Any) -> str:
    """A Pro model's partial: the whole turn so far, no word settled. `type` comes last, as on the wire."""
    message = {
        "turn_order": order,
        "turn_is_formatted": True,
        "end_of_turn": False,
        "transcript": text,
        "end_of_turn_confidence": 0.0,
        "words": spoken(text, start, end),
        "utterance": "",
    }
    return json.dumps(message | changes | {"type": "Turn"})


def final(order: int, text: str, start: int, end: int, **changes: Any) -> str:
    """A Pro model's final."""
    words = spoken(text, start, end, settled=99)
    ended = {"end_of_turn": True, "end_of_turn_confidence": 1.0, "words": words, "utterance": text}
    return turn(order, text, start, end, **(ended | changes))


def streaming(order: int, text: str, pending: str, start: int, end: int, **changes: Any) -> str:
    """A Universal-Streaming partial: only settled words are in `transcript`."""
    words = spoken(f"{text} {pending}", start, end, settled=len(text.split()))
    return turn(order, text, start, end, **({"turn_is_formatted": False, "words": words} | changes))


def ended(order: int, text: str, **changes: Any) -> str:
    """A Universal-Streaming final, as recorded: without words."""
    message = {"end_of_turn": True, "turn_is_formatted": False, "words": []}
    return turn(order, text, 0, 0, **(message | changes))


def termination(audio_s: int) -> str:
    """The last message."""
    message = {"audio_duration_seconds": audio_s, "session_duration_seconds": audio_s + 1}
    return json.dumps({"type": "Termination"} | message)


def error(code: int, text: str) -> str:
    """An `Error`."""
    return json.dumps({"type": "Error", "error_code": code, "error": text})


PRO = Conversation(
    title="universal-3-6-pro",
    options=Options(provider="assemblyai", audio=PCM_16K, partial_results=True),
    steps=(
        Says(begin()),
        Sends(3000),
        Says(turn(0, "Could", 1208, 1430)),
        Says(turn(0, "Could you hold", 1208, 1830)),
        # A word moves by a second between partial and final.
        Says(final(0, "Could you hold on?", 2104, 2854), settles="Could you hold on?"),
        Sends(2000),
        Says(turn(1, "Yes", 3500, 3900)),
        Finalizes(),
        Says(final(1, "Yes.", 3500, 3900), settles="Yes."),
        Sends(2000),
        Says(turn(2, "Thank", 5500, 5900)),
        Finishes(),
        Says(final(2, "Thank you.", 5500, 6300), settles="Thank you."),
        Says(termination(7)),
        Closes(1000, "Session Ended"),
    ),
    finals=("Could you hold on?", "Yes.", "Thank you."),
    turn_ends=3,
    unknown='{"type":"SpeechStarted","timestamp":6208,"confidence":0.93}',
)

ENGLISH = Conversation(
    title="universal-streaming-english",
    options=Options(
        provider="assemblyai", model="universal-streaming-english", audio=PCM_16K, partial_results=True
    ),
    steps=(
        Says(begin()),
        Sends(2000),
        Says(streaming(0, "", "two", 560, 640)),
        Says(streaming(0, "two tickets", "pl", 560, 1080)),
        Says(ended(0, "two tickets please", utterance="two tickets please")),
        Says(
            final(0, "Two tickets, please.", 560, 1400),
            settles="Two tickets, please.",
        ),
        Sends(2000),
        Says(streaming(1, "thank", "you", 2500, 2900)),
        Finishes(),
        Says(ended(1, "thank you")),
        Says(ended(1, "Thank you.", turn_is_formatted=True), settles="Thank you."),
        Says(ended(2, "")),
        Says(termination(4)),
        Closes(1000, "Session Ended"),
    ),
    finals=("Two tickets, please.", "Thank you."),
    turn_ends=2,
    unknown='{"type":"SpeakerRevision","revisions":[]}',
)

CONVERSATIONS = (PRO, ENGLISH)
