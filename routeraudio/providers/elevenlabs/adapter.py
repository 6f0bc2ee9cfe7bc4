"""One connection to ElevenLabs; what is odd about it stands in the package's docstring."""

import math
from collections.abc import Iterator, Sequence
from typing import Final, assert_never

import msgspec

from routeraudio.model.errors import UpstreamFault
from routeraudio.model.events import Event, Notice
from routeraudio.model.message import Message
from routeraudio.providers import decoding
from routeraudio.providers.base import AdapterConfig, Dial, Pace
from routeraudio.providers.base_adapter import Connection
from routeraudio.providers.elevenlabs import faults
from routeraudio.providers.elevenlabs.audio_messages import AudioMessages
from routeraudio.providers.elevenlabs.messages import (
    DECODER,
    OTHER_DECODER,
    Committed,
    Other,
    Partial,
    Said,
    Settled,
    SettledTimed,
    Started,
    Timed,
    Word,
)
from routeraudio.providers.elevenlabs.request import TITLE, authentication, parameters, silence_ms, target
from routeraudio.providers.timeline import Spoken, milliseconds

_NOTICE_SILENCE_MS: Final = 500
"""More silence than was asked for, so that the voice detection surely notices it."""

_HOLD_SILENCE_MS: Final = 80
"""Silence that keeps a line open; seen to do so: 20 ms every 5 s, 250 ms every 10 s."""

_COMMIT_SILENCE_MS: Final = 1000
"""The same in front of a commit: late by 700 ms, the voice detection still leaves the 0.3 s that a commit needs."""

_COMMIT_MS_MIN: Final = 300
"""Audio that a commit needs, in the server's own words (seen)."""

AHEAD: Final = Pace(burst_s=5.0)
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


