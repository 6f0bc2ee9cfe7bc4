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


UNREAD = {
    "soniox": [
        '{"audio_format":"mulaw","sample_rate":8000,"num_channels":1,"x":NaN}',
        '{"audio_format":"pcm_f64le","sample_rate":192000,"num_channels":1}',
        bytes(8000),
    ],
    "gradium": [
        '{"type":"setup","input_format":"ulaw_8000","x":NaN}',
        '{"type":"setup","input_format":"pcm_192000"}',
        json.dumps({"type": "audio", "audio": base64.b64encode(bytes(8000)).decode()}),
    ],
    "speechmatics": [
        START % ("StartRecognition", "mulaw", 8000) + "NaN",
        START % ("StartRecognition", "pcm_f32le", 192_000),
        bytes(8000),
    ],
}


@pytest.mark.parametrize("provider", UNREAD)
def test_a_start_behind_one_that_cannot_be_read_is_not_believed(provider: str) -> None:
    """The vendor may have read the first: the audio lasts as long as the connection, or as its bytes may."""
    meter = PROVIDERS[provider].native.meter(Handshake((), {}))
    for message in UNREAD[provider]:
        meter.read(message)
    assert meter.is_by_clock
    assert meter.floor_ms > 8000


def test_short_messages_that_cannot_be_read_count_as_audio() -> None:
    """Nothing else bounds their number where audio travels in texts."""
    meter = PROVIDERS["gradium"].native.meter(Handshake((), {}))
    for _ in range(100):
        meter.read('{"type":"audio","audio":"AAAA","x":NaN}')
    assert meter.floor_ms > 1000
