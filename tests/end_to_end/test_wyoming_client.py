"""Home Assistant's side: the protocol's own package against listeners of two providers."""

import json
import sys
import wave
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from routeraudio import daemon
from routeraudio.config.schema import Config, Provider, Server, Wyoming
from routeraudio.config.secret import Secret
from routeraudio.emulators.catalog import EMULATORS
from routeraudio.emulators.kit.hearing import EngineHear
from routeraudio.engine.pool import Pool

from .router import BARE_WORDS, CLIP, PATIENCE_S, bare

CLIENT = Path(__file__).parents[1] / "wyoming" / "wyoming_client.py"

pytestmark = pytest.mark.sdk


async def test_every_listener_has_its_provider(tmp_path: Path, pool: Pool) -> None:
    """Described, and heard, an utterance for each connection as Home Assistant does."""
    with wave.open(str(CLIP)) as file:
        (tmp_path / "speech.raw").write_bytes(file.readframes(file.getnframes()))
    reports: list[Any] = []
    async with trio.open_nursery() as nursery:
        port = await nursery.start(partial(EMULATORS["soniox"], hear=EngineHear(pool)))
        config = Config(
            server=Server(bind=("127.0.0.1:0",)),
            providers={"local": Provider(spawn=True), "soniox": Provider(url=f"ws://127.0.0.1:{port}")},
            wyoming=(
                Wyoming(bind="127.0.0.1:0", provider="local"),
                Wyoming(bind="127.0.0.1:0", provider="soniox", api_key=Secret("k")),
            ),
        )
        addresses = await nursery.start(daemon.serve, config)
        for address in addresses[1:]:
            plan = {
                "port": int(address.rpartition(":")[2]),
                "audio": str(tmp_path / "speech.raw"),
                "count": 2,
            }
            with trio.fail_after(PATIENCE_S):
                done = await trio.run_process(
                    [sys.executable, str(CLIENT), json.dumps(plan)], capture_stdout=True
                )
            reports.append(json.loads(done.stdout))
        nursery.cancel_scope.cancel()
    for report, provider in zip(reports, ("local", "soniox"), strict=True):
        assert report["name"] == f"routeraudio {provider}"
        assert "en" in report["languages"]
        assert [bare(text) for text in report["texts"]] == [BARE_WORDS] * 2
