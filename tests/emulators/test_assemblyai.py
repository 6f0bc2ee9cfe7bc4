"""AssemblyAI's session, as conversations in memory and in virtual time."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from routeraudio.emulators.assemblyai import AssemblyAI
from routeraudio.emulators.assemblyai.session import Limits
from routeraudio.emulators.kit.faults import Faults
from routeraudio.emulators.kit.script import parse_script
from routeraudio.emulators.kit.server import Emulator
from tests.emulators.helping import SECOND, FakeHear, Heads, ask, chunks, clip, encoded, heard, talk

KEY: Heads = (("Authorization", "good"),)
RAW = "encoding=pcm_s16le&sample_rate=16000"
PRO = f"/v3/ws?speech_model=universal-3-6-pro&{RAW}"
ENGLISH = f"/v3/ws?speech_model=universal-streaming-english&{RAW}"
MULTILINGUAL = f"/v3/ws?speech_model=universal-streaming-multilingual&{RAW}"
TERMINATE = {"type": "Terminate"}
FORCE = {"type": "ForceEndpoint"}
TURN = [(300, heard("partial", "go now", 100)), (800, heard("final", "go now please", 100))]


def emulate(hear: FakeHear | None = None, *, limits: Limits | None = None, **options: Any) -> Emulator:
    return Emulator(AssemblyAI(limits=limits), hear=hear, **options)


async def converse(
    *messages: Any, target: str = PRO, hear: FakeHear | None = None, headers: Heads = KEY, **options: Any
) -> tuple[list[Any], tuple[int, str | None]]:
    """What is said behind Begin, and the close."""
    async with talk(emulate(hear or FakeHear(), **options), target, headers) as client:
        assert (await client.receive())["type"] == "Begin"
        await client.send(*messages)
        said, closed = await client.rest()
    return said, (closed.code, closed.reason)


def errors(said: list[Any]) -> list[tuple[int, str]]:
    return [(each["error_code"], each["error"]) for each in said if each["type"] == "Error"]


def turns(said: list[Any]) -> list[tuple[int, str, bool, bool]]:
    """Order, text, formatted, ended."""
    return [
        (each["turn_order"], each["transcript"], each["turn_is_formatted"], each["end_of_turn"])
        for each in said
        if each["type"] == "Turn"
    ]


# Who gets in.


@pytest.mark.parametrize(
    ("headers", "query"), [(KEY, ""), ((("Authorization", "a.tempor.ary"),), ""), ((), "&token=abc")]
)
async def test_good_keys(headers: Heads, query: str, autojump_clock: MockClock) -> None:
    """A raw key, and a temporary token in the header or in the query."""
    said, closed = await converse(TERMINATE, target=PRO + query, headers=headers)
    assert [each["type"] for each in said] == ["Termination"]
    assert closed == (1000, "Session Ended")


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ((), "Missing Authorization header"),
        ((("Authorization", "badkey"),), "Invalid API key"),
        ((("Authorization", "Bearer good"),), "Invalid API key"),
    ],
)
async def test_bad_keys_are_told_behind_the_101(
    headers: Heads, words: str, autojump_clock: MockClock
) -> None:
    """The upgrade succeeds; an Error follows, and a moment later a close with its code."""
    async with talk(emulate(), PRO, headers) as client:
        began_s = trio.current_time()
        said, closed = await client.rest()
        assert trio.current_time() - began_s == pytest.approx(0.18)
    assert errors(said) == [(1008, f"Unauthorized Connection: {words}")]
    assert len(said) == 1
    assert (closed.code, closed.reason) == (1008, "See Error message for details")


async def test_accepted_keys_are_configurable(autojump_clock: MockClock) -> None:
    """An emulator may be told which keys are good."""
    emulator = Emulator(AssemblyAI(accepts=lambda key: key == "only"))
    async with talk(emulator, PRO, [("Authorization", "only")]) as client:
        assert (await client.receive())["type"] == "Begin"
    async with talk(emulator, PRO, KEY) as client:
        assert (await client.receive())["type"] == "Error"


async def test_other_paths(autojump_clock: MockClock) -> None:
    """The old realtime endpoint is gone."""
    status, _, _ = await ask(emulate(), "/v2/realtime/ws", KEY)
    assert status == 404


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("speech_model=u3-pro", "speech_model: expected one of universal-3-6-pro"),
        ("encoding=webm", "encoding"),
        ("encoding=pcm_mulaw", "sample_rate is required"),
        ("", "sample_rate is required"),
        ("sample_rate=4000", "sample_rate"),
        ("sample_rate=16k", "sample_rate"),
        (f"{RAW}&format_turns=1", "format_turns"),
        (f"{RAW}&min_turn_silence=49", "min_turn_silence"),
        (f"{RAW}&max_turn_silence=20000", "max_turn_silence"),
        (f"{RAW}&vad_threshold=nan", "vad_threshold"),
        (f"{RAW}&language_codes=en", "language_codes: expected a JSON list"),
        (f"{RAW}&language_codes=%5B%22en-US%22%5D", "language_codes: expected language codes"),
        (f"{RAW}&language_codes=%5B%22multi%22,%22en%22%5D", "language_codes"),
        (f"{RAW}&keyterms_prompt=%5B1%5D", "keyterms_prompt"),
        (f"{RAW}&prompt={'x' * 1751}", "prompt"),
        (f"{RAW}&inactivity_timeout=4", "inactivity_timeout"),
        (f"{RAW}&max_speakers=11", "max_speakers"),
        (f"{RAW}&mode=fast", "mode"),
        (f"{RAW}&mode=balanced&speech_model=whisper-rt", "mode is not supported"),
        (f"{RAW}&language_codes=%5B%22en%22%5D&speech_model=whisper-rt", "language_codes is not supported"),
    ],
)
async def test_bad_queries(query: str, name: str, autojump_clock: MockClock) -> None:
    """Each is an Error 3006 that names the parameter."""
    async with talk(emulate(), f"/v3/ws?{query}", KEY) as client:
        said, closed = await client.rest()
    [(code, words)] = errors(said)
    assert code == closed.code == 3006
    assert name in words


@pytest.mark.parametrize(
    "query",
    [
        f"{RAW}&langauge_codes=1",
        f"{RAW}&format_turns=True&speaker_labels=true&include_partial_turns=False",
        f"{RAW}&mode=min_latency&language_codes=%5B%22en%22,%22de%22%5D&keyterms_prompt=%5B%22Ann%22%5D",
        f"{RAW}&language_codes=%5B%22multi%22%5D&interruption_delay=0&domain=medical-v1&voice_focus=far-field",
        "encoding=opus",
        "encoding=aac&speech_model=whisper-rt",
        "sample_rate=96000&speech_model=u3-rt-pro",
    ],
)
async def test_good_queries(query: str, autojump_clock: MockClock) -> None:
    """Both spellings of booleans; a misspelt name is silently ignored."""
    _, closed = await converse(TERMINATE, target=f"/v3/ws?{query}")
    assert closed[0] == 1000


async def test_begin(autojump_clock: MockClock) -> None:
    """The first message names the session, its end and the model."""
    async with talk(emulate(), ENGLISH, KEY) as client:
        begin = await client.receive()
    assert begin["id"]
    assert begin["expires_at"] > 10_800
    assert (begin["configuration"]["model"], begin["configuration"]["mode"]) == (
        "universal-streaming-english",
        None,
    )


# Audio.


async def test_short_messages_end_the_session(autojump_clock: MockClock) -> None:
    """48 messages of 20 ms are borne, one more is not."""
    said, closed = await converse(*[bytes(640)] * 48, TERMINATE)
    assert closed == (1000, "Session Ended")
    said, closed = await converse(*[bytes(640)] * 49)
    [(code, words)] = errors(said)
    assert (code, closed[0], "20 ms" in words) == (3007, 3007, True)
    assert [each["type"] for each in said] == ["Error"]


@pytest.mark.parametrize(("size", "code"), [(1600, 1000), (32_000, 1000), (32_002, 3007), (131_074, 1009)])
async def test_length_of_a_message(size: int, code: int, autojump_clock: MockClock) -> None:
    """50 to 1000 ms; a longer message ends the session at once, a huge one without an Error."""
    said, closed = await converse(bytes(size), TERMINATE)
    assert closed[0] == code
    assert [each[0] for each in errors(said)] == ([3007] if code == 3007 else [])


async def test_audio_that_comes_too_fast(autojump_clock: MockClock) -> None:
    """A burst is borne; audio that runs far ahead of real time is not."""
    assert (await converse(*[SECOND] * 10, TERMINATE))[1][0] == 1000
    said, closed = await converse(*[SECOND] * 11)
    assert errors(said) == [(3007, "Audio Transmission Rate Exceeded")]
    async with talk(emulate(FakeHear()), PRO, KEY) as client:
        for _ in range(60):
            await client.send(SECOND)
            await trio.sleep(1)
        await client.send(TERMINATE)
        _, end = await client.rest()
    assert (end.code, closed[0]) == (1000, 3007)


async def test_mulaw(autojump_clock: MockClock) -> None:
    """Mu-law counts by its own rate."""
    hear = FakeHear()
    target = "/v3/ws?encoding=pcm_mulaw&sample_rate=8000"
    assert (await converse(bytes(8000), TERMINATE, target=target, hear=hear))[1][0] == 1000
    assert len(hear.pcm[0]) == pytest.approx(32_000, abs=100)


async def test_ogg() -> None:
    """In any pieces; what is no Ogg is an Error."""
    ogg = encoded(clip("goforward.wav"), "ogg", "libopus", 48_000)
    hear = FakeHear()
    target = "/v3/ws?encoding=ogg_opus"
    _, closed = await converse(*chunks(ogg, 300), TERMINATE, target=target, hear=hear)
    assert closed[0] == 1000
    assert len(hear.pcm[0]) == pytest.approx(len(clip("goforward.wav")), abs=2000)
    said, _ = await converse(SECOND, target=target)
    assert errors(said) == [(3006, "The audio cannot be decoded")]


# Turns.


async def test_pro_turn(autojump_clock: MockClock) -> None:
    """SpeechStarted, the whole turn so far, one formatted final; times are whole milliseconds, `type` comes last."""
    said, _ = await converse(*chunks(SECOND, 3200), TERMINATE, hear=FakeHear(TURN))
    assert [each["type"] for each in said] == ["SpeechStarted", "Turn", "Turn", "Termination"]
    assert turns(said) == [(0, "Go now", True, False), (0, "Go now please.", True, True)]
    assert said[1]["words"][1] == {
        "start": 400,
        "end": 700,
        "text": "now",
        "confidence": 0.99,
        "word_is_final": False,
    }
    assert all(word["word_is_final"] for word in said[2]["words"])
    assert (said[1]["utterance"], said[2]["utterance"]) == ("", "Go now please.")
    assert list(said[2])[-1] == "type"
    assert said[-1] == {"type": "Termination", "audio_duration_seconds": 1, "session_duration_seconds": 0}


async def test_english_turn(autojump_clock: MockClock) -> None:
    """Only settled words are in `transcript`; the final has no words, and behind Terminate comes an empty one."""
    said, _ = await converse(*chunks(SECOND, 3200), TERMINATE, target=ENGLISH, hear=FakeHear(TURN))
    assert turns(said) == [(0, "go", False, False), (0, "go now please", False, True), (1, "", False, True)]
    assert [word["word_is_final"] for word in said[0]["words"]] == [True, False]
    assert said[1]["words"] == []


@pytest.mark.parametrize(
    ("target", "finals"),
    [
        (ENGLISH, [(0, "go now please", False, True), (0, "Go now please.", True, True)]),
        (MULTILINGUAL, [(0, "Go now please.", False, True)]),
        (PRO, [(0, "Go now please.", True, True)]),
    ],
)
async def test_formatted_turns(target: str, finals: list[Any], autojump_clock: MockClock) -> None:
    """The English model ends a formatted turn twice, the others once."""
    said, _ = await converse(SECOND, TERMINATE, target=f"{target}&format_turns=true", hear=FakeHear(TURN[1:]))
    assert turns(said)[: len(finals)] == finals
    assert [order for order, *_ in turns(said)[len(finals) :]] in ([], [1])


async def test_speaker_labels(autojump_clock: MockClock) -> None:
    """Only finals have speakers, the last word's is pending; a revision comes before the end."""
    target = f"{PRO}&speaker_labels=true&language_detection=true"
    said, _ = await converse(*chunks(SECOND, 3200), TERMINATE, target=target, hear=FakeHear(TURN))
    assert [word.get("speaker") for word in said[1]["words"]] == [None, None]
    assert [word["speaker"] for word in said[2]["words"]] == ["A", "A", "PENDING"]
    assert (said[2]["speaker_label"], said[2]["language_code"]) == ("A", "en")
    assert [each["type"] for each in said[-2:]] == ["SpeakerRevision", "Termination"]


