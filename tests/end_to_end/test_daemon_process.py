"""The daemon as a process: start, signals, drain, exit codes, systemd, and what its log says of all this."""

import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.edge.fakes import AUDIO, LISTEN, WORDS, FakeDeepgram, client, get, upgrade, whole_session
from tests.edge.processes import PATIENCE_S, configured, failing, running


def toml(deepgram: str = "ws://127.0.0.1:9", *, server: str = "", more: str = "") -> str:
    return f"""
[server]
bind = ["127.0.0.1:0"]
{server}
[providers.deepgram]
url = "{deepgram}"
{more}
"""


def transcripts(messages: list[Any]) -> list[str]:
    return [message["transcript"] for message in messages if message["type"] == "transcript"]


async def is_refused(port: int) -> bool:
    """Whether a new session is turned away with 1012."""
    async with client(port) as caller:
        return (await caller.rest())[1] == 1012


async def test_idle_it_stops_at_once(tmp_path: Path) -> None:
    """It says where it listens, serves, and ends with 0 on SIGTERM and on SIGINT."""
    deepgram = FakeDeepgram()
    for number in (signal.SIGTERM, signal.SIGINT):
        async with deepgram.serving() as url, running(tmp_path, toml(url)) as daemon:
            await whole_session(daemon.port)
            began_s = trio.current_time()
            daemon.signal(number)
            assert await daemon.exit_code() == 0
            assert trio.current_time() - began_s < 30, "drain_s is 60"
            assert daemon.events()[-2:] == ["draining", "stopped"]


async def test_running_sessions_may_finish(tmp_path: Path) -> None:
    """After SIGTERM: not ready, no new sessions, but the old one ends as its client wants it to."""
    deepgram = FakeDeepgram()
    async with (
        deepgram.serving() as url,
        running(tmp_path, toml(url)) as daemon,
        client(daemon.port) as caller,
    ):
        await caller.send(AUDIO)
        await deepgram.until_heard(len(AUDIO))
        daemon.signal(signal.SIGTERM)
        await daemon.said("draining")
        ready = await get(daemon.port, "/readyz")
        assert (ready.status, ready.json) == (503, {"status": "draining"})
        assert (await get(daemon.port, "/healthz")).status == 200
        assert await is_refused(daemon.port)
        await caller.send(AUDIO)
        await caller.finish()
        messages, code = await caller.rest()
        assert code == 1000
        assert transcripts(messages) == [WORDS]
        await trio.aclose_forcefully(caller.stream)
        assert await daemon.exit_code() == 0
    assert deepgram.audio[0] == AUDIO * 2


async def test_sessions_that_do_not_finish_are_ended_politely(tmp_path: Path) -> None:
    """After `drain_s` every session's last words are fetched, and its client is sent to the successor."""
    deepgram = FakeDeepgram()
    async with (
        deepgram.serving() as url,
        running(tmp_path, toml(url, server="drain_s = 0.2")) as daemon,
        client(daemon.port) as one,
        client(daemon.port) as two,
    ):
        for caller in (one, two):
            await caller.send(AUDIO)
        await deepgram.until_heard(2 * len(AUDIO))
        daemon.signal(signal.SIGTERM)
        for caller in (one, two):
            messages, code = await caller.rest()
            assert code == 1012
            assert transcripts(messages) == [WORDS]
            await trio.aclose_forcefully(caller.stream)
        assert await daemon.exit_code() == 0
    assert bytes(deepgram.audio[0]) == AUDIO


async def test_a_lame_duck_still_accepts(tmp_path: Path) -> None:
    """For `lame_duck_s` it says that it is going and serves all the same."""
    deepgram = FakeDeepgram()
    async with (
        deepgram.serving() as url,
        running(tmp_path, toml(url, server="lame_duck_s = 600")) as daemon,
    ):
        daemon.signal(signal.SIGTERM)
        with trio.fail_after(PATIENCE_S):
            while (await get(daemon.port, "/readyz")).status == 200:  # noqa: ASYNC110  (another process sets no event)
                await trio.sleep(0.01)
        await whole_session(daemon.port)
        daemon.signal(signal.SIGTERM)
        assert await daemon.exit_code() == 0


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """Whoever signals twice means it: no waiting for a provider that owes its last words, but a goodbye."""
    deepgram = FakeDeepgram(is_mute=True)
    async with (
        deepgram.serving() as url,
        running(tmp_path, toml(url)) as daemon,
        client(daemon.port) as caller,
    ):
        await caller.send(AUDIO)
        await deepgram.until_heard(len(AUDIO))
        daemon.signal(signal.SIGTERM)
        await daemon.said("draining")
        daemon.signal(signal.SIGTERM)
        assert (await caller.rest())[1] == 1012
        assert await daemon.exit_code() == 0
        assert "second_signal" in daemon.events()
        assert not [line for line in daemon.log() if line["level"] == "error"]


