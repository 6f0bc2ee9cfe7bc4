from typing import get_args

import pytest

from routeraudio.audio import catalog
from routeraudio.model.audio import PCM_16K_MONO, AudioFormat, Encoding
from routeraudio.model.errors import ClientFault

CONTAINERS = sorted(set(get_args(Encoding)) - set(catalog.DECODERS))


@pytest.mark.parametrize("encoding", catalog.DECODERS)
def test_known_encodings_are_accepted(encoding: Encoding) -> None:
    """Whatever the catalogue decodes, a client may send."""
    catalog.check(AudioFormat(encoding, 8000, 8), PCM_16K_MONO)


@pytest.mark.parametrize("encoding", CONTAINERS)
def test_other_encodings_are_refused_with_the_alternatives(encoding: Encoding) -> None:
    """The client reads which parameter is wrong and what it may be."""
    with pytest.raises(ClientFault) as caught:
        catalog.check(AudioFormat(encoding, 48000))
    assert caught.value.parameter == "encoding"
    assert caught.value.code == "invalid_parameter"
    assert all(name in caught.value.message for name in (encoding, *catalog.DECODERS))


@pytest.mark.parametrize("encoding", CONTAINERS)
def test_what_passes_through_needs_no_decoder(encoding: Encoding) -> None:
    """A provider that takes the container itself makes it possible."""
    catalog.check(AudioFormat(encoding, 48000), AudioFormat(encoding, 48000))


@pytest.mark.parametrize(
    ("source", "parameter", "allowed"),
    [
        (AudioFormat("pcm_s16le", 1), "sample_rate", "8000, 16000, 22050, 24000, 44100, 48000"),
        (AudioFormat("pcm_mulaw", 11025), "sample_rate", "8000, 16000, 22050, 24000, 44100, 48000"),
        (AudioFormat("pcm_s16le", 16000, 0), "channels", "1 to 8"),
        (AudioFormat("pcm_s16le", 16000, 9), "channels", "1 to 8"),
    ],
    ids=str,
)
def test_rates_and_channels_have_bounds(source: AudioFormat, parameter: str, allowed: str) -> None:
    """Numbers no session can have are refused with those it can."""
    with pytest.raises(ClientFault, match=allowed) as caught:
        catalog.check(source, PCM_16K_MONO)
    assert caught.value.parameter == parameter
