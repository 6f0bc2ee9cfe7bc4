"""What a session may be served by: a provider, and everything needed to open a connection to it."""

from collections.abc import Callable

import msgspec

from routeraudio.model.audio import AudioFormat
from routeraudio.providers.base import Adapter, Pace
from routeraudio.session.streams import Dialler


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One provider as this session would use it."""

    title: str
    """As people write it."""
    audio_format: AudioFormat
    """What it is sent."""
    adapter: Callable[[], Adapter]
    """Makes the adapter of one connection; called once for each."""
    dial: Dialler
    pace: Pace | None = None
    """How fast it wants raw audio; None: as fast as it reads."""
    session_s: float | None = None
    """It ends a connection after so long, which is replaced before; None: its end is the session's."""
