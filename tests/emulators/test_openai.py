"""OpenAI's transcription sessions, as conversations in memory and in virtual time."""

import base64
import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock
from trio_websocket import CloseReason

from routeraudio.emulators.kit.script import parse_script
from routeraudio.emulators.kit.server import Emulator
from routeraudio.emulators.openai import OpenAI
from tests.emulators.helping import Client, FakeHear, Heads, ask, heard, talk

TARGET = "/v1/realtime?intent=transcription"
KEY: Heads = (("Authorization", "Bearer good"),)
TRANSCRIPTION = "conversation.item.input_audio_transcription"
PATH = "session.audio.input"

COMMIT = {"type": "input_audio_buffer.commit"}
CLEAR = {"type": "input_audio_buffer.clear"}
VAD = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}


def emulate(hear: FakeHear | None = None, **options: Any) -> Emulator:
    return Emulator(OpenAI(), hear=hear, **options)


def append(audio_ms: int) -> dict[str, Any]:
    """Audio at 24 kHz that is not silence in bytes."""
    audio = base64.b64encode(b"\x01\x00" * (24 * audio_ms)).decode()
    return {"type": "input_audio_buffer.append", "audio": audio}


def update(model: str | None = "gpt-live-transcribe", **heard: Any) -> dict[str, Any]:
    """A `session.update` for a model, with these fields of `session.audio.input`."""
    transcription = {} if model is None else {"transcription": {"model": model}}
    session = {"type": "transcription", "audio": {"input": transcription | heard}}
    return {"type": "session.update", "event_id": "cfg", "session": session}


async def until(client: Client, kind: str) -> list[Any]:
    """All messages up to the first of this kind."""
    messages = [await client.receive()]
    while messages[-1]["type"] != kind:
        messages.append(await client.receive())
    return messages


def kinds(messages: list[Any]) -> list[str]:
    short = (message["type"].removeprefix("input_audio_buffer.") for message in messages)
    return [kind.removeprefix(f"{TRANSCRIPTION}.").removeprefix("conversation.") for kind in short]


def texts(messages: list[Any]) -> list[str]:
    """Deltas and transcripts."""
    found = (message.get("delta", message.get("transcript")) for message in messages)
    return [text for text in found if text is not None]


async def refusal(target: str = TARGET, headers: Heads = KEY) -> tuple[list[Any], CloseReason]:
    async with talk(emulate(), target, headers) as client:
        return await client.rest()


# Who gets in.


@pytest.mark.parametrize(
    "headers", [(("Authorization", "Bearer bad"),), (("Authorization", "Token good"),), ()]
)
async def test_a_bad_key_is_told_after_the_upgrade(headers: Heads, autojump_clock: MockClock) -> None:
    """101, an error, close 3000."""
    [error], closed = await refusal(headers=headers)
    assert error["error"]["code"] == "invalid_api_key"
    assert (closed.code, closed.reason) == (3000, "invalid_request_error.invalid_api_key")


@pytest.mark.parametrize(
    ("target", "headers", "words"),
    [
        (f"{TARGET}&model=gpt-live-transcribe", KEY, "must not provide a model"),
        ("/v1/realtime", KEY, "is not allowed"),
        ("/v1/realtime?model=gpt-realtime", KEY, "is not allowed"),
        (TARGET, (*KEY, ("OpenAI-Beta", "realtime=v1")), "OpenAI-Beta"),
    ],
)
async def test_the_wrong_kind_of_session(
    target: str, headers: Heads, words: str, autojump_clock: MockClock
) -> None:
    """No intent, a model in the address and the beta header end with 4000."""
    [error], closed = await refusal(target, headers)
    assert words in error["error"]["message"]
    assert closed.code == 4000


async def test_a_browsers_key(autojump_clock: MockClock) -> None:
    """A browser puts its key in a subprotocol; `realtime` comes back."""
    async with talk(emulate(), TARGET, (), ("realtime", "openai-insecure-api-key.good")) as client:
        assert (await client.receive())["type"] == "session.created"
        assert client.socket.subprotocol == "realtime"


async def test_other_paths_and_asked_for_refusals() -> None:
    """Elsewhere is 404; refusals have the service's JSON."""
    status, headers, body = await ask(emulate(), "/v1/listen", KEY)
    assert (status, headers["content-type"]) == (404, "application/json")
    status, _, body = await ask(emulate(), TARGET, (("Authorization", "Bearer fault-refuse-429"),))
    assert status == 429
    assert json.loads(body)["error"]["code"] == "rate_limit_exceeded"


