"""What every adapter must do, whatever its vendor says.

`check_adapter(entry, conversation)` runs all of `CHECKS`. Each plays the conversation, whole or damaged, and holds
what comes out against the contract in `routeraudio.providers.base`.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeraudio.model.audio import ENCODINGS, AudioFormat
from routeraudio.model.errors import ClientFault, CloseCode, UpstreamFault
from routeraudio.model.events import (
    Event,
    Failed,
    Final,
    Finished,
    Notice,
    Partial,
    Raw,
    Ready,
    TurnEnd,
)
from routeraudio.model.message import Message
from routeraudio.model.options import Options
from routeraudio.providers import models
from routeraudio.providers.base import Adapter, AdapterConfig, Credential, Entry

from .conversations.script import Closes, Conversation, Finalizes, Finishes, Says, Sends, Step

SECRET = "0123456789abcdef0123456789abcdef01234567"

WRONG_VALUES: tuple[Any, ...] = (None, True, -1, 1e308, 2**70, "wrong", "", [], {}, [[]])

CLOSES = (None, 1000, 1001, 1005, 1008, 1011, 3000, 4000)


class Play:
    """One adapter and all that went in and came out of it, held against the contract at every step."""

    def __init__(self, entry: Entry, conversation: Conversation, **changes: Any) -> None:
        self.options: Options = msgspec.structs.replace(conversation.options, **changes)
        self.adapter: Adapter = entry.adapter(adapter_config(entry, self.options))
        self._ends_empty = conversation.ends_empty
        self.events: list[Event] = []
        self.audio_in = bytearray()
        self.audio_out = bytearray()
        self._now_s = 0.0
        self._send(self.adapter.opened())
        self._send(self.adapter.tick(0.0))

    @property
    def is_over(self) -> bool:
        return bool(self.events) and isinstance(self.events[-1], Failed | Finished)

    def run(self, steps: Sequence[Step]) -> "Play":
        """Play until the steps or the connection are over."""
        for step in steps:
            if self.is_over:
                break
            self.step(step)
        return self

    def step(self, step: Step) -> None:
        match step:
            case Sends(audio_ms=audio_ms):
                self.send_audio(audio_ms)
            case Says(message=message):
                self.say(message)
            case Finalizes():
                self._send(self.adapter.finalize())
            case Finishes():
                self._finish()
            case Closes(code=code, reason=reason):
                self._hear(self.adapter.closed(code, reason))

    def send_audio(self, audio_ms: int) -> None:
        """In pieces of 50 ms, each with bytes of its own."""
        size = self.adapter.audio_format.bytes_per_second // 20
        for _ in range(audio_ms // 50):
            chunk = bytes([len(self.audio_in) // size % 251]) * size
            self.audio_in += chunk
            self.audio_out += self._send(self.adapter.audio(chunk))

    def say(self, message: Message) -> None:
        self._hear(self.adapter.received(message))

    def wait(self) -> None:
        """Let the adapter's next tick come."""
        due_s = self.adapter.due_s()
        if due_s is not None:
            assert due_s > self._now_s, "a tick must ask for a later one"
            self._now_s = due_s
            self._send(self.adapter.tick(due_s))

    @property
    def texts(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Final)]

    def _send(self, messages: Sequence[Message]) -> bytes:
        assert all(messages), "an empty message was sent"
        return b"".join(message for message in messages if isinstance(message, bytes))

    def _finish(self) -> None:
        messages = list(self.adapter.finish())
        if self._ends_empty and messages:
            assert messages.pop() == "", "the end is an empty text message"
        self.audio_out += self._send(messages)

    def _hear(self, events: Sequence[Event]) -> None:
        assert not (self.is_over and events), "events after the last one"
        self.events += events
        audio_ms = self.adapter.audio_format.duration_ms(len(self.audio_in))
        check_events(self.events, to_ms=audio_ms)


