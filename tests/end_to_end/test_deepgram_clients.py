"""Deepgram's own, unmodified client in front of other providers: another address, another key, the same program."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from routeraudio.engine.pool import Pool

from .router import BARE_WORDS, PATIENCE_S, Router, bare, open_router, rest

SDK_CLIENT = Path(__file__).parents[1] / "emulators" / "deepgram_sdk_client.py"

pytestmark = pytest.mark.sdk


RAW = {"encoding": "linear16", "sample_rate": 16000}


async def run(router: Router, endpoint: str, **plan: Any) -> Any:
    """Have the SDK stream; its report."""
    host, port = router.address.split(":")
    assert host == "127.0.0.1"
    whole = {"key": "k", "is_async": False, "port": int(port), "endpoint": endpoint, **plan}
    with trio.fail_after(PATIENCE_S):
        done = await trio.run_process(
            [sys.executable, str(SDK_CLIENT), json.dumps(whole, default=str)], capture_stdout=True
        )
    return json.loads(done.stdout)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("model", ["local", "deepgram/nova-3", "nova-3"])
async def test_listen(model: str, is_async: bool, speech_file: Path, pool: Pool) -> None:
    """`client.listen.v1`: interims, finals whose words have times, and `Metadata` at an orderly end."""
    async with open_router(pool=pool, spawn=True) as router:
        report = await run(
            router,
            "v1",
            is_async=is_async,
            params={"model": model, **RAW, "interim_results": True, "punctuate": True, "endpointing": 300},
            audio=speech_file,
            actions=["keep_alive", "audio", "finalize", "close_stream"],
        )
    assert report["errors"] == []
    assert report["is_closed"]
    results = [one for one in report["messages"] if one["type"] == "Results"]
    said = [one["channel"]["alternatives"][0] for one in results if one["is_final"]]
    assert bare(" ".join(one["transcript"] for one in said)) == BARE_WORDS
    words = [word for one in said for word in one["words"]]
    assert [word["word"] for word in words] == BARE_WORDS.split()
    assert all(0.2 < word["start"] < word["end"] < 3 for word in words)
    assert any(not one["is_final"] for one in results)
    assert any(one["speech_final"] for one in results)
    assert any(one["from_finalize"] for one in results)
    assert report["messages"][-1]["type"] == "Metadata"
    assert report["messages"][-1]["channels"] == 1


@pytest.mark.parametrize("model", ["local", "deepgram/flux-general-en"])
async def test_flux(model: str, speech_file: Path, pool: Pool) -> None:
    """`client.listen.v2`: greeted at once, turns with their words, an end in order."""
    async with open_router(pool=pool, spawn=True) as router:
        report = await run(
            router,
            "v2",
            params={"model": model, **RAW},
            audio=speech_file,
            actions=["audio", "close_stream"],
        )
    assert report["errors"] == []
    kinds = [one["type"] for one in report["messages"]]
    assert kinds[0] == "Connected"
    turns = [one for one in report["messages"] if one["type"] == "TurnInfo"]
    ends = [one for one in turns if one["event"] == "EndOfTurn"]
    assert bare(" ".join(one["transcript"] for one in ends)) == BARE_WORDS
    assert "StartOfTurn" in [one["event"] for one in turns]


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"model": "local", "encoding": "linear16"}, 400),
        ({"model": "local", **RAW, "redact": "pci"}, 400),
        ({"model": "local", **RAW, "callback": "http://x/"}, 400),
        ({"model": "local", **RAW, "language": "klingon-"}, 400),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_cannot_be_had_is_refused_before_the_upgrade(
    params: dict[str, Any], status: int, speech_file: Path
) -> None:
    """Clients connect again and again after any close; an HTTP answer they tell their user."""
    async with open_router(spawn=True) as router:
        report = await run(router, "v1", params=params, audio=speech_file, actions=["close_stream"])
        assert router.emulator.connections == []
    assert report["messages"] == []
    assert str(status) in " ".join(report["errors"])


async def test_our_own_protocol_at_the_same_path(pool: Pool) -> None:
    """A client of `/v1/listen` that names its provider is nobody else's, whatever its headers say."""
    async with (
        open_router(pool=pool, spawn=True) as router,
        router.connect("k", provider="deepgram", encoding="pcm_s16le", sample_rate=16000) as client,
    ):
        await client.send_message('{"type":"end_of_stream"}')
        messages, code = await rest(client)
    assert (messages, code) == ([], 1000)
