"""The decoder process: what it decodes, what it may not reach, what it gives up, and how it ends."""

import os
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest
import trio

from routeraudio.pull.decoder import Decoder, decoding
from routeraudio.pull.faults import SourceFault
from routeraudio.pull.guard import Guard
from routeraudio.pull.wire import Job, Opened, upload_url
from tests.engine.processes import is_gone, until

from .sources import ALIVE, PRIVATE, Names, Page, Rtsp, Web, encoded, live, pcm, playlist, serving, wav

GUARD = Guard([ip_network(ALIVE)])
PATIENCE_S = 60.0
SEGMENT = "#EXTINF:2.8,\na\n#EXT-X-ENDLIST\n"


def job(url: str, skip_ms: int = 0) -> Job:
    return Job(url=url, skip_ms=skip_ms, wait_s=10.0, memory_bytes=1 << 29, cpu_s=60)


@asynccontextmanager
async def decoder(url: str, skip_ms: int = 0) -> AsyncIterator[Decoder]:
    with trio.fail_after(PATIENCE_S):
        async with decoding(job(url, skip_ms), GUARD) as running:
            yield running


async def heard(url: str, skip_ms: int = 0) -> tuple[bytes, Opened | None, SourceFault | None]:
    """All audio of a source, what was told of it, and what went wrong."""
    audio, opened = b"", None
    async with decoder(url, skip_ms) as running:
        try:
            opened = await running.opened()
            while block := await running.read():
                audio += block
        except SourceFault as fault:
            return audio, opened, fault
    return audio, opened, None


async def rest(running: Decoder) -> None:
    """To the end."""
    while await running.read():
        pass


async def refusal(url: str) -> SourceFault:
    """Why a source is not heard to its end."""
    _audio, _opened, fault = await heard(url)
    assert fault is not None
    return fault


# What it decodes.


async def test_pcm_comes_out_as_it_is() -> None:
    """16 kHz mono is not changed; a recording is no live source."""
    web = Web({"/a": Page(wav())})
    async with serving(web):
        audio, opened, fault = await heard(web.url("/a"))
    assert fault is None
    assert audio == pcm()
    assert opened is not None
    assert not opened.is_live


async def test_skips_what_was_heard() -> None:
    """A recording is heard from where it broke off."""
    web = Web({"/a": Page(wav())})
    async with serving(web):
        audio, _opened, _fault = await heard(web.url("/a"), skip_ms=1500)
    assert audio == pcm()[1500 * 32 :]


async def test_a_file_whose_index_is_at_its_end(tmp_path: Path) -> None:
    """Such a file needs ranges, and is read with them."""
    web = Web({"/a.m4a": Page(await encoded(tmp_path, "a.m4a", "-c:a", "aac", "-ar", "44100", "-ac", "2"))})
    async with serving(web):
        audio, _opened, fault = await heard(web.url("/a.m4a"))
    assert fault is None
    assert abs(len(audio) - len(pcm())) < 32 * 200
    assert any("range:" in head.lower() for head in web.heads)


async def test_redirects_and_credentials(tmp_path: Path) -> None:
    """A redirect is followed; the source's password goes to its own host and port and nowhere else."""
    other = Web({"/a": Page(wav())})
    async with serving(other):
        web = Web({"/": Page(status=302, headers={"location": other.url("/a")})})
        async with serving(web):
            audio, _opened, fault = await heard(web.url("/").replace("//", "//user:p%40ss@"))
    assert fault is None
    assert audio == pcm()
    assert "authorization: basic dxnlcjpwqhnz" in web.heads[0].lower()
    assert "authorization" not in other.heads[0].lower()


@pytest.mark.parametrize("is_encrypted", [False, True])
async def test_playlist(tmp_path: Path, is_encrypted: bool) -> None:
    """HLS, with AES-128 where it is used, every segment through the daemon's connections."""
    key = tmp_path / "key"
    key.write_bytes(bytes(range(16)))
    info = tmp_path / "info"
    info.write_text(f"key\n{key}\n")
    options = ["-hls_key_info_file", str(info)] if is_encrypted else []
    web = Web(await playlist(tmp_path, *options))
    async with serving(web):
        audio, opened, fault = await heard(web.url("/live.m3u8"))
    assert fault is None
    assert abs(len(audio) - len(pcm())) < 32 * 200
    assert opened is not None
    assert not opened.is_live
    assert ("/key" in web.asked) is is_encrypted


async def test_rtsp(tmp_path: Path) -> None:
    """RTSP interleaved in TCP."""
    mulaw = await encoded(tmp_path, "a.ul", "-f", "mulaw", "-ar", "8000")
    server = Rtsp(mulaw)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        audio, opened, _fault = await heard(server.url)
        nursery.cancel_scope.cancel()
    assert opened is not None
    assert opened.is_live
    assert abs(len(audio) - len(pcm())) < 32 * 200
    assert server.methods[:4] == ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"]


