"""Speechmatics as its AsyncAPI document and the recorded session in its SDK's repository show it."""

import json
from typing import Any

from routeraudio.model.audio import AudioFormat
from routeraudio.model.options import Options

from .script import Closes, Conversation, Finalizes, Finishes, Says, Sends

SESSION_ID = "6e1b0f3a-2f0c-4a3c-9d53-0c1c8f1f7a52"
PCM_16K = AudioFormat("pcm_s16le", 16000)


def word(content: str, start: float, end: float, **changes: Any) -> dict[str, Any]:
    """A result of type `word`, or what ``changes`` make of it."""
    spoken = {"content": content, "confidence": 0.97, "language": "en", "speaker": "S1"}
    result = {"type": "word", "start_time": start, "end_time": end, "alternatives": [spoken]}
    return result | changes


def mark(content: str, at: float, attaches_to: str = "previous", **changes: Any) -> dict[str, Any]:
    """A result of type `punctuation`: it takes no time."""
    own: dict[str, Any] = {"type": "punctuation", "attaches_to": attaches_to}
    return word(content, at, at, **own, is_eos=content in (".", "?", "!")) | changes


def words(text: str, start: float, end: float, **changes: Any) -> list[dict[str, Any]]:
    """Words that fill the span evenly, with the punctuation at their ends as results of its own."""
    spoken = text.split()
    step = (end - start) / max(len(spoken), 1)
    results = []
    for i, each in enumerate(spoken):
        bare = each.rstrip(".,?!")
        until = round(start + (i + 1) * step, 3)
        results.append(word(bare, round(start + i * step, 3), until, **changes))
        results += [mark(sign, until) for sign in each[len(bare) :]]
    return results


def transcript(message: str, start: float, end: float, results: list[dict[str, Any]], **changes: Any) -> str:
    """An `AddTranscript` or `AddPartialTranscript`. Its own span begins before its words, as in the recording."""
    text = ""
    for result in results:
        for spoken in result["alternatives"]:
            text += spoken["content"] if result["type"] == "punctuation" else f" {spoken['content']}"
    metadata = {"start_time": max(start - 0.1, 0.0), "end_time": end, "transcript": text.lstrip() + " "}
    return json.dumps(
        {"message": message, "format": "2.9", "metadata": metadata, "results": results} | changes
    )


def final(text: str, start: float, end: float, **changes: Any) -> str:
    """An `AddTranscript`."""
    return transcript("AddTranscript", start, end, words(text, start, end), **changes)


def partial(text: str, start: float, end: float, **changes: Any) -> str:
    """An `AddPartialTranscript`."""
    return transcript("AddPartialTranscript", start, end, words(text, start, end), **changes)


def info(kind: str = "concurrent_session_usage") -> str:
    """An `Info`."""
    return json.dumps({"message": "Info", "type": kind, "reason": "1 of 50", "usage": 1, "quota": 50})


def started(delimiter: str = " ") -> str:
    """A `RecognitionStarted`."""
    pack = {
        "adapted": False,
        "itn": True,
        "language_description": "English",
        "word_delimiter": delimiter,
        "writing_direction": "left-to-right",
    }
    return json.dumps(
        {
            "message": "RecognitionStarted",
            "orchestrator_version": "2026.10.01+x+15.0.0",
            "id": SESSION_ID,
            "language_pack_info": pack,
        }
    )


def audio_added(seq_no: int) -> str:
    """An `AudioAdded`."""
    return json.dumps({"message": "AudioAdded", "seq_no": seq_no})


def end_of_utterance(at: float, **changes: Any) -> str:
    """An `EndOfUtterance`."""
    metadata = {"start_time": at, "end_time": at}
    return json.dumps({"message": "EndOfUtterance", "format": "2.9", "metadata": metadata} | changes)


def error(kind: str, reason: str, message: str = "Error") -> str:
    """An `Error`, or a `Warning`."""
    return json.dumps({"message": message, "type": kind, "reason": reason})


END = '{"message": "EndOfTranscript"}'

ENHANCED = Conversation(
    title="enhanced",
    options=Options(provider="speechmatics", audio=PCM_16K, partial_results=True, diarize=True),
    steps=(
        Says(info()),
        Says(started()),
        Says(info("recognition_quality")),
        Sends(1000),
        Says(audio_added(1)),
        Says(partial("good", 0.3, 0.8)),
        Sends(1000),
        Says(partial("good morning every", 0.3, 1.8)),
        Says(transcript("AddTranscript", 0.0, 0.28, [])),
        Says(partial("good morning every", 0.3, 1.8)),
        Says(final("Good morning", 0.3, 1.3), settles="Good morning"),
        Says(partial("everyone", 1.3, 1.8)),
        Says(final("everyone", 1.3, 1.8)),
        Says(partial("", 1.8, 1.8)),
        Says(transcript("AddTranscript", 1.8, 1.8, [mark(".", 1.8)]), settles="everyone."),
        Says(partial("", 1.8, 1.8)),
        Sends(1000),
        Says(end_of_utterance(2.3)),
        Says(partial("how", 2.5, 2.8)),
        Finalizes(),
        Says(final("How are you?", 2.5, 2.95, forced=True), settles="How are you?"),
        Says(partial("", 2.95, 2.95)),
        Says(end_of_utterance(2.95, forced=True)),
        Sends(1000),
        Says(partial("fine", 3.1, 3.4)),
        Says(final("Fine", 3.1, 3.4), settles="Fine"),
        Finishes(),
        Says(partial("thank", 3.4, 3.6)),
        Says(final("thank you.", 3.4, 3.9), settles="thank you."),
        Says(END),
        Closes(1000),
    ),
    finals=("Good morning everyone.", "How are you?", "Fine thank you."),
    turn_ends=3,
    unknown='{"message":"LanguageInfo","language":"en","partial":false}',
)

CONVERSATIONS = (ENHANCED,)