async def test_no_partials_on_request(autojump_clock: MockClock) -> None:
    """`include_partial_turns=false` leaves finals."""
    said, _ = await converse(
        SECOND, TERMINATE, target=f"{PRO}&include_partial_turns=false", hear=FakeHear(TURN)
    )
    assert turns(said) == [(0, "Go now please.", True, True)]


@pytest.mark.parametrize(
    ("target", "silence_ms"),
    [
        (PRO, 400),
        (f"{PRO}&mode=max_accuracy", 512),
        (f"{PRO}&max_turn_silence=300", 300),
        (f"{PRO}&min_turn_silence=900&max_turn_silence=800", 800),
        (f"{ENGLISH}&min_turn_silence=700", 700),
    ],
)
async def test_silence_that_ends_a_turn(target: str, silence_ms: int, autojump_clock: MockClock) -> None:
    """The confident silence, never longer than the longest one."""
    hear = FakeHear()
    await converse(TERMINATE, target=target, hear=hear)
    assert hear.opened == [(silence_ms, True)]


async def test_force_endpoint(autojump_clock: MockClock) -> None:
    """It ends the open turn now, and does nothing without one."""
    hear = FakeHear([(450, heard("partial", "go", 100))], held=heard("final", "go now", 100))
    said, _ = await converse(SECOND, FORCE, FORCE, TERMINATE, hear=hear)
    assert turns(said) == [(0, "Go", True, False), (0, "Go now.", True, True)]


