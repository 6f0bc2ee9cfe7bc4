"""What reaches the provider is what the client said, whatever way it was cut."""

import json

import numpy as np
import pytest

from .router import CLIP, Router, open_router, rest
from .speech import END, pcm, pieces, resampled


async def test_splits_reach_the_provider_unchanged() -> None:
    """Any split of the same audio gives the same bytes upstream; equal formats are not touched at all."""
    speech = pcm()
    async with open_router() as router:
        for seed in range(5):
            await send(
                router, pieces(speech, seed), provider="deepgram", encoding="pcm_s16le", sample_rate=16000
            )
        received = [bytes(record.audio) for record in router.emulator.connections]
    assert received == [speech] * 5


@pytest.mark.parametrize("sample_rate", [22050])
async def test_conversion_equals_reference(sample_rate: int) -> None:
    """A rate the model does not take is resampled: the same for every split, and as another resampler does it."""
    speech = resampled(pcm(), 16000, sample_rate)
    async with open_router() as router:
        for seed in range(3):
            await send(
                router,
                pieces(speech, seed),
                provider="deepgram",
                model="flux-general-en",
                encoding="pcm_s16le",
                sample_rate=sample_rate,
            )
        received = [bytes(record.audio) for record in router.emulator.connections]
    # Flux is sent silence when audio stops; the speech stands before it.
    length = min(map(len, received))
    assert {one[:length] for one in received} == {received[0][:length]}
    reference = np.frombuffer(resampled(speech, sample_rate, 16000), "<i2").astype(float)
    got = np.frombuffer(received[0], "<i2").astype(float)[: len(reference)]
    noise = got[200:-200] - reference[200 : len(got) - 200]
    assert 10 * np.log10(np.mean(got**2) / np.mean(noise**2)) > 35


async def test_a_wav_file_is_served_and_floats_are_refused() -> None:
    """A header that fits is left out; samples of another kind end the stream with a word about them, not with 1000."""
    speech = pcm()
    raw = {"provider": "deepgram", "encoding": "pcm_s16le", "sample_rate": 16000}
    async with open_router() as router:
        await send(router, [CLIP.read_bytes()], **raw)
        assert bytes(router.emulator.connections[0].audio) == speech
        floats = (np.frombuffer(speech, "<i2") / 32_768).astype("<f4").tobytes()
        async with router.connect("good", **raw) as client:
            await client.send_message(floats)
            messages, code = await rest(client)
    assert code == 1003
    error = json.loads(messages[-1])
    assert error["code"] == "audio_error"
    assert "32-bit float" in error["error"]


async def send(router: Router, chunks: list[bytes], **parameters: object) -> None:
    """One session from the first chunk to a good end."""
    async with router.connect("good", **parameters) as client:
        for chunk in chunks:
            await client.send_message(chunk)
        await client.send_message(END)
        _, code = await rest(client)
    assert code == 1000
