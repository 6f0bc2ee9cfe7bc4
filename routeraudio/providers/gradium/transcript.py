"""Gradium's fragments of text, gathered to utterances and turns; the vendor tells neither.

    text, end_text ──▶ fragments ──▶ the open utterance ──▶ Partial … Final
    step           ──▶ inactive for long enough ──▶ flush ──▶ flushed, a moment for stragglers ──▶ Final, TurnEnd

Positions named `…_ms` here without further ado are the vendor's: milliseconds of the audio that its connection was
sent. Steps are the only clock. They come as long as audio goes out, one per 80 ms of it, however fast it goes.

Guesses: all numbers of the turn's end, and that the silence which a `flush` feeds to the model does not count in the
vendor's times. Sources: the vendor's Turn-taking page (2026), pipecat 1.14.0 with its PRs 4066 and 5706.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import msgspec

from routeraudio.model.events import Event, Partial, TurnEnd, Word
from routeraudio.model.events import Final as FinalText
from routeraudio.model.options import Options
from routeraudio.providers.timeline import Timeline, milliseconds

STEP_MS: Final = 80
"""The model's frame, and the distance of `step` messages."""

STRAGGLERS_MS: Final = 160
"""Audio awaited behind `flushed`: two steps, the least that is more than pipecat's 100 ms."""

_DELAY_FRAMES: Final = 10
"""`delay_in_frames` where `ready` does not say it (vendor's default)."""

_DELAY_FRAMES_MAX: Final = 48
"""The largest that can be asked for."""

_INACTIVE: Final = 0.7
"""From here on a reading counts as "nobody speaks". INFERRED: the vendor's pages say 0.5 and 0.7, its demo 0.8."""

_HORIZONS: Final = ((400, 0.5), (1000, 1.0), (2500, 2.0))
"""Which prediction is asked up to which `endpointing_ms`; longer horizons are stricter. INFERRED."""

_HORIZON_LONGEST_S: Final = 3.0
"""The one that is asked beyond."""

_UNANSWERED_MS: Final = 1200
"""Audio awaited beyond the model's own delay for a `flushed` that does not come: about 2 s together. INFERRED."""

_UNRELIABLE_MS: Final = 640
"""Readings ignored behind the end of an utterance: eight steps (pipecat PR 5706)."""

_BACKLOG_MS: Final = 800
"""A vendor that is further behind than this is not flushed at a turn's end: the flush would cut what was sent since,
and the text comes by itself. INFERRED; a live client's backlog is a chunk and a round trip."""

_UTTERANCE_MS_MAX: Final = 30_000
"""An utterance is closed after this much audio: a reading that never becomes inactive has noise behind the voice."""

_UTTERANCE_CHARACTERS_MAX: Final = 4000
"""The same bound in memory: 30 s of fast speech have 700."""


class Fragment(msgspec.Struct):
    """A `text`, placed on the session's timeline."""

    text: str
    stream_id: int | None
    start_ms: int
    end_ms: int | None = None
    """Until `end_text` says it, the next fragment's start counts."""


class Reading(msgspec.Struct, gc=False):
    """The vendor's prediction that nobody will speak during the next seconds."""

    horizon_s: float
    inactivity_prob: float


class Ending(msgspec.Struct):
    """An utterance whose last words are awaited."""

    ends_turn: bool
    """False: the client asked for a final, the speaker may go on."""
    at_ms: int
    """Text from here on is the next utterance's."""
    until_ms: int
    """When the vendor has heard so much audio, no more text is awaited."""