async def test_last_words_come_before_termination(autojump_clock: MockClock) -> None:
    """Terminate brings out what was not yet final."""
    hear = FakeHear(rest=[heard("final", "go now", 100)])
    said, closed = await converse(SECOND, TERMINATE, hear=hear)
    assert [each["type"] for each in said] == ["SpeechStarted", "Turn", "Termination"]
    assert closed == (1000, "Session Ended")


# Control messages and time.


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"type":"Bogus"}', "Invalid Message Type: Bogus"),
        ('{"type":7}', "Invalid JSON"),
        ("{", "Invalid JSON"),
        ("[" * 10_000, "Invalid JSON"),
        ('{"type":"UpdateConfiguration","max_turn_silence":5}', "Invalid value for max_turn_silence"),
    ],
)
async def test_messages_that_are_not_understood(text: str, words: str, autojump_clock: MockClock) -> None:
    """Each ends the session with 3006."""
    said, closed = await converse(text)
    [(code, found)] = errors(said)
    assert (code, closed[0]) == (3006, 3006)
    assert found.startswith(words)


async def test_update_configuration(autojump_clock: MockClock) -> None:
    """It is not acknowledged; an over-long text cancels the session."""
    update = {"type": "UpdateConfiguration", "max_turn_silence": 800, "format_turns": True, "new": 1}
    said, _ = await converse(update, SECOND, TERMINATE, target=ENGLISH, hear=FakeHear(TURN[1:]))
    assert turns(said)[1] == (0, "Go now please.", True, True)
    said, _ = await converse({"type": "UpdateConfiguration", "prompt": "x" * 1751})
    assert errors(said) == [(3005, "Session Cancelled: An error occurred")]


