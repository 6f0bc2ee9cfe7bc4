"""One back end's figures, through a running engine."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import psutil  # type: ignore[import-untyped]
import trio

from bench.engine import conditions
from bench.engine.play import MS_BYTES, SILENCE_MS, Said, play, stream
from bench.processes import Child, Cores, ProcessGone, anonymous_kib, cpu_ns, python_module, tree
from routeraudio.engine.loading import BackendName, is_installed
from tests.engine.clips import REFERENCES, normalised, word_errors

ENGINES: Final[tuple[BackendName, ...]] = ("moonshine", "pocketsphinx")
"""Those that bring a model; the others serve folders of their users."""

__all__ = ["ENGINES", "Delay", "Figures", "is_installed", "measure", "running"]

START_S: Final = 60.0
WORDS: Final = sum(len(normalised(text)) for text in REFERENCES.values())
SHIFTS_MS: Final = (0, 170, 1000)
"""Silence before a clip, each of which is heard so many times: where in the audio a phrase begins decides between two
readings of it."""
SAMPLE_S: Final = 0.05
"""How often processor time is read: a recogniser that has ended takes its last moments along."""


class Delay(msgspec.Struct, frozen=True):
    """With so many sessions at once: percentiles 50 and 95 in milliseconds."""

    sessions: int
    first_partial_ms: tuple[float, float]
    """From the beginning of speech."""
    final_ms: tuple[float, float]
    """From the end of speech; endpointing (500 ms) included."""
    cpu_share: float
    """Processor seconds of the engine per second of audio, with partials."""
    kib_per_session: float
    """Anonymous memory (`Pss_Anon`) that the sessions added."""


class Figures(msgspec.Struct, frozen=True):
    """What one back end achieved."""

    backend: str
    word_errors: dict[str, float]
    """By condition, as a share of the words."""
    cpu_share: float
    """Of finals alone."""
    invented: dict[str, int]
    """Words by kind of sound."""
    invented_minutes: float
    engine_mib: float
    """Anonymous memory without sessions."""
    delays: list[Delay]

    @property
    def word_error(self) -> float:
        """Over all conditions, which have the same words."""
        return float(np.mean(list(self.word_errors.values())))


class _Listening(msgspec.Struct):
    port: int


class Engine:
    """A running engine."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port

    def anonymous_kib(self) -> int:
        """All its processes' memory now."""
        while True:
            try:
                return anonymous_kib(tree(self.pid))
            except ProcessGone:
                continue  # a recogniser ended between the two looks


@contextmanager
def running(backend: str, workers_max: int, folder: Path) -> Iterator[Engine]:
    """An engine with this back end whose model is loaded."""
    command = python_module("routeraudio.engine", "--port", "0", "--backend", backend)
    command += ["--workers-max", str(workers_max)]
    with Child(command, Cores(pinned=False).load, folder / f"{backend}.log", talks=True) as child:
        engine = Engine(child.pid, child.hear(_Listening, START_S).port)
        trio.run(_heard, engine, [bytes(MS_BYTES * 100)])  # waits for the model
        yield engine


def measure(
    backend: str,
    folder: Path,
    *,
    sessions: Sequence[int],
    noise_s: float,
    names: Sequence[str] = conditions.NAMES,
) -> Figures:
    """Everything about one back end; takes some minutes.

    Args:
        sessions: numbers of streams at once for the delays.
        noise_s: of sounds without speech, in all.
        names: the conditions.
    """
    with running(backend, max(*sessions, 2), folder) as engine:
        engine_kib = engine.anonymous_kib()
        with _Processor(engine.pid) as processor:
            errors = {name: word_error(engine, name) for name in names}
            cpu_s = processor.used_s()
        delays = [delay_at(engine, count) for count in sessions]
        invented = invented_words(engine, noise_s)
    audio_s = sum(len(recording) for name in names for recording in _recordings(name)) / MS_BYTES / 1000
    return Figures(backend, errors, cpu_s / audio_s, invented, noise_s / 60, engine_kib / 1024, delays)


