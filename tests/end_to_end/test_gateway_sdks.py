"""Every vendor's own SDK through the gateway: it changes its base URL and its key, and the vendor cannot tell."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import trio

from routeraudio.emulators.assemblyai import AssemblyAI
from routeraudio.emulators.deepgram import Deepgram
from routeraudio.emulators.elevenlabs import ElevenLabs
from routeraudio.emulators.gradium import Gradium
from routeraudio.emulators.kit.base import Vendor
from routeraudio.emulators.kit.record import Record
from routeraudio.emulators.kit.server import Emulator
from routeraudio.emulators.openai import OpenAI
from routeraudio.emulators.soniox import Soniox
from routeraudio.emulators.speechmatics import Speechmatics
from routeraudio.emulators.vachana import Vachana
from routeraudio.policy.keys import Terms
from tests.emulators.helping import FakeHear, clip, heard
from tests.gateway.gateways import ROUTER_KEY, STORED_KEY, FakeAccess, House, house

pytestmark = pytest.mark.sdk

SDK_S: Final = 120.0
"""For the SDK processes, on a machine that is busy with other things."""

WORDS: Final = "go forward ten meters"
SPEECH: Final = clip("goforward.wav") + bytes(32_000)
NOT_THE_CLIENTS: Final = {
    "accept",
    "accept-encoding",
    "content-type",
    "host",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "x-api-request-id",
    "x-deepgram-session-id",
    "x-request-id",
}
"""Of one hop, or new in every connection."""

CHATTER: Final = ("x-fern-", "x-stainless-")
"""What SDKs tell about the machine they run on."""

SCRIPTS: Final = Path(__file__).parent.parent / "emulators"
PCM: Final = {"encoding": "linear16", "sample_rate": 16000}


class Case(msgspec.Struct, frozen=True):
    """One SDK and what it is to do; ``plan`` as its script takes it."""

    provider: str
    vendor: type[Vendor]
    plan: dict[str, Any]
    id: str = ""
    refusal: str = "403"
    """What the SDK's user is told of an HTTP 403."""


CASES: Final = [
    Case(
        "assemblyai",
        AssemblyAI,
        {
            "is_async": False,
            "params": {"encoding": "pcm_s16le", "sample_rate": 16000, "speech_model": "universal-3-6-pro"},
            "actions": ["audio"],
        },
    ),
    Case(
        "deepgram",
        Deepgram,
        {
            "endpoint": "v1",
            "is_async": False,
            "params": {"model": "nova-3", **PCM, "keyterm": ["one two", "three"]},
            "actions": ["keep_alive", "audio", "finalize", "close_stream"],
        },
    ),
    Case(
        "deepgram",
        Deepgram,
        {
            "endpoint": "v2",
            "is_async": True,
            "params": {"model": "flux-general-en", **PCM},
            "actions": ["audio", "close_stream"],
        },
        "flux",
    ),
    Case(
        "elevenlabs",
        ElevenLabs,
        {"options": {"keyterms": ["a", "b"]}, "actions": ["audio", "commit", "wait"], "until": None},
    ),
    Case(
        "gradium",
        Gradium,
        {
            "way": "realtime",
            "setup": {"model_name": "default", "input_format": "pcm_16000"},
            "actions": ["audio", "flush", "eos"],
        },
    ),
    Case(
        "openai",
        OpenAI,
        {
            "session": {
                "type": "transcription",
                "audio": {
                    "input": {
                        "format": {"type": "audio/pcm", "rate": 24000},
                        "transcription": {"model": "gpt-live-transcribe", "languages": ["en"]},
                        "turn_detection": None,
                    }
                },
            },
            "actions": ["audio", "commit"],
            "until": 1,
            "query": {"intent": "transcription"},
            "model": None,
        },
    ),
    Case(
        "soniox",
        Soniox,
        {
            "is_async": True,
            "config": {
                "model": "stt-rt-v5",
                "audio_format": "pcm_s16le",
                "sample_rate": 16000,
                "num_channels": 1,
            },
            "actions": ["keep_alive", "audio", "finish"],
        },
        refusal="Failed to start realtime session",
    ),
    Case(
        "speechmatics",
        Speechmatics,
        {"rate": 16000, "chunk": 4096, "config": {"language": "en"}, "force": False},
    ),
    Case("vachana", Vachana, {"way": "events", "options": {}, "transcripts": 1, "frame": 1024}),
]


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Real speech and a second of silence."""
    path = tmp_path / "speech.pcm"
    path.write_bytes(SPEECH)
    return path


async def run_sdk(case: Case, place: str, key: str, speech: Path) -> Any:
    """The SDK's report; `place` is port and path."""
    plan = {**case.plan, "port": place, "key": key, "audio": str(speech)}
    done = await trio.run_process(
        [sys.executable, str(SCRIPTS / f"{case.provider}_sdk_client.py"), json.dumps(plan)],
        capture_stdout=True,
        capture_stderr=True,
    )
    return json.loads(done.stdout)


