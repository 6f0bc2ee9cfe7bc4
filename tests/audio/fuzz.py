"""Mutated containers against everything that reads them. `python -m tests.audio.fuzz 10000` for the long run.

Nothing but a declared fault may come of any input, quickly, and how it was cut must not matter.
"""

import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import cache

import numpy as np
import psutil

from routeraudio.audio.transcode import transcoder
from routeraudio.model.audio import PCM_16K_MONO, Encoding
from routeraudio.model.errors import ClientFault
from tests.audio import written
from tests.audio.made import CONTAINERS, encoded, named, noise, opus_packets

SLOW_S = 1.0


@cache
def corpus(encoding: Encoding) -> tuple[bytes, ...]:
    """Small streams of every kind we know how to make."""
    pcm, stereo = noise(16000, 0.3), noise(48000, 0.3, 2)
    seeds = [
        encoded(encoding, pcm, 16000),
        encoded(encoding, pcm, 16000, is_live=True),
        encoded(encoding, stereo, 48000, 2),
    ]
    packets = opus_packets(0.3)
    if encoding == "ogg_opus":
        seeds.append(encoded(encoding, pcm, 16000, 1, "-b:a", "10k", "-frame_duration", "60"))
        pages = written.ogg_pages(packets, per_page=3, trim=500)
        seeds += [b"".join(pages), b"".join(pages[:4] + pages[6:] + written.ogg_pages(packets, serial=9))]
    elif encoding == "webm":
        laced = [
            written.element(0xA3, written.block([packet[:40] for packet in packets[:6]], kind=kind))
            for kind in ("xiph", "ebml", "fixed")
        ]
        seeds.append(written.webm_head() + written.cluster() + b"".join(laced))
        seeds.append(written.webm(packets) + written.webm(packets[:5]))
    else:
        seeds.append(written.id3(500) + seeds[1] + written.id3(99) + seeds[2])
        seeds.append(encoded(encoding, pcm, 16000, 1, "-q:a", "4", "-b:a", "0"))
    return tuple(seeds)


def mutants(encoding: Encoding, count: int, seed: int = 1) -> Iterator[bytes]:
    """Streams with a few things wrong: bits, bytes, runs, lengths, order."""
    chance = random.Random(f"{encoding} {seed}")
    for _ in range(count):
        data = bytearray(chance.choice(corpus(encoding)))
        for _ in range(chance.choice((1, 1, 2, 5, 20))):
            _mutate(data, chance)
        yield bytes(data)


def _mutate(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(min(len(data), chance.choice((40, 400, len(data)))) or 1) if data else 0
    length = chance.choice((1, 2, 4, 30, 300))
    match chance.randrange(7):
        case 0:
            data[at : at + 1] = bytes((chance.randrange(256),))
        case 1 if data:
            data[at] ^= 1 << chance.randrange(8)
        case 2:
            del data[at : at + length]
        case 3:
            data[at:at] = data[at : at + length]
        case 4:
            data[at : at + length] = chance.randbytes(length)
        case 5:
            data[at : at + length] = chance.choice((b"\xff", b"\0")) * length
        case _:
            del data[max(at, 1) :]


def examine(encoding: Encoding, data: bytes, seed: int = 1) -> str:
    """What came of ``data``: "heard", "silence" or "refused".

    Raises:
        AssertionError: the split made a difference, or the pass-through changed something.
    """
    chance = random.Random(seed)
    whole = _decoded(encoding, [data])
    chunks, at = [], 0
    while at < len(data):
        step = chance.choice((1, 10, 100, 1000))
        chunks.append(data[at : at + step])
        at += step
    assert _decoded(encoding, chunks) == whole, "the split made a difference"
    pcm, is_refused = whole
    passed = _passed_on(encoding, chunks, chance)
    assert is_refused == (passed is None), "the pass-through judges as the decoder does"
    if passed:
        assert not _decoded(encoding, [passed])[1], "what is written anew cannot be read"
    return "refused" if is_refused else "heard" if np.frombuffer(pcm, "<i2").any() else "silence"


def _decoded(encoding: Encoding, chunks: list[bytes]) -> tuple[bytes, bool]:
    """What was heard, and whether it ended in a fault; nothing is heard of the push in which that is found."""
    converter = transcoder(named(encoding), PCM_16K_MONO)
    out: list[bytes] = []
    try:
        for chunk in chunks:
            out.append(converter.push(chunk))
            while converter.has_more:
                out.append(converter.push(b""))
                assert len(out[-1]) <= 32000 * 4, "a push without a bound"
        out.append(converter.finish())
    except ClientFault:
        return b"", True
    return b"".join(out), False


def _passed_on(encoding: Encoding, chunks: list[bytes], chance: random.Random) -> bytes | None:
    """What the pass-through writes for the connection that is there at the end; None: it ended in a fault."""
    through = transcoder(named(encoding), named(encoding))
    restart_at = chance.randrange(2 * len(chunks) + 1)
    out: list[bytes] = []
    try:
        for number, chunk in enumerate(chunks):
            if number == restart_at:
                through.restart()
                out.clear()
            out.append(through.push(chunk))
            while through.has_more:
                out.append(through.push(b""))
        out.append(through.finish())
    except ClientFault:
        return None
    assert through.source_ms >= 0
    return b"".join(out)


def main() -> None:
    """Examine so many mutants of each format; print what came of them, the slowest, and how memory grew."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    process = psutil.Process()
    for encoding in CONTAINERS:
        outcomes: Counter[str] = Counter()
        slowest_s, rss = 0.0, 0
        for number, data in enumerate(mutants(encoding, count, seed)):
            began_s = time.perf_counter()
            outcomes[examine(encoding, data, number)] += 1
            slowest_s = max(slowest_s, time.perf_counter() - began_s)
            if number == count // 4:
                rss = process.memory_info().rss
        grown = (process.memory_info().rss - rss) / 1024
        print(
            f"{encoding}: {dict(outcomes)}, slowest {slowest_s:.3f} s, last three quarters {grown:+.0f} KiB",
            flush=True,
        )
        assert slowest_s < SLOW_S


if __name__ == "__main__":
    main()
