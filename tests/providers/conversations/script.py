"""How a conversation with a vendor is written down."""

from collections.abc import Callable

import msgspec

from routeraudio.model.options import Options


class Sends(msgspec.Struct, frozen=True):
    """The client sends this much audio."""

    audio_ms: int


class Says(msgspec.Struct, frozen=True):
    """The vendor sends a text message."""

    message: str
    settles: str = ""
    """Text that the vendor calls final with this message: it must reach the client whatever follows."""


class Finalizes(msgspec.Struct, frozen=True):
    """The client asks for finals."""


class Finishes(msgspec.Struct, frozen=True):
    """The client has no more audio."""


class Closes(msgspec.Struct, frozen=True):
    """The vendor's connection ends."""

    code: int | None
    reason: str = ""


Step = Sends | Says | Finalizes | Finishes | Closes


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A session from its first audio to the vendor's normal end, and what must come of it."""

    title: str
    options: Options
    """With raw audio, so that positions can be checked, and with partials."""
    steps: tuple[Step, ...]
    finals: tuple[str, ...]
    """Texts of the finals, in order."""
    turn_ends: int
    has_partials: bool = True
    unknown: str
    """A message of a type that the vendor may add one day."""
    while_listening: Callable[[int], tuple[str, ...]] = lambda _: ()
    """What the vendor says before the n-th 80 ms of a clip in which somebody speaks for 2.4 s, beginning with its
    readiness; for vendors whose utterances we end."""
    wraps_audio: bool = False
    """Whether audio travels inside text messages rather than as it is."""
    ends_empty: bool = False
    """Whether the vendor's end-of-stream message is an empty text."""
