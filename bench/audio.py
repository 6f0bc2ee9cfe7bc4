"""`python -m bench audio`: what converting audio costs, beside the ffmpeg command line on the same files.

Both get the same core's time in turn, a round each, and are compared by processor time: ours in this process,
pushed in chunks as clients send them, ffmpeg's as the kernel counts it for the child. README.md tells the rest.
"""

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Final

import av
import psutil
from av.audio.resampler import AudioResampler
from rich.console import Console
from rich.table import Table

from routeraudio.audio.transcode import Transcoder, transcoder
from routeraudio.model.audio import PCM_16K_MONO, AudioFormat, Encoding

CLIPS: Final = Path(__file__).parents[1] / "tests" / "assets" / "audio"
MINUTES: Final = 10
FIRST_FILES_S: Final = 3
SESSIONS: Final = 40


@dataclass(frozen=True)
class Sample:
    """A file to be decoded."""

    name: str
    encoding: Encoding
    chunk_bytes: int
    """As it is pushed: MediaRecorder's chunks of 250 ms, or 4 KiB of an upload."""
    channels: int
    options: tuple[str, ...]


SAMPLES: Final = (
    Sample("ogg_opus, 64 kbit/s", "ogg_opus", 4096, 1, ("-c:a", "libopus", "-b:a", "64k", "-f", "ogg")),
    Sample("ogg_opus, 24 kbit/s", "ogg_opus", 4096, 1, ("-c:a", "libopus", "-b:a", "24k", "-f", "ogg")),
    Sample("webm, 48 kbit/s", "webm", 1500, 1, ("-c:a", "libopus", "-b:a", "48k", "-f", "webm")),
    Sample("webm, 128 kbit/s stereo", "webm", 4000, 2, ("-c:a", "libopus", "-b:a", "128k", "-f", "webm")),
    Sample("mp3, 64 kbit/s", "mp3", 4096, 1, ("-c:a", "libmp3lame", "-b:a", "64k", "-f", "mp3")),
    Sample("mp3, 128 kbit/s stereo", "mp3", 4096, 2, ("-c:a", "libmp3lame", "-b:a", "128k", "-f", "mp3")),
)


def show_audio(console: Console, rounds: int) -> None:
    """Measure and print everything."""
    if shutil.which("ffmpeg") is None:
        console.print("ffmpeg is not installed; it makes the files and is what we compare with")
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        speech = _speech(Path(folder), MINUTES * 60)
        files = [(sample, _made(sample, speech, Path(folder))) for sample in SAMPLES]
        console.print(_speeds(files, rounds))
        console.print(_chunks())
        console.print(_first(Path(folder)))
        console.print(_memory(files))


# Speed -----------------------------------------------------------------------------------------------------------


def _speeds(files: list[tuple[Sample, Path]], rounds: int) -> Table:
    table = Table(
        "to 16 kHz mono", "× real time", "ffmpeg", "÷ ffmpeg", "thread", title="speed, one core; target ≥ 0.7"
    )
    for sample, path in files:
        data = path.read_bytes()
        runs = [
            (_pushed_s(sample, data), _ffmpeg_s(path), _in_a_thread_s(sample, data)) for _ in range(rounds)
        ]
        ours_s, theirs_s, thread_s = (statistics.median(column) for column in zip(*runs, strict=True))
        ratio = statistics.median(theirs / ours for ours, theirs, _ in runs)
        seconds = MINUTES * 60
        table.add_row(
            sample.name,
            f"{seconds / ours_s:.0f}",
            f"{seconds / theirs_s:.0f}",
            f"{ratio:.2f} {'✓' if ratio >= 0.7 else '✗'}",
            f"{seconds / thread_s:.0f}",
        )
    return table


def _pushed_s(sample: Sample, data: bytes) -> float:
    """As a session does it."""
    began_s = time.process_time()
    converter = transcoder(AudioFormat(sample.encoding, 48000), PCM_16K_MONO)
    for _ in _outputs(converter, data, sample.chunk_bytes):
        pass
    converter.finish()
    return time.process_time() - began_s


def _outputs(converter: Transcoder, data: bytes, chunk_bytes: int) -> Iterator[bytes]:
    for at in range(0, len(data), chunk_bytes):
        yield converter.push(data[at : at + chunk_bytes])
        while converter.has_more:
            yield converter.push(b"")


def _ffmpeg_s(path: Path) -> float:
    """Processor time of the command line, start-up included."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-threads", "1", "-i", str(path)]
    child = subprocess.Popen([*command, "-ac", "1", "-ar", "16000", "-f", "s16le", "-y", os.devnull])
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise ChildProcessError(f"ffmpeg ended with {child.returncode} on {path.name}")
    return usage.ru_utime + usage.ru_stime


class _Fed:
    """A file object that libavformat reads in a thread while chunks are put into it."""

    def __init__(self) -> None:
        self._chunks: Queue[bytes] = Queue(4)
        self._rest = b""
        self._is_over = False

    def put(self, chunk: bytes) -> None:
        self._chunks.put(chunk)

    def read(self, length: int) -> bytes:
        if not self._rest and not self._is_over:
            self._rest = self._chunks.get()
            self._is_over = not self._rest
        data, self._rest = self._rest[:length], self._rest[length:]
        return data


def _in_a_thread_s(sample: Sample, data: bytes) -> float:
    """The other design: PyAV's container in a worker, its own resampler, a queue between."""
    began_s = time.process_time()
    fed = _Fed()
    worker = Thread(target=_demuxed, args=(fed, sample))
    worker.start()
    for at in range(0, len(data), sample.chunk_bytes):
        fed.put(data[at : at + sample.chunk_bytes])
    fed.put(b"")
    worker.join()
    return time.process_time() - began_s