def adapter_config(entry: Entry, options: Options) -> AdapterConfig:
    """One connection to the vendor, with a key of the client's own where the vendor wants one."""
    credential = Credential(SECRET, is_clients_own=True) if entry.needs_key else None
    return AdapterConfig(options=options, url=entry.default_url, credential=credential)


def check_events(events: Sequence[Event], *, to_ms: int) -> None:
    """Everything that holds for any events of one connection, in any weather."""
    ends = [event for event in events if isinstance(event, Failed | Finished)]
    assert len(ends) <= 1, "one end only"
    assert not ends or ends[0] is events[-1], "the end comes last"
    # Each channel has utterances and turns of its own.
    settled_ms: dict[int | None, int] = {}
    open_turns: set[int | None] = set()
    for event in events:
        match event:
            case Partial(channel=channel) | Final(channel=channel):
                check_segment(event, from_ms=settled_ms.get(channel, 0), to_ms=to_ms)
                if isinstance(event, Final):
                    settled_ms[channel] = event.end_ms
                    open_turns.add(channel)
            case TurnEnd(end_ms=end_ms, channel=channel):
                assert channel in open_turns, "a turn ends once, after its final"
                assert settled_ms[channel] <= end_ms <= to_ms
                open_turns.discard(channel)
            case _:
                pass


def check_segment(event: Partial | Final, *, from_ms: int, to_ms: int) -> None:
    """Text, inside the audio sent, not before the last final's end, its words in order inside it."""
    assert event.text, "a segment has text"
    assert type(event.start_ms) is int
    assert type(event.end_ms) is int
    assert from_ms <= event.start_ms <= event.end_ms <= to_ms
    assert event.words is None or event.words, "no words are None, not an empty tuple"
    position_ms = event.start_ms
    for word in event.words or ():
        assert position_ms <= word.start_ms <= word.end_ms <= event.end_ms
        position_ms = word.start_ms


# The checks. Each: (entry, conversation) -> None.


def check_whole(entry: Entry, conversation: Conversation) -> None:
    """Played as written, the conversation gives its finals and turn ends, and finishes."""
    entry.check(conversation.options)
    play = Play(entry, conversation).run(conversation.steps)
    assert play.texts == list(conversation.finals)
    assert sum(isinstance(event, TurnEnd) for event in play.events) == conversation.turn_ends
    assert any(isinstance(event, Partial) for event in play.events) == conversation.has_partials
    assert isinstance(play.events[-1], Finished)


def check_last_turn(entry: Entry, conversation: Conversation) -> None:
    """The asked-for end of a stream ends the turn that is open, with every vendor that has turns."""
    known = models.load(entry.name)
    row = known.find(known.chosen(conversation.options.model, "en", has_partials=True))
    assert row is not None
    events = Play(entry, conversation).run(conversation.steps).events
    last = {event.channel: type(event) for event in events if isinstance(event, Final | TurnEnd)}
    assert set(last.values()) == {Final if row.support.turn_end == "ignored" else TurnEnd}


def check_readiness(entry: Entry, conversation: Conversation) -> None:
    """`Ready` comes once, before any text, or never where the open connection is ready."""
    play = Play(entry, conversation).run(conversation.steps)
    kinds = [type(event) for event in play.events]
    assert kinds.count(Ready) == (0 if play.adapter.is_ready_when_opened else 1)
    assert play.adapter.is_ready_when_opened or kinds.index(Ready) < kinds.index(Final)


def check_finals_only(entry: Entry, conversation: Conversation) -> None:
    """A client that wants no partials gets none, and the same finals."""
    play = Play(entry, conversation, partial_results=False).run(conversation.steps)
    assert not any(isinstance(event, Partial) for event in play.events)
    assert play.texts == list(conversation.finals)


def check_raw(entry: Entry, conversation: Conversation) -> None:
    """With `parse_json=false` the connection ends as ever; passing the messages on is the relay's work."""
    play = Play(entry, conversation, parse_json=False).run(conversation.steps)
    assert isinstance(play.events[-1], Finished)
    assert not any(isinstance(event, Raw) for event in play.events)


