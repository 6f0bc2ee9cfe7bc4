"""ElevenLabs' realtime service, as conversations in memory and in virtual time."""

import base64
import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from routeraudio.emulators.elevenlabs import ElevenLabs
from routeraudio.emulators.kit.faults import Faults
from routeraudio.emulators.kit.script import parse_script
from routeraudio.emulators.kit.server import Emulator
from tests.emulators.helping import SECOND, FakeHear, Heads, ask, heard, talk

PATH = "/v1/speech-to-text/realtime"
MANUAL = f"{PATH}?model_id=scribe_v2_realtime"
VAD = f"{MANUAL}&commit_strategy=vad&vad_silence_threshold_secs=0.5"
TIMED = "&include_timestamps=true"
KEY: Heads = (("xi-api-key", "good"),)


def emulate(hear: FakeHear | None = None, **options: Any) -> Emulator:
    return Emulator(ElevenLabs(), hear=hear, **options)


def chunk(audio: bytes = b"", **changes: Any) -> dict[str, Any]:
    """An `input_audio_chunk`."""
    return {
        "message_type": "input_audio_chunk",
        "audio_base_64": base64.b64encode(audio).decode(),
        "commit": False,
        "sample_rate": 16000,
    } | changes


COMMIT = chunk(commit=True)


def texts(messages: list[Any]) -> list[tuple[str, str]]:
    """Kind and text of transcripts: `partial`, `committed` or `timed`."""
    names = {
        "partial_transcript": "partial",
        "committed_transcript": "committed",
        "committed_transcript_with_timestamps": "timed",
    }
    return [(names[each["message_type"]], each["text"]) for each in messages if each["message_type"] in names]


async def receive(client: Any, count: int) -> list[Any]:
    """That many messages behind `session_started`."""
    first = await client.receive()
    assert first["message_type"] == "session_started"
    return [await client.receive() for _ in range(count)]


async def told(emulator: Emulator, target: str, *sent: Any, headers: Heads = KEY) -> tuple[list[Any], Any]:
    """All that is said until the emulator closes, and the close."""
    async with talk(emulator, target, headers) as client:
        await client.send(*sent)
        messages, closed = await client.rest()
    return [each for each in messages if each["message_type"] != "session_started"], closed


# Who gets in.


async def test_the_session_is_started_with_its_configuration(autojump_clock: MockClock) -> None:
    """The first message repeats what was asked for."""
    async with talk(emulate(), f"{VAD}&audio_format=ulaw_8000&language_code=de{TIMED}", KEY) as client:
        started = await client.receive()
    assert len(started["session_id"]) == 32
    config = started["config"]
    assert (config["audio_format"], config["sample_rate"], config["language_code"]) == (
        "ulaw_8000",
        8000,
        "de",
    )
    assert (config["vad_commit_strategy"], config["vad_silence_threshold_secs"]) == (True, 0.5)
    assert (config["model_id"], config["include_timestamps"]) == ("scribe_v2_realtime", True)


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (MANUAL, ()),
        (MANUAL, [("xi-api-key", "badkey")]),
        (MANUAL, [("xi-api-key", "")]),
        (MANUAL, [("Authorization", "Bearer good")]),
        (f"{MANUAL}&token=bad", KEY),
        ("/v1/speech-to-text/realtime?nonsense=1", ()),
    ],
)
async def test_bad_keys(target: str, headers: Heads, autojump_clock: MockClock) -> None:
    """Accepted, told, closed with 1000; a bad token is not made good by a key, a bad key comes before all else."""
    messages, closed = await told(emulate(), target, headers=headers)
    assert [each["message_type"] for each in messages] == ["auth_error"]
    assert (closed.code, closed.reason) == (1000, "auth_error")


async def test_a_token_is_good_once(autojump_clock: MockClock) -> None:
    """The second session with the same token is refused."""
    emulator = emulate()
    async with talk(emulator, f"{MANUAL}&token=sutkn_1", ()) as client:
        assert (await client.receive())["message_type"] == "session_started"
    messages, _ = await told(emulator, f"{MANUAL}&token=sutkn_1", headers=())
    assert [each["message_type"] for each in messages] == ["auth_error"]


