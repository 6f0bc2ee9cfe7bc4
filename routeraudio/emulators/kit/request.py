"""A client's upgrade request, and its refusal."""

import msgspec


class Request(msgspec.Struct, frozen=True):
    """A client's upgrade request."""

    id: str
    """Given by the emulator; vendors return it in headers and messages."""
    path: str
    """Without the query."""
    params: tuple[tuple[str, str], ...]
    """The query, decoded, in order, repeated names kept."""
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""
    subprotocols: tuple[str, ...]

    def header(self, name: str) -> str | None:
        """The first header of this (lower-case) name."""
        return next((value for key, value in self.headers if key == name), None)


class Refusal(msgspec.Struct, frozen=True):
    """An HTTP answer instead of 101."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
