"""AssemblyAI's protocol: what its clients ask for, and what they are told about what a provider says."""

import json
from collections.abc import Sequence
from typing import Any

import jwt
import pytest

from routeraudio.dialects.assemblyai import ENTRY
from routeraudio.dialects.base import BadRequest, Control, DialectEvent, Opening, Request, StreamRequest
from routeraudio.dialects.catalog import find
from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import ClientFault, Overloaded, UpstreamFault, unauthorized
from routeraudio.model.events import Event, Final, Finished, Partial, TurnEnd, Word
from routeraudio.model.router_token import TYPE

TOKEN = jwt.encode({"jti": "x"}, "s" * 32, headers={"typ": TYPE})
HELLO = (Word("Hello,", 100, 400, "x", 0.9), Word("you.", 400, 700, "y", 0.5))


def parsed(query: str = "", path: str = "/as/assemblyai/v3/ws", **headers: str) -> StreamRequest:
    return ENTRY.parse(Request(path, query, headers))


class Talk:
    """One client's side, with a clock that stands where the test puts it."""

    def __init__(self, query: str = "", provider: str = "local") -> None:
        self.now_s = 1_700_000_000.0
        wish = parsed(query, f"/as/assemblyai/{provider}/v3/ws")
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


def test_a_turn() -> None:
    """Greeted; every message has the whole turn and every member; times are integers."""
    talk = Talk("format_turns=True&speaker_labels=true")
    (begin,) = map(json.loads, talk.dialect.greeting())
    assert begin == {
        "type": "Begin",
        "id": "00000000-0000-0000-0000-000000000000",
        "expires_at": 1_700_010_800,
    }
    told = talk.says(Partial("Hello", 100, 400), Final("Hello, you.", 100, 700, HELLO))
    assert told[0] == {"type": "SpeechStarted", "timestamp": 100}
    assert told[1] == {
        "type": "Turn",
        "turn_order": 0,
        "turn_is_formatted": False,
        "end_of_turn": False,
        "transcript": "Hello",
        "utterance": "",
        "end_of_turn_confidence": 0.0,
        "words": [{"text": "Hello", "start": 100, "end": 400, "confidence": 1.0, "word_is_final": False}],
    }
    (end,) = told[2:]
    assert (end["turn_order"], end["end_of_turn"], end["turn_is_formatted"]) == (0, True, True)
    assert end["transcript"] == end["utterance"] == "Hello, you."
    assert [(word["speaker"], word["word_is_final"], word["confidence"]) for word in end["words"]] == [
        ("A", True, 0.9),
        ("B", True, 0.5),
    ]
    (following,) = talk.says(Partial("next", 900, 1000))[1:]
    assert following["turn_order"] == 1


def test_where_the_provider_tells_turn_ends() -> None:
    """Finals are the turn so far; the turn's end has all of them."""
    talk = Talk(provider="deepgram")
    told = talk.says(Final("Hello", 100, 400), Partial("you", 400, 500), Final("you", 400, 700), TurnEnd(900))
    turns = [(one["transcript"], one["end_of_turn"]) for one in told if one["type"] == "Turn"]
    assert turns == [("Hello", False), ("Hello you", False), ("Hello you", False), ("Hello you", True)]
    assert [[word["word_is_final"] for word in one["words"]] for one in told[1:3]] == [[True], [True, False]]


def test_a_forced_end() -> None:
    """Waits for the final of what is only a partial yet; of nothing there is none."""
    talk = Talk(provider="deepgram")
    assert talk.hears('{"type":"ForceEndpoint"}') == ([Control.FINALIZE], [])
    talk.says(Partial("Hello", 100, 400))
    assert talk.hears('{"type":"ForceEndpoint"}') == ([Control.FINALIZE], [])
    (end,) = talk.says(Final("Hello", 100, 400))
    assert end["end_of_turn"]
    assert talk.says(TurnEnd(400)) == []


def test_the_end() -> None:
    """Whole seconds, which Python's client insists on."""
    talk = Talk()
    assert talk.hears(bytes(35_200)) == ([bytes(35_200)], [])
    talk.now_s += 3.4
    assert talk.hears('{"type":"Terminate"}') == ([Control.FINISH], [])
    assert talk.says(Finished()) == [
        {"type": "Termination", "audio_duration_seconds": 2, "session_duration_seconds": 3}
    ]


@pytest.mark.parametrize(
    ("message", "commands"),
    [
        ('{"type":"KeepAlive"}', [Control.KEEPALIVE]),
        ('{"type":"UpdateConfiguration","max_turn_silence":800}', []),
        ('{"type":"of next year"}', []),
        (b"", []),
    ],
)
def test_what_else_clients_say(message: str | bytes, commands: list[Control]) -> None:
    """Unknown types are of newer clients."""
    assert Talk().hears(message) == (commands, [])


@pytest.mark.parametrize("message", ["", "audio", "[]", '{"kind":1}', '{"type":5}', "[" * 5000])
def test_text_that_is_none_of_the_protocol(message: str) -> None:
    """Audio in the wrong place, perhaps: told at once."""
    with pytest.raises(ClientFault) as fault:
        Talk().hears(message)
    assert "Terminate" in fault.value.message


