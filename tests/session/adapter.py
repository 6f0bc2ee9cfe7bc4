"""A vendor whose protocol is a word and its text, and an adapter that insists on the contract.

    out: audio as it is · FINALIZE · FINISH · tick
    in:  ready · partial TEXT · settle TEXT · final TEXT · turn · lost MS MS · usage MS · notice · fail TEXT · end

`settle` is text the vendor has settled but that the adapter still holds, as Deepgram's pieces of an utterance.
"""

from collections.abc import Callable, Sequence
from typing import Final as Constant

from routeraudio.model.audio import PCM_16K_MONO, AudioFormat
from routeraudio.model.errors import Fault, UpstreamFault
from routeraudio.model.events import (
    Event,
    Failed,
    Final,
    Finished,
    Lost,
    Notice,
    Partial,
    Ready,
    TurnEnd,
    Usage,
)
from routeraudio.model.message import Message
from routeraudio.providers.base import Dial

SECRET: Constant = "SECRET-and-nobody-elses"
"""In every exception that stands for a bug of ours; must never be seen again."""


class FakeAdapter:
    """See the module.

    Args:
        bug_in: verbs that raise.
        tick_s: how often the vendor wants a tick; None: never.
    """

    def __init__(
        self,
        *,
        audio_format: AudioFormat = PCM_16K_MONO,
        is_ready_when_opened: bool = False,
        tick_s: float | None = None,
        bug_in: frozenset[str] = frozenset(),
        opens_with: tuple[Message, ...] = (),
    ) -> None:
        self.audio_format = audio_format
        self.is_ready_when_opened = is_ready_when_opened
        self.calls: list[str] = []
        self.texts: list[str] = []
        """What the client should be told, in short: `final TEXT`, `partial TEXT`, `turn_end`."""
        self._tick_s = tick_s
        self._bug_in = bug_in
        self._opens_with = opens_with
        self._settled = ""
        self._due_s: float | None = None
        self._is_opened = False
        self._is_ready = is_ready_when_opened
        self._is_finishing = False
        self._is_over = False

    def dial(self) -> Dial:
        self._called("dial", is_open=False)
        return Dial("wss://vendor.invalid/?token=hush")

    def refused(self, status: int, body: bytes) -> Fault:
        self._called("refused", is_open=False)
        return UpstreamFault(f"Fake refused the connection (HTTP {status})")

    def opened(self) -> Sequence[Message]:
        assert not self._is_opened, "opened twice"
        self._called("opened", is_open=False)
        self._is_opened = True
        return self._opens_with

    def audio(self, chunk: bytes) -> Sequence[Message]:
        self._called("audio")
        assert self._is_ready, "audio before Ready"
        assert chunk, "empty audio"
        assert not self._is_finishing, "audio after finish"
        return (chunk,)

    def finalize(self) -> Sequence[Message]:
        self._called("finalize")
        assert self._is_ready, "finalize before Ready"
        assert not self._is_finishing, "finalize after finish"
        return ("FINALIZE",)

    def finish(self) -> Sequence[Message]:
        self._called("finish")
        assert self._is_ready, "finish before Ready"
        assert not self._is_finishing, "finish twice"
        self._is_finishing = True
        return ("FINISH",)

    def received(self, message: Message) -> Sequence[Event]:
        self._called("received")
        assert isinstance(message, str)
        word, _, text = message.partition(" ")
        return self._noted(_READ[word](self, text))

    def closed(self, code: int | None, reason: str) -> Sequence[Event]:
        self._called("closed")
        self._is_over = True
        end: Event = Finished()
        if not self._is_finishing or code != 1000:
            end = Failed(UpstreamFault(f"Fake closed the connection (close code {code})"))
        return self._noted([*self._flush(), end])

    def due_s(self) -> float | None:
        return self._due_s

    def tick(self, now_s: float) -> Sequence[Message]:
        self._called("tick")
        if self._tick_s is None:
            return ()
        is_first, self._due_s = self._due_s is None, now_s + self._tick_s
        return () if is_first else ("tick",)

    # What the vendor's words mean.

    def _get_ready(self, text: str) -> list[Event]:
        self._is_ready = True
        return [Ready(text or None)]

    def _partial(self, text: str) -> list[Event]:
        return [Partial(text, 0, 100)]

    def _settle(self, text: str) -> list[Event]:
        self._settled = text
        return []

    def _final(self, text: str) -> list[Event]:
        self._settled = ""
        return [Final(text, 0, 100)]

    def _turn(self, text: str) -> list[Event]:
        return [TurnEnd(int(text or 100))]

    def _usage(self, text: str) -> list[Event]:
        return [Usage(int(text))]

    def _lost(self, text: str) -> list[Event]:
        start_ms, end_ms = text.split()
        return [Lost(int(start_ms), int(end_ms))]

    def _notice(self, text: str) -> list[Event]:
        return [Notice("said")]

    def _fail(self, text: str) -> list[Event]:
        self._is_over = True
        return [*self._flush(), Failed(UpstreamFault(text))]

    def _end(self, text: str) -> list[Event]:
        assert self._is_finishing, "the vendor ended unasked"
        self._is_over = True
        return [*self._flush(), Finished()]

    def _flush(self) -> list[Event]:
        text, self._settled = self._settled, ""
        return [Final(text, 0, 100)] if text else []

    # Helpers.

    def _noted(self, events: list[Event]) -> list[Event]:
        for event in events:
            if isinstance(event, Partial | Final):
                self.texts.append(f"{type(event).__name__.lower()} {event.text}")
            elif isinstance(event, TurnEnd):
                self.texts.append("turn_end")
        return events

    def _called(self, verb: str, *, is_open: bool = True) -> None:
        self.calls.append(verb)
        if verb in self._bug_in:
            raise RuntimeError(SECRET)
        assert self._is_opened or not is_open, f"{verb} before opened"
        assert not self._is_over, f"{verb} after the last event"


_READ: Constant[dict[str, Callable[[FakeAdapter, str], list[Event]]]] = {
    "ready": FakeAdapter._get_ready,
    "partial": FakeAdapter._partial,
    "settle": FakeAdapter._settle,
    "final": FakeAdapter._final,
    "turn": FakeAdapter._turn,
    "usage": FakeAdapter._usage,
    "lost": FakeAdapter._lost,
    "notice": FakeAdapter._notice,
    "fail": FakeAdapter._fail,
    "end": FakeAdapter._end,
}
