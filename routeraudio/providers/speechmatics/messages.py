"""Speechmatics' messages.

Reference: https://docs.speechmatics.com/api-ref/realtime-transcription-websocket (2026-08). The field that tells them
apart is called `message`.
"""

import msgspec

from routeraudio.providers.speechmatics.transcript import Range, Result


class Pack(msgspec.Struct, gc=False):
    word_delimiter: str | None = None


class Started(msgspec.Struct, tag_field="message", tag="RecognitionStarted"):
    id: str | None = None
    language_pack_info: Pack | None = None


class AudioAdded(msgspec.Struct, tag_field="message", tag="AudioAdded"):
    pass


class Partial(msgspec.Struct, tag_field="message", tag="AddPartialTranscript"):
    metadata: Range
    results: list[Result]


class Final(msgspec.Struct, tag_field="message", tag="AddTranscript"):
    metadata: Range
    results: list[Result]


class TurnEnd(msgspec.Struct, tag_field="message", tag="EndOfUtterance"):
    pass


class End(msgspec.Struct, tag_field="message", tag="EndOfTranscript"):
    pass


class Info(msgspec.Struct, tag_field="message", tag="Info"):
    type: str


class Warned(msgspec.Struct, tag_field="message", tag="Warning"):
    type: str


class Error(msgspec.Struct, tag_field="message", tag="Error"):
    type: str
    reason: str = ""


Said = AudioAdded | Partial | Final | TurnEnd | Started | End | Info | Warned | Error
