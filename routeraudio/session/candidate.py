"""What a session may be served by: a provider, and everything needed to open a connection to it."""

from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import Fault
from routeraudio.providers.base import Adapter, Pace
from routeraudio.session.legs import OpenLeg
from routeraudio.session.streams import Dialler


class Health(Protocol):
    """How a provider stands, for all sessions together. Methods return at once and never raise."""

    def wait_s(self) -> float:
        """How long it should not be dialled; infinity: until the configuration changes."""

    def why(self) -> str:
        """Why it should not be dialled, in a few words; empty: it may be."""

    def dials(self) -> None:
        """A connection is dialled."""

    def ready(self, took_s: float) -> None:
        """It accepts audio, so long after it was dialled."""

    def worked(self) -> None:
        """It has said something final, or has heard a session out."""

    def failed(self, fault: Fault) -> None:
        """A connection was lost or refused, and the provider is to blame."""

    def ended(self) -> None:
        """A connection that `dials` was told of is over."""


class Unknown:
    """Of a provider that nobody keeps a record of."""

    def wait_s(self) -> float:
        """See `Health`."""
        return 0.0

    def why(self) -> str:
        """See `Health`."""
        return ""

    def dials(self) -> None:
        """See `Health`."""

    def ready(self, took_s: float) -> None:
        """See `Health`."""

    def worked(self) -> None:
        """See `Health`."""

    def failed(self, fault: Fault) -> None:
        """See `Health`."""

    def ended(self) -> None:
        """See `Health`."""


UNKNOWN: Final = Unknown()


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One provider as this session would use it."""

    name: str = ""
    """Its name in the catalogue or the configuration."""
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
    open_leg: OpenLeg | None = None
    """Begins a line in the ledger when it takes over; None: nobody pays for it by the cycle."""
    health: Health = UNKNOWN
