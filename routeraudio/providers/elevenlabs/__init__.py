"""ElevenLabs: Scribe realtime over `/v1/speech-to-text/realtime`.

Documentation: https://elevenlabs.io/docs/api-reference/speech-to-text/v-1-speech-to-text-realtime (2026-11), the
vendor's AsyncAPI file of 2026-08-22, Python SDK 2.78.0. What is marked *seen* was logged from the live service by
others; what is marked *guess* nobody has shown.

What is odd about it:

- Audio is base64 inside JSON. There is no end-of-stream message: the client asks for a *commit* and, when it has
  come, closes.
- A commit of less than 0.3 s of audio gets `commit_throttled`, and the server closes with 1000, sometimes before
  the commit before it has been answered (seen). The server commits by itself when its voice detection hears
  silence, and nobody outside knows when that was. So before every commit there is silence here that outlasts the
  voice detection by more than 0.3 s.
- With timestamps every commit arrives twice, plain first, without any id; seldom the timed twin comes first (seen).
- Nothing says which commit is the answer to ours. But all that was said before our silence is committed before it,
  so ours is empty, and an empty commit is answered with empty text (seen with manual commits; with voice detection
  a guess). See `_is_last`.
- A line without audio is closed after 10 to 15 s, with 1000. WebSocket pings do not help; silence does.
- After most errors the server closes with 1000: the error before the close is the one that counts.
- Partials and plain commits have no times; they get the time of the audio sent.
- Times of words come late by some 100 ms more after each commit of the voice detection (elevenlabs-python#849).
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from routeraudio.model.errors import Fault
from routeraudio.model.events import Event, Finished, Notice, Partial, Ready, TurnEnd, Word
from routeraudio.model.events import Final as FinalText
from routeraudio.model.message import Message
from routeraudio.providers import decoding
from routeraudio.providers.base import Adapter, AdapterConfig, Dial, Entry, Pace, refusal
from routeraudio.providers.base_adapter import Connection
from routeraudio.providers.elevenlabs.audio_messages import Line
from routeraudio.providers.elevenlabs.messages import (
    DECODER,
    ERRORS,
    NOTHING_LEFT,
    OTHER_DECODER,
    TITLE,
    Committed,
    Settled,
    SettledTimed,
    Started,
    Timed,
    authentication,
    fault,
    refusal_words,
)
from routeraudio.providers.elevenlabs.messages import Partial as Overheard
from routeraudio.providers.elevenlabs.messages import Word as TimedWord
from routeraudio.providers.elevenlabs.native import NATIVE
from routeraudio.providers.elevenlabs.request import check, parameters, silence_ms, target
from routeraudio.providers.timeline import milliseconds

_NOTICE_SILENCE_MS: Final = 500
"""More silence than was asked for, so that the voice detection surely notices it."""

_COMMIT_SILENCE_MS: Final = 1000
"""The same in front of a commit: late by 700 ms, the voice detection still leaves the 0.3 s that a commit needs."""

_COMMIT_MS_MIN: Final = 300
"""Audio that a commit needs, in the server's own words (seen)."""

_AHEAD: Final = Pace(burst_s=5.0)
"""Faster gives `rate_limited` or `queue_overflow`, and ends the session; where is not published. INFERRED: any client
may be a few seconds late."""

_TICK_S: Final = 3.0
"""How often a quiet line is looked at: a gap is at most two ticks, 6 s of the 10 s that the line lives."""

_DRIFT_MS: Final = 100
"""By how much word times are later after each commit (elevenlabs-python#849)."""

_WORD_END_MS: Final = 150
"""A guess: by how much the voice detection may hear the end of speech before the end of its last word."""

_UNPAIRED_MS: Final = 1000
"""Audio sent after which the timed twin of a commit is not waited for any more; it takes some 15 ms (seen)."""


