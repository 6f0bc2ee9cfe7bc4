"""Speechmatics: the realtime API v2.

Documentation: https://docs.speechmatics.com/api-ref/realtime-transcription-websocket (2026-08, AsyncAPI 2.0.0),
Python SDK speechmatics-rt 1.2.1. Agent STT (`linden-1`) is another API and not spoken here.

What is odd about it:

- The field that tells messages apart is called `message`.
- `RecognitionStarted` says that it is ready, and an `Info` often comes before it. Nothing may be sent between
  `StartRecognition` and that.
- Finals (`AddTranscript`) are fragments: some words, a punctuation mark alone, often nothing at all. They are
  collected until `EndOfUtterance`. Their own ranges overlap by 0.1 s, so times are taken from the words.
- Each final is followed at once by a partial with the rest, often an empty one.
- Punctuation comes as results of its own, which attach to the word before or behind them.
- Some languages have no space between words: `RecognitionStarted` says what stands there.
- `EndOfStream` carries the number of binary messages sent. `EndOfTranscript` is the last word; a close without it
  is a lost connection, whatever its code (the vendor's own SDK takes it for an end).
- Closing an utterance goes by silence *in the audio*: when a client's audio stops (a muted microphone) the last
  words would wait for ever, so they are asked for with `ForceEndOfUtterance`.
- It needs no keepalive besides pings: it waits an hour for audio (and 3 min for a sign of life).
- It reads no faster than it works. Its own client keeps a window of unanswered messages; here a full socket does.
"""

from collections.abc import Sequence
from typing import Final, assert_never

import msgspec

from routeraudio.model.errors import Fault, UpstreamFault, unauthorized
from routeraudio.model.events import Event, Finished, Notice, Partial, Ready, TurnEnd
from routeraudio.model.events import Final as FinalText
from routeraudio.model.message import Message
from routeraudio.providers import decoding
from routeraudio.providers.base import AdapterConfig, Dial, Entry, key_header, refusal
from routeraudio.providers.base_adapter import Connection
from routeraudio.providers.chunks import Chunker
from routeraudio.providers.speechmatics.native import NATIVE
from routeraudio.providers.speechmatics.request import (
    TITLE,
    TRIGGER_S,
    audio_parameters,
    check,
    recognition_parameters,
    target,
    trigger_s,
)
from routeraudio.providers.speechmatics.transcript import Range, Result, Utterance

_MESSAGE_BYTES_MAX: Final = 65_536
"""INFERRED: no limit is published; 64 KiB, two seconds of 16 kHz PCM, is what any reader takes."""

_QUIET_S: Final = 1.0
"""Without audio for this long the line is quiet: less is a network's hiccup."""

_SENTENCE_MS: Final = 15_000
"""Without the silence that ends an utterance, the next end of a sentence behind this much closes it."""

_UTTERANCE_MS_MAX: Final = 30_000
"""And without an end of a sentence, this much does: then it is noise, or a language without punctuation."""

_UTTERANCE_CHARACTERS_MAX: Final = 4000
"""The same bound in memory, for a vendor that sends text without time: 30 s of fast speech have 700."""

_RETRYABLE: Final = frozenset(
    {"quota_exceeded", "job_error", "unknown_error", "internal_error", "idle_timeout", "session_timeout"}
)
"""Errors after which a new session may succeed; the vendor asks for 5–10 s in between. The others would come again."""

_RATE_LIMITED: Final = frozenset({"quota_exceeded", "timelimit_exceeded"})
"""Too many sessions at once; the month's hours are used up."""

_KEY_REFUSED: Final = frozenset({"not_authorised", "not_allowed"})

_CLOSES: Final = {
    4001: "not_authorised",
    4003: "not_allowed",
    4004: "invalid_model",
    4005: "quota_exceeded",
    4006: "timelimit_exceeded",
    4013: "job_error",
}
"""The vendor's own close codes, by the error they stand for. Usually an `Error` has told it before."""


# Wire structs: https://docs.speechmatics.com/api-ref/realtime-transcription-websocket


class _Pack(msgspec.Struct, gc=False):
    word_delimiter: str | None = None


