"""One connection to the local engine; what is odd about it stands in the package's docstring."""

from collections.abc import Sequence
from typing import Final, assert_never

import msgspec

from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.errors import CloseCode, UpstreamFault
from routeraudio.model.events import Event, Usage
from routeraudio.model.message import Message
from routeraudio.providers import decoding
from routeraudio.providers.base import AdapterConfig, Dial
from routeraudio.providers.base_adapter import Connection
from routeraudio.providers.local.messages import Done, Error, Heard, Partial, Ready, Said
from routeraudio.providers.local.messages import Final as FinalText
from routeraudio.providers.local.request import TITLE, is_choice, punctuates, target
from routeraudio.providers.timeline import Spoken
from routeraudio.providers.transcript import Span

FINALIZE: Final = '{"type":"finalize"}'
FINISH: Final = '{"type":"finish"}'

FULL: Final = "engine_full"
_ERRORS_RETRYABLE: Final = frozenset({FULL, "engine_failed"})
"""The others are about what we sent, and would come again."""


TICK_S: Final = 0.5
"""How often it is looked whether audio still comes."""


class Local(Connection[Said]):
    """One connection to the engine."""

    title = TITLE
    _decoder = msgspec.json.Decoder(Said)
    _tick_s = TICK_S

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__(config, target(config.options))
        self._is_asked = False
        """Finals have been asked for since the last audio."""

    def dial(self) -> Dial:
        options = self._config.options
        parameters = (
            *((("model", options.model),) if options.model is not None else ()),
            *((("language", options.language),) if is_choice(options) else ()),
            ("sample_rate", str(PCM_16K_MONO.sample_rate)),
            *((("punctuate", "false"),) if not options.punctuate and punctuates(options) else ()),
            ("partials", "true" if options.partial_results else "false"),
            ("endpointing_ms", str(options.endpointing_ms)),
        )
        return Dial(decoding.url(self._config.url, "/v1/recognise", parameters))

    def _send(self, chunk: bytes) -> Sequence[Message]:
        self._is_asked = False
        return (chunk,)

    def _ticked(self) -> Sequence[Message]:
        """A client that stops sending sends no silence that could end its utterance: the wire's silence does."""
        if self._is_asked or self._quiet_ticks * TICK_S * 1000 < self._options.endpointing_ms:
            return ()
        self._is_asked = True
        return (FINALIZE,)

    def finalize(self) -> Sequence[Message]:
        return () if self._is_finishing else (FINALIZE,)

    def _finish(self) -> Sequence[Message]:
        return (FINISH,)

    def _said(self, said: Said) -> Sequence[Event]:
        match said:
            case Ready(id):
                return self._ready(id)
            case Partial():
                return self._transcript.partial(said.text, _spoken(said), _span_s(said))
            case FinalText():
                return self._transcript.final(said.text, _spoken(said), _span_s(said))
            case Done(audio_ms):
                return self._ended(Usage(audio_ms))
            case Error(code, message) if code == FULL:
                return self._fail(
                    UpstreamFault(
                        decoding.words(message, None),
                        code="rate_limited",
                        close_code=CloseCode.TRY_LATER,
                        is_retryable=True,
                    )
                )
            case Error(code, message):
                return self._fail(self._faults.reported(message, is_retryable=code in _ERRORS_RETRYABLE))
            case unread:
                assert_never(unread)

    def _last_turn(self) -> list[Event]:
        # The engine tells no turns. A partial is nothing to keep: the second pass may hear something else.
        return []


def _spoken(heard: Heard) -> list[Spoken]:
    return [(word.text, word.start_ms / 1000, word.end_ms / 1000, None, None) for word in heard.words or ()]


def _span_s(heard: Heard) -> Span:
    return heard.start_ms / 1000, heard.end_ms / 1000
