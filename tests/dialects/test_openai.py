"""OpenAI's realtime transcription as conversations: what a provider says, and what its client is told."""

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from routeraudio.dialects.base import Control, DialectEvent, Opening, Request
from routeraudio.dialects.openai import ENTRY
from routeraudio.dialects.openai.agreed import Agreed
from routeraudio.dialects.openai.turns import EMPTY_S
from routeraudio.dialects.segments import GRACE_S
from routeraudio.model.errors import (
    BudgetUsedUp,
    Overloaded,
    UpstreamFault,
    forbidden,
    timed_out,
    unauthorized,
)
from routeraudio.model.events import Event, Final, Finished, Partial, TurnEnd, Word

SECOND = b64encode(bytes(48_000)).decode()


class Talk:
    """One client's side, with a clock that stands where the test puts it."""

    def __init__(
        self, turn_detection: Any = "absent", *, model: str = "local", is_beta: bool = False
    ) -> None:
        self.now_s = 1_700_000_000.0
        wish = ENTRY.parse(Request("/v1/realtime", f"model={model}", {}))
        session = {} if turn_detection == "absent" else {"turn_detection": turn_detection}
        name = "transcription_session.update" if is_beta else "session.update"
        self.update = json.dumps(
            {"type": name, "session": session if is_beta else {"audio": {"input": session}}}
        )
        assert ENTRY.overture is not None
        settled = ENTRY.overture(wish, "0" * 32).received(self.update)
        assert settled is not None
        options = msgspec.structs.replace(settled.options, provider=settled.options.provider or "local")
        self.dialect: Any = ENTRY.dialect(Opening(settled, options, "0" * 32, lambda: self.now_s))
        self.messages: list[dict[str, Any]] = []

    def says(self, *events: Event | DialectEvent) -> list[str]:
        """What the client is told, in short."""
        told = [json.loads(one) for event in events for one in self.dialect.event(event)]
        self.messages += told
        return [short(one) for one in told]

    def hears(self, message: str | bytes | dict[str, Any]) -> tuple[Sequence[Any], list[str]]:
        """What becomes of a client's message, and what the dialect then tells by itself."""
        commands = self.dialect.received(json.dumps(message) if isinstance(message, dict) else message)
        notes = [one for one in commands if isinstance(one, DialectEvent)]
        return [one for one in commands if one not in notes], self.says(*notes)

    def audio(self, count: int = 1) -> None:
        for _ in range(count):
            assert self.hears({"type": "input_audio_buffer.append", "audio": SECOND}) == ([bytes(48_000)], [])

    def commit(self) -> list[str]:
        commands, told = self.hears({"type": "input_audio_buffer.commit"})
        assert commands == [Control.FINALIZE]
        return told

    def later(self, seconds: float) -> list[str]:
        self.now_s += seconds
        return self.says(self.dialect.tick)


def short(message: dict[str, Any]) -> str:
    """`started 1`, `delta 1 go`, `completed 1 go forward`: the item's number, and what is said of it."""
    kind = message["type"].rpartition(".")[2]
    item = message.get("item_id") or message.get("item", {}).get("id") or ""
    said = message.get("delta", message.get("transcript", message.get("error", {}).get("code")))
    return " ".join(filter(None, [kind, item.rpartition("_")[2], said]))


COMMITTED = ["committed 1", "added 1", "done 1"]


def test_an_utterance() -> None:
    """In the order that clients need; deltas are whole words on which two partials agree."""
    talk = Talk()
    assert talk.says(Partial("go", 450, 600), Partial("goof", 450, 700), Partial("go for", 450, 800)) == [
        "speech_started 1"
    ]
    assert talk.says(Partial("go forward", 450, 900)) == ["delta 1 go"]
    assert talk.says(Final("go forward.", 450, 1000), TurnEnd(1200)) == [
        "speech_stopped 1",
        *COMMITTED,
        "delta 1  forward.",
        "completed 1 go forward.",
    ]
    started, completed = talk.messages[0], talk.messages[-1]
    assert (started["audio_start_ms"], completed["usage"]) == (450, {"type": "duration", "seconds": 0.55})
    assert talk.says(Final("next", 2000, 2500))[:3] == ["speech_started 2", "speech_stopped 2", "committed 2"]
    assert [one["previous_item_id"] for one in talk.messages if "previous_item_id" in one] == (
        [None] * 3 + [completed["item_id"]] * 3
    )
    ids = [one["event_id"] for one in talk.messages]
    assert len(set(ids)) == len(ids)