async def test_inactivity(autojump_clock: MockClock) -> None:
    """A line without audio lives as long as it likes, unless a timeout was asked for; KeepAlive holds it then."""
    async with talk(emulate(FakeHear()), PRO, KEY) as client:
        await trio.sleep(3600)
        await client.send(TERMINATE)
        assert (await client.rest())[1].code == 1000
    async with talk(emulate(FakeHear()), f"{PRO}&inactivity_timeout=5", KEY) as client:
        began_s = trio.current_time()
        for _ in range(3):
            await trio.sleep(4)
            await client.send({"type": "KeepAlive"})
        said, closed = await client.rest()
        assert trio.current_time() - began_s == pytest.approx(17.18)
    assert (errors(said), closed.code) == ([(3006, "Session terminated due to inactivity")], 3006)


async def test_session_limit(autojump_clock: MockClock) -> None:
    """After three hours, or what a test sets in their place, the session is over, with an Error."""
    for limits, session_s in ((None, 10_800), (Limits(session_s=3), 3)):
        async with talk(emulate(FakeHear(), limits=limits), PRO, KEY) as client:
            began_s = trio.current_time()
            await trio.sleep(session_s - 1)
            said, closed = await client.rest()
            assert trio.current_time() - began_s == pytest.approx(session_s + 0.18)
        assert [code for code, _ in errors(said)] == [closed.code] == [3008]