# Settings.


async def test_settings_are_created_and_updated(autojump_clock: MockClock) -> None:
    """The first message shows what a session is; fields that are left out keep their values."""
    async with talk(emulate(), TARGET, KEY) as client:
        created = await client.receive()
        assert created["type"] == "session.created"
        assert created["session"]["object"] == "realtime.transcription_session"
        heard = created["session"]["audio"]["input"]
        assert (heard["transcription"], heard["turn_detection"]["type"]) == (None, "server_vad")
        await client.send(update("gpt-transcribe", turn_detection=VAD), update(None))
        first, second = await client.receive(), await client.receive()
    assert first["session"] == second["session"]
    assert first["session"]["audio"]["input"]["turn_detection"] == VAD
    assert first["session"]["audio"]["input"]["transcription"] == {"model": "gpt-transcribe"}


@pytest.mark.parametrize("detection", [{}, {"turn_detection": None}])
async def test_live_models_have_no_detection(detection: Any, autojump_clock: MockClock) -> None:
    """Left out or null, it is off."""
    async with talk(emulate(), TARGET, KEY) as client:
        await client.send(update("gpt-realtime-whisper", **detection))
        updated = (await until(client, "session.updated"))[-1]
    assert updated["session"]["audio"]["input"]["turn_detection"] is None


def transcription(model: str, **fields: Any) -> dict[str, Any]:
    return update(None, transcription={"model": model, **fields})


def session(**fields: Any) -> dict[str, Any]:
    return {"type": "session.update", "session": {"type": "transcription", **fields}}


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        (session(model="x"), "unknown_parameter", "session.model"),
        (session(type="realtime"), "invalid_value", "session.type"),
        (session(audio=[]), "invalid_type", "session.audio"),
        (session(audio={"output": {}}), "unknown_parameter", "session.audio.output"),
        (session(include=["everything"]), "invalid_value", "session.include"),
        (update(speed=1), "unknown_parameter", f"{PATH}.speed"),
        (update(turn_detection=VAD), "invalid_value", f"{PATH}.turn_detection"),
        (update("gpt-realtime-whisper", turn_detection=VAD), "invalid_value", f"{PATH}.turn_detection"),
        (update("whisper-1", turn_detection={"type": "magic"}), "invalid_value", f"{PATH}.turn_detection.type"),
        (
            update("whisper-1", turn_detection=VAD | {"threshold": 2}),
            "invalid_value",
            f"{PATH}.turn_detection.threshold",
        ),
        (
            update("whisper-1", turn_detection={"type": "semantic_vad", "eagerness": "very"}),
            "invalid_value",
            f"{PATH}.turn_detection.eagerness",
        ),
        (
            update("whisper-1", turn_detection=VAD | {"utterance_end_ms": 2}),
            "unknown_parameter",
            f"{PATH}.turn_detection.utterance_end_ms",
        ),
        (update(format={"type": "audio/opus"}), "invalid_value", f"{PATH}.format.type"),
        (update(format={"type": []}), "invalid_value", f"{PATH}.format.type"),
        (update(format={"type": "audio/pcm", "rate": 16_000}), "invalid_value", f"{PATH}.format.rate"),
        (update(format={"type": "audio/pcmu", "rate": 8000}), "unknown_parameter", f"{PATH}.format.rate"),
        (update(noise_reduction={"type": "none"}), "invalid_value", f"{PATH}.noise_reduction.type"),
        (transcription("gpt-4o"), "invalid_model", f"{PATH}.transcription.model"),
        (transcription("whisper-1", languages=["en"]), "invalid_value", f"{PATH}.transcription.languages"),
        (transcription("whisper-1", language="en-US"), "invalid_value", f"{PATH}.transcription.language"),
        (transcription("gpt-transcribe", language="en"), "invalid_value", f"{PATH}.transcription.language"),
        (transcription("gpt-transcribe", languages=[]), "invalid_value", f"{PATH}.transcription.languages"),
        (transcription("gpt-transcribe", languages=None), "invalid_value", f"{PATH}.transcription.languages"),
        (transcription("gpt-transcribe", languages=["eng"]), "invalid_value", f"{PATH}.transcription.languages"),
        (transcription("gpt-realtime-whisper", prompt="x"), "invalid_value", f"{PATH}.transcription.prompt"),
        (transcription("gpt-realtime-whisper", delay="none"), "invalid_value", f"{PATH}.transcription.delay"),
        ({"type": "transcription_session.update", "session": {}}, "invalid_value", "type"),
        ({"type": ["session.update"]}, "invalid_value", "type"),
        ({"type": "input_audio_buffer.append", "audio": "no base64!"}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.append"}, "invalid_value", "audio"),
        (COMMIT | {"final": True}, "unknown_parameter", "final"),
        (COMMIT | {"event_id": "x" * 513}, "invalid_value", "event_id"),
    ],
)  # fmt: skip
async def test_what_is_refused(
    message: dict[str, Any], code: str, param: str, autojump_clock: MockClock
) -> None:
    """The error names the field; the session goes on."""
    async with talk(emulate(), TARGET, KEY) as client:
        await client.send(message, update())
        _, error, updated = await until(client, "session.updated")
    assert (error["type"], error["error"]["code"], error["error"]["param"]) == ("error", code, param)
    assert updated["session"]["audio"]["input"]["transcription"] == {"model": "gpt-live-transcribe"}


