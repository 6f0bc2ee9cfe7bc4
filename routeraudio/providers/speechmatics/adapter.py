"""One connection to Speechmatics; what is odd about it stands in the package's docstring."""

from collections.abc import Sequence
from typing import Final, assert_never

import msgspec

from routeraudio.model.errors import UpstreamFault
from routeraudio.model.events import Event, Notice
from routeraudio.model.message import Message
from routeraudio.providers import decoding
from routeraudio.providers.base import AdapterConfig, Dial, key_header
from routeraudio.providers.base_adapter import Connection
from routeraudio.providers.chunks import Chunker
from routeraudio.providers.speechmatics import faults
from routeraudio.providers.speechmatics.messages import (
    AudioAdded,
    End,
    Error,
    Info,
    Partial,
    Said,
    Started,
    TurnEnd,
    Warned,
)
from routeraudio.providers.speechmatics.messages import Final as FinalPiece
from routeraudio.providers.speechmatics.request import (
    TITLE,
    TRIGGER_S,
    audio_parameters,
    recognition_parameters,
    target,
    trigger_s,
)
from routeraudio.providers.speechmatics.transcript import Utterance
from routeraudio.providers.transcript import is_too_long

_MESSAGE_BYTES_MAX: Final = 65_536
"""INFERRED: no limit is published; 64 KiB, two seconds of 16 kHz PCM, is what any reader takes."""

_QUIET_S: Final = 1.0
"""Without audio for this long the line is quiet: less is a network's hiccup."""

_SENTENCE_MS: Final = 15_000
"""Without the silence that ends an utterance, the next end of a sentence behind this much closes it."""


