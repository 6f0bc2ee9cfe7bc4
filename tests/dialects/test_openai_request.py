"""Which requests are OpenAI clients', and what they ask for, at the upgrade and in their first messages."""

import json
from typing import Any

import jwt
import msgspec
import pytest

from routeraudio.dialects.base import BadRequest, Request, StreamRequest
from routeraudio.dialects.catalog import find
from routeraudio.dialects.openai import ENTRY
from routeraudio.dialects.openai.request import More, fit, parse
from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import ClientFault, unauthorized
from routeraudio.model.router_token import TYPE
from routeraudio.providers import models

TOKEN = jwt.encode({"jti": "x"}, "s" * 32, headers={"typ": TYPE})

PATH = "/as/openai/v1/realtime"


def asked(path: str = PATH, query: str = "intent=transcription", **headers: str) -> StreamRequest:
    return parse(Request(path, query, {name.replace("_", "-"): value for name, value in headers.items()}))


def settled(wish: StreamRequest, session: Any, name: str = "session.update") -> StreamRequest:
    """The wish after the client's first message."""
    assert ENTRY.overture is not None
    message = json.dumps({"type": name, "session": session})
    after = ENTRY.overture(wish, "0" * 32).received(message)
    assert after is not None
    return after


def with_input(**members: Any) -> dict[str, Any]:
    return {"type": "transcription", "audio": {"input": members}}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/realtime", "openai"),
        (PATH, "openai"),
        ("/as/openai/soniox/v1/realtime", "openai"),
        ("/as/openai/soniox/stt-rt-v5/v1/realtime", "openai"),
        ("/as/openai/v2/realtime", None),
        ("/as/deepgram/v1/realtime", None),
    ],
)
def test_whose_request_it_is(path: str, name: str | None) -> None:
    """At the root and behind a prefix."""
    entry = find(Request(path, "", {}))
    assert (None if entry is None else entry.name) == name


@pytest.mark.parametrize(
    ("path", "query", "model", "provider", "chosen", "is_vendors"),
    [
        (PATH, "", None, "", None, False),
        (PATH, "model=gpt-4o-transcribe", None, "", "gpt-4o-transcribe", True),
        (PATH, "model=local", None, "local", None, False),
        (PATH, "model=local", "soniox/stt-rt-v5", "soniox", "stt-rt-v5", False),
        (PATH, "", "whisper-1", "", "whisper-1", True),
        ("/as/openai/soniox/v1/realtime", "", "whisper-1", "soniox", "whisper-1", True),
        ("/as/openai/soniox/stt-rt-v5/v1/realtime", "", "whisper-1", "soniox", "stt-rt-v5", False),
    ],
)
def test_who_serves(
    path: str, query: str, model: str | None, provider: str, chosen: str | None, is_vendors: bool
) -> None:
    """The message's model counts more than the query's, and both more than the path."""
    wish = asked(path, query)
    if model is not None:
        wish = settled(wish, with_input(transcription={"model": model}))
    assert (wish.options.provider, wish.options.model, wish.has_own_model) == (provider, chosen, is_vendors)


@pytest.mark.parametrize(
    ("headers", "key", "token", "subprotocol"),
    [
        ({"authorization": "Bearer router_k"}, "router_k", None, None),
        ({"authorization": f"Bearer {TOKEN}"}, None, TOKEN, None),
        ({"authorization": f"Bearer ek_{TOKEN}"}, None, TOKEN, None),
        (
            {"sec_websocket_protocol": f"realtime, openai-insecure-api-key.ek_{TOKEN}"},
            None,
            TOKEN,
            "realtime",
        ),
        (
            {"sec_websocket_protocol": "realtime,openai-insecure-api-key.router_k,openai-beta.realtime-v1"},
            "router_k",
            None,
            "realtime",
        ),
        ({}, None, None, None),
    ],
)
def test_where_keys_stand(
    headers: dict[str, str], key: str | None, token: str | None, subprotocol: str | None
) -> None:
    """A browser's subprotocol is answered, and never with the one that has the key."""
    wish = asked(**headers)
    assert (wish.key, wish.token, wish.subprotocol) == (key, token, subprotocol)


