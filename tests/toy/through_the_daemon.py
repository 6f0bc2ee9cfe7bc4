"""Run in the copy: speech through the toy dialect and the toy provider, and what a client is told.

In a process of its own, since the catalogues are those of the copy.
"""

import sys
import wave
from functools import partial
from pathlib import Path

import trio
from trio_websocket import ConnectionClosed, open_websocket_url

from routeraudio import daemon
from routeraudio.config.schema import Config, Provider, Server
from routeraudio.emulators.catalog import EMULATORS


async def main(clip: Path) -> None:
    """Print the finals."""
    with wave.open(str(clip)) as file:
        speech = file.readframes(file.getnframes())
    async with trio.open_nursery() as nursery:
        port = await nursery.start(partial(EMULATORS["toy"]))
        config = Config(
            server=Server(bind=("127.0.0.1:0",)), providers={"toy": Provider(url=f"ws://127.0.0.1:{port}")}
        )
        (address,) = await nursery.start(daemon.serve, config)
        async with open_websocket_url(f"ws://{address}/toy?provider=toy&api_key=good") as client:
            for start in range(0, len(speech), 3200):
                await client.send_message(speech[start : start + 3200])
            await client.send_message("end")
            try:
                while True:
                    print(await client.get_message())
            except ConnectionClosed as closed:
                print(closed.reason.code if closed.reason else None)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]))
