"""Which requests are Deepgram clients', and what they ask for."""

from typing import Any

import jwt
import pytest

from routeraudio.dialects.base import BadRequest, Request
from routeraudio.dialects.catalog import find
from routeraudio.dialects.deepgram.request import More, parse
from routeraudio.model.router_token import TYPE

RAW = "encoding=linear16&sample_rate=16000"
KEY = {"authorization": "Token router_k"}
TOKEN = jwt.encode({"jti": "x"}, "s" * 32, headers={"typ": TYPE})


def request(path: str = "/as/deepgram/v1/listen", query: str = RAW, **headers: str) -> Request:
    return Request(path, query, {name.replace("_", "-"): value for name, value in headers.items()} or KEY)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (request("/v1/listen"), "deepgram"),
        (request("/v1/listen", authorization="bearer x"), "deepgram"),
        (request("/v1/listen", sec_websocket_protocol="token, key"), "deepgram"),
        (request("/v1/listen", x_api_key="k"), "listen"),
        (request("/v1/listen", authorization="Basic x"), "listen"),
        (request("/v1/listen", f"provider=local&{RAW}"), "listen"),
        (request("/v2/listen"), "deepgram"),
        (request("/as/deepgram/soniox/v1/listen"), "deepgram"),
        (request("/as/deepgram/soniox/stt-rt-v5/v2/listen"), "deepgram"),
        (request("/as/deepgram/v3/listen"), None),
        (request("/as/other/v1/listen"), None),
        (request("/stt/v3/stream"), "vachana"),
    ],
)
def test_whose_request_it_is(asked: Request, name: str | None) -> None:
    """The root's path is two protocols': our own clients lose nothing."""
    entry = find(asked)
    assert (None if entry is None else entry.name) == name


@pytest.mark.parametrize(
    ("path", "model", "provider", "chosen", "is_vendors"),
    [
        ("/as/deepgram/v1/listen", None, "", None, False),
        ("/as/deepgram/v1/listen", "nova-3", "", "nova-3", True),
        ("/as/deepgram/v1/listen", "local", "local", None, False),
        ("/as/deepgram/v1/listen", "soniox/stt-rt-v5", "soniox", "stt-rt-v5", False),
        ("/as/deepgram/soniox/v1/listen", "nova-3", "soniox", "nova-3", True),
        ("/as/deepgram/soniox/stt-rt-v5/v1/listen", "nova-3", "soniox", "stt-rt-v5", False),
        ("/as/deepgram/soniox/v1/listen", "local", "local", None, False),
    ],
)
def test_who_serves(
    path: str, model: str | None, provider: str, chosen: str | None, is_vendors: bool
) -> None:
    """`model` names a provider, or a model of the vendor's; the path is for clients that cannot change it."""
    asked = parse(request(path, RAW if model is None else f"{RAW}&model={model}"))
    assert (asked.options.provider, asked.options.model, asked.has_own_model) == (
        provider,
        chosen,
        is_vendors,
    )


@pytest.mark.parametrize(
    ("headers", "key", "token", "subprotocol"),
    [
        ({"authorization": "Token router_k"}, "router_k", None, None),
        ({"authorization": "bearer router_k"}, "router_k", None, None),
        ({"authorization": f"Bearer {TOKEN}"}, None, TOKEN, None),
        ({"sec_websocket_protocol": "token, router_k"}, "router_k", None, "token"),
        ({"sec_websocket_protocol": f"bearer,{TOKEN}"}, None, TOKEN, "bearer"),
        ({"x_other": "x"}, None, None, None),
    ],
)
def test_where_keys_stand(
    headers: dict[str, str], key: str | None, token: str | None, subprotocol: str | None
) -> None:
    """As the vendor's clients send them; a browser's subprotocol is answered."""
    asked = parse(request(**headers))
    assert (asked.key, asked.token, asked.subprotocol) == (key, token, subprotocol)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (f"{RAW}&interim_results=true", {"partial_results": True}),
        (f"{RAW}&vad_events=true", {"partial_results": True}),
        (f"{RAW}&endpointing=300", {"endpointing_ms": 300}),
        (f"{RAW}&endpointing=false", {"endpointing_ms": 10_000}),
        (RAW, {"endpointing_ms": 10, "punctuate": False, "language": "en", "partial_results": False}),
        (f"{RAW}&smart_format=true", {"punctuate": True}),
        (f"{RAW}&language=pt-BR&diarize=true", {"language": "pt-BR", "diarize": True}),
    ],
)
def test_options(query: str, wanted: dict[str, Any]) -> None:
    """The vendor's words, and its defaults."""
    options = parse(request(query=query)).options
    assert {name: getattr(options, name) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("encoding=linear16", "sample_rate"),
        ("sample_rate=16000", "encoding"),
        ("encoding=pcm&sample_rate=16000", "encoding"),
        (f"{RAW}&redact=pci", "redact"),
        (f"{RAW}&callback=http://x/", "callback"),
        (f"{RAW}&utterance_end_ms=10", "utterance_end_ms"),
        (f"{RAW}&channels=99", "channels"),
    ],
)
def test_what_is_refused(query: str, named: str) -> None:
    """By name, before the upgrade; nothing that would be missed is left out silently."""
    with pytest.raises(BadRequest) as caught:
        parse(request(query=query))
    assert named in [fault.parameter for fault in caught.value.faults]


def test_what_has_no_effect_is_told_once() -> None:
    """However often it is repeated."""
    terms = "&".join(f"keyterm=word{number}" for number in range(100))
    asked = parse(request(query=f"{RAW}&{terms}&numerals=true"))
    assert asked.advice == ("keyterm: has no effect", "numerals: has no effect")
    assert isinstance(asked.more, More)
