"""Ephemeral secrets: what is asked for, and that a session opened with one has it."""

import json
from typing import Any

import hypothesis.strategies as st
import jwt
import msgspec
import pytest
from hypothesis import given

from routeraudio.dialects.base import Request
from routeraudio.dialects.choice import Choice
from routeraudio.dialects.openai import secrets
from routeraudio.dialects.openai.request import parse
from routeraudio.dialects.openai.settings import Settings, TurnDetection, merged
from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import ClientFault
from routeraudio.model.router_token import TYPE


def token(metadata: Any) -> str:
    return jwt.encode({"metadata": metadata}, "s" * 32, headers={"typ": TYPE})


def read(body: dict[str, Any], place: Choice | None = None, *, is_beta: bool = False) -> secrets.Wish:
    return secrets.read(body, place or Choice(), is_beta=is_beta, ttl_s_max=3600)


@pytest.mark.parametrize(
    ("after", "ttl_s"),
    [
        (None, 600),
        ({}, 600),
        ({"anchor": "created_at", "seconds": 10}, 10),
        ({"anchor": "created_at", "seconds": 7200}, 3600),
    ],
)
def test_how_long_a_secret_is_good(after: Any, ttl_s: int) -> None:
    """As long as a token may be, where more is asked for: the answer says until when."""
    assert read({} if after is None else {"expires_after": after}).ttl_s == ttl_s


@pytest.mark.parametrize(
    "after", [5, [], {"seconds": 9}, {"seconds": "60"}, {"seconds": True}, {"anchor": "now"}]
)
def test_a_time_that_cannot_be(after: Any) -> None:
    """Named."""
    with pytest.raises(ClientFault) as caught:
        read({"expires_after": after})
    assert caught.value.parameter == "expires_after"


@pytest.mark.parametrize("session", [{"type": "realtime"}, [], "x", {"audio": 5}])
def test_a_session_that_cannot_be(session: Any) -> None:
    """As in `session.update`; what is empty asks for nothing."""
    if session == []:
        assert read({"session": session}).settings == Settings()
        return
    with pytest.raises(ClientFault):
        read({"session": session})


@pytest.mark.parametrize(
    ("model", "place", "packed"),
    [
        ("whisper-1", Choice(), "whisper-1"),
        ("whisper-1", Choice("soniox"), "soniox"),
        (None, Choice("soniox", "stt-rt-v5"), "soniox/stt-rt-v5"),
        ("local", Choice("soniox"), "local"),
        (None, Choice(), None),
    ],
)
def test_who_serves(model: str | None, place: Choice, packed: str | None) -> None:
    """The path at which a secret was made need not be said again by the session."""
    wish = read({"session": {"audio": {"input": {"transcription": {"model": model}}}}}, place)
    assert secrets.packed(wish.settings).get("openai.model") == packed


@pytest.mark.parametrize(
    "session",
    [
        {},
        {"format": {"type": "audio/pcm", "rate": 16_000}},
        {"format": {"type": "audio/pcmu"}, "turn_detection": None},
        {"transcription": {"model": "local", "language": "de"}, "turn_detection": {"type": "server_vad"}},
        {"turn_detection": {"type": "server_vad", "silence_duration_ms": 10}},
        {"transcription": {"model": "gpt-live-transcribe"}},
    ],
    ids=str,
)
def test_a_session_has_what_its_secret_was_made_with(session: Any) -> None:
    """Without a word of its client's."""
    wanted = merged(Settings(), msgspec.Raw(json.dumps({"audio": {"input": session}}).encode()))
    secret = "ek_" + token(secrets.packed(wanted))
    wish = parse(Request("/v1/realtime", "", {"authorization": f"Bearer {secret}"}))
    opened: Any = wish.more
    for name in ("audio", "model", "language", "is_committed", "silence_ms"):
        assert getattr(opened.settings, name) == getattr(wanted, name)
    assert wish.options.audio == wanted.audio
    assert wish.token is not None


def test_the_query_counts_more() -> None:
    """It is nearer to the session."""
    secret = token({"openai.model": "local", "openai.language": "de"})
    wish = parse(Request("/v1/realtime", "model=soniox", {"authorization": f"Bearer {secret}"}))
    assert (wish.options.provider, wish.options.language) == ("soniox", "de")


@pytest.mark.parametrize(
    "metadata",
    [
        5,
        {"openai.model": 5},
        {"openai.model": "a b", "openai.language": "x", "openai.audio": "mp3/1", "openai.silence_ms": "-1"},
        {"openai.audio": "pcm_s16le/12345"},
        {"openai.silence_ms": "123456"},
    ],
    ids=str,
)
def test_a_token_that_says_something_else(metadata: Any) -> None:
    """It may be a stranger's: nothing of it is used."""
    assert secrets.unpacked(token(metadata)) == Settings()


@given(st.text())
def test_no_token_is_too_strange(text: str) -> None:
    """It is verified later."""
    assert secrets.unpacked(f"{text}.{text}.{text}") == Settings()


def test_answers() -> None:
    """Both shapes."""
    settings = Settings(model="local", turn_detection=TurnDetection(), audio=AudioFormat("pcm_mulaw", 8000))
    wish = secrets.Wish(60, settings)
    told = secrets.answer(wish, "T", 1_800_000_000, "r", is_beta=False)
    assert (told["value"], told["expires_at"], told["session"]["id"]) == ("ek_T", 1_800_000_000, "sess_r")
    beta = secrets.answer(wish, "T", 1_800_000_000, "r", is_beta=True)
    assert beta["client_secret"] == {"value": "ek_T", "expires_at": 1_800_000_000}
    assert (beta["object"], beta["input_audio_format"]) == ("realtime.transcription_session", "g711_ulaw")