@pytest.mark.parametrize("message", [b"\x00\x01", "no JSON", "[]", "[" * 100_000])
async def test_what_is_no_event(message: str | bytes, autojump_clock: MockClock) -> None:
    """Binary messages and nonsense are errors, and the session goes on."""
    async with talk(emulate(), TARGET, KEY) as client:
        await client.send(message, update())
        _, error, _ = await until(client, "session.updated")
    assert error["error"]["code"] == "invalid_value"


async def test_an_error_names_the_clients_event(autojump_clock: MockClock) -> None:
    """`error.event_id` is the message's own."""
    async with talk(emulate(), TARGET, KEY) as client:
        await client.send(COMMIT | {"event_id": "mine"})
        error = (await until(client, "error"))[-1]
    assert error["error"]["event_id"] == "mine"


# Turns.


async def test_a_live_turn_needs_a_commit(autojump_clock: MockClock) -> None:
    """Deltas come with the audio, but for the last word; the rest and the whole follow the commit."""
    hear = FakeHear(
        [(300, heard("partial", "go forward", 100)), (600, heard("partial", "go forward ten", 100))],
        rest=[heard("final", "go forward ten meters", 100)],
    )
    async with talk(emulate(hear), TARGET, KEY) as client:
        await client.send(update(), append(400), append(400))
        before = await until(client, f"{TRANSCRIPTION}.delta")
        before += await until(client, f"{TRANSCRIPTION}.delta")
        await client.send(COMMIT)
        after = await until(client, f"{TRANSCRIPTION}.completed")
    assert texts(before) == ["Go", " forward"]
    assert kinds(after) == ["committed", "item.added", "item.done", "delta", "delta", "completed"]
    assert texts(after) == [" ten", " meters.", "Go forward ten meters."]
    assert hear.opened == [(10_000, True)]


async def test_a_changed_mind_shows_in_the_transcript(autojump_clock: MockClock) -> None:
    """Deltas cannot be taken back."""
    hear = FakeHear([(300, heard("partial", "no forward", 100))], rest=[heard("final", "go forward", 100)])
    async with talk(emulate(hear), TARGET, KEY) as client:
        await client.send(update(), append(400), COMMIT)
        messages = await until(client, f"{TRANSCRIPTION}.completed")
    assert texts(messages) == ["No", "Go forward."]


