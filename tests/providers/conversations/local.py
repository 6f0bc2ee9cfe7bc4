"""The local engine as `routeraudio.engine.protocol` describes it."""

import json
from typing import Any

from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.options import Options

from .script import Closes, Conversation, Finalizes, Finishes, Says, Sends


def heard(kind: str, text: str, start_ms: int, end_ms: int) -> str:
    """A `partial` or `final`: the words of ``text`` fill its span evenly."""
    spoken = text.split()
    step_ms = (end_ms - start_ms) // len(spoken)
    words: list[dict[str, Any]] = [
        {"text": word, "start_ms": start_ms + i * step_ms, "end_ms": start_ms + (i + 1) * step_ms}
        for i, word in enumerate(spoken)
    ]
    return json.dumps({"type": kind, "text": text, "start_ms": start_ms, "end_ms": end_ms, "words": words})


ENGINE = Conversation(
    title="engine",
    options=Options(provider="local", audio=PCM_16K_MONO, partial_results=True),
    steps=(
        Says('{"type":"ready","id":"r1"}'),
        Sends(2000),
        Says(heard("partial", "good", 200, 600)),
        Says(heard("partial", "good morning", 200, 1100)),
        Says(heard("final", "good morning everyone", 200, 1700), settles="good morning everyone"),
        Sends(2000),
        Says(heard("partial", "how", 2300, 2500)),
        Finalizes(),
        Says(heard("final", "how are you", 2300, 3200), settles="how are you"),
        Sends(1000),
        Finishes(),
        Says(heard("final", "fine", 4100, 4500), settles="fine"),
        Says('{"type":"done","audio_ms":5000}'),
        Closes(1000),
    ),
    finals=("good morning everyone", "how are you", "fine"),
    turn_ends=0,
    unknown='{"type":"mood","value":"cheerful"}',
)

CONVERSATIONS = (ENGINE,)