class Scribe(Connection):
    """One connection. A *segment* is what one commit covers: at most one `Final`, then a `TurnEnd`."""

    is_ready_when_opened = False
    _tick_s = _TICK_S

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__(config, target(config.options))
        self._silence_ms = silence_ms(config.options)
        self._line: Line = Line(self._audio_format, self._silence_ms)
        self._settled_ms = 0
        """Session position up to which text is settled."""
        self._held: str | None = None
        """A plain commit that waits for its timed twin."""
        self._held_ms = 0
        """The vendor's position when it came."""
        self._owed: str | None = None
        """A plain commit that was told without its twin: the twin, if it comes, says nothing new."""
        self._early: str | None = None
        """A timed commit whose plain twin has not come."""
        self._last_timed: Timed | None = None
        self._partial = ""
        self._open_text = ""
        """What was heard of the open segment and is not committed."""
        self._is_open_text_settled = False
        self._commits = 0
        self._committed_ms = 0
        """The vendor's position of the last known commit, or later."""
        self._finalized: tuple[int, bool] | None = None
        self._end_ms = 0
        """The vendor's position where the client's audio ended."""
        self._said = ""
        """The last of `NOTHING_LEFT`: why the server will have closed."""
        self._is_ready = False

    # What goes out.

    def dial(self) -> Dial:
        headers, token = authentication(self._config.credential)
        return Dial(
            decoding.url(
                self._config.url,
                "/v1/speech-to-text/realtime",
                [*parameters(self._options, self._audio_format), *token],
            ),
            headers,
        )

    def refused(self, status: int, body: bytes) -> Fault:
        credential = self._config.credential
        return refusal(
            TITLE, status, credential=credential, words=decoding.words(refusal_words(body), credential)
        )

    def audio(self, chunk: bytes) -> Sequence[Message]:
        assert not self._is_finishing, "audio after finish()"
        self._quiet_ticks = -1
        return self._line.audio(chunk)

    def finalize(self) -> Sequence[Message]:
        """Silence, so that the voice detection commits; never too early, never of nothing.

        A commit of ours would race with the voice detection's own, and losing that race loses the connection. Once
        per segment: who asks with every chunk must not make us send seconds of silence each time.
        """
        state = (self._commits, bool(self._open_text))
        if self._is_finishing or state == self._finalized or not (self._takes_silence or self._can_commit):
            return ()
        self._finalized = state
        if self._takes_silence:
            return self._line.quiet(_NOTICE_SILENCE_MS)
        return (self._line.message(is_commit=True),)

    def _finish(self) -> Sequence[Message]:
        self._said = ""
        self._end_ms = self._line.vendor_ms
        # Behind the last audio, silence shifts nobody's times.
        return (*self._line.quiet(_COMMIT_SILENCE_MS), self._line.message(is_commit=True))

    def _ticked(self) -> Sequence[Message]:
        if not self._is_ready:
            self._quiet_ticks = -1
        return self._quiet() if self._quiet_ticks > 0 else ()

    def _quiet(self) -> Sequence[Message]:
        """First what brings out the last words, then what keeps the line open."""
        if not self._takes_silence:
            # Empty audio is seen to keep a line open (LiveKit), and it shifts no times.
            last_words = self.finalize() if self._quiet_ticks == 1 else ()
            return (*last_words, self._line.message())
        if self._quiet_ticks == 1 and self._line.has_client_audio:
            return self._line.quiet(_NOTICE_SILENCE_MS)
        return self._line.hold()

    @property
    def _can_commit(self) -> bool:
        """Whether there is something to commit, and enough of it, as far as can be known here."""
        return bool(self._open_text) and self._line.vendor_ms - self._committed_ms >= _COMMIT_MS_MIN

    # What comes in.

    def _read(self, message: Message) -> Sequence[Event]:
        match decoding.read(DECODER, message, title=TITLE):
            case Started(session_id=session_id):
                return self._started(session_id)
            case Overheard(text=text):
                return self._overheard(text, is_settled=False)
            case Settled(text=text) | SettledTimed(text=text):
                return self._overheard(text, is_settled=True)
            case Committed(text=text):
                return self._plain(text.strip())
            case Timed() as timed:
                return self._timed(timed)
            case Notice():
                return self._other(message)
            case broken:
                return self._broken(broken)

    def _closed(self, code: int | None, reason: str) -> Sequence[Event]:
        # Other clean closes say nothing: an idle line, a server that goes away politely.
        is_nothing_left = (self._said or reason) in NOTHING_LEFT and not self._open_text
        if self._is_finishing and code in decoding.CLOSES_CLEAN and is_nothing_left:
            return self._end()
        return self._fail(
            decoding.closing(TITLE, code, reason or self._said, credential=self._config.credential)
        )

    def _started(self, session_id: str | None) -> Sequence[Event]:
        if self._is_ready:
            return ()
        self._is_ready = True
        return (Ready(session_id),)

    def _overheard(self, text: str, *, is_settled: bool) -> Sequence[Event]:
        """The open segment so far."""
        self._open_text = text.strip()
        self._is_open_text_settled = is_settled
        is_overdue = self._line.vendor_ms - self._held_ms >= _UNPAIRED_MS
        events = self._unpaired() if is_overdue else []
        return [*events, *self._partial_event()]

    def _partial_event(self) -> list[Event]:
        """The open segment, unless it reads as before, or the final of the one before it is still to come."""
        text = self._open_text
        if self._held is not None or not text or text == self._partial or not self._options.partial_results:
            return []
        self._partial = text
        return [Partial(text, self._settled_ms, self._line.now_ms)]

    def _plain(self, text: str) -> Sequence[Event]:
        early, self._early = self._early, None
        if text == early:
            return ()
        events = self._unpaired()
        self._forget_open()
        if text:
            self._held, self._held_ms = text, self._line.vendor_ms
            return events
        self._owed = text
        return [*events, *self._commit(text, ())]

    def _timed(self, timed: Timed) -> Sequence[Event]:
        text = timed.text.strip()
        if text != self._held and text == self._owed:
            self._owed = None
            return ()
        if timed.words and timed == self._last_timed:
            return ()  # said twice: times never repeat
        self._last_timed = timed
        events: list[Event] = []
        if not text:
            events = self._unpaired()  # it is not the twin of what waits
        if self._held is None:
            self._early = text
            self._forget_open()
        self._held = self._owed = None
        return [*events, *self._commit(text, timed.words or ())]

    def _unpaired(self) -> list[Event]:
        """A plain commit is told alone: its twin does not come."""
        text, self._held = self._held, None
        if text is None:
            return []
        self._owed = text
        return self._commit(text, ())

    def _forget_open(self) -> None:
        self._open_text = self._partial = ""
        self._is_open_text_settled = False

    def _commit(self, text: str, words: Sequence[TimedWord]) -> list[Event]:
        """One segment is over."""
        self._commits += 1
        self._committed_ms = self._line.vendor_ms
        events: list[Event] = []
        if text:
            events = [self._final(text, words), TurnEnd(self._settled_ms)]
        if self._is_finishing and (not text or self._is_last(words)):
            return [*events, *self._end()]
        return [*events, *self._partial_event()]

    def _is_last(self, words: Sequence[TimedWord]) -> bool:
        """Whether nothing can have been said behind these words.

        Where the client's audio ends sooner behind them than the voice detection hears a silence, it was in our
        silence that they were committed, be it by the voice detection or by us. Otherwise more may come, and the
        empty answer to our own commit comes behind it.
        """
        ends_ms = [milliseconds(word.end) for word in words if word.type == "word" and word.end is not None]
        if not ends_ms:
            return False
        behind_ms = self._end_ms - max(ends_ms) + _WORD_END_MS + _DRIFT_MS * self._commits
        return behind_ms < self._silence_ms

    def _final(self, text: str, words: Sequence[TimedWord]) -> FinalText:
        placed = self._placed(words)
        if placed:
            start_ms, end_ms = placed[0].start_ms, max(word.end_ms for word in placed)
        else:
            start_ms, end_ms = self._settled_ms, self._line.now_ms
        self._settled_ms = end_ms
        return FinalText(text, start_ms, end_ms, placed or None)

    def _placed(self, words: Sequence[TimedWord]) -> tuple[Word, ...]:
        """The words on the session's timeline; spaces and sounds are none."""
        placed: list[Word] = []
        start_ms, position_s = self._settled_ms, 0.0
        for word in words:
            if word.type != "word" or not word.text.strip():
                continue
            start_s = position_s if word.start is None else word.start
            position_s = start_s if word.end is None else word.end
            start_ms, end_ms = self._line.span(start_s, position_s, from_ms=start_ms)
            placed.append(Word(word.text.strip(), start_ms, end_ms, word.speaker_id))
        return tuple(placed)

    def _other(self, message: Message) -> Sequence[Event]:
        """Errors, and what is neither text nor error."""
        try:
            other = OTHER_DECODER.decode(message)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return (Notice(decoding.name("")),)
        if other.message_type in NOTHING_LEFT:
            return self._nothing_left(other.message_type)
        if other.message_type in ERRORS or isinstance(other.error, str):
            return self._fail(fault(other, self._config.credential))
        return (Notice(decoding.name(other.message_type)),)

    def _nothing_left(self, said: str) -> Sequence[Event]:
        """A commit of nothing. The end, after `finish()`, unless other text is still on its way."""
        self._said = said
        is_waiting = self._held is not None or self._open_text
        return self._end() if self._is_finishing and not is_waiting else (Notice(said),)

    def _end(self) -> list[Event]:
        had_open_text = bool(self._open_text) and self._is_open_text_settled
        events = self._last_words()
        if had_open_text:
            events.append(TurnEnd(self._settled_ms))
        self._is_over = True
        return [*events, Finished()]

    def _last_words(self) -> list[Event]:
        text = self._open_text if self._is_open_text_settled else ""
        self._forget_open()
        events = self._unpaired()
        return [*events, self._final(text, ())] if text else events


def _adapter(config: AdapterConfig) -> Adapter:
    return Scribe(config)


ENTRY: Final = Entry(
    name="elevenlabs",
    title=TITLE,
    default_url="wss://api.elevenlabs.io",
    needs_key=True,
    gateway_price_per_hour_usd=Decimal("0.39"),  # memories.ai's audio stream, section 3
    pace=_AHEAD,
    adapter=_adapter,
    audio_format=target,
    check=check,
    native=NATIVE,
)
