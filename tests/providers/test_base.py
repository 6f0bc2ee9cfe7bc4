"""What every adapter shares."""

import pytest
from rich.pretty import pretty_repr

from routeraudio.model.audio import PCM_16K_MONO, AudioFormat
from routeraudio.model.errors import ClientFault, CloseCode, UpstreamFault
from routeraudio.providers.base import Capabilities, Credential, Dial, refusal

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


@pytest.mark.parametrize("status", [401, 403])
def test_a_clients_own_key_is_the_clients_to_fix(status: int) -> None:
    """A refused key of the client's is 3000, one of the operator's is the provider's fault as the client sees it."""
    own = refusal("Vendor", status, credential=Credential("k", is_clients_own=True))
    stored = refusal("Vendor", status, credential=Credential("k", is_clients_own=False))
    assert isinstance(own, ClientFault)
    assert own.close_code is CloseCode.UNAUTHORIZED
    assert isinstance(stored, UpstreamFault)
    assert not stored.is_retryable


@pytest.mark.parametrize(
    ("status", "is_retryable"), [(400, False), (402, False), (429, True), (500, True), (503, True)]
)
def test_what_may_pass_is_retryable(status: int, is_retryable: bool) -> None:
    """Overload and server errors may pass; a wrong request or an empty account will not."""
    fault = refusal("Vendor", status, credential=None, words="said so")
    assert isinstance(fault, UpstreamFault)
    assert fault.is_retryable is is_retryable
    assert "said so" in fault.message