# What it may not reach.


async def test_redirect_inside() -> None:
    """A redirect to a private address is refused, and nobody there is asked."""
    inside = Web({"/a": Page(wav())}, PRIVATE)
    async with serving(inside):
        web = Web({"/": Page(status=302, headers={"location": inside.url("/a")})})
        async with serving(web):
            fault = await refusal(web.url("/"))
    assert fault.is_refused
    assert inside.asked == []


@pytest.mark.parametrize("place", ["segment", "variant", "key", "map"])
async def test_playlist_entry_inside(tmp_path: Path, place: str) -> None:
    """Whatever a playlist names in a private network ends the source, instead of being passed over."""
    inside = Web({"/a": Page(wav())}, PRIVATE)
    async with serving(inside):
        target = inside.url("/a")
        lines = {
            "segment": f"#EXT-X-TARGETDURATION:3\n#EXTINF:2.8,\n{target}\n#EXT-X-ENDLIST\n",
            "variant": f"#EXT-X-STREAM-INF:BANDWIDTH=64000\n{target}\n",
            "key": f'#EXT-X-TARGETDURATION:3\n#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n{SEGMENT}',
            "map": f'#EXT-X-TARGETDURATION:3\n#EXT-X-MAP:URI="{target}"\n{SEGMENT}',
        }
        web = Web({"/p.m3u8": Page(b"#EXTM3U\n" + lines[place].encode()), "/a": Page(wav())})
        async with serving(web):
            fault = await refusal(web.url("/p.m3u8"))
    assert fault.is_refused, fault.message
    assert inside.asked == []


@pytest.mark.parametrize(
    "entry",
    [
        "file:///etc/passwd",
        "/etc/passwd",
        "concat:/etc/passwd",
        "data:audio/wav;base64,UklGRg==",
        "subfile:///etc/passwd",
    ],
)
async def test_playlist_entry_on_the_disk(entry: str) -> None:
    """No playlist makes it read a file of this machine."""
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:2.8,\n{entry}\n#EXT-X-ENDLIST\n"
    web = Web({"/p.m3u8": Page(playlist.encode())})
    async with serving(web):
        audio, _opened, fault = await heard(web.url("/p.m3u8"))
    assert fault is not None
    assert audio == b""


@pytest.mark.parametrize(
    "body",
    [
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5004 RTP/AVP 0\r\n",
        b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"></MPD>',
        b"",
        b"\0" * 5000,
        b"<html>not found</html>" * 100,
    ],
)
async def test_what_is_no_recording(body: bytes) -> None:
    """Formats that make a demuxer open something else, and things that are no audio, are refused."""
    web = Web({"/a": Page(body)})
    async with serving(web):
        fault = await refusal(web.url("/a"))
    assert not fault.is_retryable
    assert web.asked == ["/a"]


async def test_rtsp_redirect_inside(tmp_path: Path) -> None:
    """libav follows an RTSP redirect by itself, and finds no network."""
    inside = Web({}, PRIVATE)
    async with serving(inside), trio.open_nursery() as nursery:
        server = Rtsp(b"", moved_to=f"rtsp://{PRIVATE}:{inside.port}/clip")
        await nursery.start(server.serve)
        await refusal(server.url)
        nursery.cancel_scope.cancel()
    assert inside.heads == [] or not _may_isolate()


async def test_refused_at_once() -> None:
    """A private source is refused before anything is sent."""
    inside = Web({"/a": Page(wav())}, PRIVATE)
    async with serving(inside):
        fault = await refusal(inside.url("/a"))
    assert fault.is_refused
    assert inside.asked == []


async def test_name_that_leads_inside() -> None:
    """A name is judged by where it leads."""
    inside = Web({"/a": Page(wav())}, PRIVATE)
    trio.socket.set_custom_hostname_resolver(Names({"press.example": [[PRIVATE]]}))
    async with serving(inside):
        fault = await refusal(f"http://press.example:{inside.port}/a")
    assert fault.is_refused
    assert inside.asked == []


# What it gives up.


async def test_confined() -> None:
    """No environment, an empty folder, bounds on memory, files and descriptors, no way to more rights."""
    web = Web({"/a": live()})
    async with serving(web), decoder(web.url("/a")) as running:
        await running.opened()
        process = Path(f"/proc/{running.pid}")
        environment = {
            entry.split(b"=")[0] for entry in process.joinpath("environ").read_bytes().split(b"\0")
        }
        limits = process.joinpath("limits").read_text()
        status = process.joinpath("status").read_text()
        folder = os.readlink(process / "cwd")
        is_isolated = os.readlink(process / "ns/net") != os.readlink("/proc/self/ns/net")
    assert environment - {b""} == {b"MALLOC_ARENA_MAX", b"LANG"}
    assert folder.endswith(" (deleted)")
    assert _limit(limits, "Max address space") == str(1 << 29)
    assert _limit(limits, "Max cpu time") == "60"
    assert _limit(limits, "Max file size") == "0"
    assert _limit(limits, "Max open files") == "64"
    assert is_isolated is _may_isolate()
    assert "NoNewPrivs:\t1" in status


