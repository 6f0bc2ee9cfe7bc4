"""Gradium as its documentation, its SDK and public notes of live sessions show it."""

import json
from typing import Any

from routeraudio.model.audio import AudioFormat
from routeraudio.model.options import Options

from .script import Closes, Conversation, Finalizes, Finishes, Says, Sends

REQUEST_ID = "5d8e0c8f-4f52-4a6a-8d9d-3d5c7c10e1b2"
PCM_16K = AudioFormat("pcm_s16le", 16000)


def ready(**changes: Any) -> str:
    """A `ready`."""
    message = {
        "type": "ready",
        "request_id": REQUEST_ID,
        "model_name": "default",
        "sample_rate": 24000,
        "frame_size": 1920,
        "delay_in_frames": 10,
        "text_stream_names": [],
    }
    return json.dumps(message | changes)


def step(heard_s: float, inactive: float) -> str:
    """A `step` with the four horizons of the live service, all of one mind."""
    vad = [{"horizon_s": horizon_s, "inactivity_prob": inactive} for horizon_s in (0.5, 1.0, 2.0, 3.0)]
    return json.dumps(
        {
            "type": "step",
            "vad": vad,
            "step_idx": round(heard_s / 0.08),
            "step_duration_s": 0.08,
            "total_duration_s": heard_s,
        }
    )


def text(words: str, start_s: float, stream_id: int | None = None) -> str:
    """A `text`."""
    return json.dumps({"type": "text", "text": words, "start_s": start_s, "stream_id": stream_id})


def end_text(stop_s: float, stream_id: int | None = None) -> str:
    """An `end_text`."""
    return json.dumps({"type": "end_text", "stop_s": stop_s, "stream_id": stream_id})


def flushed(flush_id: int | str) -> str:
    """A `flushed`."""
    return json.dumps({"type": "flushed", "flush_id": flush_id})


def error(message: str, code: int) -> str:
    """An `error`."""
    return json.dumps({"type": "error", "message": message, "code": code})


END_OF_STREAM = '{"type":"end_of_stream"}'


def while_listening(number: int) -> tuple[str, ...]:
    """A reading for every step; the one word of the clip comes in the middle of it."""
    if not number:
        return (ready(),)
    reading = step(number * 0.08, 0.9 if number > 31 else 0.1)
    return (reading, text("forward", 0.9)) if number == 21 else (reading,)


TWO_TURNS = Conversation(
    title="default",
    options=Options(provider="gradium", audio=PCM_16K, partial_results=True),
    steps=(
        Says(ready()),
        Sends(800),
        Says(step(0.08, 0.04)),
        Says(step(0.8, 0.05)),
        Sends(1200),
        Says(text("Good", 0.2), settles="Good"),
        Says(end_text(0.5)),
        Says(text("morning,", 0.56), settles="morning,"),
        Says(end_text(1.0)),
        Says(step(2.0, 0.95)),
        Sends(100),
        Says(text("everyone.", 1.04), settles="everyone."),
        Says(end_text(1.6)),
        Says(flushed(1)),
        Says(text("Yes.", 1.68), settles="Yes."),  # behind `flushed`
        Says(end_text(1.9)),
        Sends(300),
        Says(step(2.08, 0.2)),
        Says(step(2.16, 0.2)),
        Sends(1600),
        Says(step(4.0, 0.02)),
        Says(text("How are", 3.0), settles="How are"),
        Finalizes(),
        Says(text("you?", 3.5), settles="you?"),
        Says(flushed("2")),
        Says(step(4.08, 0.1)),
        Says(step(4.24, 0.1)),
        Sends(1000),
        Says(step(4.8, 0.9)),
        Says(step(5.0, 0.9)),
        Sends(1000),
        Says(text("Fine", 5.1), settles="Fine"),
        Finishes(),
        Says(text("then.", 5.5), settles="then."),
        Says(end_text(5.8)),
        Says(END_OF_STREAM),
        Closes(1000),
    ),
    finals=("Good morning, everyone. Yes.", "How are you?", "Fine then."),
    turn_ends=3,
    while_listening=while_listening,
    unknown='{"type":"mood","value":"cheerful","start_s":1.5}',
    wraps_audio=True,
)

CONVERSATIONS = (TWO_TURNS,)
