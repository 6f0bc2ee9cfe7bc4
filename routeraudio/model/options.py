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
    parse_json: bool = True
    """False: the client gets the vendor's messages byte for byte."""
