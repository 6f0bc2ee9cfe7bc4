"""The decoder contract: one encoding in, 16-bit PCM out.

A decoder is an incremental, synchronous object. Its output must not depend on how the input was cut into
chunks. To add an encoding, write one file with a decoder and add one line to `catalog.DECODERS`.
"""

from typing import Protocol

from routeraudio.model.audio import AudioFormat


class Decoder(Protocol):
    """The client's bytes as interleaved `pcm_s16le`."""

    @property
    def pcm(self) -> AudioFormat | None:
        """What `push` and `finish` return.

        None until the header of a container has told; not None, and fixed, once they return anything.
        """

    def push(self, data: bytes) -> bytes:
        """The PCM that ``data`` completes: whole sampling instants, possibly none.

        Raises:
            ClientFault: the bytes are not what the client said they are.
        """

    def finish(self) -> bytes:
        """The PCM still held back. Bytes that never became a whole sample are dropped."""