async def test_heartbeats_on_request(autojump_clock: MockClock) -> None:
    """Every five seconds, with what has arrived."""
    async with talk(emulate(FakeHear()), f"{PRO}&session_heartbeat=True", KEY) as client:
        await client.send(SECOND)
        await trio.sleep(11)
        await client.send(TERMINATE)
        said, _ = await client.rest()
    beats = [each for each in said if each["type"] == "Heartbeat"]
    assert [(each["total_audio_received_ms"], each["total_duration_ms"]) for each in beats] == [
        (1000, 5000),
        (1000, 10_000),
    ]


async def test_a_script_speaks_instead_of_the_recogniser(autojump_clock: MockClock) -> None:
    """Between the service's own Begin and Termination."""
    script = parse_script(
        b'{"steps":[{"after_ms":500,"send":{"type":"Turn","n":1}},{"on":"finalize","send":{"type":"Turn","n":2}},'
        b'{"on":"finish","send":{"type":"Turn","n":3}}]}',
        "script",
    )
    hear = FakeHear(TURN)
    said, closed = await converse(SECOND, FORCE, TERMINATE, target=ENGLISH, hear=hear, script=script)
    assert [each.get("n") for each in said] == [1, 2, 3, None]
    assert (said[-1]["type"], closed[0], hear.opened) == ("Termination", 1000, [])


# Faults.


def by_key(fault: str) -> Heads:
    return [("Authorization", f"fault-{fault}")]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 429, 500, 502, 503])
async def test_refusals_on_request(status: int, autojump_clock: MockClock) -> None:
    """For all connections, or for one key."""
    for emulator, headers in (
        (emulate(faults=Faults(refuse=status)), KEY),
        (emulate(), by_key(f"refuse-{status}")),
    ):
        assert (await ask(emulator, PRO, headers))[0] == status


@pytest.mark.parametrize("fault", ["stall", "endless"])
async def test_silent_services(fault: str, autojump_clock: MockClock) -> None:
    """One never says a word, the other never ends."""
    async with talk(emulate(FakeHear()), PRO, by_key(fault)) as client:
        if fault == "endless":
            await client.receive()
        await client.send(SECOND, TERMINATE)
        with trio.move_on_after(3600) as waiting:
            await client.receive_whatever()
        assert waiting.cancelled_caught


@pytest.mark.parametrize(
    ("kind", "first"),
    [("text", "<html>502 Bad Gateway</html>"), ("binary", b"\x00\xffnot expected")],
)
async def test_nonsense(kind: str, first: str | bytes, autojump_clock: MockClock) -> None:
    """The first audio is answered with nonsense; then all goes on as usual."""
    async with talk(emulate(FakeHear()), PRO, by_key(f"garbage-{kind}")) as client:
        await client.receive()
        await client.send(SECOND, TERMINATE)
        assert await client.receive_whatever() == first
        assert (await client.rest())[1].code == 1000


async def test_nonsense_of_the_wrong_types(autojump_clock: MockClock) -> None:
    """A Turn whose fields are something else."""
    said, _ = await converse(SECOND, TERMINATE, headers=by_key("garbage-types"))
    assert (said[0]["type"], said[0]["words"]) == ("Turn", "none")


@pytest.mark.parametrize(("fault", "code"), [("early-0.5", 1000), ("drop-0.5", 1006), ("garbage-utf8", 1007)])
async def test_sudden_ends(fault: str, code: int, autojump_clock: MockClock) -> None:
    """Without finals and without Termination."""
    said, closed = await converse(SECOND, headers=by_key(fault))
    assert (said, closed[0]) == ([], code)


async def test_a_slow_handshake(autojump_clock: MockClock) -> None:
    """The answer to the upgrade takes as long as it was told to."""
    began_s = trio.current_time()
    await converse(TERMINATE, headers=by_key("delay-5"))
    assert trio.current_time() - began_s == pytest.approx(5)


async def test_a_deaf_service(autojump_clock: MockClock) -> None:
    """After a second of audio nothing is read any more."""
    emulator = emulate(FakeHear())
    async with talk(emulator, PRO, by_key("deaf-1")) as client:
        await client.receive()
        await client.send(SECOND, SECOND, TERMINATE)
        with trio.move_on_after(300) as waiting:
            await client.receive_whatever()
        assert waiting.cancelled_caught
    assert emulator.connections[0].audio_bytes == len(SECOND)
