"""One transcription session with OpenAI; what is odd about it stands in the package's docstring."""

from collections.abc import Sequence
from typing import Final, assert_never

import msgspec

from routeraudio.audio.vad import Endpointer, Utterance
from routeraudio.model.errors import Fault, UpstreamFault
from routeraudio.model.events import Event, Failed, Lost, Notice, Usage
from routeraudio.model.message import Message
from routeraudio.providers import decoding
from routeraudio.providers.base import AdapterConfig, Dial, key_header
from routeraudio.providers.base_adapter import Connection
from routeraudio.providers.openai import faults
from routeraudio.providers.openai import messages as vendor
from routeraudio.providers.openai.input_buffer import Buffer
from routeraudio.providers.openai.request import (
    TITLE,
    is_live,
    session,
    target,
)
from routeraudio.providers.openai.transcript import Item, Items
from routeraudio.providers.timeline import milliseconds

_SILENT_MS_MAX: Final = 60_000
"""Audio in which nobody speaks is committed after this long: the bound of the vendor's buffer is not documented."""

_UNHEARD_MS: Final = 3000
"""A live model found words where we hear nobody: the turn is over after so much audio without more of them."""

_HELD_MS: Final = 10_000
"""A turn's text waits for an earlier turn's for at most this much audio."""

_ITEMS_MAX: Final = 256
"""Turns that may wait for their text; the vendor transcribes one within a second or two."""

_TICK_S: Final = 2.0
"""How often a quiet line is looked at: the last words of a muted microphone come two to four seconds late."""

_END: Final = "end"
"""`event_id` of the update that changes nothing."""


