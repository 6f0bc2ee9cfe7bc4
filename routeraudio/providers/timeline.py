"""From a vendor's clock to that of its connection.

A vendor counts all it was sent. A connection counts the audio of the *client* that went over it. They differ by the
silence an adapter puts in where a vendor needs audio to go on:

    vendor      0 ──── speech ────▶ 2.0 ── our silence ──▶ 2.5 ──── speech ────▶
    connection  0 ──── speech ────▶ 2.0 ───────────────────────── speech ────▶

A position inside our silence is the place where it was put in. No position lies behind the audio the client
sent. Where the connection's audio begins in the session only the relay knows, which moves what an adapter tells.
"""

from functools import cache
from typing import Final

from routeraudio.model.audio import AudioFormat

SILENCE_PIECE_MS: Final = 80
"""Length of one message of silence: what Deepgram advises for Flux, within the 20–250 ms it advises for v1,
and a whole number of samples at every rate of ours."""

_SILENCES_MAX: Final = 32
"""Silences remembered one by one. Older ones only shift; vendors do not speak of what lies 32 pauses back."""

_POSITION_S_MAX: Final = 30 * 86_400.0
"""A month: more than any session. A vendor's mad number must not become an int without bound."""

_QUIET_BYTE: Final = {"pcm_s16le": b"\x00", "pcm_mulaw": b"\xff"}
"""A sample of silence is made of these (mu-law: ITU-T G.711, table 2a, positive zero)."""


class Timeline:
    """Counts what one connection is sent and maps the vendor's positions to the connection's timeline.

    Args:
        audio: what the connection is sent. A container's duration cannot be counted: its positions have no
            upper bound, and no silence can be put in.
    """

    def __init__(self, audio: AudioFormat) -> None:
        self._bytes_per_second = audio.bytes_per_second if audio.is_raw else 0
        self._piece = b"" if not audio.is_raw else _piece(audio)
        self._client_bytes = 0
        self._silences: list[tuple[int, int]] = []  # vendor's position, length; ms, ascending
        self._forgotten_ms = 0
        self._inserted_ms = 0

    @property
    def has_client_audio(self) -> bool:
        """Whether any of the client's audio was sent."""
        return self._client_bytes > 0

    @property
    def takes_silence(self) -> bool:
        """Whether silence can be put in: not into a container."""
        return bool(self._piece)

    def sent(self, length_bytes: int) -> None:
        """Count audio of the client."""
        self._client_bytes += length_bytes

    def silence(self, duration_ms: int) -> list[bytes]:
        """Messages of silence, at least ``duration_ms`` long together, counted as sent. Raw formats only."""
        assert self.takes_silence, "silence cannot be put into a container"
        count = -(-duration_ms // SILENCE_PIECE_MS)
        if not count:
            return []
        length_ms = count * SILENCE_PIECE_MS
        position_ms = self._client_ms + self._inserted_ms
        self._inserted_ms += length_ms
        self._remember(position_ms, length_ms)
        return [self._piece] * count

    def session_ms(self, position_s: float) -> int:
        """The connection's position of a vendor's position, inside the audio the client sent."""
        position_ms = milliseconds(position_s)
        if self._inserted_ms:
            position_ms = max(position_ms - self._inserted_before(position_ms), 0)
        if self._bytes_per_second:
            client_ms = self._client_bytes * 1000 // self._bytes_per_second
            if position_ms > client_ms:
                position_ms = client_ms
        return position_ms

    def span(self, start_s: float, end_s: float, *, from_ms: int) -> tuple[int, int]:
        """A stretch on the connection's timeline, not before ``from_ms`` and not running backwards."""
        start_ms = self.session_ms(start_s)
        end_ms = self.session_ms(end_s)
        if start_ms < from_ms:
            start_ms = from_ms
        return start_ms, (end_ms if end_ms > start_ms else start_ms)

    @property
    def vendor_ms(self) -> int:
        """Where the vendor's clock stands when it has heard everything; 0 for a container."""
        return self._client_ms + self._inserted_ms if self._bytes_per_second else 0

    @property
    def _client_ms(self) -> int:
        return self._client_bytes * 1000 // self._bytes_per_second

    def _remember(self, position_ms: int, length_ms: int) -> None:
        if self._silences:
            last_ms, last_length_ms = self._silences[-1]
            if last_ms + last_length_ms == position_ms:  # no audio since: one silence
                self._silences[-1] = (last_ms, last_length_ms + length_ms)
                return
        self._silences.append((position_ms, length_ms))
        if len(self._silences) > _SILENCES_MAX:
            self._forgotten_ms += self._silences.pop(0)[1]

    def _inserted_before(self, position_ms: int) -> int:
        """Milliseconds of our silence before the vendor's ``position_ms``."""
        inserted_ms = self._forgotten_ms
        for start_ms, length_ms in self._silences:
            if position_ms <= start_ms:
                break
            inserted_ms += min(position_ms - start_ms, length_ms)
        return inserted_ms


def milliseconds(seconds: float) -> int:
    """A vendor's seconds, rounded; never negative, never absurd."""
    if 0.0 <= seconds <= _POSITION_S_MAX:
        return int(seconds * 1000 + 0.5)
    return 0 if seconds < 0.0 else int(_POSITION_S_MAX * 1000)


@cache
def _piece(audio: AudioFormat) -> bytes:
    samples = audio.sample_rate * SILENCE_PIECE_MS // 1000
    return _QUIET_BYTE[audio.encoding] * (samples * audio.bytes_per_step)