@pytest.mark.parametrize(
    ("session", "wanted"),
    [
        (
            with_input(),
            {"audio": AudioFormat("pcm_s16le", 24_000), "endpointing_ms": 500, "language": "auto"},
        ),
        (
            with_input(format={"type": "audio/pcm", "rate": 16_000}),
            {"audio": AudioFormat("pcm_s16le", 16_000)},
        ),
        (with_input(format={"type": "audio/pcmu"}), {"audio": AudioFormat("pcm_mulaw", 8000)}),
        (with_input(transcription={"language": "de"}), {"language": "de"}),
        (with_input(transcription={"languages": ["fr", "de"]}), {"language": "fr"}),
        (
            with_input(turn_detection={"type": "server_vad", "silence_duration_ms": 350}),
            {"endpointing_ms": 350},
        ),
        (with_input(turn_detection={"type": "semantic_vad", "eagerness": "low"}), {"endpointing_ms": 500}),
        (with_input(turn_detection=None), {"endpointing_ms": 10_000}),
        (with_input(transcription={"model": "gpt-live-transcribe"}), {"endpointing_ms": 10_000}),
        (
            with_input(transcription={"model": "gpt-live-transcribe"}, turn_detection={"type": "server_vad"}),
            {"endpointing_ms": 500},
        ),
        (with_input(transcription={"model": "gpt-4o-transcribe-diarize"}), {"diarize": True}),
        ({"type": "transcription", "unknown": {"a": 1}}, {"partial_results": True}),
    ],
    ids=str,
)
def test_options(session: Any, wanted: dict[str, Any]) -> None:
    """The vendor's words, and its defaults."""
    options = settled(asked(), session).options
    assert {name: getattr(options, name) for name in wanted} == wanted


def test_the_betas_options() -> None:
    """Flat members, under another name."""
    session = {
        "input_audio_format": "g711_ulaw",
        "input_audio_transcription": {"model": "local", "language": "de"},
        "turn_detection": None,
    }
    wish = settled(asked(), session, "transcription_session.update")
    options = wish.options
    assert (options.provider, options.language, options.endpointing_ms) == ("local", "de", 10_000)
    assert options.audio == AudioFormat("pcm_mulaw", 8000)
    assert isinstance(wish.more, More)
    assert wish.more.is_beta


def test_an_update_leaves_what_it_does_not_name() -> None:
    """Null and absent are two things."""
    wish = settled(
        asked(), with_input(transcription={"model": "local", "language": "de"}, turn_detection=None)
    )
    wish = settled(wish, with_input(format={"type": "audio/pcmu"}))
    assert (wish.options.provider, wish.options.language, wish.options.endpointing_ms) == (
        "local",
        "de",
        10_000,
    )


@pytest.mark.parametrize(
    ("session", "parameter"),
    [
        ({"type": "realtime"}, "session.type"),
        (with_input(format={"type": "audio/pcma"}), "session.audio.input.format.type"),
        (with_input(format={"type": "audio/pcm", "rate": 12_345}), "session.audio.input.format.rate"),
        (with_input(transcription={"model": "a b"}), "session.audio.input.transcription.model"),
        (with_input(transcription={"language": "klingon-"}), "session.audio.input.transcription.language"),
        (with_input(turn_detection={"type": "other"}), "session"),
        (with_input(turn_detection=5), "session"),
        ({"input_audio_format": "mp3"}, "session.audio.input.format.type"),
        ([], "session"),
        ("x", "session"),
    ],
    ids=str,
)
def test_what_cannot_be(session: Any, parameter: str) -> None:
    """Named, before anything is dialled."""
    with pytest.raises(ClientFault) as caught:
        settled(asked(), session)
    assert caught.value.parameter == parameter
    assert "`" not in caught.value.message


@pytest.mark.parametrize("query", ["intent=conversation", "model=a%20b", "language=x", "model=a&model=b"])
def test_a_query_that_cannot_be(query: str) -> None:
    """HTTP 400, in the vendor's shape."""
    with pytest.raises(BadRequest) as caught:
        asked(query=query)
    error = json.loads(ENTRY.bad_request(caught.value.faults))["error"]
    assert set(error) == {"type", "code", "message", "param"}


def test_a_path_without_a_provider() -> None:
    """It is none of ours."""
    with pytest.raises(BadRequest):
        asked("/as/openai/whisper/v1/realtime")


def test_a_refused_key() -> None:
    """In the vendor's shape; our usual sentence would name another header."""
    assert ENTRY.refusal is not None
    error = json.loads(ENTRY.refusal(asked(), unauthorized("x-api-key")))["error"]
    assert error["code"] == "invalid_api_key"
    assert "Bearer" in error["message"]


@pytest.mark.parametrize("message", ["", "{}", b"x", '{"type":"input_audio_buffer.append","audio":"AAAA"}'])
def test_messages_before_the_options(message: str | bytes) -> None:
    """The session reads them, when it has begun."""
    assert ENTRY.overture is not None
    overture = ENTRY.overture(asked(), "0" * 32)
    assert overture.received(message) is None
    (greeting,) = map(json.loads, overture.greeting())
    assert greeting["type"] == "session.created"
    assert greeting["session"]["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}


@pytest.mark.parametrize("provider", models.names())
def test_what_fits_every_provider(provider: str) -> None:
    """Without a language it is the provider's detection, or English where it has none."""
    options = msgspec.structs.replace(asked().options, provider=provider)
    known = models.load(provider)
    row = known.find(known.chosen(None, "auto", has_partials=True))
    assert row is not None
    detects = row.support.language_auto in ("native", "emulated")
    assert fit(options).language == ("auto" if detects else "en")
