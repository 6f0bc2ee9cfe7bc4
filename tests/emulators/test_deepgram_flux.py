"""Deepgram `/v2/listen` (Flux), as conversations in memory and in virtual time."""

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from routeraudio.emulators.deepgram import Deepgram
from routeraudio.emulators.kit.script import parse_script
from routeraudio.emulators.kit.server import Emulator
from tests.emulators.helping import RAW, SECOND, FakeHear, chunks, heard, talk

V2 = f"/v2/listen?model=flux-general-en&{RAW}"
TURN = [(300, heard("partial", "go", 100)), (800, heard("final", "go forward", 100))]


def emulate(hear: FakeHear | None = None, **options: Any) -> Emulator:
    return Emulator(Deepgram(), hear=hear, **options)


def events(messages: list[Any]) -> list[tuple[str, int, str]]:
    return [(each["event"], each["turn_index"], each["transcript"]) for each in messages]


async def converse(hear: FakeHear, *messages: Any, target: str = V2) -> list[Any]:
    """What is said between Connected and the close."""
    async with talk(emulate(hear), target) as client:
        assert (await client.receive())["type"] == "Connected"
        for message in messages:
            await client.send(message)
            await trio.testing.wait_all_tasks_blocked()
        said, closed = await client.rest()
    assert closed.code == 1005
    return said


async def test_a_turn_from_its_first_word_to_its_end(autojump_clock: MockClock) -> None:
    """Updates come every 240 ms of audio; the first words come before the turn has started."""
    said = await converse(FakeHear(TURN), *chunks(SECOND, 3840), {"type": "CloseStream"})
    assert events(said) == [
        ("Update", 0, ""),
        ("Update", 0, "Go"),
        ("StartOfTurn", 0, "Go"),
        ("Update", 0, "Go"),
        ("Update", 0, "Go"),
        ("EndOfTurn", 0, "Go forward."),
        ("Update", 1, ""),
        ("Update", 1, ""),
    ]
    assert [each["sequence_id"] for each in said] == list(range(1, 9))
    end = said[5]
    assert (end["trigger"], end["audio_window_start"], end["audio_window_end"]) == ("model", 0.0, 0.84)
    assert end["words"][1] == {"word": "forward.", "confidence": 0.99, "start": 0.4, "end": 0.7}
    assert said[6]["audio_window_start"] == end["audio_window_end"]
    assert "trigger" not in said[0]


async def test_close_stream_brings_no_end_of_turn(autojump_clock: MockClock) -> None:
    """What was left comes as an Update, and the close has no code."""
    hear = FakeHear([(450, heard("partial", "go", 100))], rest=[heard("final", "go forward", 100)])
    said = await converse(hear, SECOND, {"type": "CloseStream"})
    assert events(said)[-1] == ("Update", 0, "Go forward")
    assert "EndOfTurn" not in [each["event"] for each in said]


async def test_turns_that_ended_before_close_stream_do_end(autojump_clock: MockClock) -> None:
    """Only the last utterance is cut by CloseStream."""
    hear = FakeHear(rest=[heard("final", "go forward", 100), heard("final", "ten meters", 900)])
    said = await converse(hear, SECOND, {"type": "CloseStream"})
    assert ("EndOfTurn", 0, "Go forward.") in events(said)
    assert events(said)[-1] == ("Update", 1, "Ten meters")


async def test_turns_that_silence_ended_before_close_stream(autojump_clock: MockClock) -> None:
    """A recogniser that is late does not turn an EndOfTurn into an Update."""
    hear = FakeHear(rest=[heard("final", "go forward", 100)])
    said = await converse(hear, SECOND, SECOND, {"type": "CloseStream"})
    assert events(said)[-2:] == [("EndOfTurn", 0, "Go forward."), ("Update", 1, "")]


async def test_eager_ends_only_when_asked_for(autojump_clock: MockClock) -> None:
    """EagerEndOfTurn comes with eager_eot_threshold and says what EndOfTurn says."""
    target = f"{V2}&eager_eot_threshold=0.5"
    said = await converse(FakeHear(TURN), SECOND, {"type": "CloseStream"}, target=target)
    assert [each for each in events(said) if each[0].endswith("EndOfTurn")] == [
        ("EagerEndOfTurn", 0, "Go forward."),
        ("EndOfTurn", 0, "Go forward."),
    ]


