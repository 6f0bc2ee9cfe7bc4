"""A provider that counts, in a process of its own: `python -m tests.fleet.counting`.

It takes what Deepgram takes and counts each ride's audio by samples. A ride is known by its model, which is the one
parameter of a client that passes through the daemon into the ledger as well as to the provider: so both can be compared
ride by ride, and nothing of the daemon's own says which belongs to which.

What is counted is the client's: its audio has no byte that is mu-law silence, which the daemon may put in by itself.

It prints its port, answers each line on standard input with all counts, and ends with its standard input.
"""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import msgspec
import trio

from routeraudio.emulators.kit.base import Admission, Refusal, Request
from routeraudio.emulators.kit.call import Call
from routeraudio.emulators.kit.server import Emulator
from tests.edge.fakes import results

BYTES_PER_MS: Final = 8
"""Mu-law at 8 kHz."""

SILENCE: Final = b"\xff"
"""Zero in mu-law (ITU-T G.711)."""

FINAL_MS: Final = 2000
"""A final for so much audio, and at `Finalize`."""

PATIENCE_S: Final = 60.0
"""For a loaded machine."""

WORDS: Final = "counted canary"
"""What it always says."""


class Heard(msgspec.Struct):
    """One ride, as the provider counted it."""

    connections: int = 0
    audio_bytes: int = 0
    """Of the client's own."""

    @property
    def audio_ms(self) -> int:
        """The same as time; a begun millisecond does not count."""
        return self.audio_bytes // BYTES_PER_MS


class Heads(msgspec.Struct):
    """The answer to a line on standard input."""

    rides: dict[str, Heard]
    open_now: int
    open_most: int


class Counting:
    """The vendor; see `routeraudio.emulators.kit.base.Vendor`."""

    name: Final = "deepgram"
    broken_message: Final = "{}"

    def __init__(self) -> None:
        self.heads = Heads({}, 0, 0)

    def key(self, request: Request) -> str | None:
        """Whatever is shown is good."""
        return (request.header("authorization") or "").partition(" ")[2]

    def admit(self, request: Request) -> Admission | Refusal:
        """Everybody is let in."""
        return Admission(self._converse)

    def refuse(self, request: Request, status: int) -> Refusal:
        """Nobody asks for this."""
        return Refusal(status, b"")

    async def _converse(self, call: Call) -> None:
        heard = self.heads.rides.setdefault(dict(call.request.params)["model"], Heard())
        heard.connections += 1
        self.heads.open_now += 1
        self.heads.open_most = max(self.heads.open_most, self.heads.open_now)
        try:
            await _listen(call, heard)
        finally:
            self.heads.open_now -= 1


async def _listen(call: Call, heard: Heard) -> None:
    told_ms = 0
    while True:
        message = await call.receive()
        kind = "audio" if isinstance(message, bytes) else json.loads(message)["type"]
        if isinstance(message, bytes):
            heard.audio_bytes += len(message) - message.count(SILENCE)
        if kind == "Finalize" or heard.audio_ms - told_ms >= FINAL_MS:
            await call.say(results(WORDS, (heard.audio_ms - told_ms) / 1000, start_s=told_ms / 1000))
            told_ms = heard.audio_ms
        if kind == "CloseStream":
            await call.say({"type": "Metadata", "duration": heard.audio_ms / 1000})
            await call.close(1000)


class Counter:
    """The process, for whoever started it."""

    def __init__(self, process: trio.Process, port: int) -> None:
        self._process = process
        self.url = f"ws://127.0.0.1:{port}"

    async def heads(self) -> Heads:
        """What it has counted so far."""
        assert self._process.stdin is not None
        await self._process.stdin.send_all(b"\n")
        return msgspec.json.decode(await _line(self._process), type=Heads)

    async def heard(self, prefix: str) -> dict[str, Heard]:
        """The rides whose names begin so."""
        rides = (await self.heads()).rides
        return {name: one for name, one in rides.items() if name.startswith(f"{prefix}-")}

    async def until_open(self, connections: int) -> Heads:
        """Wait until it has so many connections; with none, all that was sent has been counted."""
        with trio.fail_after(PATIENCE_S):
            while (heads := await self.heads()).open_now != connections:  # noqa: ASYNC110  (of another process)
                await trio.sleep(0.05)
        return heads


@asynccontextmanager
async def open_counter() -> AsyncIterator[Counter]:
    """Start the process; it is ended on leaving."""
    async with trio.open_nursery() as nursery:
        command = [sys.executable, "-m", "tests.fleet.counting"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        # A group of its own: Ctrl-C in a terminal reaches whoever asks, who then ends it.
        process = await nursery.start(partial(trio.run_process, command, process_group=0, **pipes))
        yield Counter(process, int(await _line(process)))
        nursery.cancel_scope.cancel()


async def _line(process: trio.Process) -> bytes:
    assert process.stdout is not None
    line = bytearray()
    while not line.endswith(b"\n"):
        more = await process.stdout.receive_some()
        assert more, "the counter has ended"
        line += more
    return bytes(line)


async def main() -> None:
    """Serve until standard input ends."""
    vendor = Counting()
    async with trio.open_nursery() as nursery:
        port = await nursery.start(Emulator(vendor).serve)
        _say(str(port).encode())
        async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as orders:
            while order := await orders.receive_some():
                for _ in range(order.count(b"\n")):
                    _say(msgspec.json.encode(vendor.heads))
        nursery.cancel_scope.cancel()


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    trio.run(main)