def check_audio(entry: Entry, conversation: Conversation) -> None:
    """All audio goes out as it came in, in order; the end is said once, and no audio may come after it."""
    play = Play(entry, conversation).run(conversation.steps)
    assert conversation.wraps_audio or play.audio_out == play.audio_in
    assert not play.adapter.finish()
    with pytest.raises(AssertionError):
        play.adapter.audio(b"\x01\x01")


def check_audio_format(entry: Entry, conversation: Conversation) -> None:
    """The entry tells the adapter's audio format without making one, for every format that clients send."""
    sources = [
        AudioFormat(encoding, rate, channels)
        for encoding in ENCODINGS
        for rate in (8000, 16000, 48000)
        for channels in (1, 2)
    ]
    for audio in sources:
        for multichannel in (False, True):
            options = msgspec.structs.replace(conversation.options, audio=audio, multichannel=multichannel)
            adapter = entry.adapter(adapter_config(entry, options))
            assert entry.audio_format(options) == adapter.audio_format


def check_unknown_fields(entry: Entry, conversation: Conversation) -> None:
    """Fields that the vendor adds anywhere change nothing."""
    plain = Play(entry, conversation).run(conversation.steps)
    steps = [
        Says(json.dumps(with_more_fields(json.loads(step.message)))) if isinstance(step, Says) else step
        for step in conversation.steps
    ]
    assert Play(entry, conversation).run(steps).events == plain.events


def check_unknown_messages(entry: Entry, conversation: Conversation) -> None:
    """Messages of types that the vendor adds are noticed and change nothing else."""
    plain = Play(entry, conversation).run(conversation.steps)
    new = Says(conversation.unknown)
    steps = [
        each for step in conversation.steps for each in ((new, step) if isinstance(step, Says) else (step,))
    ]
    events = Play(entry, conversation).run(steps).events
    assert [event for event in events if not isinstance(event, Notice)] == [
        event for event in plain.events if not isinstance(event, Notice)
    ]
    assert sum(isinstance(event, Notice) for event in events) > sum(
        isinstance(event, Notice) for event in plain.events
    )


def check_wrong_types(entry: Entry, conversation: Conversation) -> None:
    """A known field of a wrong type never raises, and loses nothing that was settled before it."""
    for i, step in says(conversation):
        for damaged in damages(json.loads(step.message)):
            steps = [*conversation.steps[:i], Says(json.dumps(damaged)), *conversation.steps[i + 1 :]]
            check_nothing_lost(Play(entry, conversation).run(steps), conversation.steps[:i])


def check_truncated(entry: Entry, conversation: Conversation) -> None:
    """A message cut off anywhere is the upstream's fault, and what was settled before is told first."""
    for i, step in says(conversation):
        for length in range(1, len(step.message) - 1, 7):
            play = Play(entry, conversation).run([*conversation.steps[:i], Says(step.message[:length])])
            end = play.events[-1]
            assert isinstance(end, Failed)
            assert isinstance(end.fault, UpstreamFault)
            check_nothing_lost(play, conversation.steps[:i])


def check_garbage(entry: Entry, conversation: Conversation) -> None:
    """Text that is no message of the vendor's, or both of a wrong type and cut off, never raises."""
    deep = "[" * 100_000
    own = next(says(conversation))[1].message
    garbage = [
        "",
        " ",
        "null",
        "1e999",
        '"type"',
        "[]",
        "{}",
        deep,
        '{"a":' * 100_000,
        f'{own[:-1]},"zz":{deep}',
    ]
    garbage += ["\ud800", f'{own[:-1]},"zz":"\ud800"}}']
    garbage += [
        json.dumps(damaged)[:-1]
        for _, step in says(conversation)
        for damaged in damages(json.loads(step.message))
    ]
    for text in garbage:
        Play(entry, conversation).run([Says(text), Closes(1000)])