class Realtime(Connection[vendor.Said]):
    """One transcription session. Positions are on the connection's own timeline unless they say otherwise."""

    title = TITLE
    _decoder = msgspec.json.Decoder(vendor.Said)
    _tick_s = _TICK_S

    def __init__(self, config: AdapterConfig) -> None:
        options = config.options
        super().__init__(config, target(options))
        self._is_live = is_live(options)
        self._sent_bytes = 0
        self._ears = Endpointer(self._audio_format, silence_ms=options.endpointing_ms)
        """Ends the turns of live models; for all, tells whether there is anything to commit."""
        self._items = Items(_HELD_MS)
        self._buffer = Buffer(is_ours=self._is_live)
        self._worded_ms = 0
        """How much audio had been sent at the last delta."""
        self._billed_s = 0.0
        self._awaits_end = False

    # The contract.

    def dial(self) -> Dial:
        # A key or a client secret; never `OpenAI-Beta`.
        url = decoding.url(self._config.url, "/v1/realtime", [("intent", "transcription")])
        return Dial(url, headers=key_header(self._config.credential, TITLE, scheme="Bearer"))

    def refused(self, status: int, body: bytes) -> Fault:
        return faults.http(self._faults, status, body)

    def opened(self) -> Sequence[Message]:
        # At once and not after `session.created`: it is read when the session is there (so does LiveKit's plugin).
        return (vendor.update("session", session(self._config.options)),)

    def _send(self, chunk: bytes) -> Sequence[Message]:
        self._sent_bytes += len(chunk)
        utterances = self._ears.push(chunk)
        if not self._is_live:
            return tuple(vendor.appends(chunk))
        return [*self._cut(chunk, utterances), *self._commit_unheard()]

    def finalize(self) -> Sequence[Message]:
        return () if self._is_finishing else self._commit_rest(ends_turn=False)

    def _finish(self) -> Sequence[Message]:
        messages = self._commit_rest(ends_turn=True)
        if messages or self._is_owed:
            return messages
        self._awaits_end = True
        return (vendor.update(_END, {}),)

    def _said(self, said: vendor.Said) -> Sequence[Event]:
        events = self._heed(said)
        if events and isinstance(events[-1], Failed):
            return events
        if len(self._items) > _ITEMS_MAX:
            owing = f"{TITLE} owes the text of {_ITEMS_MAX} turns"
            return [*events, *self._fail(UpstreamFault(owing, is_retryable=True))]
        is_done = self._is_finishing and not self._is_owed and not self._awaits_end
        return [*events, *self._heard_out()] if is_done else events

    def _closed(self, code: int | None, reason: str) -> Sequence[Event]:
        if self._is_finishing and not self._is_owed and code in decoding.CLOSES_CLEAN:
            return self._heard_out()
        return self._fail(faults.close(self._faults, code, reason))

    def _ticked(self) -> Sequence[Message]:
        """A client whose audio stops in the middle of a turn sends no silence that could end it."""
        return self._commit_rest(ends_turn=True) if self._quiet_ticks > 0 else ()

    # Commits.

    def _cut(self, chunk: bytes, utterances: Sequence[Utterance]) -> list[Message]:
        """The chunk, with a commit behind the end of each utterance."""
        messages: list[Message] = []
        before_bytes = self._sent_bytes - len(chunk)
        start = 0
        for utterance in utterances:
            end = utterance.closed_ms * self._audio_format.bytes_per_second // 1000 - before_bytes
            messages += vendor.appends(chunk[start:end])
            messages.append(
                self._commit(
                    utterance.start_ms,
                    utterance.end_ms,
                    at_ms=utterance.closed_ms,
                    ends_turn=utterance.is_over,
                )
            )
            start = end
        return [*messages, *vendor.appends(chunk[start:])]

    def _commit_unheard(self) -> Sequence[Message]:
        """What our detector does not end: words from a voice it does not hear, and long silence."""
        if self._ears.start_ms is not None:
            return ()
        if self._is_begun:
            patience_ms = max(_UNHEARD_MS, self._config.options.endpointing_ms)
            return self._commit_rest(ends_turn=True) if self._sent_ms - self._worded_ms >= patience_ms else ()
        if self._ears.is_quiet and self._sent_ms - self._buffer.committed_ms >= _SILENT_MS_MAX:
            silence = (self._buffer.committed_ms, self._sent_ms)
            return (self._commit(*silence, at_ms=self._sent_ms, ends_turn=False),)
        return ()

    def _commit_rest(self, *, ends_turn: bool) -> Sequence[Message]:
        """Commit what is in the buffer, if anything was said in it: vendors invent words for silence."""
        is_said = self._is_begun or self._ears.spoken_ms > self._buffer.committed_ms
        if not (is_said and self._buffer.takes(self._sent_ms)):
            return ()
        start_ms = self._ears.start_ms
        commit = self._commit(
            self._buffer.committed_ms if start_ms is None else start_ms,
            self._sent_ms,
            at_ms=self._sent_ms,
            ends_turn=ends_turn,
        )
        self._ears.cut()
        return (commit,)

    def _commit(self, start_ms: int, end_ms: int, *, at_ms: int, ends_turn: bool) -> str:
        return vendor.commit(self._buffer.commit(start_ms, end_ms, at_ms=at_ms, ends_turn=ends_turn).id)

    @property
    def _sent_ms(self) -> int:
        return self._line.vendor_ms

    @property
    def _is_begun(self) -> bool:
        """Whether the vendor has heard something in the audio that is not committed: words, or a voice.

        Between a commit and its answer the item that is not committed is the one whose commit was sent.
        """
        item = None if self._buffer.first is not None else self._items.open
        return item is not None and bool(item.text.strip() or item.start_ms is not None)

    @property
    def _is_owed(self) -> bool:
        """Whether there is an answer to come: to a commit, or the text of a turn."""
        return self._buffer.first is not None or self._items.is_owed

    # What the vendor says.

    def _heed(self, said: vendor.Said) -> Sequence[Event]:
        match said:
            case vendor.Delta() as delta:
                return self._delta(delta)
            case vendor.Completed() as completed:
                return self._completed(completed)
            case vendor.Committed(item_id=id):
                return self._committed(id)
            case vendor.SpeechStarted() | vendor.SpeechStopped() as heard:
                return self._heard(heard)
            case vendor.SessionUpdated(session=its):
                return self._updated(its)
            case vendor.TranscriptionFailed() as failed:
                return self._transcription_failed(failed)
            case vendor.Error(error=problem):
                return self._error(problem)
            case vendor.SessionCreated() | vendor.Bookkeeping():
                return ()
            case unread:
                assert_never(unread)

    def _updated(self, its: vendor.Session) -> Sequence[Event]:
        self._awaits_end = self._awaits_end and not self._is_ready
        return self._ready(its.id or None)

    def _heard(self, heard: vendor.SpeechStarted | vendor.SpeechStopped) -> Sequence[Event]:
        item = self._items.find(heard.item_id)
        if item is not None and isinstance(heard, vendor.SpeechStarted):
            item.start_ms = milliseconds(heard.audio_start_ms / 1000)
        elif item is not None and isinstance(heard, vendor.SpeechStopped):
            item.end_ms = milliseconds(heard.audio_end_ms / 1000)
        return ()

    def _delta(self, delta: vendor.Delta) -> Sequence[Event]:
        item = self._items.find(delta.item_id)
        if item is None or item.final is not None or not delta.delta:
            return ()
        item.text += delta.delta
        self._worded_ms = self._sent_ms
        return self._partials()

    def _committed(self, id: str) -> Sequence[Event]:
        item = self._items.find(id)
        if item is None or item.is_committed:
            return ()
        self._items.commit(item)
        self._buffer.place(item, self._sent_ms)
        return self._partials()

    def _completed(self, completed: vendor.Completed) -> Sequence[Event]:
        if completed.usage is not None:
            self._billed_s += max(completed.usage.seconds or 0.0, 0.0)
        return self._settle(completed.item_id, completed.transcript)

    def _transcription_failed(self, failed: vendor.TranscriptionFailed) -> Sequence[Event]:
        """What was heard of the turn before is all there will be of it; the session goes on."""
        item = self._items.find(failed.item_id)
        if item is not None and item.final is None:
            item.is_failed = True
        events = [] if item is None else self._settle(item.id, item.text)
        return [Notice(decoding.name(failed.error.code or "transcription_failed")), *events]

    def _settle(self, id: str, text: str) -> list[Event]:
        item = self._items.find(id)
        if item is None or item.final is not None:
            return []  # said twice
        if not item.is_committed:
            self._items.commit(item)
            self._buffer.place(item, self._sent_ms)
        self._items.settle(item, text, self._sent_ms)
        events = [event for due in self._items.take(self._sent_ms) for event in self._told(due)]
        return [*events, *self._partials()]

    def _told(self, item: Item) -> list[Event]:
        span = self._span(item, self._sent_ms)
        events = self._transcript.final_at(item.final or "", *span)
        if events and item.ends_turn:
            events = [*events, *self._transcript.end_turn()]
        return [*events, Lost(*span)] if item.is_failed and span[1] > span[0] else events

    def _partials(self) -> list[Event]:
        """The turn whose text is due next, so far. Later ones wait: the final of this one would seem to be theirs."""
        item = self._items.first
        if item is None or item.final is not None or not self._is_live:
            return []
        return self._transcript.partial_at(item.text.strip(), *self._span(item, self._sent_ms))

    def _span(self, item: Item, sent_ms: int) -> tuple[int, int]:
        """The item's place on the session's timeline, behind what is final."""
        start_ms = item.start_ms
        if start_ms is None:
            commit = self._buffer.first
            begun_ms = self._ears.start_ms if commit is None else commit.start_ms
            start_ms = self._buffer.committed_ms if begun_ms is None else begun_ms
        end_ms = sent_ms if item.end_ms is None else item.end_ms
        return self._line.span(start_ms / 1000, end_ms / 1000, from_ms=self._transcript.settled_ms)

    # The end.

    def _error(self, problem: vendor.Problem) -> Sequence[Event]:
        if problem.code == faults.COMMIT_EMPTY:
            self._buffer.withdraw(problem.event_id)
            return ()
        if problem.event_id == _END:
            self._awaits_end = False  # an answer too
            return ()
        if not self._is_ready or faults.is_fatal(problem):
            return self._fail(faults.error(self._faults, problem))
        return (Notice(decoding.name(problem.code or "error")),)

    def _last_words(self) -> list[Event]:
        """What is final and waited for an earlier turn is not lost with it."""
        return [event for item in self._items.take_settled() for event in self._told(item)]

    def _last_turn(self) -> list[Event]:
        """All is told. A turn that was never committed has its text so far: no more of it will come."""
        for item in self._items.unsettled():
            self._items.settle(item, item.text, self._sent_ms)
        return [*self._last_words(), *self._transcript.end_turn()]

    def _heard_out(self) -> list[Event]:
        return self._end(*([Usage(milliseconds(self._billed_s))] if self._billed_s else []))
