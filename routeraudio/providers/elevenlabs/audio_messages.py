"""What an ElevenLabs connection is sent: audio and silence as base64 in JSON, counted on the vendor's timeline."""

import binascii
from typing import Final

from routeraudio.model.audio import AudioFormat
from routeraudio.model.message import Message
from routeraudio.providers.chunks import Chunker
from routeraudio.providers.timeline import Timeline

_HOLD_SILENCE_MS: Final = 80
"""Silence that keeps a line open; seen to do so: 20 ms every 5 s, 250 ms every 10 s."""

_CHUNK_S_MAX: Final = 1
"""Audio in one message. The limit is not published; the vendor's own clients send 0.1 to 1 s."""


class Line(Timeline):
    """The timeline of one connection, and the messages that move it.

    Args:
        audio: raw and mono; there are no containers here.
        silence_ms: what the voice detection takes for the end of speech.
    """

    def __init__(self, audio: AudioFormat, silence_ms: int) -> None:
        super().__init__(audio)
        self._chunker = Chunker(0, audio.bytes_per_second * _CHUNK_S_MAX)
        self._silence_ms = silence_ms
        self._sample_rate = audio.sample_rate

    @property
    def now_ms(self) -> int:
        """The session's position up to which audio was sent."""
        return self.session_ms(self.vendor_ms / 1000)

    def audio(self, chunk: bytes) -> list[Message]:
        """The client's audio."""
        self.sent(len(chunk))
        return self._wrapped(chunk)

    def quiet(self, more_ms: int) -> list[Message]:
        """Silence that outlasts the voice detection by ``more_ms``."""
        return self._wrapped(b"".join(self.silence(self._silence_ms + more_ms)))

    def hold(self) -> list[Message]:
        """Silence that keeps the line open."""
        return self._wrapped(b"".join(self.silence(_HOLD_SILENCE_MS)))

    def message(self, audio: bytes = b"", *, is_commit: bool = False) -> Message:
        """An `input_audio_chunk`; also without audio."""
        text = binascii.b2a_base64(audio, newline=False).decode("ascii")
        commit = "true" if is_commit else "false"
        return (
            f'{{"message_type":"input_audio_chunk","audio_base_64":"{text}","commit":{commit},'
            f'"sample_rate":{self._sample_rate}}}'
        )

    def _wrapped(self, audio: bytes) -> list[Message]:
        return [self.message(chunk) for chunk in self._chunker.push(audio)]
