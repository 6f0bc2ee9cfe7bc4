"""What a client says about its rate in ways that a vendor reads and a careless meter does not."""

import base64
import json

import pytest

from routeraudio.providers.catalog import PROVIDERS
from routeraudio.providers.native import Handshake

MULAW = '{"type":"%s","session":{"audio":{"input":{"format":{"type":"%s"}}}}}'
START = '{"message":"%s","audio_format":{"type":"raw","encoding":"%s","sample_rate":%d}}'
APPEND = json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(bytes(8000)).decode()})
CONVERSATIONS = {
    "openai, escaped name": (
        "openai",
        [MULAW % ("session\\u002eupdate", "audio/pcmu"), APPEND],
    ),
    "openai, a change that the vendor may refuse": (
        "openai",
        [MULAW % ("session.update", "audio/pcmu"), MULAW % ("session.update", "audio/pcm"), APPEND],
    ),
    "openai, by way of an unknown format": (
        "openai",
        [
            *(MULAW % ("session.update", kind) for kind in ("audio/pcmu", "audio/nothing", "audio/pcm")),
            APPEND,
        ],
    ),
    "speechmatics, a second start": (
        "speechmatics",
        [
            START % ("StartRecognition", "mulaw", 8000),
            START % ("StartRecognition", "pcm_f32le", 192_000),
            bytes(8000),
        ],
    ),
    "speechmatics, escaped name": (
        "speechmatics",
        [START % ("Start\\u0052ecognition", "mulaw", 8000), bytes(8000)],
    ),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_second_is_counted_as_a_second(name: str) -> None:
    """A second of mu-law at 8 kHz, whatever is said about it otherwise."""
    provider, messages = CONVERSATIONS[name]
    meter = PROVIDERS[provider].native.meter(Handshake((), {}))
    for message in messages:
        meter.read(message)
    assert meter.audio_ms == 1000


def test_channels_are_counted_however_their_name_is_written() -> None:
    """Speechmatics takes channels in text messages; an escaped name is the same name."""
    meter = PROVIDERS["speechmatics"].native.meter(Handshake((), {}))
    meter.read('{"message":"AddChannel\\u0041udio","channel":"one","data":"AAAA"}')
    assert meter.is_by_clock
