"""What the log may say, and what it must never say."""

import errno
import json
import logging
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest

from routeraudio.config.schema import Log
from routeraudio.observability import logs
from tests.edge.fakes import (
    AUDIO,
    KEY,
    LISTEN,
    WORDS,
    FakeDeepgram,
    ask,
    client,
    connect,
    get,
    until_end,
    upgrade,
    whole_session,
)
from tests.edge.heads import REFUSED
from tests.edge.processes import running

CANARY = "canary"
"""In every key, word and sound that these tests send."""


@pytest.fixture
def restored() -> Iterator[None]:
    """Logging as it was."""
    yield
    structlog.reset_defaults()


def test_json_has_one_line_per_event(capsys: pytest.CaptureFixture[str], restored: None) -> None:
    """Each event is one JSON object on standard error, with level and time; below the level there is nothing."""
    logs.configure(Log(level="info", format="json"))
    log = structlog.get_logger("test")
    log.debug("hidden")
    log.info("seen", why="line one\nline two")
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    event = json.loads(line)
    assert (event["event"], event["level"], event["why"]) == ("seen", "info", "line one\nline two")
    assert event["timestamp"].endswith("Z")


def test_lines_in_the_journal_have_priorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restored: None
) -> None:
    """As sd-daemon(3) has them, on every line of an event; not where standard error leads elsewhere."""
    with (tmp_path / "journal").open("w+") as journal:
        found = os.fstat(journal.fileno())
        monkeypatch.setattr(sys, "stderr", journal)
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        for settings in (Log(level="debug", format="json"), Log(level="debug", format="console")):
            logs.configure(settings)
            log = structlog.get_logger("test")
            log.debug("one")
            log.info("two")
            log.warning("three")
            log.error("four")
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino + 1}")
        logs.configure(Log(format="json"))
        log.error("five")
        journal.seek(0)
        lines = journal.read().splitlines()
    assert [line[:3] for line in lines] == ["<7>", "<6>", "<4>", "<3>"] * 2 + ['{"e']
    assert json.loads(lines[3][3:])["event"] == "four"


def test_the_console_cannot_be_written_upon(capsys: pytest.CaptureFixture[str], restored: None) -> None:
    """Line ends and escape sequences of a peer do not reach the terminal as such."""
    logs.configure(Log(format="console"))
    structlog.get_logger("test").info("seen", path="/\r\nfake event\x1b[2J")
    _, err = capsys.readouterr()
    assert len(err.splitlines()) == 1
    assert "\x1b[2J" not in err


def test_a_new_configuration_reaches_old_loggers(capsys: pytest.CaptureFixture[str], restored: None) -> None:
    """Loggers made before a reload follow it."""
    logs.configure(Log(level="info", format="json"))
    log = structlog.get_logger("test")
    log.info("first")
    logs.configure(Log(level="error", format="json"))
    log.info("second")
    assert "second" not in capsys.readouterr().err


def test_no_descriptors_left_is_one_line(capsys: pytest.CaptureFixture[str], restored: None) -> None:
    """What Trio tells with a traceback, again and again, becomes one line that says what is missing."""
    logs.configure(Log(format="json"))
    for _ in range(20):
        try:
            raise OSError(errno.EMFILE, "Too many open files")
        except OSError:
            logging.getLogger("trio.serve_listeners").error("accept returned EMFILE", exc_info=True)
    (line,) = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert (event["event"], event["level"], event["why"]) == ("cannot_accept", "error", "too many open files")


@pytest.mark.parametrize(
    "name", ["websockets.server", "websockets.client", "trio-websocket", "hypercorn.error", "quart.app"]
)
def test_libraries_that_quote_are_silent(name: str, restored: None) -> None:
    """Loggers that print URLs, headers or exception texts print nothing."""
    logs.configure(Log(level="debug"))
    assert not logging.getLogger(name).isEnabledFor(logging.CRITICAL)


