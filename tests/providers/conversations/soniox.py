"""Soniox as its documentation and its SDK (2.10.0) show it."""

import json
from typing import Any

from routeraudio.model.audio import AudioFormat
from routeraudio.model.options import Options

from .script import Closes, Conversation, Finalizes, Finishes, Says, Sends

PCM_16K = AudioFormat("pcm_s16le", 16000)

Json = dict[str, Any]


def token(text: Any, start_ms: Any, end_ms: Any, **changes: Any) -> Json:
    """One token, final unless told otherwise."""
    return {
        "text": text,
        "start_ms": start_ms,
        "end_ms": end_ms,
        "confidence": 0.97,
        "is_final": True,
    } | changes


def guess(text: str, start_ms: int, end_ms: int, **changes: Any) -> Json:
    """A token that is not final."""
    return token(text, start_ms, end_ms, is_final=False) | changes


def end(text: str = "<end>") -> Json:
    """A control token, with the useless times that were seen."""
    return token(text, 0, 0, confidence=1.0)


def said(*tokens: Json, final_ms: Any = 0, total_ms: Any = 0, **changes: Any) -> str:
    """A message."""
    return json.dumps(
        {"tokens": tokens, "final_audio_proc_ms": final_ms, "total_audio_proc_ms": total_ms} | changes
    )


def error(code: int | str, kind: str, message: str, **changes: Any) -> str:
    """An error; the connection closes normally behind it."""
    return json.dumps(
        {
            "tokens": [],
            "error_code": code,
            "error_type": kind,
            "error_message": message,
            "more_info": f"https://soniox.com/docs/api-reference/errors#{kind}",
            "request_id": "5c1d0f3e",
        }
        | changes
    )


STREAM = Conversation(
    title="stt-rt-v5",
    options=Options(provider="soniox", audio=PCM_16K, partial_results=True, diarize=True),
    steps=(
        Sends(1500),
        Says(said(total_ms=480)),
        Says(said(guess("Good", 600, 760, speaker="1"), total_ms=880)),
        Says(
            said(
                token("Good", 600, 760, speaker="1"),
                token(" mor", 780, 900, speaker="1"),
                guess("ning", 900, 1080, speaker="1"),
                final_ms=900,
                total_ms=1200,
            ),
            settles="Good",
        ),
        Sends(1500),
        Says(
            said(
                token("ning", 900, 1080, speaker="1"),
                token(".", 1080, 1140, speaker="1"),
                end(),
                final_ms=1560,
                total_ms=1680,
            ),
            settles="morning.",
        ),
        Says(said(guess(" Um", 1700, 1800), total_ms=2000)),
        Says(said(end(), final_ms=2400, total_ms=2500)),
        Sends(2000),
        Says(said(guess(" How", 3000, 3200), guess(" are", 3250, 3400), total_ms=3600)),
        Finalizes(),
        Says(
            said(
                token(" How", 3000, 3200, speaker=2),
                token(" are", 3250, 3400, speaker=2),
                end("<fin>"),
                final_ms=3800,
                total_ms=3800,
            ),
            settles="How are",
        ),
        Says(said(token(" you?", 3900, 4100), end(), final_ms=4300, total_ms=4400), settles="you?"),
        Sends(1000),
        Says(said(guess(" I", 4500, 4600), guess(" think", 4600, 4800), total_ms=5000)),
        Finishes(),
        Says(said(token(" I", 4500, 4600), final_ms=4600, total_ms=5500), settles="I"),
        Says(
            said(token(" think", 4600, 4800), token(" so.", 4850, 5000), final_ms=5000, total_ms=6000),
            settles="think so.",
        ),
        Says(said(final_ms=6000, total_ms=6000, finished=True)),
        Closes(1000),
    ),
    finals=("Good morning.", "How are", "you?", "I think so."),
    turn_ends=3,
    unknown='{"type":"mood","value":"cheerful"}',
    ends_empty=True,
)

CONVERSATIONS = (STREAM,)