def _demuxed(fed: _Fed, sample: Sample) -> None:
    name = {"ogg_opus": "ogg", "webm": "matroska", "mp3": "mp3"}[sample.encoding]
    resampler = AudioResampler("s16", "mono", 16000)
    with av.open(fed, mode="r", format=name) as container:
        for frame in container.decode(audio=0):
            for resampled in resampler.resample(frame):
                bytes(resampled.planes[0])


# Chunks, first sound, memory -------------------------------------------------------------------------------------


def _chunks() -> Table:
    table = Table("20 ms of", "µs", "target", title="raw audio, median of 20 rounds")
    pcm_48k, mulaw_8k = AudioFormat("pcm_s16le", 48000), AudioFormat("pcm_mulaw", 8000)
    cases = (
        ("PCM, 48 to 16 kHz", pcm_48k, PCM_16K_MONO, 25),
        ("mu-law to PCM, 8 kHz", mulaw_8k, AudioFormat("pcm_s16le", 8000), 4),
        ("mu-law, 8 to 16 kHz", mulaw_8k, PCM_16K_MONO, None),
    )
    for name, source, target, most in cases:
        us = _chunk_us(source, target)
        tick = "" if most is None else f"≤ {most} {'✓' if us <= most else '✗'}"
        table.add_row(name, f"{us:.1f}", tick)
    return table


def _chunk_us(source: AudioFormat, target: AudioFormat) -> float:
    converter = transcoder(source, target)
    chunk = os.urandom(source.bytes_per_second // 50)

    rounds_s = []
    for _ in range(20):
        began_s = time.process_time()
        for _ in range(500):
            converter.push(chunk)
        rounds_s.append(time.process_time() - began_s)
    return statistics.median(rounds_s) / 500 * 1e6


def _first(folder: Path) -> Table:
    """How many packets had come whole, after the first, when the first sound left; fed byte by byte."""
    table = Table("first sound", "packets after the first complete one: streams", title="latency; target ≤ 1")
    found: dict[str, Counter[int]] = {}
    speech = _speech(folder, FIRST_FILES_S)
    for sample in SAMPLES:
        for rate in ("16000", "48000"):
            path = _made(sample, speech, folder, "-ar", rate)
            found.setdefault(sample.encoding, Counter())[_packets_before_sound(sample, path)] += 1
    for encoding, counts in found.items():
        table.add_row(encoding, "  ".join(f"{late}: {'█' * counts[late]}" for late in sorted(counts)))
    return table


def _packets_before_sound(sample: Sample, path: Path) -> int:
    data = path.read_bytes()
    with av.open(str(path), mode="r") as container:
        packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    converter = transcoder(AudioFormat(sample.encoding, 48000), PCM_16K_MONO)
    sound = next(at for at, out in enumerate(_outputs(converter, data, 1)) if out)
    whole, at = 0, 0
    for packet in packets:
        at = data.find(packet, at) + len(packet)
        if at > sound + 1:
            break
        whole += 1
    return max(whole - 1, 0)


def _memory(files: list[tuple[Sample, Path]]) -> Table:
    """Resident memory of many sessions in the middle of their streams, each kind in a process of its own."""
    table = Table("memory", "KiB/session", title=f"{SESSIONS} sessions; target ≤ 512")
    for sample, path in files:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            kib = pool.submit(_kib_per_session, sample, path).result()
        table.add_row(sample.name, f"{kib:.0f} {'✓' if kib <= 512 else '✗'}")
    return table


def _kib_per_session(sample: Sample, path: Path) -> float:
    with path.open("rb") as file:
        data = file.read(1 << 16)
    process = psutil.Process()
    first = _in_the_middle(sample, data)
    before = process.memory_info().rss
    sessions = [_in_the_middle(sample, data) for _ in range(SESSIONS)]
    grown = process.memory_info().rss - before
    del first
    return grown / 1024 / len(sessions)


def _in_the_middle(sample: Sample, data: bytes) -> Transcoder:
    converter = transcoder(AudioFormat(sample.encoding, 48000), PCM_16K_MONO)
    for _ in _outputs(converter, data, sample.chunk_bytes):
        pass
    return converter


# Files -----------------------------------------------------------------------------------------------------------


def _speech(folder: Path, seconds: int) -> Path:
    """Real speech at 48 kHz, repeated until it is long enough."""
    clips = sorted(CLIPS.glob("austen-*.wav"))
    repeats = 1 + seconds // 10
    listing = folder / "clips.txt"
    listing.write_text("".join(f"file '{clip}'\n" for clip in clips * repeats))
    path = folder / f"speech{seconds}.wav"
    source = ("-f", "concat", "-safe", "0", "-i", str(listing), "-t", str(seconds), "-ar", "48000")
    subprocess.run(["ffmpeg", "-v", "error", "-y", *source, str(path)], check=True)
    return path


def _made(sample: Sample, speech: Path, folder: Path, *more: str) -> Path:
    path = folder / f"{SAMPLES.index(sample)}{speech.stem}{''.join(more)}.bin"
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(speech), "-ac", str(sample.channels)]
    subprocess.run([*command, *sample.options, *more, str(path)], check=True)
    return path
