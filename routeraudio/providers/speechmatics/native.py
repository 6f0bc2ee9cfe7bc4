"""Speechmatics as its own clients see it: binary audio, described by `StartRecognition`.

Single channels come as base64 in text.
"""

import re
from typing import Final

import msgspec

from routeraudio.providers.native import (
    BY_THE_CLOCK,
    NO_VALUE,
    NOTHING,
    USER_AGENT,
    AudioCounter,
    Handshake,
    Heard,
    NativeProtocol,
    member,
    pcm_rate,
    text_reader,
    value,
)


class _Text(msgspec.Struct):
    message: msgspec.Raw = NO_VALUE
    audio_format: msgspec.Raw = NO_VALUE


def _read(text: _Text) -> Heard:
    name = value(text.message)  # decoded: it may be escaped
    if name == "StartRecognition":
        return Heard(rate=_rate(value(text.audio_format)))
    if name == "AddChannelAudio":
        # How many channels there are at the same time is not known from one of them.
        return Heard(1, BY_THE_CLOCK)
    return NOTHING


def _meter(_handshake: Handshake) -> AudioCounter:
    has_started = False

    def read(text: _Text) -> Heard:
        """The vendor starts once: a second start changes nothing there, and nothing here."""
        nonlocal has_started
        heard = _read(text)
        if heard.rate is None or heard.audio_bytes:
            return heard
        if has_started:
            return NOTHING
        has_started = True
        return heard

    def unread() -> None:
        """It may have been the start, at a rate that is not known here: a later one is not believed."""
        nonlocal has_started
        has_started = True

    return AudioCounter(BY_THE_CLOCK, text_reader(_Text, read, unread=unread))


def _rate(audio_format: object) -> int:
    bytes_per_sample = {"pcm_s16le": 2, "pcm_f32le": 4, "mulaw": 1}.get(str(member(audio_format, "encoding")))
    if member(audio_format, "type") != "raw" or bytes_per_sample is None:
        return BY_THE_CLOCK
    return pcm_rate(str(member(audio_format, "sample_rate")), bytes_per_sample=bytes_per_sample)


NATIVE: Final = NativeProtocol(
    default_path="/v2",
    # The old SDK appends the language: `en`, `cmn_en`, `en_ms_ta`, `auto`; that of Agent STT `agent`, in lower case.
    paths=re.compile(r"/v2/?|/v2/(?:auto|agent|[a-z]{2,3}(?:[_-][a-zA-Z]{2,4}){0,3})/?"),
    key_header="authorization",
    key_scheme="Bearer ",
    headers=USER_AGENT | {"x-request-id"},
    parameters=frozenset(("sm-app", "sm-sdk", "sm-voice-sdk")),
    meter=_meter,
    end_of_audio=lambda binaries: f'{{"message":"EndOfStream","last_seq_no":{binaries}}}',
    refusal=lambda _, message: message.encode(),  # not documented; plain words, a guess
    refusal_type="text/plain",
)
