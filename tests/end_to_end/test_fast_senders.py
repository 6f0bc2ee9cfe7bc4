"""Clients that send faster than their provider listens: their keepalive is answered, and no word is lost."""

import trio

from routeraudio import daemon
from routeraudio.config.schema import Config, Provider, Server
from routeraudio.emulators.assemblyai import AssemblyAI
from routeraudio.emulators.kit.server import Emulator

from .router import PATIENCE_S, run_python

SENDER = """
import asyncio, json, sys
import websockets

async def main(url, minutes):
    silence = bytes(32_000 * 60)
    async with websockets.connect(
        url, additional_headers={"x-api-key": "any"}, ping_interval=0.5, ping_timeout=1.0
    ) as router:
        for _ in range(int(minutes)):
            for start in range(0, len(silence), 8000):
                await router.send(silence[start : start + 8000])
        print("sent")
        await asyncio.sleep(4)
        waiter = await router.ping()
        await waiter
        print("alive")

asyncio.run(main(*sys.argv[1:]))
"""


async def test_ten_minutes_at_once_to_a_vendor_that_paces() -> None:
    """As the README's example sends a file; the client's pings, twice a second, are answered all the while."""
    emulator = Emulator(AssemblyAI())
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            port = await nursery.start(emulator.serve)
            config = Config(
                server=Server(bind=("127.0.0.1:0",)),
                providers={"assemblyai": Provider(url=f"ws://127.0.0.1:{port}")},
            )
            (address,) = await nursery.start(daemon.serve, config)
            url = f"ws://{address}/v1/listen?provider=assemblyai&encoding=pcm_s16le&sample_rate=16000"
            told = await run_python("-c", SENDER, url, "10")
            nursery.cancel_scope.cancel()
    assert told.split() == ["sent", "alive"]
