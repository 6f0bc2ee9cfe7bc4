"""A node of a fleet dies under a client that comes back: the documentation's own client, and every word."""

import signal
import subprocess
import sys
import wave
from functools import partial
from pathlib import Path

import pytest
import trio

from routeraudio.emulators.catalog import EMULATORS
from tests.edge.fakes import get
from tests.failover import numbers
from tests.fleet.fleet import Fleet, open_fleet
from tests.fleet.processes import ROOT

EXAMPLE = ROOT / "docs" / "examples" / "resume.py"
PATIENCE_S = 120.0


@pytest.mark.parametrize("end", ["kill", "cut"])
async def test_every_word_once(tmp_path: Path, end: str) -> None:
    """What was not final is said again on another node; a balancer's restart goes on where it was."""
    talk = tmp_path / "talk.wav"
    with wave.open(str(talk), "wb") as sound:
        sound.setparams((1, 2, numbers.SAMPLE_RATE, 0, "NONE", ""))
        sound.writeframes(numbers.speech())
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            port = await nursery.start(partial(EMULATORS["deepgram"], hear=numbers.NumberHear()))
            toml = (
                f'[providers.deepgram]\nurl = "ws://127.0.0.1:{port}"\napi_key = "good"\n'
                f'[routes.auto]\nproviders = ["deepgram"]\n'
            )
            async with open_fleet(tmp_path, toml, names=("one", "two")) as fleet:
                key = await fleet.new_key()
                said = await _talk(fleet, key, talk, end)
            nursery.cancel_scope.cancel()
    assert said == list(range(numbers.WORDS))


async def _talk(fleet: Fleet, key: str, talk: Path, end: str) -> list[int]:
    said: list[int] = []
    command = [sys.executable, str(EXAMPLE), f"ws://{fleet.address}", key, str(talk)]
    async with trio.open_nursery() as nursery:
        client = await nursery.start(partial(trio.run_process, command, stdout=subprocess.PIPE))
        is_ended = False
        text = ""
        async for data in client.stdout:
            text += data.decode()
            said = numbers.numbers(text.rpartition("\n")[0])
            if said and not is_ended:
                is_ended = True
                await _end(fleet, end)
    return numbers.numbers(text)


async def _end(fleet: Fleet, end: str) -> None:
    if end == "cut":
        await fleet.balancer.program.stop(signal.SIGKILL)
        await fleet.balancer.start()
        return
    for node in fleet.nodes.values():
        _, _, port = node.address.partition(":")
        metrics = (await get(int(port), "/metrics")).body.decode()
        if any(
            line.startswith("routeraudio_sessions_open") and not line.endswith(" 0.0")
            for line in metrics.splitlines()
        ):
            await node.kill()
            return
    raise AssertionError("nobody has the session")
