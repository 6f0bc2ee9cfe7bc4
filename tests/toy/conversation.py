"""The toy provider, as its docstring shows it."""

import json

from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.options import Options

from .script import Closes, Conversation, Finalizes, Finishes, Says, Sends


def final(text: str, start_s: float) -> str:
    """A final: half a second per word."""
    words = [
        {"text": word, "start": start_s + i / 2, "end": start_s + (i + 1) / 2}
        for i, word in enumerate(text.split())
    ]
    return json.dumps({"type": "final", "text": text, "words": words})


CONVERSATIONS = (
    Conversation(
        title="toy",
        options=Options(provider="toy", audio=PCM_16K_MONO, partial_results=True),
        steps=(
            Says('{"type":"ready","id":"t1"}'),
            Sends(2000),
            Says('{"type":"partial","text":"go"}'),
            Says(final("go forward", 0.5), settles="go forward"),
            Sends(1000),
            Finalizes(),
            Says(final("ten", 2.0), settles="ten"),
            Finishes(),
            Says(final("meters", 2.5), settles="meters"),
            Says('{"type":"done"}'),
            Closes(1000),
        ),
        finals=("go forward", "ten", "meters"),
        turn_ends=3,
        unknown='{"type":"mood","value":"cheerful"}',
    ),
)
