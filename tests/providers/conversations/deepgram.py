"""Deepgram as its documentation and recordings show it: v1 with nova-3, v2 with Flux."""

import json
from collections.abc import Sequence
from typing import Any

from routeraudio.model.audio import AudioFormat
from routeraudio.model.options import Options

from .script import Closes, Conversation, Finalizes, Finishes, Says, Sends

REQUEST_ID = "5e0f3f6e-0c8f-4f52-a6a5-0d9d3d5c7c10"
PCM_16K = AudioFormat("pcm_s16le", 16000)


def results(text: str, start: float, duration: float, **changes: Any) -> str:
    """A v1 `Results`: the words of ``text`` fill its span evenly."""
    spoken = text.split()
    step = duration / max(len(spoken), 1)
    words = [
        {
            "word": word.lower().strip(".,?"),
            "start": round(start + i * step, 3),
            "end": round(start + (i + 1) * step, 3),
            "confidence": 0.99,
            "punctuated_word": word,
        }
        for i, word in enumerate(spoken)
    ]
    message = {
        "type": "Results",
        "channel_index": [0, 1],
        "duration": duration,
        "start": start,
        "is_final": False,
        "speech_final": False,
        "channel": {"alternatives": [{"transcript": text, "confidence": 0.99, "words": words}]},
        "metadata": {
            "request_id": REQUEST_ID,
            "model_info": {"name": "general-nova-3", "version": "2025-06-01.10000", "arch": "nova-3"},
            "model_uuid": "b1f0c9d2-6a53-4c1e-9f3a-2d5b7a8c4e10",
        },
        "from_finalize": False,
    }
    return json.dumps(message | changes)


def utterance_end(last_word_end: float, channel: Sequence[int] = (0, 1)) -> str:
    """A v1 `UtteranceEnd`."""
    return json.dumps({"type": "UtteranceEnd", "channel": channel, "last_word_end": last_word_end})


def metadata(duration: float) -> str:
    """A v1 `Metadata`."""
    return json.dumps(
        {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": REQUEST_ID,
            "sha256": "e3b0c442",
            "created": "2026-11-20T09:15:02.204Z",
            "duration": duration,
            "channels": 1,
        }
    )


def connected() -> str:
    """A v2 `Connected`."""
    return json.dumps({"type": "Connected", "request_id": REQUEST_ID, "sequence_id": 0})


def turn_info(event: str, turn: int, text: str, start: float, end: float) -> str:
    """A v2 `TurnInfo`: the words of ``text`` fill its window evenly, with the float noise of the live service."""
    spoken = text.split()
    step = (end - start) / max(len(spoken), 1)
    words = [
        {
            "word": word,
            "confidence": 0.98,
            "start": start + i * step + 1e-8,
            "end": start + (i + 1) * step + 1e-8,
        }
        for i, word in enumerate(spoken)
    ]
    return json.dumps(
        {
            "type": "TurnInfo",
            "request_id": REQUEST_ID,
            "event": event,
            "turn_index": turn,
            "audio_window_start": start,
            "audio_window_end": end,
            "transcript": text,
            "words": words,
            "end_of_turn_confidence": 0.5,
            "sequence_id": 1,
        }
    )


