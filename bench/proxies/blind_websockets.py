"""A blind copy with `websockets` on uvloop: `python -m bench.proxies.blind_websockets PORT UPSTREAM_URL`.

Two tasks per session, no parsing, no compression; everything else as the library ships.
"""

import asyncio
import sys

import uvloop
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve


async def copy(source: Connection, target: Connection) -> None:
    """Passes messages on until either side closes."""
    async for message in source:
        await target.send(message)
    await target.close()


async def main(port: int, upstream_url: str) -> None:
    """Serves until killed."""

    async def session(client: ServerConnection) -> None:
        async with connect(upstream_url, compression=None) as upstream, asyncio.TaskGroup() as group:
            group.create_task(copy(client, upstream))
            group.create_task(copy(upstream, client))

    async with serve(session, "127.0.0.1", port, compression=None) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
