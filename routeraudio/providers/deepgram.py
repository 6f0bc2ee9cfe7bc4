"""Deepgram: Nova and older models over `/v1/listen`; Flux models, another protocol, in `deepgram_flux`.

Documentation: https://developers.deepgram.com/docs/live-streaming-audio (2026-11), asyncapi of 2026-07-22.

What is odd about v1:

- One utterance comes as several `is_final` pieces, each with the text of its own span only, until
  `speech_final` says that it is over. With noise behind the voice `speech_final` may never come
  (livekit/agents#931), so `utterance_end_ms` is asked for as a second signal. That needs
  `interim_results=true`: interims are always asked for, and dropped here when the client does not want
  partials. Even so an utterance is closed after 30 s of settled text.
- `UtteranceEnd` may come late and name a word of the utterance before, or -1: it counts only if its word lies
  in the open turn.
- `Finalize` may get no answer. Nothing here waits for one.
- An empty binary message ends the stream. The line dies after 10 s without audio or `KeepAlive` (NET-0001),
  and `KeepAlive` does not count before the first audio.
- When a client's audio stops (a muted microphone) the vendor's silence detection stops too, and the last
  words would wait for ever: silence is put in, once, long enough for it to notice. Where none can be put in
  (containers, `parse_json=false`) a `Finalize` is sent.
- There is no message of readiness.
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from routeraudio.model.errors import UpstreamFault, invalid_parameter
from routeraudio.model.events import Event, Notice, Partial, TurnEnd, Usage, Word
from routeraudio.model.events import Final as FinalText
from routeraudio.model.message import Message
from routeraudio.model.options import Options
from routeraudio.providers import wire
from routeraudio.providers.base import Adapter, Capabilities, Entry, Leg
from routeraudio.providers.deepgram_connection import (
    TITLE,
    DeepgramConnection,
    Parameters,
    known_model,
    models,
    raw_parameters,
    spelled_language,
)
from routeraudio.providers.deepgram_flux import Flux
from routeraudio.providers.models import shown
from routeraudio.providers.timeline import milliseconds

CAPABILITIES: Final = Capabilities(
    encodings=("pcm_s16le", "pcm_mulaw", "ogg_opus", "webm", "mp3"),
    has_turn_ends=True,
    has_diarization=True,
)
"""v1 takes any rate, and several channels too: these are mixed down, since no event names a channel."""

KEEPALIVE: Final = '{"type":"KeepAlive"}'
FINALIZE: Final = '{"type":"Finalize"}'

_TICK_S: Final = 3.0
"""The vendor advises a KeepAlive every 3–5 s; a gap is at most two ticks, 6 s of the 10 s the line lives."""

_UTTERANCE_END_MS: Final = (1000, 5000)
"""What `utterance_end_ms` may be (vendor to integrators, jambonz-feature-server PR 740)."""

_NOTICE_SILENCE_MS: Final = 500
"""More silence than was asked for, so that the vendor surely notices it."""

_HOLD_SILENCE_MS: Final = 80
"""Audio that counts as the first audio, for a client that has not spoken yet."""

_UTTERANCE_MS_MAX: Final = 30_000
"""Settled text is held back for at most this much audio. Sentences are over in 20 s; a vendor that finds no
end in 30 s has noise, not a sentence."""

_UNSETTLED_MS: Final = 1000
"""Audio without a `Results` of its own at the end of a good stream; `Results` cover silence too."""

_UTTERANCE_CHARACTERS_MAX: Final = 4000
"""The same bound in memory, for a vendor that sends text without time: 30 s of fast speech have 700."""

_MODEL_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


# Wire structs: https://developers.deepgram.com/reference/speech-to-text/listen-streaming


class _Word(msgspec.Struct, gc=False):
    word: str
    start: float
    end: float
    punctuated_word: str | None = None
    speaker: int | None = None


class _Alternative(msgspec.Struct):
    transcript: str
    words: list[_Word] = []


class _Channel(msgspec.Struct):
    alternatives: list[_Alternative]


class _Results(msgspec.Struct, tag="Results"):
    start: float
    duration: float
    channel: _Channel
    is_final: bool | None = None
    speech_final: bool | None = None
    from_finalize: bool | None = None


class _UtteranceEnd(msgspec.Struct, tag="UtteranceEnd"):
    last_word_end: float


class _Metadata(msgspec.Struct, tag="Metadata"):
    duration: float


class _Error(msgspec.Struct, tag="Error"):
    variant: str | None = None
    description: str | None = None


_Message = _Results | _UtteranceEnd | _Metadata | _Error

_DECODER: Final[msgspec.json.Decoder[_Message]] = msgspec.json.Decoder(_Message)


class Nova(DeepgramConnection):
    """One v1 connection.

    An *utterance* is the settled pieces not yet reported, at most one `Final`. A *turn* is open from its
    first settled word until `speech_final` or `UtteranceEnd`; it has several utterances only when one was
    closed by `Finalize` or by its bound.
    """

    is_ready_when_opened = True
    _path = "/v1/listen"
    _tick_s = _TICK_S

    def __init__(self, leg: Leg) -> None:
        super().__init__(leg, CAPABILITIES)
        endpointing_ms = leg.options.endpointing_ms
        self._utterance_end_ms = min(max(endpointing_ms, _UTTERANCE_END_MS[0]), _UTTERANCE_END_MS[1])
        self._noticed_ms = max(endpointing_ms, self._utterance_end_ms) + _NOTICE_SILENCE_MS
        self._texts: list[str] = []
        self._words: list[Word] = []
        self._start_ms = 0
        self._turn_start_ms: int | None = None
        self._interim = ""
        self._partial = ""
        self._last_piece: tuple[float, float, str] | None = None
        self._settled_s = 0.0
        """The vendor's position up to which it has said its last word."""

    def _parameters(self) -> Parameters:
        options = self._options
        # With parse_json=false the client sees every message: it gets the interims it asked for, not ours.
        wants_interims = options.parse_json or options.partial_results
        parameters = [("model", self._model), *_language_parameters(self._model, options.language)]
        parameters += raw_parameters(self._audio_format)
        if self._audio_format.is_raw:
            parameters.append(("channels", str(self._audio_format.channels)))
        parameters.append(("interim_results", _flag(wants_interims)))
        if wants_interims:
            parameters.append(("utterance_end_ms", str(self._utterance_end_ms)))
        parameters.append(("endpointing", str(options.endpointing_ms) if options.endpointing_ms else "false"))
        parameters.append(("punctuate", _flag(options.punctuate)))
        parameters.append(("diarize", _flag(options.diarize)))
        return parameters

    def finalize(self) -> Sequence[Message]:
        return () if self._is_finishing else (FINALIZE,)

    def _quiet(self) -> Sequence[Message]:
        """First what brings out the last words, or counts as the first audio; then keepalives."""
        has_client_audio = self._line.has_client_audio
        if self._quiet_ticks == 1 and self._takes_silence:
            return self._line.silence(self._noticed_ms if has_client_audio else _HOLD_SILENCE_MS)
        if self._quiet_ticks == 1 and has_client_audio:
            return (FINALIZE, KEEPALIVE)
        return (KEEPALIVE,)

    def _read(self, message: Message) -> Sequence[Event]:
        match wire.read(_DECODER, message, title=TITLE):
            case _Results() as results:
                return self._results(results)
            case _UtteranceEnd(last_word_end=end_s):
                return self._utterance_end(end_s)
            case _Metadata(duration=duration_s):
                return self._metadata(duration_s)
            case _Error() as error:
                return self._error(error)
            case Notice() as notice:
                return (notice,)
            case fault:
                return self._broken(fault)

    def _results(self, results: _Results) -> Sequence[Event]:
        alternatives = results.channel.alternatives
        heard = alternatives[0] if alternatives else _Alternative("")
        if not (results.is_final or results.speech_final):
            return self._overheard(results, heard)
        self._interim = ""
        self._settled_s = max(self._settled_s, results.start + results.duration)
        if heard.transcript:
            self._settle(results, heard)
        if results.speech_final:
            return self._end_turn()
        if results.from_finalize or self._is_too_long():
            return self._end_utterance()
        return self._partial_event((), self._start_ms, self._settled_ms)

    def _overheard(self, results: _Results, heard: _Alternative) -> Sequence[Event]:
        """An interim. Its speakers are guesses (LiveKit takes them from finals only, and so do we)."""
        if results.start < self._settled_s >= results.start + results.duration:
            return ()  # an echo of what is settled
        self._interim = heard.transcript
        if not (heard.transcript and self._options.partial_results):
            return ()
        words, start_ms, end_ms = self._placed(results, heard, has_speakers=False)
        return self._partial_event(words, start_ms, end_ms)

    def _partial_event(self, words: Sequence[Word], start_ms: int, end_ms: int) -> Sequence[Event]:
        """The whole utterance so far: settled pieces, then the interim; nothing when it reads as before."""
        if not self._options.partial_results:
            return ()
        text = " ".join([*self._texts, self._interim]).rstrip()
        if not text or text == self._partial:
            return ()
        self._partial = text
        start_ms = self._start_ms if self._texts else start_ms
        return (Partial(text, start_ms, end_ms, (*self._words, *words) or None),)

    def _settle(self, results: _Results, heard: _Alternative) -> None:
        piece = (results.start, results.duration, heard.transcript)
        if piece == self._last_piece:
            return  # said twice
        self._last_piece = piece
        words, start_ms, end_ms = self._placed(results, heard, has_speakers=True)
        if not self._texts:
            self._start_ms = start_ms
        if self._turn_start_ms is None:
            self._turn_start_ms = start_ms
        self._texts.append(heard.transcript)
        self._words += words
        self._settled_ms = end_ms

    def _placed(
        self, results: _Results, heard: _Alternative, *, has_speakers: bool
    ) -> tuple[list[Word], int, int]:
        """Words, start and end on the session's timeline."""
        if not heard.words:
            end_s = results.start + results.duration
            return [], *self._line.span(results.start, end_s, from_ms=self._settled_ms)
        words = []
        start_ms = end_ms = self._settled_ms
        for word in heard.words:
            start_ms, word_end_ms = self._line.span(word.start, word.end, from_ms=start_ms)
            end_ms = max(end_ms, word_end_ms)
            speaker = str(word.speaker) if has_speakers and word.speaker is not None else None
            words.append(Word(word.punctuated_word or word.word, start_ms, word_end_ms, speaker))
        return words, words[0].start_ms, end_ms

    def _is_too_long(self) -> bool:
        return bool(self._texts) and (
            self._settled_ms - self._start_ms >= _UTTERANCE_MS_MAX
            or sum(map(len, self._texts)) >= _UTTERANCE_CHARACTERS_MAX
        )

    def _end_utterance(self) -> list[Event]:
        self._partial = ""
        if not self._texts:
            return []
        final = FinalText(" ".join(self._texts), self._start_ms, self._settled_ms, tuple(self._words) or None)
        self._texts.clear()
        self._words.clear()
        return [final]

    def _end_turn(self) -> list[Event]:
        events = self._end_utterance()
        if self._turn_start_ms is not None:
            self._turn_start_ms = None
            events.append(TurnEnd(self._settled_ms))
        return events

    def _utterance_end(self, end_s: float) -> Sequence[Event]:
        is_late = self._turn_start_ms is None or self._line.session_ms(end_s) < self._turn_start_ms
        return () if end_s < 0 or is_late else self._end_turn()

    def _metadata(self, duration_s: float) -> Sequence[Event]:
        """The vendor's last message after `CloseStream`; the close behind it says nothing new."""
        usage = Usage(audio_ms=milliseconds(duration_s))
        return (*self._end_turn(), usage, *self._end()) if self._is_finishing else (usage,)

    def _error(self, error: _Error) -> Sequence[Event]:
        # `SchemaError`: it could not read a message of ours. Its `message` echoes ours and stays here.
        said = wire.words(error.description or error.variant or "no reason given", self._leg.credential)
        is_retryable = error.variant != "SchemaError"
        return self._fail(UpstreamFault(f"{TITLE} reported an error: {said}", is_retryable=is_retryable))

    def _last_words(self) -> list[Event]:
        # Only a finished stream ends the turn; after a fall the speaker may go on, on the next connection.
        return self._end_turn() if self._is_finishing else self._end_utterance()

    @property
    def _has_unsettled(self) -> bool:
        # `Metadata` ends a stream that was heard out. A clean close without it, well before the end of what was
        # sent, is a server that went away politely.
        return bool(self._interim) or self._line.vendor_ms - milliseconds(self._settled_s) > _UNSETTLED_MS