async def test_turns_form_a_chain(autojump_clock: MockClock) -> None:
    """Each commit names the one before; each turn has ears of its own; a turn may be blank."""
    hear = FakeHear([(300, heard("final", "go", 100))])
    async with talk(emulate(hear), TARGET, KEY) as client:
        await client.send(update(), append(400), COMMIT, append(100), COMMIT)
        messages = await until(client, f"{TRANSCRIPTION}.completed")
        messages += await until(client, f"{TRANSCRIPTION}.completed")
    commits = [each for each in messages if each["type"] == "input_audio_buffer.committed"]
    assert [(each["previous_item_id"], each["item_id"]) for each in commits] == [
        (None, "item_1"),
        ("item_1", "item_2"),
    ]
    assert texts(messages) == ["Go.", "Go.", ""]
    assert [len(pcm) // 32 for pcm in hear.pcm] == [pytest.approx(400, abs=5), pytest.approx(100, abs=5)]


@pytest.mark.parametrize("model", ["gpt-live-transcribe", "gpt-transcribe"])
async def test_less_than_100_ms_cannot_be_committed(model: str, autojump_clock: MockClock) -> None:
    """The recorded error, with what there was."""
    async with talk(emulate(FakeHear()), TARGET, KEY) as client:
        await client.send(update(model), append(80), COMMIT, append(200), COMMIT, COMMIT)
        first = (await until(client, "error"))[-1]
        await until(client, f"{TRANSCRIPTION}.completed")
        second = (await until(client, "error"))[-1]
    assert first["error"]["code"] == second["error"]["code"] == "input_audio_buffer_commit_empty"
    assert "Expected at least 100ms of audio" in first["error"]["message"]
    assert "only has 0.00ms" in second["error"]["message"]


async def test_clear_empties_the_buffer(autojump_clock: MockClock) -> None:
    """What was cleared cannot be committed."""
    async with talk(emulate(FakeHear()), TARGET, KEY) as client:
        await client.send(update(), append(400), CLEAR, COMMIT)
        messages = await until(client, "error")
    assert kinds(messages)[-2:] == ["cleared", "error"]


async def test_the_service_ends_turns(autojump_clock: MockClock) -> None:
    """With server detection speech is framed, padded, and transcribed after the commit."""
    hear = FakeHear(
        [
            (500, heard("partial", "go", 400)),
            (1900, heard("final", "go forward", 400)),
            (2500, heard("final", "ten", 2100)),
        ]
    )
    async with talk(emulate(hear), TARGET, KEY) as client:
        await client.send(update("gpt-transcribe", turn_detection=VAD), *[append(100)] * 30)
        messages = await until(client, f"{TRANSCRIPTION}.completed")
        messages += await until(client, f"{TRANSCRIPTION}.completed")
    turn = ["speech_started", "speech_stopped", "committed", "item.added", "item.done"]
    assert kinds(messages)[2:] == [*turn, "delta", "delta", "completed", *turn, "delta", "completed"]
    starts = [each["audio_start_ms"] for each in messages if each["type"].endswith("speech_started")]
    ends = [each["audio_end_ms"] for each in messages if each["type"].endswith("speech_stopped")]
    assert starts == [100, 1800]
    assert ends[0] == 1500
    assert hear.opened == [(500, True)]


async def test_a_commit_under_detection_ends_the_open_turn(autojump_clock: MockClock) -> None:
    """What silence had closed is the detector's turn, what was being said is the client's."""
    hear = FakeHear(rest=[heard("final", "go forward", 200), heard("final", "ten", 2500)])
    async with talk(emulate(hear), TARGET, KEY) as client:
        await client.send(update("gpt-4o-transcribe", turn_detection=VAD), append(3000), COMMIT)
        messages = await until(client, f"{TRANSCRIPTION}.completed")
        messages += await until(client, f"{TRANSCRIPTION}.completed")
    assert kinds(messages).count("speech_stopped") == 1
    assert [each["transcript"] for each in messages if "transcript" in each] == ["Go forward.", "Ten."]


async def test_without_detection_only_commits_end_turns(autojump_clock: MockClock) -> None:
    """`turn_detection: null` is allowed for every model; whisper-1 says all in one delta."""
    hear = FakeHear([(500, heard("partial", "go", 400)), (900, heard("final", "go forward", 400))])
    async with talk(emulate(hear), TARGET, KEY) as client:
        await client.send(update("whisper-1", turn_detection=None), append(1000), COMMIT)
        messages = await until(client, f"{TRANSCRIPTION}.completed")
    assert kinds(messages)[2:] == ["committed", "item.added", "item.done", "delta", "completed"]
    assert texts(messages) == ["Go forward.", "Go forward."]


async def test_without_a_model_nothing_is_transcribed(autojump_clock: MockClock) -> None:
    """A session that was never configured commits and says no more."""
    async with talk(emulate(FakeHear()), TARGET, KEY) as client:
        await client.send(append(1000), COMMIT, CLEAR)
        messages = await until(client, "input_audio_buffer.cleared")
    assert kinds(messages) == ["session.created", "committed", "item.added", "item.done", "cleared"]


@pytest.mark.parametrize(
    ("kind", "audio_bytes"), [("audio/pcmu", 8000), ("audio/pcma", 8000), ("audio/pcm", 48_000)]
)
async def test_formats(kind: str, audio_bytes: int, autojump_clock: MockClock) -> None:
    """A second is a second in each of them; it cannot be changed afterwards."""
    hear = FakeHear()
    audio = base64.b64encode(b"\x11" * audio_bytes).decode()
    other = "audio/pcmu" if kind != "audio/pcmu" else "audio/pcma"
    async with talk(emulate(hear), TARGET, KEY) as client:
        await client.send(
            update(format={"type": kind}), {"type": "input_audio_buffer.append", "audio": audio}
        )
        await client.send(update(format={"type": kind}), update(format={"type": other}))
        messages = await until(client, "error")
    assert kinds(messages)[1:] == ["session.updated", "session.updated", "error"]
    assert len(hear.pcm[0]) == pytest.approx(32_000, abs=200)


async def test_the_hour_is_over(autojump_clock: MockClock) -> None:
    """Audio or not, after an hour there is an error and 1001."""
    began_s = trio.current_time()
    async with talk(emulate(), TARGET, KEY) as client:
        await client.send(update(), append(100))
        await trio.sleep(3590)
        await client.send(append(100))
        messages, closed = await client.rest()
    assert messages[-1]["error"]["code"] == "session_expired"
    assert (closed.code, trio.current_time() - began_s) == (1001, pytest.approx(3600))
    assert "60 minutes" in (closed.reason or "")


async def test_a_script_answers_instead(autojump_clock: MockClock) -> None:
    """Commits play the script's steps; greetings and the answers to settings stay the service's own."""
    said = {"type": f"{TRANSCRIPTION}.completed", "item_id": "a", "content_index": 0, "transcript": "Hi."}
    script = parse_script(
        json.dumps(
            {
                "steps": [
                    {"on": "open", "send": {"type": "rate_limits.updated"}},
                    {"after_ms": 200, "send": {"type": "input_audio_buffer.speech_started"}},
                    {"on": "finalize", "send": said},
                    {"on": "finalize", "close": {"code": 1011}},
                ]
            }
        ).encode(),
        "test",
    )
    async with talk(emulate(script=script), TARGET, KEY) as client:
        await client.send(update(), append(300), COMMIT)
        messages, closed = await client.rest()
    assert kinds(messages) == [
        "session.created",
        "rate_limits.updated",
        "session.updated",
        "speech_started",
        "completed",
    ]
    assert closed.code == 1011


# Faults.


def by_key(fault: str) -> Heads:
    return [("Authorization", f"Bearer fault-{fault}")]


async def test_stall(autojump_clock: MockClock) -> None:
    """Not even a greeting."""
    async with talk(emulate(), TARGET, by_key("stall")) as client:
        await client.send(update(), append(300))
        with trio.move_on_after(3000) as waiting:
            await client.receive_whatever()
    assert waiting.cancelled_caught


@pytest.mark.parametrize("ending", [COMMIT, update(None)], ids=["commit", "update"])
async def test_endless(ending: dict[str, Any], autojump_clock: MockClock) -> None:
    """After audio nothing but audio is understood any more."""
    async with talk(emulate(FakeHear()), TARGET, by_key("endless")) as client:
        await client.send(update(), append(300))
        await until(client, "session.updated")
        await client.send(ending)
        with trio.move_on_after(3500) as waiting:
            await client.receive_whatever()
    assert waiting.cancelled_caught


async def test_early(autojump_clock: MockClock) -> None:
    """Close 1000 in the middle."""
    async with talk(emulate(FakeHear()), TARGET, by_key("early-0.5")) as client:
        await client.send(update(), append(600))
        messages, closed = await client.rest()
    assert (kinds(messages), closed.code) == (["session.created", "session.updated"], 1000)


async def test_deaf(autojump_clock: MockClock) -> None:
    """The socket is not read any more: the commit is never answered."""
    async with talk(emulate(FakeHear()), TARGET, by_key("deaf-0.2")) as client:
        await client.send(update(), append(300), COMMIT)
        await until(client, "session.updated")
        with trio.move_on_after(500) as waiting:
            await client.receive_whatever()
    assert waiting.cancelled_caught


@pytest.mark.parametrize("kind", ["text", "binary", "types"])
async def test_garbage(kind: str, autojump_clock: MockClock) -> None:
    """The first audio is answered with nonsense; then all goes on."""
    async with talk(emulate(FakeHear()), TARGET, by_key(f"garbage-{kind}")) as client:
        await client.send(update(), append(300), COMMIT)
        await until(client, "session.updated")
        nonsense = await client.receive_whatever()
        messages = await until(client, f"{TRANSCRIPTION}.completed")
    assert texts(messages) == [""]
    if kind == "types":
        assert json.loads(nonsense)["type"] == f"{TRANSCRIPTION}.completed"
        assert not isinstance(json.loads(nonsense)["transcript"], str)
    else:
        assert nonsense in ("<html>502 Bad Gateway</html>", b"\x00\xffnot expected")