async def test_other_paths(autojump_clock: MockClock) -> None:
    """There is nothing else here."""
    status, _, _ = await ask(emulate(), "/v1/speech-to-text", KEY)
    assert status == 404


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "model_id"),
        ("model_id=scribe_v2", "model_id"),
        ("audio_format=mp3", "audio_format"),
        ("audio_format=ulaw_16000", "audio_format"),
        ("language_code=pt-BR", "language_code"),
        ("secondary_languages=xx", "secondary_languages"),
        ("commit_strategy=auto", "commit_strategy"),
        ("vad_silence_threshold_secs=0.2", "vad_silence_threshold_secs"),
        ("vad_silence_threshold_secs=nan", "vad_silence_threshold_secs"),
        ("vad_threshold=1", "vad_threshold"),
        ("min_speech_duration_ms=20", "min_speech_duration_ms"),
        ("min_silence_duration_ms=1.5", "min_silence_duration_ms"),
        ("include_timestamps=True", "include_timestamps"),
        ("keyterms=" + "x" * 21, "keyterms"),
        ("&".join(["keyterms=a"] * 51), "keyterms"),
        ("include_timestamps=true&filter_background_audio=true", "filter_background_audio"),
        ("transcript_edit=x&entity_detection=all", "transcript_edit"),
        ("entity_redaction_mode=none", "entity_redaction_mode"),
        ("language=en", "language"),
        ("vad_threshold=0.5&vad_threshold=0.5", "twice"),
    ],
)
async def test_bad_parameters(query: str, names: str, autojump_clock: MockClock) -> None:
    """Accepted, told what is wrong, closed with 1000."""
    base = MANUAL if query and not query.startswith("model_id") else PATH + "?"
    [error], closed = await told(emulate(), f"{base}&{query}")
    assert error["message_type"] == "invalid_request"
    assert names in error["error"]
    assert closed.code == 1000


async def test_all_good_parameters(autojump_clock: MockClock) -> None:
    """What the SDK can send is taken."""
    query = (
        "&audio_format=pcm_48000&commit_strategy=turn_prediction&vad_silence_threshold_secs=3&vad_threshold=0.9"
        "&min_speech_duration_ms=50&min_silence_duration_ms=2000&language_code=yue&secondary_languages=en"
        "&secondary_languages=deu&include_timestamps=false&include_language_detection=true&keyterms=Ann"
        "&keyterms=Bob&no_verbatim=true&entity_detection=pii&entity_detection=phi&entity_redaction=all"
        "&entity_redaction_mode=redacted&filter_background_audio=true&enable_logging=false"
    )
    async with talk(emulate(), MANUAL + query, KEY) as client:
        assert (await client.receive())["message_type"] == "session_started"


# Audio.


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (SECOND, "input_error"),
        ("not JSON", "input_error"),
        ("[]", "input_error"),
        ('{"message_type":"commit"}', "input_error"),
        ('{"type":"input_audio_chunk","audio":"","commit":false,"sample_rate":16000}', "input_error"),
        (chunk(message_type="audio"), "input_error"),
        (chunk(audio_base_64="@@@"), "input_error"),
        (chunk(audio_base_64="ä"), "input_error"),
        (chunk(audio_base_64=None), "input_error"),
        (chunk(commit="true"), "input_error"),
        (chunk(sample_rate=8000), "input_error"),
        (chunk(sample_rate="16000"), "input_error"),
        (chunk(previous_text="x" * 51), "input_error"),
        (chunk(SECOND * 6), "chunk_size_exceeded"),
    ],
)
async def test_messages_that_cannot_be_used(message: Any, code: str, autojump_clock: MockClock) -> None:
    """Each is told what is wrong with it, and ends the session with 1000."""
    [error], closed = await told(emulate(FakeHear()), MANUAL, message)
    assert error["message_type"] == code
    assert isinstance(error["error"], str)
    assert (closed.code, closed.reason) == (1000, code)


@pytest.mark.parametrize("name", ["audio_base_64", "commit", "sample_rate", "message_type"])
async def test_fields_that_are_missing(name: str, autojump_clock: MockClock) -> None:
    """All but `previous_text` are required."""
    message = chunk(SECOND)
    del message[name]
    [error], _ = await told(emulate(FakeHear()), MANUAL, message)
    assert error["message_type"] == "input_error"


async def test_previous_text_belongs_to_the_first_chunk(autojump_clock: MockClock) -> None:
    """There it is context; later it is an error, unless it is null."""
    first, later = chunk(SECOND, previous_text="Hello"), chunk(SECOND, previous_text=None)
    [error], _ = await told(emulate(FakeHear()), MANUAL, first, later, chunk(SECOND, previous_text="again"))
    assert error["message_type"] == "input_error"
    assert "first chunk" in error["error"]