def check(options: Options) -> None:
    """Refuse what cannot work.

    A model that the data file does not know is passed on: it may be the customer's own, and Deepgram's
    refusal of a misspelled one names it. Whisper models are known not to stream.
    """
    model = options.model or models().default_model
    is_whisper = model.lower().startswith("whisper")
    if is_whisper or not _MODEL_NAME.fullmatch(model):
        problem = "does not stream" if is_whisper else "is not a model's name"
        known = ", ".join(row.id for row in models().models)
        raise invalid_parameter("model", f"{shown(model)} {problem}; {TITLE} streams {known}")
    spelled_language(model, options.language)


def _language_parameters(model: str, language: str) -> Parameters:
    """A language that the model knows only among others is asked for as a hint."""
    code = spelled_language(model, language)
    row = known_model(model)
    alone = None if row is None else row.languages_monolingual
    if code == "multi" or alone is None or code in alone:
        return (("language", code),)
    return (("language", "multi"), ("language_hint", code))


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _adapter(leg: Leg) -> Adapter:
    model = leg.options.model or models().default_model
    return Flux(leg) if model.startswith("flux-") else Nova(leg)


ENTRY: Final = Entry(
    name="deepgram",
    title=TITLE,
    default_url="wss://api.deepgram.com",
    needs_key=True,
    adapter=_adapter,
    check=check,
)
