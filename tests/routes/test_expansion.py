"""What `provider=` may name."""

import pytest

from routeraudio.config.schema import Config, Provider, RouteTable
from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.errors import ClientFault
from routeraudio.model.options import Options
from routeraudio.routes.expansion import Choice, expand
from routeraudio.routes.routes import routes

CONFIG = Config(
    providers={"deepgram": Provider(), "soniox": Provider(), "vachana": Provider()},
    routes={
        "english": RouteTable(providers=("deepgram/nova-3", "local")),
        "spread": RouteTable(providers=("deepgram", "soniox"), strategy="weighted", weights=(1, 3)),
    },
)
ROUTES = routes(CONFIG)


def choices(text: str, language: str = "en", model: str | None = None) -> list[Choice]:
    options = Options(provider=text, audio=PCM_16K_MONO, language=language, model=model)
    return list(expand(text, options, CONFIG, ROUTES).choices)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("deepgram", [Choice("deepgram")]),
        ("deepgram,soniox", [Choice("deepgram"), Choice("soniox")]),
        ("deepgram, soniox", [Choice("deepgram"), Choice("soniox")]),
        ("soniox,soniox", [Choice("soniox")]),
        ("deepgram/nova-3,local", [Choice("deepgram", "nova-3"), Choice("local")]),
        ("deepgram/nova-3", [Choice("deepgram", "nova-3")]),
        ("english", [Choice("deepgram", "nova-3"), Choice("local")]),
    ],
)
def test_names(text: str, expected: list[Choice]) -> None:
    """In the order in which they were named, each once."""
    assert choices(text) == expected


def test_auto_is_whoever_speaks_the_language() -> None:
    """Of those that are configured; with the model, where one is asked for."""
    assert [one.provider for one in choices("auto", "en")] == ["deepgram", "soniox"]
    assert [one.provider for one in choices("auto", "en-IN")] == ["deepgram", "soniox", "vachana"]
    assert [one.provider for one in choices("auto", "en", "nova-3")] == ["deepgram"]


def test_auto_may_be_the_operator_s() -> None:
    """A route of that name."""
    config = Config(routes={"auto": RouteTable(providers=("local",))})
    options = Options(provider="auto", audio=PCM_16K_MONO)
    assert expand("auto", options, config, routes(config)).choices == (Choice("local"),)


@pytest.mark.parametrize(
    "text", ["nobody", "deepgram,nobody", "nobody/x", "english,deepgram", ",", "deepgram,"]
)
def test_unknown_names(text: str) -> None:
    """Are refused, naming providers and routes."""
    with pytest.raises(ClientFault, match="english") as caught:
        choices(text)
    assert caught.value.parameter == "provider"


def test_nobody_speaks_it() -> None:
    """No provider that is configured."""
    with pytest.raises(ClientFault, match="configured here"):
        choices("auto", "tlh")


def test_a_strategy_is_the_table_s() -> None:
    """With its weights."""
    options = Options(provider="spread", audio=PCM_16K_MONO)
    expanded = expand("spread", options, CONFIG, ROUTES)
    assert (expanded.strategy, expanded.weights) == ("weighted", (1, 3))