def check_binary(entry: Entry, conversation: Conversation) -> None:
    """A binary message where text is expected never raises, and loses nothing that was settled."""
    for i, step in says(conversation):
        for message in (step.message.encode(), b"\xff\xfe\x00", b""):
            play = Play(entry, conversation).run(conversation.steps[:i])
            play.say(message)
            check_nothing_lost(play, conversation.steps[:i] if play.is_over else ())


def check_sudden_close(entry: Entry, conversation: Conversation) -> None:
    """Wherever and however the connection ends, settled text is told, and one end: a failure before `finish()`."""
    for i in range(len(conversation.steps)):
        before = conversation.steps[:i]
        for code in CLOSES:
            play = Play(entry, conversation).run([*before, Closes(code, "reason")])
            assert play.is_over
            check_nothing_lost(play, before)
            is_finishing = any(isinstance(step, Finishes) for step in before)
            assert is_finishing or isinstance(play.events[-1], Failed)


def check_close_faults(entry: Entry, conversation: Conversation) -> None:
    """A lost connection may be tried again; one closed for what we sent may not."""
    lost = Play(entry, conversation).run([Closes(None)]).events[-1]
    assert isinstance(lost, Failed)
    assert isinstance(lost.fault, UpstreamFault)
    assert lost.fault.is_retryable
    refused = Play(entry, conversation).run([Closes(1008, f"policy {SECRET}")]).events[-1]
    assert isinstance(refused, Failed)
    assert not (isinstance(refused.fault, UpstreamFault) and refused.fault.is_retryable)
    assert not entry.needs_key or SECRET not in refused.fault.message


def check_silent_afterwards(entry: Entry, conversation: Conversation) -> None:
    """After the last event nothing more is told, whatever still comes."""
    play = Play(entry, conversation).run(conversation.steps)
    for _, step in says(conversation):
        assert not play.adapter.received(step.message)
    assert not play.adapter.closed(1000, "")
    assert not play.adapter.closed(None, "")


def check_ticks(entry: Entry, conversation: Conversation) -> None:
    """A minute of ticks at any point sends nothing empty and changes no text."""
    for i in range(0, len(conversation.steps), 3):
        play = Play(entry, conversation).run(conversation.steps[:i])
        for _ in range(120):
            play.wait()
        assert play.run(conversation.steps[i:]).texts == list(conversation.finals)


def check_dial(entry: Entry, conversation: Conversation) -> None:
    """The address is below the configured one, fit for a request line, the same each time, and hides the key."""
    for base in (entry.default_url, "wss://host.example:9000/some/prefix", "ws://127.0.0.1:1/"):
        its_config = msgspec.structs.replace(adapter_config(entry, conversation.options), url=base)
        dial = entry.adapter(its_config).dial()
        assert dial == entry.adapter(its_config).dial()
        assert dial.url.startswith(base.rstrip("/"))
        assert "//" not in dial.url.split("://", 1)[1].split("?")[0]
        assert dial.url.isascii()
        assert dial.url.isprintable()
        assert SECRET not in repr(dial)


def check_refusals(entry: Entry, conversation: Conversation) -> None:
    """A refusal says whose fault it is in one printable sentence without our key, whatever its body."""
    echo = json.dumps({"err_msg": SECRET, "error": SECRET, "message": SECRET, "detail": SECRET}).encode()
    adapter = Play(entry, conversation).adapter
    for body in (b"", b"\xff\xfe", b"[" * 100_000, b"x" * 100_000, b"<html>\r\n\x1b[2J", echo):
        for status in (200, 301, 400, 401, 402, 403, 404, 429, 500, 503):
            fault = adapter.refused(status, body)
            assert str(status) in fault.message
            assert len(fault.message) < 500
            assert fault.message.isprintable()
            assert not entry.needs_key or SECRET not in fault.message
            if status in (401, 403) and entry.needs_key:
                assert isinstance(fault, ClientFault)
                assert fault.close_code == CloseCode.UNAUTHORIZED
            else:
                assert isinstance(fault, UpstreamFault)
                assert fault.is_retryable == (status == 429 or status >= 500)