def word_error(engine: Engine, condition: str) -> float:
    """Share of the clips' words that are wrong in this condition."""
    heard = trio.run(_heard, engine, _recordings(condition))
    pairs = zip(cycle(REFERENCES.values()), heard, strict=False)
    return sum(word_errors(text, _text(said)) for text, said in pairs) / WORDS / len(SHIFTS_MS)


def _recordings(condition: str) -> list[bytes]:
    tail = bytes(SILENCE_MS * MS_BYTES)
    return [
        bytes(shift_ms * MS_BYTES) + conditions.clip(name, condition) + tail
        for shift_ms in SHIFTS_MS
        for name in REFERENCES
    ]


def invented_words(engine: Engine, seconds: float) -> dict[str, int]:
    """Words heard in so much sound without speech, by its kind."""
    sounds = dict(conditions.sounds(seconds / conditions.SOUNDS))
    heard = trio.run(_heard, engine, list(sounds.values()))
    return {name: len(normalised(_text(said))) for name, said in zip(sounds, heard, strict=True)}


def delay_at(engine: Engine, sessions: int, clips: Sequence[str] = tuple(REFERENCES)) -> Delay:
    """Real time: every session plays two clips one after the other, the clips taking turns; each is played once."""
    names = list(islice(cycle(clips), max(sessions * 2, len(clips))))
    recordings = [conditions.clip(name, "clean") for name in names]
    idle_kib = engine.anonymous_kib()
    with _Processor(engine.pid) as processor:
        heard = trio.run(play, engine.port, recordings, sessions)
        cpu_s = processor.used_s()
    audio_s = sum(map(len, recordings)) / MS_BYTES / 1000 + len(recordings) * SILENCE_MS / 1000
    first, final = [], []
    for name, said in zip(names, heard, strict=True):
        start_ms, end_ms = conditions.SPEECH_MS[name]
        first += [each.at_ms - start_ms for each in said if each.kind == "partial"][:1]
        final += [each.at_ms - end_ms for each in said if each.kind == "final"][-1:]
    added_kib = (processor.peak_kib - idle_kib) / sessions
    return Delay(sessions, _percentiles(first), _percentiles(final), cpu_s / audio_s, added_kib)


async def _heard(engine: Engine, recordings: Sequence[bytes]) -> list[list[Said]]:
    return [await stream(engine.port, recording, is_live=False) for recording in recordings]


def _text(said: Sequence[Said]) -> str:
    return " ".join(each.text for each in said if each.kind == "final")


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return float("nan"), float("nan")
    return float(np.percentile(values, 50)), float(np.percentile(values, 95))


class _Processor:
    """Processor time and peak memory of an engine and its recognisers, read again and again by a thread: the kernel
    adds the time of recognisers, whose end nobody waits for, to nobody's."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._last_ns: dict[int, int] = {}
        self._first_ns: dict[int, int] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_kib = 0

    def __enter__(self) -> "_Processor":
        self._look()
        self._first_ns = dict(self._last_ns)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def used_s(self) -> float:
        """Since the start, by all processes that were seen."""
        self._look()
        return sum(ns - self._first_ns.get(pid, 0) for pid, ns in self._last_ns.items()) / 1e9

    def _watch(self) -> None:
        memory_s = time.monotonic()
        while not self._is_over.wait(SAMPLE_S):
            self._look()
            if time.monotonic() - memory_s > 1:
                memory_s = time.monotonic()
                try:
                    self.peak_kib = max(self.peak_kib, anonymous_kib(tree(self._process.pid)))
                except ProcessGone:
                    continue

    def _look(self) -> None:
        for process in [self._process, *self._process.children(recursive=True)]:
            try:
                self._last_ns[process.pid] = cpu_ns([process.pid])
            except ProcessGone:
                continue
