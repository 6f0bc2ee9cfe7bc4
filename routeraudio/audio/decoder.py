"""The decoder contract: one encoding in, linear PCM out.

A decoder is an incremental, synchronous object. Its output must not depend on how the input was cut into
chunks. To add an encoding, write one file with a decoder and add one line to `catalog.DECODERS`.
"""

from typing import Protocol

from routeraudio.model.audio import AudioFormat


class Decoder(Protocol):
    """The client's bytes as interleaved samples."""

    is_float: bool
    """Whether samples are 32-bit floats with full scale at 1, as codecs decode, and not 16-bit integers."""

    @property
    def pcm(self) -> AudioFormat | None:
        """Rate and channels of what `push` and `finish` return.

        None until the header of a container has told; not None, and fixed, once they return anything.
        """

    @property
    def source_ms(self) -> int:
        """Whole milliseconds of the source's audio taken in."""

    @property
    def has_more(self) -> bool:
        """Whether the last `push` stopped at its bound; one with no data goes on. Few bytes can be much audio."""

    def push(self, data: bytes) -> bytes:
        """The samples that ``data`` completes: whole sampling instants, possibly none.

        Raises:
            ClientFault: the bytes are not what the client said they are.
        """

    def finish(self) -> bytes:
        """The samples still held back. Bytes that never became a whole sample are dropped."""