class Scribe(Connection[Said | Other]):
    """One connection. A *segment* is what one commit covers: at most one `Final`, then a `TurnEnd`."""

    title = TITLE
    _refusal = staticmethod(faults.refusal_words)
    _tick_s = _TICK_S

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__(config, target(config.options))
        self._silence_ms = silence_ms(config.options)
        self._messages = AudioMessages(self._audio_format)
        self._held: str | None = None
        """A plain commit that waits for its timed twin."""
        self._held_ms = 0
        """The vendor's position when it came."""
        self._owed: str | None = None
        """A plain commit that was told without its twin: the twin, if it comes, says nothing new."""
        self._early: str | None = None
        """A timed commit whose plain twin has not come."""
        self._last_timed: Timed | None = None
        self._open_text = ""
        """What was heard of the open segment and is not committed."""
        self._is_open_text_settled = False
        self._commits = 0
        self._committed_ms = 0
        """The vendor's position of the last known commit, or later."""
        self._finalized: tuple[int, bool] | None = None
        self._end_ms = 0
        """The vendor's position where the client's audio ended."""
        self._closing_words = ""
        """The last of `NOTHING_LEFT`: why the server will have closed."""

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

    def _send(self, chunk: bytes) -> Sequence[Message]:
        return self._messages.wrapped(chunk)

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
            return self._silence(self._silence_ms + _NOTICE_SILENCE_MS)
        return (self._messages.message(is_commit=True),)

    def _finish(self) -> Sequence[Message]:
        self._closing_words = ""
        self._end_ms = self._line.vendor_ms
        # Behind the last audio, silence shifts nobody's times.
        return (*self._silence(self._silence_ms + _COMMIT_SILENCE_MS), self._messages.message(is_commit=True))

    def _ticked(self) -> Sequence[Message]:
        if not self._is_ready:
            self._quiet_ticks = -1
        return self._quiet() if self._quiet_ticks > 0 else ()

    def _quiet(self) -> Sequence[Message]:
        """First what brings out the last words, then what keeps the line open."""
        if not self._takes_silence:
            # Empty audio is seen to keep a line open (LiveKit), and it shifts no times.
            last_words = self.finalize() if self._quiet_ticks == 1 else ()
            return (*last_words, self._messages.message())
        if self._quiet_ticks == 1 and self._line.has_client_audio:
            return self._silence(self._silence_ms + _NOTICE_SILENCE_MS)
        return self._silence(_HOLD_SILENCE_MS)

    def _silence(self, duration_ms: int) -> Sequence[Message]:
        return self._messages.wrapped(b"".join(self._line.silence(duration_ms)))

    @property
    def _can_commit(self) -> bool:
        """Whether there is something to commit, and enough of it, as far as can be known here."""
        return bool(self._open_text) and self._line.vendor_ms - self._committed_ms >= _COMMIT_MS_MIN

    # What comes in.

    def _decoded(self, message: Message) -> Said | Other | Notice | UpstreamFault:
        said = decoding.read(DECODER, message, title=TITLE)
        if not isinstance(said, Notice):
            return said
        try:  # errors, and what is neither text nor error
            return OTHER_DECODER.decode(message)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return said

    def _said(self, said: Said | Other) -> Sequence[Event]:
        match said:
            case Started(session_id=session_id):
                return self._ready(session_id)
            case Partial(text=text):
                return self._overheard(text, is_settled=False)
            case Settled(text=text) | SettledTimed(text=text):
                return self._overheard(text, is_settled=True)
            case Committed(text=text):
                return self._plain(text.strip())
            case Timed():
                return self._timed(said)
            case Other():
                return self._other(said)
            case unread:
                assert_never(unread)

    def _closed(self, code: int | None, reason: str) -> Sequence[Event]:
        # Other clean closes say nothing: an idle line, a server that goes away politely.
        is_nothing_left = (self._closing_words or reason) in faults.NOTHING_LEFT and not self._open_text
        if self._is_finishing and code in decoding.CLOSES_CLEAN and is_nothing_left:
            return self._end()
        return super()._closed(code, reason or self._closing_words)

    def _overheard(self, text: str, *, is_settled: bool) -> Sequence[Event]:
        """The open segment so far."""
        self._open_text = text.strip()
        self._is_open_text_settled = is_settled
        is_overdue = self._line.vendor_ms - self._held_ms >= _UNPAIRED_MS
        events = self._unpaired() if is_overdue else []
        return [*events, *self._partial_event()]

    def _partial_event(self) -> list[Event]:
        """The open segment, unless it reads as before, or the final of the one before it is still to come."""
        return [] if self._held is not None else self._transcript.partial(self._open_text)

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
        self._open_text = ""
        self._is_open_text_settled = False
        self._transcript.partial("")

    def _commit(self, text: str, words: Sequence[Word]) -> list[Event]:
        """One segment is over."""
        self._commits += 1
        self._committed_ms = self._line.vendor_ms
        events: list[Event] = []
        if text:
            events = [*self._transcript.final(text, _spoken(words)), *self._transcript.end_turn()]
        if self._is_finishing and (not text or self._is_last(words)):
            return [*events, *self._end()]
        return [*events, *self._partial_event()]

    def _is_last(self, words: Sequence[Word]) -> bool:
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

    def _other(self, other: Other) -> Sequence[Event]:
        """Errors, and what is neither text nor error."""
        if other.message_type in faults.NOTHING_LEFT:
            return self._nothing_left(other.message_type)
        if other.message_type in faults.ERRORS or isinstance(other.error, str):
            return self._fail(faults.error(self._faults, other))
        return (Notice(decoding.name(other.message_type)),)

    def _nothing_left(self, said: str) -> Sequence[Event]:
        """A commit of nothing. The end, after `finish()`, unless other text is still on its way."""
        self._closing_words = said
        is_waiting = self._held is not None or self._open_text
        return self._end() if self._is_finishing and not is_waiting else (Notice(said),)

    def _last_words(self) -> list[Event]:
        text = self._open_text if self._is_open_text_settled else ""
        self._forget_open()
        return [*self._unpaired(), *self._transcript.final(text)]

    def _last_turn(self) -> list[Event]:
        return [*self._last_words(), *self._transcript.end_turn()]


def _spoken(words: Sequence[Word]) -> Iterator[Spoken]:
    """Words on the vendor's clock; spaces and sounds are none."""
    for word in words:
        text = word.text.strip()
        if word.type == "word" and text:
            yield text, word.start, word.end, word.speaker_id, _confidence(word.logprob)


def _confidence(logprob: float | None) -> float | None:
    if logprob is None:
        return None
    return math.exp(logprob) if logprob < 0.0 else 1.0
