"""Any audio in: what browsers, telephones and files have, through the whole daemon to the right words."""

import json
import random
from typing import Any

import numpy as np
import pytest
import trio
from trio_websocket import ConnectionClosed

from routeraudio.model.audio import Encoding
from tests.audio.made import encoded, packets

from .router import WORDS, Router, open_router, rest
from .speech import END, pcm, pieces, resampled


def stereo(mono: bytes) -> bytes:
    """The same on both channels."""
    return np.repeat(np.frombuffer(mono, "<i2"), 2).tobytes()


def sound(encoding: str, sample_rate: int, channels: int) -> bytes:
    """The clip as a client may have it; live, as a browser's recorder or a radio stream would send it."""
    speech = pcm() if sample_rate == 16000 else resampled(pcm(), 16000, sample_rate)
    if channels == 2:
        speech = stereo(speech)
    if encoding == "pcm_s16le":
        return speech
    container: Encoding = encoding  # type: ignore[assignment] # one of the table below
    return encoded(container, speech, sample_rate, channels, is_live=True)


async def heard(router: Router, chunks: list[bytes], **parameters: object) -> list[dict[str, Any]]:
    """One session; its messages."""
    async with router.connect("any", summary="true", **parameters) as client:
        for chunk in chunks:
            await client.send_message(chunk)
        await client.send_message(END)
        messages, code = await rest(client)
    assert code == 1000
    return [json.loads(message) for message in messages]


@pytest.mark.parametrize(
    ("encoding", "sample_rate", "channels"),
    [
        ("pcm_s16le", 48000, 2),
        ("ogg_opus", 48000, 1),
        ("ogg_opus", 16000, 2),
        ("webm", 48000, 1),
        ("mp3", 44100, 2),
        ("mp3", 16000, 1),
    ],
)
async def test_the_engine_hears_the_same(encoding: str, sample_rate: int, channels: int) -> None:
    """Each encoding gives the words of plain PCM, where they were spoken to within 60 ms (the engine's frames
    included), and as many seconds."""
    async with open_router(spawn=True) as router:
        plain, given = [
            await heard(
                router,
                pieces(sound(*kind), seed=1),
                provider="local",
                encoding=kind[0],
                sample_rate=kind[1],
                channels=kind[2],
            )
            for kind in (("pcm_s16le", 16000, 1), (encoding, sample_rate, channels))
        ]
    assert given[0]["transcript"] == WORDS
    for one, other in zip(plain[0]["words"], given[0]["words"], strict=True):
        assert abs(one["start_time"] - other["start_time"]) <= 0.06
        assert abs(one["end_time"] - other["end_time"]) <= 0.06
    assert abs(plain[-1]["seconds_received"] - given[-1]["seconds_received"]) <= 0.06
    assert given[-1]["seconds_lost"] == 0


@pytest.mark.parametrize("encoding", ["ogg_opus", "webm", "mp3"])
async def test_a_container_the_provider_takes_is_not_decoded(encoding: str) -> None:
    """Native first: the provider gets the client's packets, and they are counted all the same."""
    audio = sound(encoding, 48000, 1)
    async with open_router() as router:
        told = await heard(
            router, pieces(audio, seed=2), provider="deepgram", encoding=encoding, sample_rate=48000
        )
        assert packets(bytes(router.emulator.connections[0].audio)) == packets(audio)
    assert told[-1]["seconds_received"] == pytest.approx(len(pcm()) / 32_000, abs=0.06)
    assert told[-1]["seconds_sent"] == told[-1]["seconds_received"]


@pytest.mark.parametrize("encoding", ["ogg_opus", "webm", "mp3"])
async def test_rubbish_costs_nobody_else_anything(encoding: str) -> None:
    """Audio that cannot be understood is its sender's error and 1003; a session beside it goes on."""
    rubbish = random.Random(3).randbytes(400_000)
    async with (
        open_router(spawn=True) as router,
        router.connect("any", provider="local", encoding="pcm_s16le", sample_rate=16000) as good,
        router.connect("any", provider="local", encoding=encoding, sample_rate=48000) as bad,
    ):
        for start in range(0, len(rubbish), 4000):
            try:
                await bad.send_message(rubbish[start : start + 4000])
            except ConnectionClosed:
                break  # refused in the middle of it
        with trio.fail_after(30):
            messages, code = await rest(bad)
        assert code == 1003
        assert json.loads(messages[-1])["code"] == "audio_error"
        assert encoding.removesuffix("_opus") in json.loads(messages[-1])["error"].lower()
        await good.send_message(pcm())
        await good.send_message(END)
        said, code = await rest(good)
    assert code == 1000
    assert json.loads(said[0])["transcript"] == WORDS