def test_a_final_that_is_not_what_was_told() -> None:
    """No more deltas: the transcript is the truth in every client."""
    talk = Talk()
    talk.says(Partial("too men", 0, 100), Partial("too men", 0, 200))
    assert talk.says(Final("two men", 0, 300))[-2:] == ["done 1", "completed 1 two men"]


def test_speech_that_was_none() -> None:
    """An item that has begun ends, also at the session's end."""
    talk = Talk()
    talk.says(Partial("hm", 0, 100))
    assert talk.says(Final("", 0, 200))[-1] == "completed 1"
    assert talk.says(Final("", 300, 400)) == []
    talk.says(Partial("hm", 500, 600))
    assert talk.says(Finished())[-1] == "completed 2"


@pytest.mark.parametrize("turn_detection", [{"type": "server_vad"}, None])
def test_a_commit_without_text(turn_detection: Any) -> None:
    """Is answered all the same, and never by an error: LiveKit gives up at one."""
    talk = Talk(turn_detection)
    talk.audio()
    told = talk.commit() + talk.later(EMPTY_S - 0.1) + talk.later(1.1)
    assert told == [*COMMITTED, "completed 1"]
    assert talk.later(10) == []


def test_a_commit_without_audio() -> None:
    """At once."""
    assert Talk(None).commit() == [*COMMITTED, "completed 1"]


def test_commits() -> None:
    """All finals since the last commit are one item; a text that reaches the commit completes it."""
    talk = Talk(None)
    talk.audio(2)
    assert talk.says(Partial("one", 0, 300), Partial("one", 0, 400)) == ["delta 1 one"]
    assert talk.says(Final("one", 0, 500)) == []
    assert talk.says(Partial("two three", 600, 1800), Partial("two three", 600, 1900)) == [
        "delta 1  two three"
    ]
    assert talk.commit() == COMMITTED
    assert talk.says(Final("two three", 600, 1900)) == ["completed 1 one two three"]
    assert talk.later(10) == []


def test_a_text_that_ends_before_its_commit() -> None:
    """More of it may come; then nothing more is waited for, and the next item has deltas of its own."""
    talk = Talk(None)
    talk.audio(3)
    talk.commit()
    talk.audio(3)
    assert talk.says(Partial("behind", 3500, 4000)) == [], "one item is finished before the next one's deltas"
    assert talk.says(Final("before", 0, 500)) == ["delta 1 before"]
    assert talk.later(GRACE_S + 3.1) == ["completed 1 before"]
    talk.says(Partial("behind", 3500, 4000))
    assert talk.says(Partial("behind us", 3500, 4100)) == ["delta 2 behind"]


def test_text_of_nobody() -> None:
    """Whoever is late becomes an item of its own: nothing is lost."""
    talk = Talk(None)
    talk.audio()
    talk.commit()
    talk.later(10)
    assert talk.says(Final("late", 0, 300)) == ["committed 2", "added 2", "done 2", "completed 2 late"]


def test_cleared_audio() -> None:
    """Its text is thrown away, told or not, and what comes behind it is an item."""
    talk = Talk(None)
    talk.audio(2)
    talk.says(Final("old", 0, 500))
    assert talk.hears({"type": "input_audio_buffer.clear"}) == ([Control.FINALIZE], ["cleared"])
    assert talk.says(Partial("older", 600, 1000), Final("older", 600, 1000)) == []
    talk.audio(1)
    assert talk.says(Final("new", 2100, 2900)) == ["delta 2 new"]
    assert talk.commit() == ["committed 2", "added 2", "done 2", "completed 2 new"]


def test_the_end_tells_what_was_not_committed() -> None:
    """The daemon stops, perhaps: what is final is told."""
    talk = Talk(None)
    talk.audio(1)
    talk.says(Final("words", 0, 500))
    assert talk.says(Finished())[-1] == "completed 2 words"


def test_the_beta() -> None:
    """Items are created, and nothing else has another name."""
    talk = Talk(is_beta=True)
    assert talk.says(Final("go", 0, 100)) == [
        "speech_started 1",
        "speech_stopped 1",
        "committed 1",
        "created 1",
        "delta 1 go",
        "completed 1 go",
    ]
    assert talk.hears(talk.update)[1] == ["updated"]
    assert talk.messages[-1]["type"] == "transcription_session.updated"
    assert talk.messages[-1]["session"]["input_audio_format"] == "pcm16"


def test_speakers() -> None:
    """A model that ends in `-diarize` wants them: one segment for each run."""
    talk = Talk(model="gpt-4o-transcribe-diarize")
    words = (Word("a", 0, 100, "0"), Word("b", 100, 200, "0"), Word("c", 200, 300, "1"))
    talk.says(Final("a b c", 0, 300, words))
    segments = [one for one in talk.messages if one["type"].endswith("segment")]
    assert [(one["speaker"], one["text"], one["end"]) for one in segments] == [
        ("0", "a b", 0.2),
        ("1", "c", 0.3),
    ]


