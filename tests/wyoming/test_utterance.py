"""What an utterance is asked for with, and what Home Assistant is told."""

from typing import Any

import pytest

from routeraudio.config.schema import Wyoming
from routeraudio.config.secret import Secret
from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import ClientFault
from routeraudio.providers import models
from routeraudio.wyoming.utterance import info, wanted

AUDIO = {"rate": 16_000, "width": 2, "channels": 1, "timestamp": None}


def listener(**settings: Any) -> Wyoming:
    return Wyoming(**{"bind": "127.0.0.1:10300", "provider": "soniox", **settings})


@pytest.mark.parametrize(
    ("settings", "transcribe", "wish"),
    [
        ({}, {}, {"provider": "soniox", "model": None, "language": "auto"}),
        ({"language": "de"}, {}, {"language": "de"}),
        ({"language": "de"}, {"language": "fr", "unknown": 1}, {"language": "fr"}),
        ({"language": "de"}, {"language": "klingon-"}, {"language": "de"}),
        ({"model": "stt-rt-v5"}, {"name": "nobody"}, {"model": "stt-rt-v5"}),
        ({}, {"name": "stt-rt-v5"}, {"model": "stt-rt-v5"}),
        ({}, {"name": 5, "language": 5}, {"model": None, "language": "auto"}),
    ],
)
def test_options(settings: dict[str, Any], transcribe: dict[str, Any], wish: dict[str, Any]) -> None:
    """The client's, where they are any; else the listener's."""
    options = wanted(listener(**settings), transcribe, AUDIO).options
    assert {name: getattr(options, name) for name in wish} == wish
    assert options.audio == AudioFormat("pcm_s16le", 16_000)


def test_the_key_is_the_listeners() -> None:
    """Whoever reaches it may use it."""
    assert wanted(listener(api_key=Secret("router_k")), {}, AUDIO).key == "router_k"


@pytest.mark.parametrize(
    "change",
    [{"width": 4}, {"rate": 12_345}, {"channels": 0}, {"rate": "x"}, {"rate": None}, {"channels": 9}],
)
def test_audio_that_is_not_taken(change: dict[str, Any]) -> None:
    """Samples of 16 bits."""
    with pytest.raises(ClientFault, match="width of 2 bytes"):
        wanted(listener(), {}, AUDIO | change)


@pytest.mark.parametrize("provider", models.names())
def test_every_provider_can_be_offered(provider: str) -> None:
    """A program with models, each with languages: without any the entity would be unusable."""
    (program,) = info(listener(provider=provider))["asr"]
    assert program["installed"]
    assert program["attribution"].keys() == {"name", "url"}
    assert program["models"]
    for model in program["models"]:
        assert model["installed"]
        assert model["languages"]
        assert {"name", "attribution"} <= model.keys()


@pytest.mark.parametrize(("model", "names"), [("nova-2", ["nova-2"]), ("operators-own", ["nova-3"])])
def test_a_model_of_the_configuration(model: str, names: list[str]) -> None:
    """Nobody else is offered."""
    (program,) = info(listener(provider="deepgram", model=model))["asr"]
    assert [one["name"] for one in program["models"]] == names
