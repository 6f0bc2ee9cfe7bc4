"""Toy: a provider that exists in tests only.

What is odd about it: nothing. Whole utterances come as finals, each of which ends its turn.
"""

import re
from collections.abc import Sequence
from typing import Final, assert_never

import msgspec

from routeraudio.model.audio import AudioFormat
from routeraudio.model.events import Event
from routeraudio.model.message import Message
from routeraudio.model.options import Options
from routeraudio.providers import decoding
from routeraudio.providers.base import AdapterConfig, Capabilities, Dial, Entry, key_header
from routeraudio.providers.base_adapter import Connection
from routeraudio.providers.compatibility import unknown_model, unsupported_language
from routeraudio.providers.models import load, speaks
from routeraudio.providers.native import AudioCounter, NativeProtocol, as_json, pcm_rate

CAPABILITIES: Final = Capabilities(encodings=("pcm_s16le",), sample_rates=(16_000,))


class _Ready(msgspec.Struct, tag="ready"):
    id: str


class _Word(msgspec.Struct):
    text: str
    start: float
    end: float


class _Partial(msgspec.Struct, tag="partial"):
    text: str


class _Final(msgspec.Struct, tag="final"):
    text: str
    words: list[_Word]


class _Done(msgspec.Struct, tag="done"):
    pass


class _Error(msgspec.Struct, tag="error"):
    message: str


_Said = _Ready | _Partial | _Final | _Done | _Error


class Toy(Connection[_Said]):
    """One connection."""

    title = "Toy"
    _decoder = msgspec.json.Decoder(_Said)

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__(config, target(config.options))

    def dial(self) -> Dial:
        url = decoding.url(self._config.url, "/toy", [("language", self._options.language)])
        return Dial(url, headers=key_header(self._config.credential, self.title, scheme="Bearer"))

    def finalize(self) -> Sequence[Message]:
        return () if self._is_finishing else ('{"type":"finalize"}',)

    def _finish(self) -> Sequence[Message]:
        return ('{"type":"finish"}',)

    def _said(self, said: _Said) -> Sequence[Event]:
        match said:
            case _Ready(id):
                return self._ready(id)
            case _Partial(text):
                return self._transcript.partial(text)
            case _Final(text, words):
                spoken = ((word.text, word.start, word.end, None, None) for word in words)
                return [*self._transcript.final(text, spoken), *self._transcript.end_turn()]
            case _Done():
                return self._ended()
            case _Error(message):
                return self._fail(self._faults.reported(message))
            case unread:
                assert_never(unread)


def target(options: Options) -> AudioFormat:
    """What is sent."""
    return CAPABILITIES.target(options.audio)


def check(options: Options) -> None:
    """Refuse other models and languages."""
    known = load("toy")
    row = known.find(known.chosen(options.model, options.language))
    if row is None:
        raise unknown_model("Toy", known, options.model or "")
    if not speaks(row, options.language):
        raise unsupported_language("Toy", known, row, options.language)


NATIVE: Final = NativeProtocol(
    default_path="/toy",
    paths=re.compile(r"/toy"),
    key_header="authorization",
    key_scheme="Bearer ",
    meter=lambda _: AudioCounter(pcm_rate(16_000)),
    end_of_audio=lambda _: '{"type":"finish"}',
    refusal=lambda _, message: as_json({"error": message}),
)

ENTRY: Final = Entry(
    name="toy",
    title="Toy",
    default_url="wss://toy.invalid",
    needs_key=True,
    adapter=Toy,
    audio_format=target,
    check=check,
    native=NATIVE,
)
