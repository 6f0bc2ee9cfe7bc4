"""What a decoder process and the daemon say to each other.

standard input     one line: the job. It stays open; when it closes, the daemon is gone and the decoder ends
control socket     decoder → daemon  `Connect`, answered by `Answer` and, where it went well, the connected socket
                                     `Opened`, then at the end `Ended` or `Broken`
standard output    blocks of PCM, 16 kHz mono s16le, behind a length of four bytes (little endian)
"""

import struct
from typing import Final

import msgspec

MESSAGE_BYTES: Final = 4096
"""On the control socket. Host names have at most 253 characters, sentences fewer."""

LENGTH: Final = struct.Struct("<I")

BLOCK_BYTES: Final = 32_000
"""A second of audio. A block is never longer, so that nobody can make the daemon keep more."""


UPLOAD: Final = "upload"
"""The scheme of files that are given open. No client's URL may have it."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a decoder is to do, and within which bounds."""

    url: str
    skip_ms: int = 0
    """Of a recording: what has been heard of it already."""
    wait_s: float
    """For anything from the network."""
    memory_bytes: int
    cpu_s: int

    def __repr__(self) -> str:
        return "Job(…)"  # URLs carry credentials


def upload_url(descriptor: int) -> str:
    """The URL of a file that the decoder has been given open, at its beginning."""
    return f"{UPLOAD}:{descriptor}"


class Connect(msgspec.Struct, frozen=True, tag="connect"):
    """Connect to this for me."""

    host: str
    port: int


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """There is audio in it."""

    is_live: bool
    """It comes as it happens. Otherwise it is a recording, which could be had faster than it can be heard."""
    is_isolated: bool
    """The process has no network of its own."""


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The source has come to its end."""


class Broken(msgspec.Struct, frozen=True, tag="broken"):
    """It cannot be had, or was lost."""

    why: str
    is_retryable: bool


class Answer(msgspec.Struct, frozen=True):
    """To `Connect`."""

    error: str | None = None
    is_retryable: bool = False


Said = Connect | Opened | Ended | Broken