async def test_force_end_turn(autojump_clock: MockClock) -> None:
    """ForceEndTurn ends an open turn with trigger manual, and is ignored without one."""
    hear = FakeHear([(450, heard("partial", "go", 100))], held=heard("final", "go forward", 100))
    said = await converse(
        hear, SECOND, {"type": "ForceEndTurn"}, {"type": "ForceEndTurn"}, SECOND, {"type": "CloseStream"}
    )
    ends = [each for each in said if each["event"] == "EndOfTurn"]
    assert [(each["trigger"], each["transcript"]) for each in ends] == [("manual", "Go forward.")]


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"KeepAlive"}',
        '{"type":"Finalize"}',
        '{"type":"Hello"}',
        "{",
        '{"type":"Configure","thresholds":3}',
    ],
)
async def test_unknown_messages_are_fatal(text: str, autojump_clock: MockClock) -> None:
    """KeepAlive and Finalize, too, kill a Flux connection."""
    async with talk(emulate(FakeHear()), V2) as client:
        await client.send(text)
        messages, closed = await client.rest()
    assert [(each["type"], each.get("code")) for each in messages] == [
        ("Connected", None),
        ("Error", "UNPARSABLE_CLIENT_MESSAGE"),
    ]
    assert closed.code == 1008


async def test_configure_changes_what_it_names(autojump_clock: MockClock) -> None:
    """The answer holds all current settings."""
    async with talk(emulate(FakeHear()), f"{V2}&keyterm=Zoltan") as client:
        await client.receive()
        await client.send({"type": "Configure", "thresholds": {"eot_threshold": 0.8}, "numerals": True})
        answer = await client.receive()
    assert answer["type"] == "ConfigureSuccess"
    assert answer["thresholds"] == {"eot_threshold": 0.8, "eot_timeout_ms": 5000}
    assert (answer["keyterms"], answer["numerals"], answer["sequence_id"]) == (["Zoltan"], True, 1)


async def test_configure_fails_for_the_wrong_model(autojump_clock: MockClock) -> None:
    """Language hints need the multilingual model."""
    async with talk(emulate(FakeHear()), V2) as client:
        await client.receive()
        await client.send({"type": "Configure", "language_hints": ["en"]})
        assert (await client.receive())["type"] == "ConfigureFailure"


@pytest.mark.parametrize(
    ("query", "endpointing_ms"),
    [
        ("", 500),
        ("&eot_timeout_ms=600", 500),
        ("&eot_threshold=1.0", 5000),
        ("&eot_threshold=1&eot_timeout_ms=700", 700),
    ],
)
async def test_silence_that_ends_a_turn(query: str, endpointing_ms: int, autojump_clock: MockClock) -> None:
    """The model ends turns, unless its threshold is 1: then only the timeout does."""
    hear = FakeHear()
    await converse(hear, SECOND, {"type": "CloseStream"}, target=V2 + query)
    assert hear.opened == [(endpointing_ms, True)]


async def test_a_turn_that_the_timeout_ends(autojump_clock: MockClock) -> None:
    """EndOfTurn says what ended the turn."""
    said = await converse(FakeHear(TURN), SECOND, {"type": "CloseStream"}, target=f"{V2}&eot_threshold=1")
    assert [each["trigger"] for each in said if each["event"] == "EndOfTurn"] == ["timeout"]


async def test_first_audio_must_come_within_ten_seconds(autojump_clock: MockClock) -> None:
    """Afterwards silence of any length is borne."""
    async with talk(emulate(FakeHear()), V2) as client:
        _, closed = await client.rest()
    assert (closed.code, trio.current_time()) == (1011, pytest.approx(10))
    async with talk(emulate(FakeHear()), V2) as client:
        await client.send(SECOND)
        await trio.sleep(100)
        await client.send({"type": "CloseStream"})
        _, closed = await client.rest()
    assert closed.code == 1005


async def test_an_empty_binary_message_is_ignored(autojump_clock: MockClock) -> None:
    """Only v1 knows the old end of stream."""
    said = await converse(FakeHear(TURN), b"", SECOND, {"type": "CloseStream"})
    assert ("EndOfTurn", 0, "Go forward.") in events(said)


async def test_containers_that_flux_does_not_read() -> None:
    """MP3 is for v1 only."""
    async with talk(emulate(FakeHear()), "/v2/listen?model=flux-general-en") as client:
        await client.send(b"ID3\x04" + bytes(100))
        _, closed = await client.rest()
    assert closed.code == 1008


async def test_scripted_turns_are_numbered(autojump_clock: MockClock) -> None:
    """Script messages get the connection's sequence_id unless they bring their own."""
    script = parse_script(
        b'{"steps":[{"on":"open","send":{"type":"TurnInfo"}},'
        b'{"after_ms":500,"send":{"type":"TurnInfo","sequence_id":77}},'
        b'{"on":"finish","send":{"type":"TurnInfo"}}]}',
        "script",
    )
    async with talk(emulate(script=script), V2) as client:
        await client.send(SECOND, {"type": "CloseStream"})
        messages, closed = await client.rest()
    assert [each["sequence_id"] for each in messages] == [0, 1, 77, 3]
    assert closed.code == 1005