class _Started(msgspec.Struct, tag_field="message", tag="RecognitionStarted"):
    id: str | None = None
    language_pack_info: _Pack | None = None


class _AudioAdded(msgspec.Struct, tag_field="message", tag="AudioAdded"):
    pass


class _Partial(msgspec.Struct, tag_field="message", tag="AddPartialTranscript"):
    metadata: Range
    results: list[Result]


class _Final(msgspec.Struct, tag_field="message", tag="AddTranscript"):
    metadata: Range
    results: list[Result]


class _TurnEnd(msgspec.Struct, tag_field="message", tag="EndOfUtterance"):
    pass


class _End(msgspec.Struct, tag_field="message", tag="EndOfTranscript"):
    pass


class _Info(msgspec.Struct, tag_field="message", tag="Info"):
    type: str


class _Warning(msgspec.Struct, tag_field="message", tag="Warning"):
    type: str


class _Error(msgspec.Struct, tag_field="message", tag="Error"):
    type: str
    reason: str = ""


_Message = _AudioAdded | _Partial | _Final | _TurnEnd | _Started | _End | _Info | _Warning | _Error

_DECODER: Final[msgspec.json.Decoder[_Message]] = msgspec.json.Decoder(_Message)


class Speechmatics(Connection):
    """One connection.

    An *utterance* is what was settled and not yet reported, at most one `Final`. A *turn* is open from a final until
    `EndOfUtterance`; it has several finals only where sentences were closed one by one.
    """

    is_ready_when_opened = False

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__(config, target(config.options))
        self._trigger_s = trigger_s(config.options.endpointing_ms)
        self._tick_s = max(_QUIET_S, self._trigger_s or TRIGGER_S[1])
        self._chunks = Chunker(1, _MESSAGE_BYTES_MAX)
        self._sent = 0
        """Binary messages: the sequence number of the last one."""
        self._delimiter = " "
        self._settled_ms = 0
        """Session position up to which finals are told; nothing later reaches back before it."""
        self._utterance = self._new_utterance()
        self._last_piece: list[Result] = []
        self._settled_s = 0.0
        """The vendor's position up to which words are final."""
        self._partial = ""
        self._is_turn_open = False
        self._is_ready = False
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

    def refused(self, status: int, body: bytes) -> Fault:
        # The bodies are not documented: plain text is told, a proxy's page is not.
        text = "" if body.lstrip().startswith(b"<") else body[:1000].decode(errors="replace")
        credential = self._config.credential
        return refusal(TITLE, status, credential=credential, words=decoding.words(text, credential))

    def opened(self) -> Sequence[Message]:
        start = {
            "message": "StartRecognition",
            "audio_format": audio_parameters(self._audio_format),
            "transcription_config": recognition_parameters(self._options),
        }
        return (msgspec.json.encode(start).decode(),)

    def audio(self, chunk: bytes) -> Sequence[Message]:
        assert not self._is_finishing, "audio after finish()"
        messages = self._chunks.push(chunk)
        self._line.sent(len(chunk))
        self._sent += len(messages)
        self._quiet_ticks = -1
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
        kind = _CLOSES.get(code or 0)
        if kind is not None:
            return self._fail(self._fault(kind, reason))
        return self._fail(decoding.closing(TITLE, code, reason, credential=self._config.credential))

    def _ticked(self) -> Sequence[Message]:
        """Nothing, or what brings out the last words of a line gone quiet; once, until there is audio again."""
        return self.finalize() if self._quiet_ticks > 0 else ()

    # What the vendor says.

    def _read(self, message: Message) -> Sequence[Event]:
        match decoding.read(_DECODER, message, title=TITLE):
            case _AudioAdded():
                return ()
            case _Partial() as partial:
                return self._overheard(partial)
            case _Final() as final:
                return self._settle(final)
            case _TurnEnd():
                return self._end_turn()
            case _Started() as started:
                return self._started(started)
            case _End():
                return self._ended()
            case _Info(type=kind):
                return (Notice(decoding.name(kind)),)
            case _Warning(type=kind):
                return self._warned(kind)
            case _Error(type=kind, reason=reason):
                return self._fail(self._fault(kind, reason))
            case Notice() as notice:
                return (notice,)
            case UpstreamFault() as fault:
                return self._broken(fault)
            case unread:
                assert_never(unread)

    def _started(self, started: _Started) -> Sequence[Event]:
        if self._is_ready:
            return ()
        self._is_ready = True
        pack = started.language_pack_info
        if pack is not None and pack.word_delimiter is not None:
            self._delimiter = pack.word_delimiter
            self._utterance = self._new_utterance()
        return (Ready(started.id),)

    def _overheard(self, partial: _Partial) -> Sequence[Event]:
        """The settled part of the utterance and the rest of it as heard so far; its speakers are guesses (INFERRED)."""
        results = partial.results
        is_echo = bool(results) and results[-1].end_time <= self._settled_s
        if is_echo or not self._options.partial_results:
            return ()
        whole = self._utterance.copy()
        whole.hear(partial.metadata, results, has_speakers=False)
        if not whole.has_speech or whole.text == self._partial:
            return ()
        self._partial = whole.text
        return (Partial(whole.text, whole.start_ms, whole.end_ms, tuple(whole.words) or None),)

    def _settle(self, final: _Final) -> Sequence[Event]:
        # No partial of our own: the vendor's follows, and without its rest the text would shrink for a moment.
        results = final.results
        if results:
            if results == self._last_piece:
                return ()  # said twice
            self._last_piece = results
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
        return length_ms >= _UTTERANCE_MS_MAX or len(utterance.text) >= _UTTERANCE_CHARACTERS_MAX

    def _end_utterance(self) -> list[Event]:
        utterance = self._utterance
        self._partial = ""
        if not utterance.has_speech:
            return []
        self._settled_ms = utterance.end_ms
        self._utterance = self._new_utterance()
        self._is_turn_open = True
        words = tuple(utterance.words) or None
        return [FinalText(utterance.text, utterance.start_ms, utterance.end_ms, words)]

    def _new_utterance(self) -> Utterance:
        return Utterance(self._line, self._settled_ms, self._delimiter)

    def _end_turn(self) -> Sequence[Event]:
        events = self._end_utterance()
        if self._is_turn_open:
            self._is_turn_open = False
            events.append(TurnEnd(self._settled_ms))
        return events

    def _warned(self, kind: str) -> Sequence[Event]:
        # "Later audio is ignored, then EndOfTranscript."
        self._is_cut_off = self._is_cut_off or kind == "duration_limit_exceeded"
        return (Notice(decoding.name(kind)),)

    def _ended(self) -> Sequence[Event]:
        """The last message."""
        if self._is_cut_off:
            return self._fail(
                UpstreamFault(f"{TITLE} listens no longer than its duration limit", is_retryable=True)
            )
        if not self._is_finishing:
            return self._fail(UpstreamFault(f"{TITLE} ended before it was asked to", is_retryable=True))
        events = [*self._end_turn(), Finished()]
        self._is_over = True
        return events

    def _last_words(self) -> list[Event]:
        return self._end_utterance()

    def _fault(self, kind: str, reason: str) -> Fault:
        credential = self._config.credential
        said = decoding.words(f"{kind}: {reason}" if reason and reason != kind else kind, credential)
        if kind in _KEY_REFUSED and credential is not None and credential.is_clients_own:
            return unauthorized(f"{TITLE} refused the API key you sent ({said}); check the key")
        return UpstreamFault(
            f"{TITLE} reported an error: {said}",
            code="rate_limited" if kind in _RATE_LIMITED else "provider_error",
            is_retryable=kind in _RETRYABLE,
        )


ENTRY: Final = Entry(
    name="speechmatics",
    title=TITLE,
    default_url="wss://eu2.rt.speechmatics.com",  # as the vendor's SDK; other regions: us, eu, global
    needs_key=True,
    session_s=48 * 3600.0,  # the limits page
    adapter=Speechmatics,
    audio_format=target,
    check=check,
    native=NATIVE,
)