class Speechmatics(Connection[Said]):
    """One connection.

    An *utterance* is what was settled and not yet reported, at most one `Final`. A *turn* is open from a final until
    `EndOfUtterance`; it has several finals only where sentences were closed one by one.
    """

    title = TITLE
    _decoder = msgspec.json.Decoder(Said)

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__(config, target(config.options))
        self._trigger_s = trigger_s(config.options.endpointing_ms)
        self._tick_s = max(_QUIET_S, self._trigger_s or TRIGGER_S[1])
        self._chunks = Chunker(1, _MESSAGE_BYTES_MAX)
        self._sent = 0
        """Binary messages: the sequence number of the last one."""
        self._delimiter = " "
        self._utterance = self._new_utterance()
        self._settled_s = 0.0
        """The vendor's position up to which words are final."""
        self._is_cut_off = False
        """The vendor has stopped listening, though it goes on talking."""
        self._is_unforced = False
        """Audio was sent that no `ForceEndOfUtterance` covers."""

    # The contract.

    def dial(self) -> Dial:
        return Dial(
            decoding.url(self._config.url, "/v2", (("sm-app", "routeraudio"),)),
            # API keys and temporary keys alike; none for a container in one's own cellar.
            headers=key_header(self._config.credential, TITLE, scheme="Bearer"),
        )

    def opened(self) -> Sequence[Message]:
        start = {
            "message": "StartRecognition",
            "audio_format": audio_parameters(self._audio_format),
            "transcription_config": recognition_parameters(self._options),
        }
        return (msgspec.json.encode(start).decode(),)

    def _send(self, chunk: bytes) -> Sequence[Message]:
        messages = self._chunks.push(chunk)
        self._sent += len(messages)
        self._is_unforced = self._is_unforced or bool(messages)
        return messages

    def finalize(self) -> Sequence[Message]:
        # With the position: without it words still on their way are cut off (pipecat#4484).
        if not (self._is_ready and self._is_unforced) or self._is_finishing:
            return ()
        self._is_unforced = False
        force = {"message": "ForceEndOfUtterance", "timestamp": self._line.vendor_ms / 1000}
        return (msgspec.json.encode(force).decode(),)

    def _finish(self) -> Sequence[Message]:
        return (msgspec.json.encode({"message": "EndOfStream", "last_seq_no": self._sent}).decode(),)

    def _closed(self, code: int | None, reason: str) -> Sequence[Event]:
        return self._fail(faults.close(self._faults, code, reason))

    def _ticked(self) -> Sequence[Message]:
        """Nothing, or what brings out the last words of a line gone quiet; once, until there is audio again."""
        return self.finalize() if self._quiet_ticks > 0 else ()

    # What the vendor says.

    def _said(self, said: Said) -> Sequence[Event]:
        match said:
            case AudioAdded():
                return ()
            case Partial():
                return self._overheard(said)
            case FinalPiece():
                return self._settle(said)
            case TurnEnd():
                return self._last_turn()
            case Started():
                return self._started(said)
            case End():
                return self._end_of_transcript()
            case Info(type=kind):
                return (Notice(decoding.name(kind)),)
            case Warned(type=kind):
                return self._warned(kind)
            case Error(type=kind, reason=reason):
                return self._fail(faults.error(self._faults, kind, reason))
            case unread:
                assert_never(unread)

    def _started(self, started: Started) -> Sequence[Event]:
        pack = started.language_pack_info
        if not self._is_ready and pack is not None and pack.word_delimiter is not None:
            self._delimiter = pack.word_delimiter
            self._utterance = self._new_utterance()
        return self._ready(started.id)

    def _overheard(self, partial: Partial) -> Sequence[Event]:
        """The settled part of the utterance and the rest of it as heard so far; its speakers are guesses (INFERRED)."""
        results = partial.results
        is_echo = bool(results) and results[-1].end_time <= self._settled_s
        if is_echo or not self._options.partial_results:
            return ()
        whole = self._utterance.copy()
        whole.hear(partial.metadata, results, has_speakers=False)
        if not whole.has_speech:
            return ()
        return self._transcript.partial_at(whole.text, whole.start_ms, whole.end_ms, whole.words)

    def _settle(self, final: FinalPiece) -> Sequence[Event]:
        # No partial of our own: the vendor's follows, and without its rest the text would shrink for a moment.
        results = final.results
        if results:
            if self._transcript.is_repeated(results):
                return ()
            self._settled_s = max(self._settled_s, results[-1].end_time)
        self._utterance.hear(final.metadata, results, has_speakers=self._options.diarize)
        ends_sentence = bool(results and results[-1].is_eos)
        return self._end_utterance() if self._is_long_enough(ends_sentence) else ()

    def _is_long_enough(self, ends_sentence: bool) -> bool:
        """Whether the utterance is to be closed though no `EndOfUtterance` has come."""
        utterance = self._utterance
        length_ms = utterance.end_ms - utterance.start_ms
        if ends_sentence and (self._trigger_s == 0 or length_ms >= _SENTENCE_MS):
            return True
        return is_too_long(length_ms, len(utterance.text))

    def _end_utterance(self) -> list[Event]:
        its = self._utterance
        if not its.has_speech:
            return []
        events = self._transcript.final_at(its.text, its.start_ms, its.end_ms, its.words)
        self._utterance = self._new_utterance()
        return events

    def _new_utterance(self) -> Utterance:
        return Utterance(self._line, self._transcript.settled_ms, self._delimiter)

    def _warned(self, kind: str) -> Sequence[Event]:
        # "Later audio is ignored, then EndOfTranscript."
        self._is_cut_off = self._is_cut_off or kind == "duration_limit_exceeded"
        return (Notice(decoding.name(kind)),)

    def _end_of_transcript(self) -> Sequence[Event]:
        """The last message."""
        if self._is_cut_off:
            return self._fail(
                UpstreamFault(f"{TITLE} listens no longer than its duration limit", is_retryable=True)
            )
        return self._ended()

    def _last_words(self) -> list[Event]:
        return self._end_utterance()

    def _last_turn(self) -> list[Event]:
        return [*self._end_utterance(), *self._transcript.end_turn()]