async def test_a_client_that_does_not_read_cannot_hold_up_the_end(tmp_path: Path) -> None:
    """Drain is bounded also when nobody reads what we say."""
    deepgram = FakeDeepgram(is_mute=True)
    limits = "[limits]\nlast_words_s = 0.2\nclose_client_s = 0.2\nclose_upstream_s = 0.2"
    async with (
        deepgram.serving() as url,
        running(tmp_path, toml(url, server="drain_s = 0.1", more=limits)) as daemon,
        await trio.open_tcp_stream("127.0.0.1", daemon.port) as stream,
    ):
        await stream.send_all(upgrade(LISTEN, "x-api-key: k"))
        await deepgram.until(1)
        daemon.signal(signal.SIGTERM)
        assert await daemon.exit_code() == 0


# What it cannot start with.


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not toml", "TOML"),
        ('[server]\ntls_certificate = "missing.crt"\ntls_key = "missing.key"', "server.tls_certificate"),
        ('[server]\nbind = ["203.0.113.1:80"]', "203.0.113.1:80"),
        ('[server]\nbind = ["unix:/nonexistent/folder/x"]', "unix:/nonexistent/folder/x"),
    ],
)
async def test_a_bad_configuration_is_2(text: str, words: str, tmp_path: Path) -> None:
    """Exit code 2 and one sentence that names the key or file, without a traceback."""
    code, said = await failing(configured(tmp_path, text))
    assert code == 2
    assert words in said
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 3


async def test_a_missing_file_is_2(tmp_path: Path) -> None:
    """Exit code 2, naming the file."""
    code, said = await failing(tmp_path / "nothing.toml")
    assert code == 2
    assert "nothing.toml" in said


async def test_a_port_in_use_is_2(tmp_path: Path) -> None:
    """Exit code 2 and a sentence that names the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = await failing(configured(tmp_path, f'[server]\nbind = ["{address}"]'))
    assert code == 2
    assert address in said
    assert "address already in use" in said


async def test_a_local_socket_in_use_is_2(tmp_path: Path) -> None:
    """A living daemon's socket is not taken away from it; a dead one's is."""
    path = tmp_path / "door.sock"
    text = f'[server]\nbind = ["unix:{path}"]'
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        code, said = await failing(configured(tmp_path, text))
        assert code == 2
        assert str(path) in said
    async with running(tmp_path, text) as daemon:
        assert daemon.addresses == [f"unix:{path}"]


# systemd.


async def test_systemds_sockets_win(tmp_path: Path) -> None:
    """Passed sockets are served instead of configured ones; systemd is told when it is ready and when it stops."""
    deepgram = FakeDeepgram()
    notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notified.bind(str(tmp_path / "notify"))
    notified.setblocking(False)
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as local, notified:
        local.bind(str(tmp_path / "door.sock"))
        local.listen()
        shell = f'exec 3<&{tcp.fileno()} 4<&{local.fileno()}; export LISTEN_PID=$$ LISTEN_FDS=2; exec "$@"'
        async with (
            deepgram.serving() as url,
            running(
                tmp_path,
                toml(url),
                environ={"NOTIFY_SOCKET": str(tmp_path / "notify")},
                prefix=["bash", "-c", shell, "bash"],
                pass_fds=[tcp.fileno(), local.fileno()],
            ) as daemon,
        ):
            port = tcp.getsockname()[1]
            assert daemon.addresses == [f"127.0.0.1:{port}", f"unix:{tmp_path}/door.sock"]
            await whole_session(port)
            assert notified.recv(100) == b"READY=1"
            daemon.signal(signal.SIGTERM)
            assert await daemon.exit_code() == 0
            assert notified.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("fds", ["many", "99"])
async def test_nonsense_from_systemd(fds: str, tmp_path: Path) -> None:
    """A count that is none, or of sockets that are none, is a configuration that cannot be used."""
    shell = f'export LISTEN_PID=$$ LISTEN_FDS={fds}; exec "$@"'
    code, said = await failing(configured(tmp_path, toml()), prefix=["bash", "-c", shell, "bash"])
    assert code == 2
    assert "LISTEN_FDS" in said
    assert "Traceback" not in said


async def test_for_somebody_else(tmp_path: Path) -> None:
    """Variables meant for another process are not ours."""
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
    async with running(tmp_path, toml(), environ=environ) as daemon:
        assert (await get(daemon.port, "/healthz")).status == 200
