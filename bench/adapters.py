"""What adapters cost: one vendor result read, brought into our shape and written for the client; one chunk sent.

No sockets, no sessions: an adapter and a dialect are handed messages in a loop. Beside each figure stands the same work
done with `json` and dictionaries (`vendors.py`).
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from rich import box
from rich.table import Table

from bench.vendors import VENDORS, Vendor
from routeraudio.dialects.listen import Listen
from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.message import Message
from routeraudio.model.options import Options
from routeraudio.providers.base import Adapter, AdapterConfig, Credential, Entry
from routeraudio.providers.catalog import PROVIDERS

RESULT_US_MAX: Final = 40
"""For a result of 700 bytes: what the issue that asked for the adapters allows."""

CHUNK_MS: Final = 20

ROUNDS: Final = 60
"""Many short ones, so that on a busy machine some are left alone."""

REPEATS: Final = 12
"""Adapters made in a round; each reads `RESULTS` results."""

RESULTS: Final = 8
"""Few, since with Gradium the utterance grows with each."""

AUDIO_S: Final = 2
"""Audio that an adapter was sent before: all that the results speak of."""


class Cost(msgspec.Struct, kw_only=True):
    """One provider's row: the fastest rounds, µs."""

    provider: str
    result_bytes: float
    result_us: float
    plain_us: float
    chunk_us: float
    plain_chunk_us: float


def measure(rounds: int = ROUNDS, repeats: int = REPEATS) -> list[Cost]:
    """Every provider of the catalogue."""
    return [_cost(name, VENDORS[name], rounds, repeats) for name in PROVIDERS]


def table(costs: Sequence[Cost]) -> Table:
    """The costs, one row per provider."""
    rows = Table(title="What an adapter costs, µs", box=box.SIMPLE_HEAD, title_justify="left")
    rows.add_column("provider")
    headings = (
        "result, bytes",
        f"result\n≤ {RESULT_US_MAX}",
        "",
        "json + dicts",
        "chunk, 20 ms",
        "json + dicts",
    )
    for heading in headings:
        rows.add_column(heading, justify="right")
    for cost in costs:
        mark = "✓" if cost.result_us <= RESULT_US_MAX else "✗"
        figures = (cost.result_us, cost.plain_us, cost.chunk_us, cost.plain_chunk_us)
        result, plain, chunk, plain_chunk = (f"{figure:.1f}" for figure in figures)
        rows.add_row(cost.provider, f"{cost.result_bytes:.0f}", result, mark, plain, chunk, plain_chunk)
    return rows


def answers(name: str, number: int = 0) -> tuple[list[Message], list[str]]:
    """What a client is sent for one result: by the adapter and the dialect, and by the plain reader."""
    vendor = VENDORS[name]
    adapter, dialect = _fresh(name, vendor)
    for message in vendor.prelude(number):
        adapter.received(message)
    told = [sent for event in adapter.received(vendor.result(number)) for sent in dialect.event(event)]
    return told, _plainly(vendor, vendor.result(number))


def _cost(name: str, vendor: Vendor, rounds: int, repeats: int) -> Cost:
    results = [vendor.result(number) for number in range(RESULTS)]
    chunk = bytes(PCM_16K_MONO.bytes_per_second * CHUNK_MS // 1000)
    return Cost(
        provider=name,
        result_bytes=statistics.mean(map(len, results)),
        result_us=_best(lambda: _results_us(name, vendor, results, repeats), rounds),
        plain_us=_best(lambda: _plain_us(vendor, results, repeats), rounds),
        chunk_us=_best(lambda: _chunks_us(name, vendor, repeats), rounds),
        plain_chunk_us=_best(lambda: _plain_chunks_us(vendor, chunk, repeats), rounds),
    )


def _best(sample: Callable[[], float], rounds: int) -> float:
    """The fastest round: what is slower was disturbed by others (as `timeit` advises)."""
    return min(sample() for _ in range(rounds))


def _results_us(name: str, vendor: Vendor, results: Sequence[str], repeats: int) -> float:
    spent_ns = 0
    for _ in range(repeats):
        adapter, dialect = _fresh(name, vendor)
        for number, message in enumerate(results):
            for early in vendor.prelude(number):
                adapter.received(early)
            began_ns = time.perf_counter_ns()
            for event in adapter.received(message):
                dialect.event(event)
            spent_ns += time.perf_counter_ns() - began_ns
    return spent_ns / 1000 / repeats / len(results)


def _plain_us(vendor: Vendor, results: Sequence[str], repeats: int) -> float:
    began_ns = time.perf_counter_ns()
    for _ in range(repeats):
        for message in results:
            _plainly(vendor, message)
    return (time.perf_counter_ns() - began_ns) / 1000 / repeats / len(results)


def _plainly(vendor: Vendor, message: str) -> list[str]:
    return [json.dumps(answer) for answer in vendor.plain(json.loads(message))]


def _chunks_us(name: str, vendor: Vendor, repeats: int) -> float:
    adapter, _ = _fresh(name, vendor)
    size = adapter.audio_format.bytes_per_second * CHUNK_MS // 1000
    began_ns = time.perf_counter_ns()
    for _ in range(repeats):
        # A new object each time, as from a socket.
        adapter.audio(bytes(size))
    return (time.perf_counter_ns() - began_ns) / 1000 / repeats


def _plain_chunks_us(vendor: Vendor, chunk: bytes, repeats: int) -> float:
    wrap = vendor.wrap or bytes
    began_ns = time.perf_counter_ns()
    for _ in range(repeats):
        wrap(chunk)
    return (time.perf_counter_ns() - began_ns) / 1000 / repeats


def _fresh(name: str, vendor: Vendor) -> tuple[Adapter, Listen]:
    """An adapter in the middle of a session, and the dialect of its client."""
    entry: Entry = PROVIDERS[name]
    options = Options(
        provider=name, audio=PCM_16K_MONO, language=_language(name), model=vendor.model, partial_results=True
    )
    adapter = entry.adapter(
        AdapterConfig(options=options, url=entry.default_url, credential=Credential("key", False))
    )
    adapter.opened()
    adapter.tick(0.0)
    adapter.audio(bytes(adapter.audio_format.bytes_per_second * AUDIO_S))
    for message in vendor.before:
        adapter.received(message)
    return adapter, Listen(options, "request")


def _language(name: str) -> str:
    return "en-IN" if name == "vachana" else "en"
