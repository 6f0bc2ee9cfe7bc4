import pytest

from routeraudio.audio import catalog
from routeraudio.model.audio import ENCODINGS, PCM_16K_MONO, AudioFormat, Encoding
from routeraudio.model.errors import ClientFault


@pytest.mark.parametrize("encoding", catalog.DECODERS)
def test_known_encodings_are_accepted(encoding: Encoding) -> None:
    """Whatever the catalogue decodes, a client may send."""
    catalog.check(AudioFormat(encoding, 8000, 8), PCM_16K_MONO)


def test_whatever_a_client_may_name_has_a_decoder() -> None:
    """The words of the model and the catalogue are the same; a container also has what counts it in passing."""
    assert set(catalog.DECODERS) == set(ENCODINGS)
    assert set(catalog.DEMUXERS) == {name for name in ENCODINGS if not AudioFormat(name, 8000).is_raw}


@pytest.mark.parametrize("encoding", catalog.DEMUXERS)
def test_hints_about_a_container_are_not_judged(encoding: Encoding) -> None:
    """Its own header says what it is."""
    catalog.check(AudioFormat(encoding, 1, 99), PCM_16K_MONO)


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