async def test_a_session_without_audio_is_closed_with_1000(autojump_clock: MockClock) -> None:
    """Ten seconds after the last audio, or the opening; empty audio counts, pings do not."""
    async with talk(emulate(FakeHear()), MANUAL, KEY) as client:
        started = trio.current_time()
        for message in (chunk(SECOND), chunk()):
            await trio.sleep(9)
            await client.send(message)
        for _ in range(3):
            await trio.sleep(3)
            await client.socket.ping()
        messages, closed = await client.rest()
        assert trio.current_time() - started == pytest.approx(28)
    assert len(messages) == 1
    assert closed.code == 1000


async def test_a_session_ends(autojump_clock: MockClock) -> None:
    """However lively it is, the service's limit ends it."""
    emulator = Emulator(ElevenLabs(session_s=60))
    async with talk(emulator, MANUAL, KEY) as client:
        started = trio.current_time()
        for _ in range(8):
            await trio.sleep(7)
            await client.send(chunk())
        messages, closed = await client.rest()
        assert trio.current_time() - started == pytest.approx(60)
    assert [each["message_type"] for each in messages][1:] == ["session_time_limit_exceeded"]
    assert (closed.code, closed.reason) == (1000, "session_time_limit_exceeded")


# Commits.


async def test_manual_commit_is_everything_since_the_last(autojump_clock: MockClock) -> None:
    """Utterances gather in the partials until the client commits; then a segment begins anew."""
    hear = FakeHear(
        [(500, heard("partial", "go", 100)), (900, heard("final", "go forward", 100))],
        rest=[heard("final", "ten meters", 950, word_ms=20)],
    )
    async with talk(emulate(hear), MANUAL, KEY) as client:
        await client.send(chunk(SECOND))
        messages = await receive(client, 2)
        await client.send(COMMIT)
        messages.append(await client.receive())
        await client.send(chunk(SECOND), COMMIT)
        messages.append(await client.receive())
    assert texts(messages[:2]) == [("partial", "Go"), ("partial", "Go forward.")]
    assert texts(messages[2:3]) == [("committed", "Go forward. Ten meters.")]
    assert texts(messages[3:]) == [("partial", "Go")]
    assert [len(pcm) for pcm in hear.pcm] == [len(SECOND)] * 2


async def test_timed_commits_are_twins_on_the_connections_timeline(autojump_clock: MockClock) -> None:
    """With timestamps each commit is said twice; times go on from segment to segment."""
    hear = FakeHear(rest=[heard("final", "go forward", 100)])
    async with talk(emulate(hear), MANUAL + TIMED, KEY) as client:
        await client.send(chunk(SECOND), COMMIT, chunk(SECOND), COMMIT)
        messages = await receive(client, 4)
    assert texts(messages) == [("committed", "Go forward."), ("timed", "Go forward.")] * 2
    assert [(word["text"], word["type"], word["start"]) for word in messages[1]["words"]] == [
        ("Go", "word", 0.1),
        (" ", "spacing", 0.4),
        ("forward.", "word", 0.4),
    ]
    assert messages[1]["language_code"] == "en"
    assert messages[3]["words"][0]["start"] == pytest.approx(1.1)


async def test_language_detection_alone_has_no_words(autojump_clock: MockClock) -> None:
    """The twin comes for the language's sake, without words."""
    hear = FakeHear(rest=[heard("final", "go", 100)])
    async with talk(emulate(hear), f"{MANUAL}&include_language_detection=true", KEY) as client:
        await client.send(chunk(SECOND), COMMIT)
        messages = await receive(client, 2)
    assert (messages[1]["text"], messages[1]["language_code"], messages[1]["words"]) == ("Go.", "en", None)


async def test_a_commit_of_silence_is_empty(autojump_clock: MockClock) -> None:
    """It is answered with empty text, the timed twin first."""
    async with talk(emulate(FakeHear()), VAD + TIMED, KEY) as client:
        await client.send(chunk(SECOND), COMMIT)
        messages = await receive(client, 2)
    assert texts(messages) == [("timed", ""), ("committed", "")]


