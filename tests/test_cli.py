"""The command as people run it: the real daemon, the real engine, real speech."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

import routeraudio
from routeraudio import cli
from routeraudio.commands.errors import Trouble
from routeraudio.config.loading import load
from routeraudio.emulators.catalog import EMULATORS

CLIP = Path(routeraudio.__file__).parent / "assets" / "goforward.wav"
WORDS = "Go forward ten meters."
KEY = "router_test"
START_S = 60.0
"""Generous: other work may keep the machine busy."""


def run(*arguments: str, stdin: bytes = b"", **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "routeraudio", *arguments],
        input=stdin,
        capture_output=True,
        timeout=START_S,
        env={**os.environ, **environ},
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start a command that runs until it is stopped."""
    return subprocess.Popen(
        [sys.executable, "-m", "routeraudio", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stop(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=START_S)
    finally:
        process.kill()
    return process.returncode


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A daemon with its engine, started by the command; its address."""
    file = tmp_path_factory.mktemp("daemon") / "routeraudio.toml"
    file.write_text(
        f"""
        server.bind = ["127.0.0.1:0"]
        providers.local = {{ spawn = true, workers_max = 2 }}
        log.format = "json"
        keys = [{{ id = "test", hash = "sha256:{sha256(KEY.encode()).hexdigest()}" }}]
        """
    )
    process = start("serve", "--config", str(file))
    try:
        assert process.stderr is not None
        lines = (json.loads(line) for line in process.stderr)
        yield "ws://" + next(line["addresses"][0] for line in lines if line["event"] == "listening")
    finally:
        code = stop(process)
    assert code == 0


def test_demo() -> None:
    """One command shows partials, the final with its words' times, and the added delay."""
    done = run("demo")
    assert (done.returncode, done.stderr) == (0, "")
    assert f" {WORDS}\n    Go 0." in done.stdout
    assert "\n~ " in done.stdout
    assert re.search(r"\nadded delay: partials \d+\.\d+ s", done.stdout)


def test_stream_json(daemon: str) -> None:
    """Every line is a server message; the last is the final."""
    done = run(
        "stream", str(CLIP), "--provider", "local", "--url", daemon, "--json", "--fast", ROUTERAUDIO_KEY=KEY
    )
    assert (done.returncode, done.stderr) == (0, "")
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    finals = [message for message in messages if message["type"] == "transcript"]
    assert [(message["transcript"], message["is_partial"]) for message in finals] == [(WORDS, False)]


def test_stream_standard_input(daemon: str) -> None:
    """Raw audio on standard input is recognised like the file it came from."""
    done = run(
        *("stream", "-", "--provider", "local", "--url", daemon, "--key", KEY, "--partials", "--fast"),
        stdin=CLIP.read_bytes()[44:],
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f" {WORDS}\n    Go 0." in done.stdout
    assert done.stdout.startswith("~ ")


def test_stream_into_a_closed_pipe(daemon: str) -> None:
    """A reader that leaves early costs no traceback. At the pace of speech: the pipe could hold what comes at once."""
    options = f"--provider local --url {daemon} --key {KEY} --partials --json"
    stream = f"{sys.executable} -m routeraudio stream {CLIP} {options}"
    done = subprocess.run(
        ["bash", "-c", f"{stream} | head -n 1; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    first, code = done.stdout.splitlines()
    assert json.loads(first)["type"] == "transcript"
    assert (code, done.stderr) == ("1", "")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--provider", "nobody", "--key", KEY], 2, "refused the request (HTTP 400): "),
        (["--provider", "local", "--key", "router_wrong"], 1, "the server ended the stream (code 3000): "),
        (["--provider", "local", "--key", KEY, "--endpointing", "-5"], 2, "correct --endpointing\n"),
    ],
)
def test_stream_refused(daemon: str, arguments: list[str], code: int, sentence: str) -> None:
    """What the daemon refuses is one sentence with the next step."""
    done = run("stream", str(CLIP), "--url", daemon, *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert done.stderr.startswith("routeraudio: the server ")
    assert sentence in done.stderr


def test_serve_with_a_bad_configuration(tmp_path: Path) -> None:
    """The daemon does not start and says what is wrong."""
    (tmp_path / "bad.toml").write_text("[server]\nbind = ['nowhere']")
    done = run("serve", "--config", str(tmp_path / "bad.toml"))
    assert done.returncode == 2
    assert "server.bind: expected" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["emulate", "deepgram"], "deepgram emulator listens on ws://127.0.0.1:"),
        (["engine", "--port", "0", "--workers-max", "1"], '{"type":"listening","port":'),
    ],
)
def test_services_tell_their_port_and_stop_when_told(arguments: list[str], line: str) -> None:
    """A service prints where it listens and ends with 0 on SIGTERM."""
    process = start(*arguments)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(line)
    finally:
        code = stop(process)
    assert code == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--fault", "explode"], "--fault: "),
        (["--script", "/none.json"], "--script: /none.json: cannot be read"),
        (["--port", "1", "--host", "192.0.2.1"], "cannot listen: "),
    ],
)
def test_emulate_refuses(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong option is a usage error."""
    assert cli.main(["emulate", "deepgram", *arguments]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["stream"], ["stream", "x", "--provider"], ["emulate", "nobody"], ["serve", "--x"]],
)
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What the command does not know exits 2 with words on standard error."""
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """Versions in one line."""
    assert cli.main(["version"]) == 0
    assert capsys.readouterr().out.startswith(f"routeraudio {routeraudio.__version__}  Python 3.")


@pytest.mark.parametrize("command", ["", *cli.COMMANDS, "engine"])
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command explains itself."""
    assert cli.main([*filter(None, [command]), "--help"]) == 0
    assert "Usage: routeraudio" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Trouble("it went wrong"), 1),
        (ExceptionGroup("", [ExceptionGroup("", [Trouble("it went wrong", exit_code=2)])]), 2),
        (KeyboardInterrupt(), 130),
        (BaseExceptionGroup("", [KeyboardInterrupt()]), 130),
    ],
)
def test_exit_codes(error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However deep Trio wraps an error, it becomes its exit code."""

    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    assert cli.main([]) == code


def test_our_own_mistakes_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug ends in a traceback, not in a friendly sentence."""

    def fail(_: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises((ZeroDivisionError, ExceptionGroup)):
        cli.main([])


def test_emulate_all_prints_a_configuration(tmp_path: Path) -> None:
    """Every emulator runs on a port of its own, and what is printed makes a daemon use them."""
    process = start("emulate", "all")
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4 * len(EMULATORS))]
    finally:
        code = stop(process)
    assert code == 0
    file = tmp_path / "routeraudio.toml"
    file.write_text("".join(lines))
    config = load(file, {})
    assert set(config.providers) == set(EMULATORS)
    assert len({provider.url for provider in config.providers.values()}) == len(EMULATORS)


def test_emulate_all_takes_no_script(capsys: pytest.CaptureFixture[str]) -> None:
    """A script speaks one vendor's language."""
    assert cli.main(["emulate", "all", "--script", "x.json"]) == 2
    assert "one vendor" in capsys.readouterr().err


def test_languages(capsys: pytest.CaptureFixture[str]) -> None:
    """A table for people, JSON for programs, exit code 1 when nobody speaks it."""
    assert cli.main(["languages", "tam"]) == 0
    assert "தமிழ்" in capsys.readouterr().out
    assert cli.main(["languages", "Tamil", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["code"] == "ta"
    assert cli.main(["languages", "xyzzy"]) == 1
