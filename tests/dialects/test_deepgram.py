"""Deepgram's protocols as conversations: what a provider says, and what its client is told."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from routeraudio.dialects.base import Control, DialectEvent, Opening, Request
from routeraudio.dialects.deepgram import ENTRY
from routeraudio.dialects.deepgram.nova import FINALIZE_S
from routeraudio.model.errors import ClientFault, UpstreamFault, unauthorized
from routeraudio.model.events import Event, Final, Finished, Partial, TurnEnd, Word

HELLO = (Word("Hello,", 100, 400, "0", 0.9), Word("you.", 400, 700, "1", 0.5))


class Talk:
    """One client's side, with a clock that stands where the test puts it."""

    def __init__(self, version: int = 1, query: str = "", provider: str = "local") -> None:
        self.now_s = 1_700_000_000.0
        path = f"/as/deepgram/{provider}/v{version}/listen"
        wish = ENTRY.parse(Request(path, f"encoding=linear16&sample_rate=16000&{query}", {}))
        self.dialect: Any = ENTRY.dialect(Opening(wish, wish.options, "0" * 32, lambda: self.now_s))

    def says(self, *events: Event) -> list[dict[str, Any]]:
        """What the client is told."""
        return [json.loads(one) for event in events for one in self.dialect.event(event)]

    def hears(self, message: str | bytes) -> tuple[Sequence[Any], list[dict[str, Any]]]:
        """What becomes of a client's message, and what the dialect then tells by itself."""
        commands = self.dialect.received(message)
        notes = [one for one in commands if isinstance(one, DialectEvent)]
        told = [json.loads(one) for note in notes for one in self.dialect.event(note)]
        return [one for one in commands if one not in notes], told


def kinds(told: list[dict[str, Any]]) -> list[str]:
    return [one["type"] + (" final" if one.get("is_final") else "") for one in told]


def test_an_utterance() -> None:
    """Speech starts, interims, a final that says whether it ends the speech, and `Metadata` at the end."""
    talk = Talk(query="interim_results=true&vad_events=true&diarize=true&punctuate=true")
    told = talk.says(
        Partial("Hello", 100, 400), Partial("Hello, you", 100, 700), Final("Hello, you.", 100, 700, HELLO)
    )
    assert kinds(told) == ["SpeechStarted", "Results", "Results", "Results final"]
    final = told[-1]
    assert (final["start"], final["duration"], final["speech_final"]) == (0.1, 0.6, True)
    (alternative,) = final["channel"]["alternatives"]
    assert alternative["transcript"] == "Hello, you."
    assert alternative["confidence"] == pytest.approx(0.7)
    assert [(one["word"], one["punctuated_word"], one["speaker"]) for one in alternative["words"]] == [
        ("hello", "Hello,", 0),
        ("you", "you.", 1),
    ]
    assert kinds(talk.says(Finished())) == ["Metadata"]


def test_where_the_provider_tells_turn_ends() -> None:
    """The final waits for it: `speech_final` comes once."""
    talk = Talk(provider="deepgram")
    told = talk.says(Final("Hello", 100, 400), TurnEnd(900))
    assert [(one["is_final"], one["speech_final"]) for one in told] == [(True, False), (True, True)]


def test_words_where_there_are_none() -> None:
    """Clients drop results without words: they are spread over the text's time."""
    (final,) = Talk().says(Final("one two", 1000, 2000))
    words = final["channel"]["alternatives"][0]["words"]
    assert [(one["start"], one["end"]) for one in words] == [(1.0, 1.5), (1.5, 2.0)]


def test_finalize_is_answered_once() -> None:
    """By the next final, at once where nothing is open, and after a while in any case."""
    talk = Talk(query="interim_results=true")
    commands, told = talk.hears('{"type":"Finalize"}')
    assert (commands, [one["from_finalize"] for one in told]) == ([Control.FINALIZE], [True])
    talk.says(Partial("Hello", 0, 100))
    assert talk.hears('{"type":"Finalize"}') == ([Control.FINALIZE], [])
    assert [one["from_finalize"] for one in talk.says(Final("Hello", 0, 100), Final("you", 100, 200))] == [
        True,
        False,
    ]
    talk.says(Partial("more", 200, 300))
    talk.hears('{"type":"Finalize"}')
    talk.now_s += FINALIZE_S
    assert [one["from_finalize"] for one in talk.says(talk.dialect.tick)] == [True]
    assert talk.says(talk.dialect.tick) == []


def test_silence_ends_an_utterance() -> None:
    """By the audio and by the clock, once."""
    talk = Talk(query="utterance_end_ms=1000&interim_results=true")
    talk.says(Final("Hello", 0, 400))
    talk.now_s += 2
    assert talk.says(talk.dialect.tick) == []  # no audio has come since
    talk.hears(bytes(2 * 16_000 * 2))
    (end,) = talk.says(talk.dialect.tick)
    assert (end["type"], end["last_word_end"]) == ("UtteranceEnd", 0.4)
    assert talk.says(talk.dialect.tick) == []


def test_a_turn_of_flux() -> None:
    """Greeted; every message has the whole turn; the next turn counts on."""
    talk = Talk(2)
    assert [json.loads(one)["type"] for one in talk.dialect.greeting()] == ["Connected"]
    told = talk.says(
        Partial("Hello", 100, 400), Final("Hello, you.", 100, 700, HELLO), Partial("next", 900, 1000)
    )
    assert [(one["event"], one["turn_index"], one["transcript"]) for one in told] == [
        ("StartOfTurn", 0, "Hello"),
        ("EndOfTurn", 0, "Hello, you."),
        ("StartOfTurn", 1, "next"),
    ]
    numbers = [one["sequence_id"] for one in told]
    assert numbers == sorted(set(numbers))


def test_a_forced_end_of_turn() -> None:
    """Waits for the final of what is only a partial yet."""
    talk = Talk(2, provider="deepgram")
    talk.says(Partial("Hello", 100, 400))
    assert talk.hears('{"type":"ForceEndTurn"}') == ([Control.FINALIZE], [])
    (end,) = talk.says(Final("Hello", 100, 400))
    assert (end["event"], end["trigger"]) == ("EndOfTurn", "manual")
    assert talk.says(TurnEnd(400)) == []


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("message", ["", "audio", "[]", '{"kind":1}', '{"type":5}', "[" * 5000])
def test_text_that_is_none_of_the_protocol(version: int, message: str) -> None:
    """Audio in the wrong place, perhaps: told at once."""
    with pytest.raises(ClientFault, match="binary messages"):
        Talk(version).dialect.received(message)


@pytest.mark.parametrize("version", [1, 2])
def test_errors_have_the_vendors_codes(version: int) -> None:
    """Its clients know 1008 and 1011."""
    dialect = Talk(version).dialect
    assert dialect.close_code(unauthorized("no")) == 1008
    assert dialect.close_code(UpstreamFault("away")) == 1011
    (error,) = dialect.error(UpstreamFault("away"))
    assert json.loads(error)["type"] == "Error"
