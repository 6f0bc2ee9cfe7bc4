"""What every adapter shares."""

import pytest
from rich.pretty import pretty_repr

from routeraudio.model.audio import PCM_16K_MONO, AudioFormat
from routeraudio.model.errors import ClientFault, CloseCode
from routeraudio.providers.base import Capabilities, Credential, Dial, Pace, key_header

CANARY = "sk-canary-1234"


@pytest.mark.parametrize(
    "value",
    [
        Credential(CANARY, is_clients_own=True),
        Dial(f"wss://host/path?token={CANARY}", (("authorization", CANARY),), (CANARY,)),
    ],
)
def test_no_representation_tells_a_key(value: object) -> None:
    """Neither Python's nor a pretty printer's."""
    assert CANARY not in repr(value)
    assert CANARY not in pretty_repr(value)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (AudioFormat("pcm_s16le", 8000), AudioFormat("pcm_s16le", 8000)),
        (AudioFormat("pcm_s16le", 22050), PCM_16K_MONO),
        (AudioFormat("pcm_s16le", 8000, 2), PCM_16K_MONO),
        (AudioFormat("pcm_mulaw", 8000), PCM_16K_MONO),
        (AudioFormat("webm", 48000, 2), AudioFormat("webm", 48000, 2)),
    ],
)
def test_native_first(source: AudioFormat, target: AudioFormat) -> None:
    """What the vendor takes goes untouched, a container whatever its hints; the rest becomes the fallback."""
    capabilities = Capabilities(encodings=("pcm_s16le", "webm"), sample_rates=(8000, 16000))
    assert capabilities.target(source) == target


def test_channels_are_kept_for_who_tells_them_apart() -> None:
    """Where the client wants it and the vendor can, as many as the vendor takes; else they are mixed."""
    capabilities = Capabilities(encodings=("pcm_s16le",), multichannel_max=2)
    stereo = AudioFormat("pcm_s16le", 16000, 2)
    assert capabilities.target(stereo, are_told_apart=True) == stereo
    assert capabilities.target(stereo) == PCM_16K_MONO
    assert capabilities.target(AudioFormat("pcm_s16le", 16000, 3), are_told_apart=True) == PCM_16K_MONO


@pytest.mark.parametrize(
    ("sent_ms", "open_s", "wait_s"),
    [
        (0, 0.0, 0.0),
        (5000, 0.0, 0.0),
        (6000, 0.0, 1.0),
        (6000, 0.5, 0.5),
        (60_000, 54.0, 1.0),
        (60_000, 90.0, 0.0),
    ],
)
def test_pace(sent_ms: int, open_s: float, wait_s: float) -> None:
    """A burst goes at once; what is ahead of it waits until real time has caught up."""
    assert Pace(burst_s=5.0).wait_s(sent_ms, open_s) == wait_s


def test_pace_above_real_time() -> None:
    """A vendor that takes audio at twice the speed has it waited for half as long."""
    assert Pace(burst_s=5.0, rate=2.0).wait_s(25_000, 4.0) == 6.0


def test_the_header_with_the_key() -> None:
    """In the vendor's own place, with the scheme it wants, or none; no key, no header."""
    key = Credential("k 1", is_clients_own=True)
    assert key_header(key, "Vendor") == (("Authorization", "k 1"),)
    assert key_header(key, "Vendor", scheme="Bearer") == (("Authorization", "Bearer k 1"),)
    assert key_header(key, "Vendor", name="x-key") == (("x-key", "k 1"),)
    assert key_header(None, "Vendor") == ()


@pytest.mark.parametrize("secret", ["", "a\nb", "a\r\nX-Admin: 1", "ключ"])
def test_a_key_that_cannot_be_one(secret: str) -> None:
    """It never reaches a header, and never the error either."""
    with pytest.raises(ClientFault) as caught:
        key_header(Credential(secret, is_clients_own=True), "Vendor")
    assert caught.value.close_code is CloseCode.UNAUTHORIZED
    assert not secret or secret not in caught.value.message