@pytest.mark.parametrize(
    ("fault", "code"),
    [(unauthorized("no"), 1008), (UpstreamFault("gone"), 1011), (Overloaded("full"), 1013)],
)
def test_errors(fault: Any, code: int) -> None:
    """In the standard's codes, said before the close."""
    dialect = Talk().dialect
    assert [json.loads(one) for one in dialect.error(fault)] == [
        {"type": "Error", "error_code": code, "error": fault.message}
    ]
    assert dialect.close_code(fault) == code


# Requests.


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/as/assemblyai/v3/ws", "assemblyai"),
        ("/as/assemblyai/soniox/v3/ws", "assemblyai"),
        ("/as/assemblyai/soniox/stt-rt-v5/v3/ws", "assemblyai"),
        ("/as/assemblyai/a/b/c/v3/ws", None),
        ("/as/assemblyai/v2/ws", None),
    ],
)
def test_whose_request_it_is(path: str, name: str | None) -> None:
    entry = find(Request(path, "", {}))
    assert (None if entry is None else entry.name) == name


def test_what_is_asked_for() -> None:
    """By default what the vendor does by default; booleans as Python writes them."""
    plain = parsed().options
    assert (plain.audio, plain.language, plain.endpointing_ms) == (
        AudioFormat("pcm_s16le", 16_000),
        "en",
        400,
    )
    assert (plain.partial_results, plain.punctuate, plain.diarize) == (True, False, False)
    asked = parsed(
        "sample_rate=8000&encoding=pcm_mulaw&format_turns=True&speaker_labels=True&language_detection=true"
        "&min_turn_silence=160&max_turn_silence=2400"
    ).options
    assert (asked.audio, asked.language) == (AudioFormat("pcm_mulaw", 8000), "auto")
    assert (asked.punctuate, asked.diarize, asked.endpointing_ms) == (True, True, 160)


@pytest.mark.parametrize(
    ("headers", "query", "key", "token"),
    [
        ({"authorization": "router_k"}, "", "router_k", None),
        ({"authorization": "Bearer router_k"}, "", "router_k", None),
        ({"authorization": TOKEN}, "", None, TOKEN),
        ({}, f"token={TOKEN}", None, TOKEN),
        ({}, "token=router_k", "router_k", None),
        ({}, "", None, None),
    ],
)
def test_keys(headers: dict[str, str], query: str, key: str | None, token: str | None) -> None:
    """The whole header, a scheme's credential, or the query's."""
    asked = parsed(query, **headers)
    assert (asked.key, asked.token) == (key, token)


@pytest.mark.parametrize(
    ("path", "model", "provider", "chosen", "is_vendors"),
    [
        ("/as/assemblyai/v3/ws", "universal-streaming-english", "", "universal-streaming-english", True),
        (
            "/as/assemblyai/local/v3/ws",
            "universal-streaming-english",
            "local",
            "universal-streaming-english",
            True,
        ),
        ("/as/assemblyai/soniox/stt-rt-v5/v3/ws", "u3-rt-pro", "soniox", "stt-rt-v5", False),
        ("/as/assemblyai/v3/ws", "soniox/stt-rt-v5", "soniox", "stt-rt-v5", False),
    ],
)
def test_who_serves(path: str, model: str, provider: str, chosen: str, is_vendors: bool) -> None:
    """Python's client knows its vendor's models only: the path names another provider."""
    asked = parsed(f"speech_model={model}", path)
    assert (asked.options.provider, asked.options.model, asked.has_own_model) == (
        provider,
        chosen,
        is_vendors,
    )


def test_what_has_no_effect_is_told() -> None:
    asked = parsed('keyterms_prompt=["a","b"]&vad_threshold=0.3&of_next_year=1')
    assert asked.advice == ("keyterms_prompt: has no effect", "vad_threshold: has no effect")
    assert asked.unknown == ("of_next_year",)


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("redact_pii=true", "redact_pii"),
        ("webhook_url=https://x.example", "webhook_url"),
        ("encoding=opus", "encoding"),
        ("sample_rate=16001", "sample_rate"),
        ("format_turns=maybe", "format_turns"),
        ("min_turn_silence=-1", "min_turn_silence"),
    ],
)
def test_what_cannot_be_had(query: str, what: str) -> None:
    """Every fault is named in the vendor's form."""
    with pytest.raises(BadRequest) as refused:
        parsed(query)
    assert what in json.loads(ENTRY.bad_request(refused.value.faults))["error"]


def test_a_path_that_names_nobody() -> None:
    with pytest.raises(BadRequest):
        parsed(path="/as/assemblyai/nobody/v3/ws")


def test_a_refusal_names_the_place_of_the_key() -> None:
    assert ENTRY.refusal is not None
    told = json.loads(ENTRY.refusal(parsed(), unauthorized("no key; send x-api-key")))
    assert told == {"error": "no key; send one as the Authorization header"}