async def test_voice_detection_commits_and_the_client_may_too(autojump_clock: MockClock) -> None:
    """Utterances closed by silence are commits; what an asked commit cut off is its answer."""
    hear = FakeHear([(900, heard("final", "go forward", 100))], rest=[heard("final", "ten", 1700)])
    async with talk(emulate(hear), VAD, KEY) as client:
        await client.send(chunk(SECOND), chunk(SECOND), COMMIT)
        messages = await receive(client, 2)
    assert texts(messages) == [("committed", "Go forward."), ("committed", "Ten.")]
    assert hear.opened == [(500, True)]


async def test_silence_before_a_commit_leaves_it_empty(autojump_clock: MockClock) -> None:
    """A recogniser that is late does not take the voice detection's commit away."""
    hear = FakeHear(rest=[heard("final", "go", 100)])
    async with talk(emulate(hear), VAD, KEY) as client:
        await client.send(chunk(SECOND), chunk(SECOND), COMMIT)
        messages = await receive(client, 2)
    assert texts(messages) == [("committed", "Go."), ("committed", "")]


@pytest.mark.parametrize(("audio_ms", "is_throttled"), [(0, True), (299, True), (300, False)])
async def test_a_commit_needs_300_ms(audio_ms: int, is_throttled: bool, autojump_clock: MockClock) -> None:
    """Less is told, and ends the session with 1000."""
    async with talk(emulate(FakeHear()), MANUAL, KEY) as client:
        await client.send(chunk(SECOND), COMMIT, chunk(SECOND[: audio_ms * 32], commit=True))
        first, second = await receive(client, 2)
    assert texts([first]) == [("committed", "")]
    if is_throttled:
        assert second["message_type"] == "commit_throttled"
        assert f"only {audio_ms / 1000:.2f}s" in second["error"]
    else:
        assert texts([second]) == [("committed", "")]


@pytest.mark.parametrize(("later_ms", "is_throttled"), [(299, True), (300, False)])
async def test_what_the_voice_detection_committed_cannot_be_committed_again(
    later_ms: int, is_throttled: bool, autojump_clock: MockClock
) -> None:
    """A commit right behind the voice detection's own is throttled: the race that clients lose."""
    hear = FakeHear([(900, heard("final", "go", 100))])
    async with talk(emulate(hear), VAD, KEY) as client:
        await client.send(chunk(SECOND[: 900 * 32]))
        [committed] = await receive(client, 1)
        await client.send(chunk(SECOND[: later_ms * 32], commit=True))
        answer = await client.receive()
    assert texts([committed]) == [("committed", "Go.")]
    assert answer["message_type"] == ("commit_throttled" if is_throttled else "committed_transcript")


async def test_manual_sessions_are_committed_unasked(autojump_clock: MockClock) -> None:
    """After 36.5 s of audio, as others measured."""
    hear = FakeHear(rest=[heard("final", "go", 100)])
    async with talk(emulate(hear), MANUAL, KEY) as client:
        for _ in range(37):
            await client.send(chunk(SECOND))
        messages = await receive(client, 1)
    assert texts(messages) == [("committed", "Go.")]


async def test_mulaw_is_decoded(autojump_clock: MockClock) -> None:
    """8000 bytes of mu-law are a second."""
    hear = FakeHear()
    async with talk(emulate(hear), f"{MANUAL}&audio_format=ulaw_8000", KEY) as client:
        await client.send(chunk(b"\xff" * 8000, sample_rate=8000), chunk(commit=True, sample_rate=8000))
        await receive(client, 1)
    assert len(hear.pcm[0]) == pytest.approx(32_000, abs=200)


async def test_a_script_speaks_instead_of_the_recogniser(autojump_clock: MockClock) -> None:
    """Steps are sent when their moment comes, those of `finalize` for each commit; nothing else is."""
    script = parse_script(
        b"""{"steps": [
          {"on": "open", "send": {"message_type": "a"}},
          {"after_ms": 500, "send_text": "{\\"message_type\\":\\"b\\"}"},
          {"on": "finalize", "send": {"message_type": "c"}},
          {"after_ms": 2500, "close": {"code": 1011}}
        ]}""",
        "script",
    )
    hear = FakeHear([(0, heard("final", "unheard", 0))])
    emulator = emulate(hear, script=script)
    messages, closed = await told(emulator, VAD, chunk(SECOND), COMMIT, chunk(SECOND), COMMIT, chunk(SECOND))
    assert [each["message_type"] for each in messages] == ["a", "b", "c", "c"]
    assert closed.code == 1011
    assert hear.opened == []


