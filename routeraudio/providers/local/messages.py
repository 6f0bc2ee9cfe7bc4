"""The engine's messages."""

import msgspec


class Word(msgspec.Struct, gc=False):
    text: str
    start_ms: int
    end_ms: int


class Ready(msgspec.Struct, tag="ready"):
    id: str


class Heard(msgspec.Struct):
    text: str
    start_ms: int
    end_ms: int
    words: list[Word] | None


class Partial(Heard, tag="partial"):
    pass


class Final(Heard, tag="final"):
    pass


class Done(msgspec.Struct, tag="done"):
    audio_ms: int


class Error(msgspec.Struct, tag="error"):
    code: str
    message: str


Said = Ready | Partial | Final | Done | Error
