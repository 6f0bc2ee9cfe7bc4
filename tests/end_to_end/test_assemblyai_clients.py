"""AssemblyAI's own, unmodified client in front of other providers: another address, another key, the same program."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from routeraudio.engine.pool import Pool

from .router import BARE_WORDS, PATIENCE_S, Router, bare, open_router

SDK_CLIENT = Path(__file__).parents[1] / "emulators" / "assemblyai_sdk_client.py"

pytestmark = pytest.mark.sdk


async def run(router: Router, path: str, **plan: Any) -> Any:
    """Have the SDK stream; its report."""
    whole = {
        "key": "k",
        "is_async": False,
        "audio": None,
        "port": f"{router.address.split(':')[1]}{path}",
        **plan,
    }
    with trio.fail_after(PATIENCE_S):
        done = await trio.run_process(
            [sys.executable, str(SDK_CLIENT), json.dumps(whole, default=str)], capture_stdout=True
        )
    return json.loads(done.stdout)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("place", ["/as/assemblyai/local", "/as/assemblyai/deepgram/nova-3"])
async def test_streaming(place: str, is_async: bool, speech_file: Path, pool: Pool) -> None:
    """Begin, turns whose words have times, `Termination`; no error is told."""
    async with open_router(pool=pool, spawn=True) as router:
        report = await run(
            router,
            place,
            is_async=is_async,
            params={
                "sample_rate": 16000,
                "speech_model": "universal-streaming-english",
                "format_turns": True,
            },
            audio=speech_file,
            actions=["keep_alive", "audio"],
        )
    assert report["errors"] == []
    kinds = [one["type"] for one in report["messages"]]
    assert (kinds[0], kinds[-1]) == ("Begin", "Termination")
    turns = [one for one in report["messages"] if one["type"] == "Turn"]
    ends = [one for one in turns if one["end_of_turn"]]
    assert bare(" ".join(one["transcript"] for one in ends)) == BARE_WORDS
    words = [word for one in ends for word in one["words"]]
    assert all(200 < word["start"] < word["end"] < 3000 for word in words)
    assert any(not one["end_of_turn"] for one in turns)
    assert report["messages"][-1]["audio_duration_seconds"] == 4


async def test_a_wrong_request_is_refused(pool: Pool) -> None:
    """Before the upgrade; the client says so and ends."""
    async with open_router(pool=pool) as router:
        report = await run(
            router,
            "/as/assemblyai/nobody",
            params={"sample_rate": 16000, "speech_model": "universal-streaming-english"},
            actions=[],
        )
    assert report["messages"] == []
    assert report["errors"]