NOVA = Conversation(
    title="nova-3",
    options=Options(provider="deepgram", audio=PCM_16K, partial_results=True),
    steps=(
        Sends(1500),
        Says(results("good", 0.0, 0.6)),
        Says(results("good morning", 0.0, 1.4)),
        Says(results("Good morning,", 0.0, 1.2, is_final=True), settles="Good morning,"),
        Sends(1500),
        Says(results("everyone", 1.2, 0.8)),
        Says(results("everyone here.", 1.2, 1.6, is_final=True, speech_final=True), settles="everyone here."),
        Says(utterance_end(-1)),
        Sends(2000),
        Says(results("", 2.8, 1.0, is_final=True)),
        Says(results("How are", 3.8, 0.9, is_final=True), settles="How are"),
        Says(utterance_end(2.8)),
        Says(utterance_end(4.7)),
        Sends(1000),
        Finalizes(),
        Says(results("Wait,", 4.8, 0.8, is_final=True, from_finalize=True), settles="Wait,"),
        Sends(1000),
        Says(results("I think", 5.6, 0.5)),
        Finishes(),
        Says(results("I think so.", 5.6, 1.0, is_final=True), settles="I think so."),
        Says(results("", 6.6, 0.4, is_final=True)),
        Says(metadata(7.0)),
        Closes(1000),
    ),
    finals=("Good morning, everyone here.", "How are", "Wait,", "I think so."),
    turn_ends=3,
    unknown='{"type":"ToneDetected","tone":"cheerful","timestamp":1.5}',
)

FLUX = Conversation(
    title="flux",
    options=Options(provider="deepgram", model="flux-general-en", audio=PCM_16K, partial_results=True),
    steps=(
        Says(connected()),
        Sends(2000),
        Says(turn_info("Update", 0, "", 0.0, 0.24)),
        Says(turn_info("Update", 0, "I", 0.0, 0.48)),
        Says(turn_info("StartOfTurn", 0, "I would", 0.0, 0.72)),
        Says(turn_info("Update", 0, "I would", 0.0, 0.96)),
        Says(turn_info("EagerEndOfTurn", 0, "I would like", 0.0, 1.2)),
        Says(turn_info("TurnResumed", 0, "I would like two", 0.0, 1.44)),
        Sends(1000),
        Says(
            turn_info("EndOfTurn", 0, "I would like two tickets.", 0.0, 2.8),
            settles="I would like two tickets.",
        ),
        Says(turn_info("Update", 1, "", 2.8, 2.9)),
        Sends(1000),
        Says(turn_info("StartOfTurn", 1, "Yes", 2.8, 3.4)),
        Says(turn_info("EndOfTurn", 1, "Yes.", 2.8, 3.6), settles="Yes."),
        Sends(1000),
        Says(turn_info("StartOfTurn", 2, "Thank", 3.6, 4.4)),
        Finishes(),
        Says(turn_info("Update", 2, "Thank you.", 3.6, 5.0)),
        Closes(1005),
    ),
    finals=("I would like two tickets.", "Yes.", "Thank you."),
    turn_ends=3,
    unknown='{"type":"SpeakerChanged","sequence_id":7}',
)

CHANNELS = Conversation(
    title="channels",
    options=Options(
        provider="deepgram", audio=AudioFormat("pcm_s16le", 16000, 2), partial_results=True, multichannel=True
    ),
    steps=(
        Sends(2000),
        Says(results("Good", 0.0, 0.6, channel_index=[0, 2])),
        Says(results("Hello?", 0.1, 0.8, channel_index=[1, 2])),
        Says(
            results("Good morning.", 0.0, 1.4, channel_index=[0, 2], is_final=True, speech_final=True),
            settles="Good morning.",
        ),
        Sends(2000),
        Says(results("Hello? Is", 0.1, 1.9, channel_index=[1, 2], is_final=True), settles="Hello? Is"),
        Says(utterance_end(1.9, channel=[1, 2])),
        Says(results("Yes", 2.0, 1.0, channel_index=[0, 2])),
        Says(results("anybody there?", 2.0, 1.5, channel_index=[1, 2], is_final=True, speech_final=True)),
        Finishes(),
        Says(results("Yes.", 2.0, 2.0, channel_index=[0, 2], is_final=True)),
        Says(results("", 3.5, 0.5, channel_index=[1, 2], is_final=True)),
        Says(metadata(4.0)),
        Closes(1000),
    ),
    finals=("Good morning.", "Hello? Is", "anybody there?", "Yes."),
    turn_ends=4,
    unknown='{"type":"ToneDetected","tone":"cheerful","timestamp":1.5}',
)

CONVERSATIONS = (NOVA, FLUX, CHANNELS)
