"""`routeraudio pull`: the source's words on the terminal, and exit codes."""

import json
import signal
import subprocess
import sys

import trio

from routeraudio.engine.pool import Pool
from tests.pull.sources import Page, Web, live, serving, wav

from .router import BARE_WORDS, PATIENCE_S, Router, open_router


async def pull(router: Router, source: str, *more: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    done = await trio.run_process(
        command(router, source, *more), check=False, capture_stdout=True, capture_stderr=True
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def command(router: Router, source: str, *more: str) -> list[str]:
    program = [sys.executable, "-m", "routeraudio", "pull", source, "--provider", "deepgram", "--key", "good"]
    return [*program, "--url", f"ws://{router.address}", *more]


LOCAL = ("--allow-network", "127.0.0.0/8")


async def test_words(pool: Pool) -> None:
    """A recording's words, and 0."""
    web = Web({"/a.wav": Page(wav())})
    async with serving(web), open_router(pool=pool) as router:
        code, out, err = await pull(router, web.url("/a.wav"), "--json", *LOCAL)
    assert (code, err) == (0, "")
    finals = [json.loads(line) for line in out.splitlines()]
    words = [one["transcript"].lower().rstrip(".") for one in finals if one["type"] == "transcript"]
    assert words == [BARE_WORDS]


async def test_exit_codes() -> None:
    """1 when the source fails, 2 when the caller must change something; the daemon is not called."""
    web = Web({})
    async with serving(web), open_router() as router:
        code, _out, err = await pull(router, web.url("/a"), *LOCAL)
        assert (code, "HTTP 404" in err) == (1, True)
        code, _out, err = await pull(router, web.url("/a"))
        assert (code, "--allow-network" in err) == (2, True)
        code, _out, err = await pull(router, "ftp://media.example/a")
        assert (code, "rtmp" in err) == (2, True)
        code, _out, err = await pull(router, web.url("/a"), "--allow-network", "everything")
        assert (code, "--allow-network" in err) == (2, True)
    assert router.emulator.connections == []


async def test_interrupt() -> None:
    """Ctrl-C ends the audio, waits for the last words, and all is well; the decoder has gone."""
    web = Web({"/a": live()})
    async with serving(web), open_router() as router:
        process = await trio.lowlevel.open_process(
            command(router, web.url("/a"), *LOCAL), stdout=subprocess.DEVNULL
        )
        with trio.fail_after(PATIENCE_S):
            while not (router.emulator.connections and router.emulator.connections[0].audio_bytes):  # noqa: ASYNC110
                await trio.sleep(0.02)
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 0
