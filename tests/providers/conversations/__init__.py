"""What is said in the conformance suite: at least one conversation per provider of the catalogue."""

from .assemblyai import CONVERSATIONS as ASSEMBLYAI
from .deepgram import CONVERSATIONS as DEEPGRAM
from .elevenlabs import CONVERSATIONS as ELEVENLABS
from .gradium import CONVERSATIONS as GRADIUM
from .local import CONVERSATIONS as LOCAL
from .openai import CONVERSATIONS as OPENAI
from .script import Conversation
from .soniox import CONVERSATIONS as SONIOX
from .speechmatics import CONVERSATIONS as SPEECHMATICS
from .vachana import CONVERSATIONS as VACHANA

CONVERSATIONS: dict[str, tuple[Conversation, ...]] = {
    "assemblyai": ASSEMBLYAI,
    "deepgram": DEEPGRAM,
    "elevenlabs": ELEVENLABS,
    "gradium": GRADIUM,
    "local": LOCAL,
    "openai": OPENAI,
    "soniox": SONIOX,
    "speechmatics": SPEECHMATICS,
    "vachana": VACHANA,
}