# Faults.


def by_key(fault: str) -> Heads:
    return [("xi-api-key", f"fault-{fault}")]


@pytest.mark.parametrize(
    ("status", "code"), [(401, "invalid_api_key"), (429, "too_many_concurrent_requests")]
)
async def test_refusals_on_request(status: int, code: str, autojump_clock: MockClock) -> None:
    """The fault `refuse` answers over HTTP, for all connections or for one key."""
    for emulator, headers in (
        (emulate(faults=Faults(refuse=status)), KEY),
        (emulate(), by_key(f"refuse-{status}")),
    ):
        answered, _, body = await ask(emulator, MANUAL, headers)
        assert (answered, json.loads(body)["detail"]["status"]) == (status, code)


async def test_a_slow_handshake(autojump_clock: MockClock) -> None:
    """The answer to the upgrade takes as long as it was told to."""
    started = trio.current_time()
    status, _, _ = await ask(emulate(), MANUAL, by_key("delay-5"))
    assert (status, trio.current_time() - started) == (101, pytest.approx(5))


async def test_a_stalled_service(autojump_clock: MockClock) -> None:
    """Everything is read, nothing is ever said."""
    emulator = emulate(FakeHear())
    async with talk(emulator, MANUAL, by_key("stall")) as client:
        await client.send(chunk(SECOND), COMMIT)
        with trio.move_on_after(3600) as waiting:
            await client.receive_whatever()
        assert waiting.cancelled_caught
    assert len(emulator.connections[0].texts) == 2


async def test_an_endless_session(autojump_clock: MockClock) -> None:
    """Commits are not answered, and no timer ends it."""
    async with talk(emulate(FakeHear()), VAD, by_key("endless")) as client:
        await client.send(chunk(SECOND), COMMIT)
        await receive(client, 0)
        with trio.move_on_after(3600) as waiting:
            await client.receive_whatever()
        assert waiting.cancelled_caught


async def test_an_early_close(autojump_clock: MockClock) -> None:
    """Close 1000 in the middle, and what was heard is lost."""
    hear = FakeHear(rest=[heard("final", "go", 100)])
    emulator = emulate(hear)
    messages, closed = await told(emulator, VAD, chunk(SECOND), COMMIT, headers=by_key("early-0.5"))
    assert (messages, closed.code) == ([], 1000)
    assert hear.open_now == 0


async def test_a_dropped_connection(autojump_clock: MockClock) -> None:
    """No close frame in the middle of the audio."""
    _, closed = await told(emulate(FakeHear()), VAD, chunk(SECOND), headers=by_key("drop-0.5"))
    assert closed.code == 1006


@pytest.mark.parametrize(
    ("kind", "first"),
    [("text", "<html>502 Bad Gateway</html>"), ("binary", b"\x00\xffnot expected")],
)
async def test_nonsense_of_the_wrong_kind(kind: str, first: str | bytes, autojump_clock: MockClock) -> None:
    """The first audio is answered with nonsense; then all goes on as usual."""
    async with talk(emulate(FakeHear()), VAD, by_key(f"garbage-{kind}")) as client:
        await client.send(chunk(SECOND), COMMIT)
        await receive(client, 0)
        assert await client.receive_whatever() == first
        assert texts([await client.receive()]) == [("committed", "")]


async def test_nonsense_of_the_wrong_types(autojump_clock: MockClock) -> None:
    """A commit whose fields are something else."""
    async with talk(emulate(FakeHear()), VAD, by_key("garbage-types")) as client:
        await client.send(chunk(SECOND))
        [message] = await receive(client, 1)
    assert message["message_type"] == "committed_transcript_with_timestamps"
    assert not isinstance(message["text"], str)


async def test_a_deaf_service_takes_no_commit(autojump_clock: MockClock) -> None:
    """What follows the audio at which it went deaf is never read."""
    emulator = emulate(FakeHear())
    async with talk(emulator, VAD, by_key("deaf-0.5")) as client:
        await client.send(chunk(SECOND))
        await receive(client, 0)
        await trio.sleep(1)
        await client.send(COMMIT)
        with trio.move_on_after(60) as waiting:
            await client.receive_whatever()
        assert waiting.cancelled_caught
        assert len(emulator.connections[0].texts) == 1
        await client.stream.aclose()
        await emulator.connections[0].ended.wait()