def _limit(limits: str, name: str) -> str:
    line = next(line for line in limits.splitlines() if line.startswith(name))
    return line.removeprefix(name).split()[0]


def _may_isolate() -> bool:
    """Whether this machine lets a process have a network of its own."""
    return subprocess.run(["unshare", "-U", "-n", "true"], check=False, capture_output=True).returncode == 0


# How it ends.


async def test_answers_that_are_no_answers() -> None:
    """What the source's server says becomes a sentence and whether trying again can help."""
    web = Web({"/500": Page(status=500), "/401": Page(status=401)})
    async with serving(web):
        found = [await refusal(web.url(path)) for path in ("/404", "/401", "/500")]
    assert [(fault.message, fault.is_retryable) for fault in found] == [
        ("the source answered HTTP 404", False),
        ("the source answered HTTP 401", False),
        ("the source answered HTTP 500", True),
    ]


async def test_a_recording_that_breaks_off() -> None:
    """A download that is shorter than it said is a lost connection; what came before is heard."""
    web = Web({"/a": Page(wav(), headers={"accept-ranges": "none"}, breaks_at=50_000)})
    async with serving(web):
        audio, _opened, fault = await heard(web.url("/a"))
    assert fault is not None
    assert fault.is_retryable
    assert pcm().startswith(audio)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
async def test_killed(number: signal.Signals) -> None:
    """A decoder that dies is a source that was lost."""
    web = Web({"/a": live()})
    async with serving(web), decoder(web.url("/a")) as running:
        assert await running.read()
        os.kill(running.pid, number)
        with pytest.raises(SourceFault, match="decoder has died") as died:
            await rest(running)
    assert died.value.is_retryable


async def test_too_much_memory() -> None:
    """A header that promises the world does not get it: the process ends, and says so or not, but nobody else does."""
    huge = b"fLaC" + struct.pack(">I", 0x7F_FFFFFF) + b"\xff" * 4000
    web = Web({"/a": Page(huge)})
    async with serving(web):
        fault = await refusal(web.url("/a"))
    assert fault.message


async def test_leaving_ends_the_process() -> None:
    """Whoever stops listening leaves no process behind."""
    web = Web({"/a": live()})
    async with serving(web):
        async with decoder(web.url("/a")) as running:
            await running.read()
        with pytest.raises(ProcessLookupError):
            os.kill(running.pid, 0)


STARTER = """
import sys, trio
from routeraudio.pull.decoder import decoding
from routeraudio.pull.guard import Guard
from routeraudio.pull.wire import Job
from ipaddress import ip_network

async def main():
    job = Job(url=sys.argv[1], wait_s=60.0, memory_bytes=1 << 29, cpu_s=60)
    async with decoding(job, Guard([ip_network("127.0.0.1")])) as decoder:
        await decoder.opened()
        print(decoder.pid, flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


async def test_ends_with_the_daemon() -> None:
    """A daemon that is killed leaves no decoder behind, not even one that waits for its source."""
    web = Web({"/a": live()})
    async with serving(web), trio.open_nursery() as nursery:
        daemon = await trio.lowlevel.open_process(
            [sys.executable, "-c", STARTER, web.url("/a")], stdout=subprocess.PIPE
        )
        assert daemon.stdout is not None
        with trio.fail_after(PATIENCE_S):
            pid = int(await daemon.stdout.receive_some())
            daemon.kill()
            await daemon.wait()
            await until(lambda: is_gone(pid))
        nursery.cancel_scope.cancel()
        await trio.aclose_forcefully(daemon.stdout)


# Files that it is given open.


async def test_a_file_that_is_given_open() -> None:
    """Decoded like any recording; it needs no network, and gets none."""
    with tempfile.TemporaryFile() as file:
        file.write(wav())
        file.seek(0)
        audio = b""
        async with decoding(job(upload_url(file.fileno())), None, file.fileno()) as running:
            assert not (await running.opened()).is_live
            while block := await running.read():
                audio += block
    assert audio == pcm()


async def test_a_file_that_names_others() -> None:
    """Opens nothing."""
    with tempfile.TemporaryFile() as file:
        file.write(b"#EXTM3U\n#EXTINF:2,\nhttp://127.0.0.1:9/a.wav\n#EXT-X-ENDLIST\n")
        file.seek(0)
        async with decoding(job(upload_url(file.fileno())), None, file.fileno()) as running:
            with pytest.raises(SourceFault):
                await running.read()
