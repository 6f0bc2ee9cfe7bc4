"""Pieces of the size a vendor wants, whatever the client sends."""


class Chunker:
    """Gathers audio that comes in too small pieces and cuts what comes in too large ones.

    Args:
        least_bytes: nothing shorter is given out, but by `rest`.
        most_bytes: nothing longer is; at least twice ``least_bytes``, so that a cut leaves two good pieces.
    """

    def __init__(self, least_bytes: int, most_bytes: int) -> None:
        assert most_bytes >= 2 * least_bytes, "a cut must leave two good pieces"
        self._least_bytes = least_bytes
        self._most_bytes = most_bytes
        self._held = b""

    def push(self, audio: bytes) -> list[bytes]:
        """What can go now; the order and the bytes are those that came."""
        audio = self._held + audio if self._held else audio
        chunks = []
        start = 0
        while len(audio) - start >= self._most_bytes + self._least_bytes:
            chunks.append(audio[start : start + self._most_bytes])
            start += self._most_bytes
        left_bytes = len(audio) - start
        if left_bytes > self._most_bytes:
            chunks.append(audio[start : start + left_bytes - self._least_bytes])
            start += left_bytes - self._least_bytes
            left_bytes = self._least_bytes
        if left_bytes >= self._least_bytes and left_bytes:
            chunks.append(audio[start:])
            start = len(audio)
        self._held = audio[start:]
        return chunks

    def rest(self) -> bytes:
        """What is held back, however short; nothing is, afterwards."""
        rest, self._held = self._held, b""
        return rest


class Samples:
    """Cuts audio where a sample ends: behind half a sample all the rest would be noise.

    Args:
        step_bytes: of one sampling instant; 1 for a container, which is cut anywhere.
    """

    def __init__(self, step_bytes: int) -> None:
        self._step_bytes = step_bytes
        self._held = b""

    def push(self, audio: bytes) -> bytes:
        """The whole samples of what has come; the rest waits for more."""
        if not self._held and not len(audio) % self._step_bytes:
            return audio
        audio = self._held + audio
        end = len(audio) - len(audio) % self._step_bytes
        self._held = audio[end:]
        return audio[:end]