def check_anything(entry: Entry, conversation: Conversation) -> None:
    """Whatever the vendor sends, in whatever order, nothing raises and every event keeps the contract."""

    @given(st.lists(moves(conversation), max_size=25))
    def run(steps: list[Step | Message | None]) -> None:
        play = Play(entry, conversation)
        is_finishing = False
        for step in steps:
            if play.is_over:
                break
            if isinstance(step, str | bytes):
                play.say(step)
            elif step is None:
                play.wait()
            elif not (is_finishing and isinstance(step, Sends | Finishes)):
                play.step(step)
                is_finishing = is_finishing or isinstance(step, Finishes)

    run()


Check = Callable[[Entry, Conversation], None]

CHECKS: tuple[Check, ...] = (
    check_whole,
    check_last_turn,
    check_readiness,
    check_finals_only,
    check_raw,
    check_audio,
    check_audio_format,
    check_unknown_fields,
    check_unknown_messages,
    check_wrong_types,
    check_truncated,
    check_garbage,
    check_binary,
    check_sudden_close,
    check_close_faults,
    check_silent_afterwards,
    check_ticks,
    check_dial,
    check_refusals,
    check_anything,
)


def check_adapter(entry: Entry, conversation: Conversation) -> None:
    """Everything at once; `test_conformance` runs the checks one by one."""
    for check in CHECKS:
        check(entry, conversation)


# Helpers.


def says(conversation: Conversation) -> Iterator[tuple[int, Says]]:
    """The vendor's messages and their places among the steps."""
    return ((i, step) for i, step in enumerate(conversation.steps) if isinstance(step, Says))


def check_nothing_lost(play: Play, steps: Sequence[Step]) -> None:
    """The finals begin with all the text that the vendor settled in ``steps``."""
    settled = " ".join(step.settles for step in steps if isinstance(step, Says) and step.settles)
    assert " ".join(play.texts).startswith(settled)


def with_more_fields(value: Any) -> Any:
    """The JSON value with a new field in every object."""
    if isinstance(value, dict):
        return {key: with_more_fields(item) for key, item in value.items()} | {"zz_new": [{"zz": None}]}
    if isinstance(value, list):
        return [with_more_fields(item) for item in value]
    return value


def damages(value: Any) -> Iterator[Any]:
    """The JSON value with one part after the other replaced by each wrong value, or left out."""
    yield from WRONG_VALUES
    if isinstance(value, dict):
        for key, item in value.items():
            yield {name: other for name, other in value.items() if name != key}
            yield from ({**value, key: damaged} for damaged in damages(item))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from ([*value[:i], damaged, *value[i + 1 :]] for damaged in damages(item))


def moves(conversation: Conversation) -> st.SearchStrategy[Step | Message | None]:
    """Anything that may happen: audio, controls, ticks (None), the vendor's own messages, damaged ones, noise."""
    own = [step.message for _, step in says(conversation)]
    scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9)
    values = st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    )
    changed = st.builds(replaced, st.sampled_from(own), st.randoms(use_true_random=False), values)
    noise = st.text(max_size=30) | st.binary(max_size=30) | values.map(json.dumps)
    controls = st.sampled_from([Sends(50), Sends(1000), Finalizes(), Finishes(), None])
    closes = st.builds(Closes, st.none() | st.integers(1000, 4999), st.text(max_size=30))
    return st.one_of(st.sampled_from(own), controls, changed, st.sampled_from(own), controls, noise, closes)


def replaced(message: str, random: Any, value: Any) -> str:
    """The message with one random part of it replaced."""
    root = json.loads(message)
    place: Any = root
    while True:
        key = random.choice(list(place) if isinstance(place, dict) else range(len(place)))
        inner = place[key]
        if not (isinstance(inner, dict | list) and inner) or random.random() < 0.3:
            place[key] = value
            return json.dumps(root)
        place = inner
