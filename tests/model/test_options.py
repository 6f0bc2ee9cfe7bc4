"""What a client may ask: the defaults of the API reference."""

import msgspec
import pytest

from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.options import Options


def test_defaults_are_those_of_the_reference() -> None:
    """Whatever a client does not say has the same meaning in every dialect (seed router.audio, section 4)."""
    assert msgspec.structs.asdict(Options(provider="p", audio=PCM_16K_MONO)) == {
        "provider": "p",
        "audio": PCM_16K_MONO,
        "model": None,
        "language": "en",
        "diarize": False,
        "punctuate": True,
        "partial_results": False,
        "endpointing_ms": 500,
        "summary": False,
        "multichannel": False,
        "parse_json": True,
    }


def test_options_are_values() -> None:
    """A session's options cannot be changed under it; a changed copy is another value."""
    options = Options(provider="p", audio=PCM_16K_MONO)
    with pytest.raises(AttributeError):
        options.model = "m"  # type: ignore[misc]
    assert msgspec.structs.replace(options, model="m") != options
    assert hash(options) == hash(Options(provider="p", audio=PCM_16K_MONO))