class Rude(FakeDeepgram):
    """Misbehaves in a new way with every connection: quotes the key, or sends nonsense with words in it."""

    async def _serve(self, request: WebSocketRequest) -> None:
        self.requests.append(request)
        how = len(self.requests) % 6
        if how == 0:
            await request.reject(
                401, body=b'{"err_code":"INVALID_AUTH","err_msg":"%b is wrong"}' % KEY.encode()
            )
            return
        connection = await request.accept()
        try:
            await self._rude(how, connection)
        except ConnectionClosed:
            pass

    async def _rude(self, how: int, connection: WebSocketConnection) -> None:
        await connection.get_message()
        if how == 1:
            await connection.send_message("canary: no JSON")
        elif how == 2:
            await connection.send_message(b"canary \xff")
        elif how == 3:
            await connection.send_message('{"type":"Results","channel":"canary"}')
        elif how == 4:
            await connection.aclose(1011, f"{KEY} is wrong")
        else:
            await connection.send_message(f'{{"type":"Error","description":"{KEY} is wrong"}}')
        await connection.get_message()


async def converse(port: int, *messages: str | bytes, path: str = LISTEN, key: str = KEY) -> None:
    """Send what is given and read to the end."""
    try:
        async with client(port, path, {"x-api-key": key}) as caller:
            for message in messages:
                await caller.send(message)
            await caller.finish()
            await caller.rest()
    except* ConnectionClosed:
        pass


async def rude_clients(port: int) -> None:
    """Everything a client can do wrong."""
    noise = random.Random(3)
    for data, _ in REFUSED.values():
        async with await connect(port) as stream:
            await stream.send_all(data.replace(b"\r\n", b"\r\nX-Canary: canary\r\n", 1))
            await until_end(stream)
    for head in (
        upgrade("/v1/listen?provider=canary&api_key=canary&%63anary=canary"),
        upgrade("/canary?canary"),
    ):
        assert (await ask(port, head)).status in (400, 404)
    for path in ("/healthz?canary", "/canary", "/%63anary/%ff", "/readyz;canary"):
        await get(port, path, "Cookie: canary", "Referer: http://canary/", "Authorization: Bearer canary")
    for frame in (
        b"\x81\x86\0\0\0\0canar\xff",
        b"\xc2\x86\0\0\0\0canary",
        b"\x82\x06canary",
        b"\x89\x80\0\0\0\0" * 3000,
    ):
        async with await connect(port) as stream:
            await stream.send_all(upgrade(LISTEN, f"x-api-key: {KEY}") + frame)
            await until_end(stream)
    for _ in range(10):
        async with await connect(port) as stream:
            await stream.send_all(b"canary" + noise.randbytes(300))
            await stream.send_eof()
            await until_end(stream)
    async with await connect(port) as stream:
        await stream.send_all(upgrade(f"{LISTEN}&api_key={KEY}") + b"\x82\x86\0\0\0\0canary")
    await converse(port, "canary: no JSON")
    await converse(port, '{"type":"canary"}', b"", AUDIO)
    await converse(port, key="router_canary")
    await converse(port, key="canary key")
    await converse(port, path=LISTEN + "&jwt_token=canary")


async def test_nothing_private_is_logged(tmp_path: Path) -> None:
    """Keys, tokens, queries, headers, audio and transcripts stay out of the log, whoever misbehaves, at debug level."""
    polite, rude = FakeDeepgram(), Rude()
    toml = """
[server]
bind = ["127.0.0.1:0"]
[log]
level = "debug"
[limits]
last_words_s = 0.2
close_client_s = 0.2
close_upstream_s = 0.2
[providers.deepgram]
url = "{}"
"""
    async with polite.serving() as url, running(tmp_path, toml.format(url)) as daemon:
        await rude_clients(daemon.port)
        await whole_session(daemon.port)
        await converse(daemon.port, AUDIO, path=f"{LISTEN}&api_key={KEY}&model=nova-3&partial_results=true")
        daemon.signal(signal.SIGTERM)
        assert await daemon.exit_code() == 0
        log = daemon.stderr.read_text()
        assert CANARY not in log
        assert "session_ended" in log
        assert not [line for line in daemon.log() if line["level"] == "error"]
    async with rude.serving() as url, running(tmp_path, toml.format(url)) as daemon:
        for _ in range(12):
            await converse(daemon.port, AUDIO)
        await daemon.said("session_ended", times=12)
        log = daemon.stderr.read_text()
        assert not [line for line in daemon.log() if line["level"] == "error"]
        assert CANARY in WORDS
        private = [line for line in log.splitlines() if CANARY in line]
        assert private == []
