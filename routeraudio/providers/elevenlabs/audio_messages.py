"""What an ElevenLabs connection is sent: audio and silence as base64 in JSON."""

import binascii
from typing import Final

from routeraudio.model.audio import AudioFormat
from routeraudio.model.message import Message
from routeraudio.providers.chunks import Chunker

_CHUNK_S_MAX: Final = 1
"""Audio in one message. The limit is not published; the vendor's own clients send 0.1 to 1 s."""


class AudioMessages:
    """Writes the messages of one connection.

    Args:
        audio: raw and mono; there are no containers here.
    """

    def __init__(self, audio: AudioFormat) -> None:
        self._chunker = Chunker(0, audio.bytes_per_second * _CHUNK_S_MAX)
        self._sample_rate = audio.sample_rate

    def wrapped(self, audio: bytes) -> list[Message]:
        """Audio of any length."""
        return [self.message(chunk) for chunk in self._chunker.push(audio)]

    def message(self, audio: bytes = b"", *, is_commit: bool = False) -> Message:
        """An `input_audio_chunk`; also without audio."""
        text = binascii.b2a_base64(audio, newline=False).decode("ascii")
        commit = "true" if is_commit else "false"
        return (
            f'{{"message_type":"input_audio_chunk","audio_base_64":"{text}","commit":{commit},'
            f'"sample_rate":{self._sample_rate}}}'
        )
