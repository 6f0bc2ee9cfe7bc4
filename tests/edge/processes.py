"""A daemon in a process of its own, as an operator starts it."""

import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import trio

PATIENCE_S = 60.0
"""For a loaded machine. Nothing takes that long."""


class Running(msgspec.Struct):
    """A daemon that serves."""

    process: trio.Process
    addresses: list[str]
    stderr: Path

    @property
    def port(self) -> int:
        return int(self.addresses[0].rpartition(":")[2])

    def log(self) -> list[dict[str, Any]]:
        """The events so far."""
        return [json.loads(line) for line in lines(self.stderr)]

    def events(self) -> list[str]:
        return [line["event"] for line in self.log()]

    async def said(self, event: str, times: int = 1) -> dict[str, Any]:
        """Wait for an event in the log."""
        return await said(self.stderr, self.process, event, times)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def exit_code(self) -> int:
        with trio.fail_after(PATIENCE_S):
            return await self.process.wait()


def lines(stderr: Path) -> list[str]:
    """Whole lines so far."""
    return stderr.read_text().rpartition("\n")[0].splitlines()


async def said(stderr: Path, process: trio.Process, event: str, times: int = 1) -> dict[str, Any]:
    """Wait until an event is in a log so many times; the last one."""
    with trio.fail_after(PATIENCE_S):
        while True:
            found = [line for line in lines(stderr) if f'"event": "{event}"' in line]
            if len(found) >= times:
                last: dict[str, Any] = json.loads(found[-1])
                return last
            assert process.poll() is None, lines(stderr)
            await trio.sleep(0.01)


def configured(folder: Path, toml: str) -> Path:
    """A configuration file."""
    file = folder / "routeraudio.toml"
    file.write_text(toml)
    return file


def command(config: Path) -> list[str]:
    """`routeraudio serve`."""
    return [sys.executable, "-m", "routeraudio", "serve", "--config", str(config)]


def environment(more: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ROUTERAUDIO__")}
    return {**kept, **more}


@asynccontextmanager
async def running(
    folder: Path,
    toml: str,
    *,
    environ: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
    pass_fds: Sequence[int] = (),
) -> AsyncIterator[Running]:
    """A daemon; killed on leaving unless it has ended."""
    stderr = folder / "stderr"
    with stderr.open("wb") as log:
        process = await trio.lowlevel.open_process(
            [*prefix, *command(configured(folder, toml))],
            stderr=log,
            env=environment(environ or {}),
            pass_fds=tuple(pass_fds),
        )
    try:
        listening = await said(stderr, process, "listening")
        yield Running(process, listening["addresses"], stderr)
    finally:
        if process.poll() is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def failing(config: Path, *, prefix: Sequence[str] = ()) -> tuple[int, str]:
    """The exit code and standard error of a daemon that does not start."""
    with trio.fail_after(PATIENCE_S):
        done = await trio.run_process(
            [*prefix, *command(config)],
            check=False,
            capture_stderr=True,
            capture_stdout=True,
            env=environment({}),
        )
    return done.returncode, done.stderr.decode()
