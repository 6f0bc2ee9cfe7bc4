"""What is said in the conformance suite: at least one conversation per provider of the catalogue."""

from .assemblyai import CONVERSATIONS as ASSEMBLYAI
from .deepgram import CONVERSATIONS as DEEPGRAM
from .gradium import CONVERSATIONS as GRADIUM
from .local import CONVERSATIONS as LOCAL
from .script import Conversation
from .soniox import CONVERSATIONS as SONIOX
from .speechmatics import CONVERSATIONS as SPEECHMATICS

CONVERSATIONS: dict[str, tuple[Conversation, ...]] = {
    "assemblyai": ASSEMBLYAI,
    "deepgram": DEEPGRAM,
    "gradium": GRADIUM,
    "local": LOCAL,
    "soniox": SONIOX,
    "speechmatics": SPEECHMATICS,
}
