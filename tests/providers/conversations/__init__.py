"""What is said in the conformance suite: at least one conversation per provider of the catalogue."""

from .deepgram import CONVERSATIONS as DEEPGRAM
from .local import CONVERSATIONS as LOCAL
from .script import Conversation

CONVERSATIONS: dict[str, tuple[Conversation, ...]] = {
    "deepgram": DEEPGRAM,
    "local": LOCAL,
}
