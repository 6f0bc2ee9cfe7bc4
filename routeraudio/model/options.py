"""What a client may ask of a session, whatever dialect it speaks and whatever provider serves it."""

import msgspec

from routeraudio.model.audio import AudioFormat


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """One session's wishes. Adapters map them to the nearest thing their vendor has."""

    provider: str
    audio: AudioFormat
    """What the client sends."""
    model: str | None = None
    """None: the provider's default, chosen for the widest language coverage."""
    language: str = "en"
    """BCP-47 code, or `auto`/`multi` for the provider's own detection."""
    diarize: bool = False
    punctuate: bool = True
    partial_results: bool = False
    endpointing_ms: int = 500
    """Silence that closes an utterance, 0–10000."""
    summary: bool = False
    """The last message before the close tells what became of the audio."""
    multichannel: bool = False
    """Transcripts say their channel, where the provider can; else, and without it, channels are mixed."""
    parse_json: bool = True
    """False: the client gets the vendor's messages byte for byte."""

    @property
    def wants_channels(self) -> bool:
        """Whether channels are to be told apart: there are several, and raw audio says where each is."""
        return self.multichannel and self.audio.is_raw and self.audio.channels > 1