def test_an_update_in_mid_session() -> None:
    """LiveKit keeps sockets and says the same again: confirmed. What would change the session is refused."""
    talk = Talk({"type": "server_vad"})
    assert talk.hears(talk.update)[1] == ["updated"]
    for change in (
        {"turn_detection": None},
        {"format": {"type": "audio/pcmu"}},
        {"transcription": {"model": "soniox"}},
        {"transcription": {"language": "de"}},
    ):
        update = {"type": "session.update", "event_id": "e7", "session": {"audio": {"input": change}}}
        assert talk.hears(update)[1] == ["error session_begun"]
        assert talk.messages[-1]["error"]["event_id"] == "e7"
    assert talk.hears(talk.update)[1] == ["updated"]


def test_what_has_no_effect_is_said() -> None:
    """The upgrade was too early for it."""
    talk = Talk(model="gpt-4o-transcribe")
    wanted = {"noise_reduction": {"type": "near_field"}, "transcription": {"prompt": "names"}}
    talk.hears({"type": "session.update", "session": {"audio": {"input": wanted}}})
    assert {"noise_reduction: has no effect", "prompt: has no effect"} <= set(talk.messages[-1]["warnings"])


@pytest.mark.parametrize(
    "message",
    [
        "",
        "audio",
        "[]",
        '{"kind":1}',
        '{"type":5}',
        "[" * 5000,
        b"audio",
        '{"type":"response.create"}',
        '{"type":"input_audio_buffer.append","audio":"%%%"}',
        '{"type":"session.update","session":[]}',
    ],
    ids=repr,
)
def test_a_message_that_is_none(message: str | bytes) -> None:
    """An error, and the session goes on."""
    talk = Talk()
    assert talk.hears(message) == ([], ["error invalid_value"])
    talk.audio()


@pytest.mark.parametrize(
    ("fault", "code", "close_code"),
    [
        (unauthorized("no"), "invalid_api_key", 1008),
        (forbidden("no"), "forbidden", 1008),
        (timed_out("late"), "timeout", 1008),
        (UpstreamFault("away"), "provider_error", 1011),
        (BudgetUsedUp("empty"), "rate_limit_exceeded", 1013),
        (Overloaded("full"), "rate_limit_exceeded", 1013),
    ],
)
def test_errors_have_the_vendors_shape(fault: Any, code: str, close_code: int) -> None:
    """And codes of the standard: clients know no others."""
    dialect = Talk().dialect
    (error,) = map(json.loads, dialect.error(fault))
    assert (error["type"], error["error"]["code"]) == ("error", code)
    assert set(error["error"]) == {"type", "code", "message", "param", "event_id"}
    assert dialect.close_code(fault) == close_code


def test_an_open_item_fails_with_its_provider() -> None:
    """Before the error."""
    talk = Talk()
    talk.says(Partial("go", 0, 100))
    told = [json.loads(one)["type"] for one in talk.dialect.error(UpstreamFault("away"))]
    assert told == ["conversation.item.input_audio_transcription.failed", "error"]


WORDS = st.lists(st.sampled_from(["go", "goof", "for", "forward", "ten", "."]), max_size=5).map(" ".join)


@given(st.lists(WORDS, max_size=8), WORDS)
def test_deltas_are_never_taken_back(partials: list[str], final: str) -> None:
    """Whatever partials come, what was told are whole words that two of them began with; with a final that begins so,
    it is the final.
    """
    agreed = Agreed()
    told = ""
    for before, partial in zip(["", *partials], partials, strict=False):
        if delta := agreed.partial(partial):
            told += delta
            count = len(told.split())
            assert told.split() == partial.split()[:count] == before.split()[:count]
    rest = agreed.final(final)
    assert told + rest == final if final.startswith(told) else rest == ""


def test_a_mark_behind_the_last_word_may_change() -> None:
    """A pause makes a comma of what goes on without one."""
    agreed = Agreed()
    told = [agreed.partial(text) for text in ("Go", "Go forward,", "Go forward,", "Go forward ten,")]
    assert told == ["", "Go", " forward", ""]
    assert agreed.final("Go forward ten meters.") == " ten meters."


def test_marks_between_words_are_told() -> None:
    agreed = Agreed()
    told = [agreed.partial(text) for text in ("Yes, go", "Yes, go", "Yes, go, then.", "Yes, go, then.")]
    assert told == ["", "Yes, go", "", ", then"]
    assert agreed.final("Yes, go, then.") == "."