async def converse(case: Case, speech: Path, *, is_direct: bool, key: str) -> tuple[Any, Record, House]:
    """One SDK's whole life; what it reports, and what the vendor saw."""
    hear = FakeHear([(300, heard("final", WORDS, 0, word_ms=50))])
    emulator = Emulator(case.vendor(), hear=hear, keep_audio_bytes=1_000_000)
    with trio.fail_after(SDK_S):
        async with trio.open_nursery() as nursery:
            port = await nursery.start(emulator.serve)
            async with house({case.provider: f"ws://127.0.0.1:{port}"}) as home:
                place = str(port) if is_direct else f"{home.port}/gateway/{case.provider}"
                report = await run_sdk(case, place, key, speech)
                await emulator.connections[-1].ended.wait()
                await home.admission.emptied()
            nursery.cancel_scope.cancel()
    [record] = emulator.connections
    return report, record, home


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.provider}{case.id}")
async def test_the_vendor_gets_what_its_sdk_sends(case: Case, speech: Path) -> None:
    """Through the gateway everything is as without it but the key: query, messages both ways, and how it ends."""
    directly, straight, _ = await converse(case, speech, is_direct=True, key=STORED_KEY)
    report, passed, home = await converse(case, speech, is_direct=False, key=ROUTER_KEY)
    assert report["errors"] == []
    assert WORDS.replace(" ", "") in "".join(texts(report)).replace(" ", "").lower()
    assert kinds(report) == kinds(directly)
    assert passed.request.path == straight.request.path
    assert passed.request.params == straight.request.params
    assert settled(passed) == settled(straight)
    assert (passed.audio, passed.audio_bytes) == (straight.audio, straight.audio_bytes)
    assert sent_headers(passed) == sent_headers(straight)
    assert ROUTER_KEY not in repr(passed.request) + "".join(passed.texts)
    # The audio in the file is what is charged, whatever form it has on the way.
    rate = 48_000 if case.provider == "openai" else 32_000
    assert home.ledger.credits[0].closings[0]["audio_ms"] == len(SPEECH) * 1000 // rate


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.provider}{case.id}")
async def test_a_refusal_reaches_the_sdks_user(case: Case, speech: Path) -> None:
    """A key that may not stream is HTTP 403 to every SDK."""
    async with house({}, access=FakeAccess(Terms())) as home:
        report = await run_sdk(case, f"{home.port}/gateway/{case.provider}", ROUTER_KEY, speech)
    assert case.refusal in json.dumps(report["errors"])
    assert home.ledger.opened == []


def settled(record: Record) -> list[str]:
    """The text messages. Speechmatics' SDK ends with the number of the last answer it has seen, which is a race."""
    return [re.sub(r'"last_seq_no": \d+', "", text) for text in record.texts]


def texts(value: Any) -> Iterator[str]:
    """Everything in a report that was heard, in order."""
    if isinstance(value, list):
        for each in value:
            yield from texts(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name in ("text", "transcript", "content") and isinstance(each, str):
                yield each
            yield from texts(each)


def kinds(report: Any) -> set[str]:
    """What the SDK told its user; order and number depend on how fast the emulator hears."""
    messages = report.get("messages") or report["events"]
    named = (each.get("message") or each.get("message_type") or each.get("type") for each in messages)
    return {str(name) for name in named}


def sent_headers(record: Record) -> dict[str, str]:
    """The headers that mean something to the vendor."""
    headers = {name: value for name, value in record.request.headers if not name.startswith(CHATTER)}
    for name in NOT_THE_CLIENTS & headers.keys():
        del headers[name]
    return headers
