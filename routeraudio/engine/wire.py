"""What the pool and its workers say to each other, over a sequenced-packet socket pair, in MessagePack.

One packet is one message. The worker's first packet is `HELLO` with a descriptor of its own process; the pool's
first is a `Wish`. An ended connection on either side means that the other is gone.
"""

from typing import Final, Literal

import msgspec

HELLO: Final = b"hello"
READY: Final = b"ready"
"""What a zygote says once when its model is loaded."""
FORK: Final = b"fork"
"""What a zygote is told, with the worker's end of a new socket pair."""

AUDIO_BYTES_MAX: Final = 6400
"""Audio in one packet (200 ms), so that the socket's buffer bounds what waits for a slow decoder."""
PACKET_BYTES_MAX: Final = 65_536
"""Receive buffer for one packet; the longest is a final of 30 s, about 8 KiB."""


class Wish(msgspec.Struct, frozen=True, kw_only=True, tag="wish"):
    """What one recognition is to do. Audio is 16 kHz mono `pcm_s16le`."""

    model: str | None = None
    """One of the engine's models; None: its first."""
    language: str | None = None
    """BCP-47; None: the model's own, or the one it hears."""
    punctuate: bool = True
    """False: lower case without punctuation."""
    partials: bool = False
    endpointing_ms: int = 500
    """Silence that closes an utterance; brought into 210–10000."""


class Audio(msgspec.Struct, frozen=True, tag="audio"):
    """Some audio, of any length up to `AUDIO_BYTES_MAX`."""

    pcm: bytes
    sent_s: float = 0.0
    """`time.monotonic()` when it was sent, which all processes of a machine share: tells the worker how late it
    is."""


class Finalize(msgspec.Struct, frozen=True, tag="finalize"):
    """Close the open utterance now."""


class Finish(msgspec.Struct, frozen=True, tag="finish"):
    """No more audio: close the open utterance, then say `Done`."""


class HeardWord(msgspec.Struct, frozen=True, gc=False):
    """One recognised word, in milliseconds on the recognition's audio timeline."""

    text: str
    start_ms: int
    end_ms: int


class Heard(msgspec.Struct, frozen=True, tag="heard"):
    """Text, never empty. A partial is the whole open utterance so far; a final closes it."""

    kind: Literal["partial", "final"]
    text: str
    start_ms: int
    """Where its first word begins; where no words are known, where its utterance does."""
    end_ms: int
    """Where its last word ends."""
    words: tuple[HeardWord, ...] | None
    """None: nobody knows when they were said."""


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The last word after `Finish`."""

    audio_ms: int
    """All audio that was heard."""


Command = Wish | Audio | Finalize | Finish
Answer = Heard | Done

encode = msgspec.msgpack.Encoder().encode
decode_command = msgspec.msgpack.Decoder(Command).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode
