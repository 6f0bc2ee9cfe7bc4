"""`python -m tests.fleet`, which is `make fleet`: three daemons, a database and a balancer, until Ctrl-C."""

import signal
import tempfile
from pathlib import Path

import trio

from tests.fleet.fleet import Fleet, open_fleet


async def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="routeraudio-fleet-") as folder,
        trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals,
    ):
        print("starting PostgreSQL, three daemons and HAProxy …", flush=True)
        async with open_fleet(Path(folder), "[providers.local]\nspawn = true\nworkers_max = 1") as fleet:
            await _show(fleet, folder)
            await anext(signals)
            print("stopping …", flush=True)


async def _show(fleet: Fleet, folder: str) -> None:
    key = await fleet.new_key()
    clip = "routeraudio/assets/goforward.wav"
    print(
        f"""
balancer    http://{fleet.address}
daemons     {"  ".join(f"http://{node.address}" for node in fleet.nodes.values())}
database    {fleet.store_url}
key         {key}
logs        {folder}

routeraudio stream {clip} --url ws://{fleet.address} --provider local --key {key}
Ctrl-C ends all of it.
""",
        flush=True,
    )


trio.run(main)
