"""OpenAI as its SDK, specification and recordings show it: a live model, and one that ends turns itself."""

import json
from typing import Any

from routeraudio.model.audio import AudioFormat
from routeraudio.model.options import Options

from .script import Closes, Conversation, Finalizes, Finishes, Says, Sends

PCM_24K = AudioFormat("pcm_s16le", 24_000)
TRANSCRIPTION = "conversation.item.input_audio_transcription"


def event(type: str, **fields: Any) -> str:
    """A server event."""
    return json.dumps({"type": type, "event_id": "event_1", **fields})


def session(type: str = "session.updated") -> str:
    """A `session.created` or `session.updated`, cut down to what a client may look at."""
    transcription = None if type.endswith("created") else {"model": "gpt-live-transcribe"}
    heard = {"format": {"type": "audio/pcm", "rate": 24_000}, "transcription": transcription}
    its = {
        "type": "transcription",
        "object": "realtime.transcription_session",
        "id": "sess_1",
        "expires_at": 1_763_640_000,
        "audio": {"input": heard | {"noise_reduction": None, "turn_detection": None}},
        "include": None,
    }
    return event(type, session=its)


def started(item_id: str, audio_start_ms: int) -> str:
    """The vendor heard a voice."""
    return event("input_audio_buffer.speech_started", audio_start_ms=audio_start_ms, item_id=item_id)


def stopped(item_id: str, audio_end_ms: int) -> str:
    """The vendor no longer hears it."""
    return event("input_audio_buffer.speech_stopped", audio_end_ms=audio_end_ms, item_id=item_id)


def committed(item_id: str, previous_item_id: str | None = None) -> str:
    """A turn is closed."""
    return event("input_audio_buffer.committed", previous_item_id=previous_item_id, item_id=item_id)


def added(item_id: str) -> str:
    """What comes with every commit and says nothing new."""
    content = [{"type": "input_audio", "transcript": None}]
    item = {"id": item_id, "type": "message", "status": "completed", "role": "user", "content": content}
    return event("conversation.item.added", previous_item_id=None, item=item)


def delta(item_id: str, text: str) -> str:
    """More text of an item."""
    return event(f"{TRANSCRIPTION}.delta", item_id=item_id, content_index=0, delta=text, obfuscation="k3Jf9a")


def completed(item_id: str, text: str, **usage: Any) -> str:
    """An item's text for good."""
    fields = {"item_id": item_id, "content_index": 0, "transcript": text, "languages": [{"code": "en"}]}
    return event(
        f"{TRANSCRIPTION}.completed", **fields, usage=usage or {"type": "tokens", "total_tokens": 22}
    )


def failed(item_id: str, code: str = "audio_unintelligible") -> str:
    """An item without text."""
    error = {"type": "transcription_error", "code": code, "message": "It failed.", "param": None}
    return event(f"{TRANSCRIPTION}.failed", item_id=item_id, content_index=0, error=error)


def error(code: str | None, message: str = "So it is.", **changes: Any) -> str:
    """An error event."""
    fields = {
        "type": "invalid_request_error",
        "code": code,
        "message": message,
        "param": None,
        "event_id": None,
    }
    return event("error", error=fields | changes)


LIVE = Conversation(
    title="live",
    options=Options(provider="openai", model="gpt-live-transcribe", audio=PCM_24K, partial_results=True),
    steps=(
        Says(session("session.created")),
        Says(session()),
        Sends(1500),
        Says(delta("item_1", "Good")),
        Says(delta("item_1", " morning")),
        Says(delta("item_1", " everyone.")),
        Sends(500),
        Finalizes(),
        Says(committed("item_1")),
        Says(added("item_1")),
        Says(completed("item_1", "Good morning, everyone."), settles="Good morning, everyone."),
        Sends(1000),
        Says(delta("item_2", "How")),
        Sends(500),
        Finalizes(),
        Says(delta("item_2", " are you?")),
        Says(committed("item_2", "item_1")),
        Sends(1000),
        Says(delta("item_3", "I think")),
        Says(completed("item_2", "How are you?"), settles="How are you?"),
        Finishes(),
        Says(committed("item_3", "item_2")),
        Says(delta("item_3", " so.")),
        Says(completed("item_3", "I think so.", type="duration", seconds=4.5), settles="I think so."),
        Closes(1000),
    ),
    finals=("Good morning, everyone.", "How are you?", "I think so."),
    turn_ends=1,
    while_listening=lambda number: () if number else (session(),),
    unknown='{"type":"input_audio_buffer.applause","event_id":"event_9","audio_start_ms":10}',
    wraps_audio=True,
)

TURNS = Conversation(
    title="turns",
    options=Options(provider="openai", model="gpt-transcribe", audio=PCM_24K, partial_results=True),
    steps=(
        Says(session("transcription_session.created")),
        Says(session("transcription_session.updated")),
        Sends(2000),
        Says(started("item_1", 212)),
        Says(stopped("item_1", 1900)),
        Says(committed("item_1")),
        Says(added("item_1")),
        Sends(2000),
        Says(started("item_2", 2200)),
        Says(stopped("item_2", 3800)),
        Says(committed("item_2", "item_1")),
        Says(delta("item_1", "Good")),
        Says(delta("item_1", " morning.")),
        Says(delta("item_2", "Sorry?")),
        Says(completed("item_2", "Sorry?")),
        Says(completed("item_1", "Good morning."), settles="Good morning. Sorry?"),
        Sends(1000),
        Says(started("item_3", 4100)),
        Says(stopped("item_3", 4900)),
        Says(committed("item_3", "item_2")),
        Says(completed("item_3", "")),
        Sends(1000),
        Says(started("item_4", 5100)),
        Finishes(),
        Says(committed("item_4", "item_3")),
        Says(completed("item_4", "Yes."), settles="Yes."),
        Closes(1000),
    ),
    finals=("Good morning.", "Sorry?", "Yes."),
    turn_ends=3,
    has_partials=False,
    unknown='{"type":"conversation.item.input_audio_transcription.mood","item_id":"item_1","mood":"cheerful"}',
    wraps_audio=True,
)

CONVERSATIONS = (LIVE, TURNS)
