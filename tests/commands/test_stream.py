"""`routeraudio stream`: its address, its key, its sources."""

import pytest

from routeraudio.commands.conversation import Ending
from routeraudio.commands.errors import FAILED, USAGE, Trouble
from routeraudio.commands.stream import KEY_VARIABLE, Wishes, headers, listen_url, stream, succeed
from routeraudio.commands.wire import Error
from routeraudio.model.audio import PCM_16K_MONO, AudioFormat

CANARY = "canary-3f9a77c1"


def test_only_what_was_asked_is_in_the_address() -> None:
    """What the caller left open is left to the daemon."""
    assert listen_url("ws://127.0.0.1:8080", PCM_16K_MONO, Wishes(provider="local")) == (
        "ws://127.0.0.1:8080/v1/listen?provider=local&encoding=pcm_s16le&sample_rate=16000&channels=1"
        "&partial_results=false"
    )


def test_everything_asked_is_in_the_address() -> None:
    """Every wish is a parameter, escaped."""
    wishes = Wishes(
        provider="deepgram",
        model="nova 3&x=1",
        language="en-GB",
        partials=True,
        diarize=True,
        punctuate=False,
        endpointing=300,
    )
    assert listen_url("wss://example.com/", AudioFormat("pcm_mulaw", 8000, 2), wishes) == (
        "wss://example.com/v1/listen?provider=deepgram&encoding=pcm_mulaw&sample_rate=8000&channels=2"
        "&model=nova+3%26x%3D1&language=en-GB&partial_results=true&diarize=true&punctuate=false&endpointing=300"
    )


def test_an_address_with_a_path_keeps_it() -> None:
    """A daemon behind a proxy's prefix is reached."""
    assert listen_url("ws://x/stt/v1/listen", PCM_16K_MONO, Wishes(provider="local")).startswith(
        "ws://x/stt/v1/listen?provider=local&"
    )


def test_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The option wins over the environment; without either there is no header."""
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert headers(None) == {}
    monkeypatch.setenv(KEY_VARIABLE, "from-environment")
    assert headers(None) == {"x-api-key": "from-environment"}
    assert headers("router_x") == {"x-api-key": "router_x"}


@pytest.mark.parametrize("key", [f"{CANARY}\r\nx: y", f"{CANARY} ", f"{CANARY}é"])
def test_a_key_that_is_none(key: str) -> None:
    """A key that cannot stand in a header is refused and not repeated."""
    with pytest.raises(Trouble, match="--key or ROUTERAUDIO_KEY") as caught:
        headers(key)
    assert CANARY not in str(caught.value)
    assert caught.value.exit_code == USAGE


def test_success_is_a_good_close_and_nothing_else() -> None:
    """1000 without an error message."""
    succeed(Ending(1000, "", None))
    for ending in (None, Ending(1000, "", Error("x")), Ending(1011, "", None), Ending(None, "", None)):
        with pytest.raises(Trouble) as caught:
            succeed(ending)
        assert caught.value.exit_code == FAILED


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "expected one source of audio"),
        ({"file": "a.wav", "microphone": True}, "expected one source of audio"),
        ({"file": "--jsn"}, "--jsn: there is no such option"),
        ({"file": "none.wav"}, "none.wav: there is no such file"),
        ({"file": "-", "sample_rate": 11_025}, "--sample-rate: expected one of 8000, 16000"),
        ({"file": "-", "channels": 0}, "--channels: expected a number from 1 to 8"),
        ({"file": "-", "url": "http://x"}, "--url: expected an address"),
    ],
)
def test_usage_errors(arguments: dict[str, object], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong argument is named before anything is sent."""
    monkeypatch.setattr("sys.stdin.fileno", lambda: 0, raising=False)
    file = arguments.pop("file", None)
    with pytest.raises(Trouble, match=message) as caught:
        stream(file, provider="local", **arguments)
    assert caught.value.exit_code == USAGE
