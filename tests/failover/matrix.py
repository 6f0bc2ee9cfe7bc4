"""One session in front of vendors whose lines are cut: what its client was told."""

import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from itertools import product
from typing import Any, Final

import msgspec
import numpy as np
import trio

from routeraudio import daemon
from routeraudio.config.schema import Config, Failover, Key, Provider, Server
from routeraudio.config.secret import Secret
from routeraudio.emulators.catalog import EMULATORS
from tests.audio.made import encoded
from tests.end_to_end.router import PATIENCE_S, SHORT, client_of, rest
from tests.failover import numbers
from tests.failover.lines import WAYS, Cut, Line, open_line

VENDORS: Final = ("assemblyai", "deepgram", "soniox", "speechmatics")
FORMATS: Final = ("pcm_s16le", "pcm_mulaw", "webm", "diarize")
"""What the client sends; with `diarize` it asks for speakers too."""

CHUNK_S: Final = 0.1
SPEED: Final = 3.0
"""Times as fast as it is spoken, so that a cut is at any place and a session takes seconds."""

OFF_MS: Final = 100
ROUTER_KEY: Final = "router_failover_matrix"
KEYS: Final = (Key(id="test", hash="sha256:" + sha256(ROUTER_KEY.encode()).hexdigest()),)


class Case(msgspec.Struct, frozen=True):
    """What is tried."""

    first: str
    second: str | None
    """None: the same vendor is dialled again."""
    format: str
    way: str
    seed: int

    @property
    def names(self) -> tuple[str, ...]:
        """Of the route."""
        return (self.first,) if self.second is None else (self.first, self.second)

    def __str__(self) -> str:
        return f"{self.first} → {self.second or 'again'}, {self.format}, {self.way}, seed {self.seed}"


async def tried(case: Case) -> list[str]:
    """What was wrong; nothing is as it should be."""
    dice = random.Random(f"{case}")
    duration_s = (numbers.start_ms(numbers.WORDS - 1) + numbers.WORD_MS) / 1000 / SPEED
    left = [1 if case.second else dice.choice((1, 2, 3))]

    def cut() -> tuple[str, float] | None:
        if not left[0]:
            return None
        left[0] -= 1
        return case.way, dice.uniform(0.05, duration_s * (0.95 if case.second else 0.45))

    async with _serving(case, cut) as (address, line):
        told, code = await _converse(address, case)
    return _faults(told, code) if line.cuts else ["the line was never cut: nothing was tried"]


@asynccontextmanager
async def _serving(case: Case, cut: Cut) -> AsyncIterator[tuple[str, Line]]:
    """A daemon, and the line to its first vendor."""
    hear = numbers.NumberHear()
    lines, ports = [], []
    with trio.fail_after(2 * PATIENCE_S):
        async with trio.open_nursery() as nursery:
            for name in case.names:
                port = await nursery.start(partial(EMULATORS[name], hear=hear))
                lines.append(Line(port, _never if lines else cut))
                ports.append(await nursery.start(open_line, lines[-1]))
            config = Config(
                server=Server(bind=("127.0.0.1:0",)),
                keys=KEYS,
                providers={
                    name: Provider(url=f"ws://127.0.0.1:{port}", api_key=Secret("good"))
                    for name, port in zip(case.names, ports, strict=True)
                },
                failover=Failover(within_s=15.0, attempts=6, stall_s=0),
                limits=SHORT,
            )
            addresses = await nursery.start(daemon.serve, config)
            yield addresses[0], lines[0]
            nursery.cancel_scope.cancel()


def _audio(case: Case) -> tuple[bytes, dict[str, object]]:
    pcm = numbers.speech()
    if case.format == "pcm_mulaw":
        return _mulaw(pcm), {"encoding": "pcm_mulaw", "sample_rate": 8000}
    if case.format == "webm":
        return encoded("webm", pcm, numbers.SAMPLE_RATE), {"encoding": "webm", "sample_rate": 48_000}
    return pcm, {"encoding": "pcm_s16le", "sample_rate": numbers.SAMPLE_RATE}


def _mulaw(pcm: bytes) -> bytes:
    """ITU-T G.711, every other sample: the highest tone is below 3.2 kHz."""
    samples = np.frombuffer(pcm, "<i2")[::2].astype(np.int32)
    magnitude = np.minimum(np.abs(samples), 32_635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    sign = np.where(samples < 0, 0x80, 0)
    return (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8).tobytes()


def _never() -> None:
    """The second vendor's line holds."""


async def _converse(address: str, case: Case) -> tuple[list[dict[str, Any]], int]:
    data, parameters = _audio(case)
    chunks = numbers.start_ms(numbers.WORDS) / 1000 / CHUNK_S
    size = max(2, int(len(data) / chunks) // 2 * 2)
    more: dict[str, object] = {"summary": "true", "partial_results": "true", "endpointing": 300}
    if case.format == "diarize":
        more["diarize"] = "true"
    async with client_of(address, ROUTER_KEY, provider=",".join(case.names), **parameters, **more) as client:
        for at in range(0, len(data), size):
            await client.send_message(data[at : at + size])
            await trio.sleep(CHUNK_S / SPEED)
        await client.send_message('{"type":"end_of_stream"}')
        told, code = await rest(client)
    return [json.loads(message) for message in told], code


def _faults(told: list[dict[str, Any]], code: int) -> list[str]:
    finals = [one for one in told if one["type"] == "transcript" and not one["is_partial"]]
    heard = [number for final in finals for number in numbers.numbers(final["transcript"])]
    faults = []
    if code != 1000:
        faults.append(f"closed with {code}: {[one for one in told if one['type'] == 'error']}")
    if heard != list(range(numbers.WORDS)):
        missing = sorted(set(range(numbers.WORDS)) - set(heard))
        doubled = sorted({number for number in heard if heard.count(number) > 1})
        order = "" if heard == sorted(heard) else ", out of order"
        faults.append(f"missing {missing}, doubled {doubled}{order}")
    for final in finals:
        for word in final.get("words") or ():
            (number,) = numbers.numbers(word["text"]) or (0,)
            if abs(word["start_time"] * 1000 - numbers.start_ms(number)) > OFF_MS:
                faults.append(f"word {number} at {word['start_time']} s")
    summary = told[-1] if told else {}
    if summary.get("type") != "summary" or summary["seconds_lost"]:
        faults.append(f"the summary: {summary}")
    return faults


def cases(seeds: range) -> list[Case]:
    """Every pair of vendors and each alone, in every format; each in as many ways as there are seeds."""
    pairs = [(first, None if second == first else second) for first, second in product(VENDORS, repeat=2)]
    found = product(seeds, enumerate(pairs), enumerate(FORMATS))
    return [
        Case(*pair, form, WAYS[(seed + at + number) % len(WAYS)], seed)
        for seed, (number, pair), (at, form) in found
    ]