class Turns:
    """What one connection's vendor says, as utterances and turns.

    An *utterance* is the fragments not yet reported, at most one `Final`. A *turn* is open from its first fragment
    until the vendor's readings stay inactive; it has several utterances only when one was cut by the client or by its
    bound.

    Args:
        line: counts what the connection is sent; maps the vendor's positions to the session's.
    """

    def __init__(self, options: Options, line: Timeline) -> None:
        self._options = options
        self._line = line
        self._settled_ms = 0
        self._fragments: list[Fragment] = []
        self._last_text: tuple[str, float, int | None] | None = None
        self._is_open = False
        self._ending: Ending | None = None
        self._flush_id = 0
        self._delay_frames = _DELAY_FRAMES
        self._unreliable_until_ms = 0
        self._inactive_steps = 0
        self.heard_ms = 0
        """The vendor's own count of the audio it has heard."""
        self.flush_due: int | None = None
        """The id of a flush that a turn's end wants to be sent at the next opportunity."""

    def delay(self, frames: float | None) -> None:
        """How many frames text comes after its audio, as `ready` says."""
        if frames is not None:
            self._delay_frames = int(min(max(frames, 0), _DELAY_FRAMES_MAX))

    def text(self, text: str, start_s: float, stream_id: int | None) -> list[Event]:
        """A fragment, never revised: the open utterance grows, or a new one begins with it."""
        spoken = text.strip()
        if not spoken or self._last_text == (text, start_s, stream_id):
            return []
        self._last_text = (text, start_s, stream_id)
        events: list[Event] = []
        if self._ending is not None and milliseconds(start_s) >= self._ending.at_ms:
            events += self._close(self._ending)
        elif self._is_too_long():
            events += self.final()
        from_ms = self._fragments[-1].start_ms if self._fragments else self._settled_ms
        start_ms = max(self._line.session_ms(start_s), from_ms)
        self._fragments.append(Fragment(spoken, stream_id, start_ms))
        self._is_open = True
        if self._options.partial_results:
            events.append(Partial(*self._segment()))
        return events

    def end_text(self, stop_s: float, stream_id: int | None) -> None:
        """A fragment's end, in order per stream. A late one must not end a fragment that had not begun then."""
        end_ms = self._line.session_ms(stop_s)
        for fragment in self._fragments:
            is_its = fragment.stream_id == stream_id and fragment.end_ms is None
            if is_its and fragment.start_ms <= end_ms:
                fragment.end_ms = end_ms
                return

    def step(self, readings: Sequence[Reading], heard_s: float) -> list[Event]:
        """The vendor has heard more audio."""
        self.heard_ms = milliseconds(heard_s)
        if self._ending is not None:
            return self._close(self._ending) if self.heard_ms >= self._ending.until_ms else []
        if self.heard_ms < self._unreliable_until_ms or not readings:
            return []
        is_inactive = _nearest(readings, self._options.endpointing_ms) >= _INACTIVE
        self._inactive_steps = self._inactive_steps + 1 if is_inactive else 0
        # Text is what tells a turn: readings are low before the first sound too.
        if self._inactive_steps >= self._inactive_steps_min and self._is_open:
            return self._end_turn()
        return []

    def flushed(self, flush_id: int | str | None) -> None:
        """A flush was answered; a little text may follow. Some servers give the id back as a string."""
        if self._ending is not None and str(flush_id) == str(self._flush_id):
            self._ending.until_ms = min(self._ending.until_ms, self.heard_ms + STRAGGLERS_MS)

    def cut(self) -> int:
        """The client wants a final of all that was sent: the id of the flush to send now."""
        ends_turn = self._ending is not None and self._ending.ends_turn
        self._begin_to_end(self._line.vendor_ms, ends_turn=ends_turn)
        self.flush_due = None
        return self._flush_id

    def final(self) -> list[Event]:
        """Close the open utterance: all its text is final."""
        if not self._fragments:
            return []
        final = FinalText(*self._segment())
        self._settled_ms = final.end_ms
        self._fragments.clear()
        return [final]

    def end(self) -> list[Event]:
        """Close the open utterance and the turn."""
        return [*self.final(), *self._turn_end()]

    def _end_turn(self) -> list[Event]:
        """The speaker has ended: ask for the rest, where there is text whose last words may be missing."""
        if not self._fragments:
            return self._turn_end()
        self._begin_to_end(self.heard_ms, ends_turn=True)
        if self._line.vendor_ms - self.heard_ms <= _BACKLOG_MS:
            self.flush_due = self._flush_id
        return []

    def _begin_to_end(self, at_ms: int, *, ends_turn: bool) -> None:
        until_ms = at_ms + self._delay_frames * STEP_MS + _UNANSWERED_MS
        self._ending = Ending(ends_turn, at_ms, until_ms)
        self._flush_id += 1

    def _close(self, ending: Ending) -> list[Event]:
        """Nothing more is awaited of the utterance that was ending."""
        self._ending = None
        self.flush_due = None
        self._inactive_steps = 0
        self._unreliable_until_ms = self.heard_ms + _UNRELIABLE_MS
        return self.end() if ending.ends_turn else self.final()

    def _turn_end(self) -> list[Event]:
        if not self._is_open:
            return []
        self._is_open = False
        return [TurnEnd(self._settled_ms)]

    @property
    def _inactive_steps_min(self) -> int:
        """How long a reading must stay inactive. It speaks of audio that the model's delay has let pass already."""
        return max(-(-self._options.endpointing_ms // STEP_MS) - self._delay_frames, 1)

    def _segment(self) -> tuple[str, int, int, tuple[Word, ...]]:
        """Text, start, end and words of the open utterance."""
        words = [_word(fragment, following) for fragment, following in pairwise(self._fragments)]
        last = self._fragments[-1]
        words.append(_word(last, last))
        text = " ".join(word.text for word in words)
        return text, words[0].start_ms, max(word.end_ms for word in words), tuple(words)

    def _is_too_long(self) -> bool:
        return bool(self._fragments) and (
            self._fragments[-1].start_ms - self._fragments[0].start_ms >= _UTTERANCE_MS_MAX
            or sum(len(fragment.text) for fragment in self._fragments) >= _UTTERANCE_CHARACTERS_MAX
        )


def _word(fragment: Fragment, following: Fragment) -> Word:
    """A fragment of several words stays one: nothing says where they meet."""
    end_ms = following.start_ms if fragment.end_ms is None else fragment.end_ms
    return Word(fragment.text, fragment.start_ms, end_ms)


def _nearest(readings: Sequence[Reading], endpointing_ms: int) -> float:
    """The reading for this endpointing. Horizons come and go (3 documented, 4 live): the nearest, then the longer."""
    fitting = (horizon_s for up_to_ms, horizon_s in _HORIZONS if endpointing_ms <= up_to_ms)
    wanted_s = next(fitting, _HORIZON_LONGEST_S)
    nearest = min(readings, key=lambda reading: (abs(reading.horizon_s - wanted_s), -reading.horizon_s))
    return nearest.inactivity_prob
