"""`/stt/v3/stream`: headers, and the same names in the query."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
import msgspec
import pytest

from routeraudio.dialects.base import BadRequest, Request, StreamRequest
from routeraudio.dialects.vachana.messages import bad_request, refusal
from routeraudio.dialects.vachana.protocol import ENTRY
from routeraudio.dialects.vachana.request import HINGLISH, LANGUAGES, NAMES, More, fit, parse
from routeraudio.model.audio import PCM_16K_MONO, AudioFormat
from routeraudio.model.errors import ClientFault, forbidden, unauthorized
from routeraudio.model.options import Options
from routeraudio.policy.tokens import TYPE
from routeraudio.providers.catalog import PROVIDERS
from routeraudio.providers.models import Model, load

KEY = "canary-in-a-coal-mine"
ALL = "en-IN,hi-IN,ta-IN,te-IN,kn-IN,ml-IN,gu-IN,mr-IN,bn-IN,pa-IN"


def read(headers: dict[str, str] | None = None, query: str = "") -> StreamRequest:
    return parse(Request("/stt/v3/stream", query, headers or {}))


def more(wish: StreamRequest) -> More:
    assert isinstance(wish.more, More)
    return wish.more


def wrong(headers: dict[str, str] | None = None, query: str = "") -> list[ClientFault]:
    with pytest.raises(BadRequest) as raised:
        read(headers, query)
    return list(raised.value.faults)


def test_defaults() -> None:
    """Nothing but the key need be said; the provider is left open."""
    wish = read({"x-api-key-id": KEY})
    assert wish.key == KEY
    assert wish.options == Options(provider="", audio=PCM_16K_MONO, language="en-IN")
    assert wish.more == More(lang_code="en-IN")
    assert wish.unknown == ()


def test_what_the_sdk_sends() -> None:
    """Every header of the vendor's SDK is understood."""
    wish = read(
        {
            "x-api-key-id": KEY,
            "lang_code": "hi-IN",
            "x-sample-rate": "48000",
            "x-api-request-id": "req_1",
            "x-format": "transcribe",
            "itn_native_numerals": "true",
            "preferred_language": "hi-IN",
        }
    )
    assert wish.options.audio == AudioFormat("pcm_s16le", 48_000)
    assert wish.options.language == "hi-IN"
    assert wish.more == More(lang_code="hi-IN", request_id="req_1", is_transcribe=True, native_numerals=True)


GOOD: list[tuple[str, str, str, Any]] = [
    *[("lang_code", code, "lang_code", code) for code in LANGUAGES],
    *[("lang_code", code.upper(), "lang_code", code) for code in LANGUAGES],
    *[("lang_code", code, "lang_code", code) for code in HINGLISH.values()],
    ("lang_code", "EN-HI-IN-LATN", "lang_code", "en-hi-IN-latn"),
    ("lang_code", ALL, "lang_code", ALL),
    ("lang_code", "hi-in, EN-IN", "lang_code", "hi-IN,en-IN"),
    ("lang_code", "hi-IN,hi-IN", "lang_code", "hi-IN"),
    ("x-format", "verbatim", "is_transcribe", False),
    ("x-format", "transcribe", "is_transcribe", True),
    ("itn_native_numerals", "True", "native_numerals", True),
    ("itn_native_numerals", "false", "native_numerals", False),
    ("x-endpointing-ms", "1200", "silence_ms", 1200),
    ("x-vad-threshold", "0.75", "threshold", 0.75),
    ("x-vad-threshold", "1", "threshold", 1.0),
    ("x-vad-events", "true", "has_vad_events", True),
    ("strict_frames", "true", "is_strict", True),
    ("x-api-request-id", "a" * 128, "request_id", "a" * 128),
]


@pytest.mark.parametrize(("name", "text", "field", "value"), GOOD)
def test_values(name: str, text: str, field: str, value: Any) -> None:
    """Each in a header, and the same in the query."""
    assert getattr(more(read({name: text})), field) == value
    assert getattr(more(read(query=urlencode({name: text}))), field) == value


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_can_be_named(name: str) -> None:
    """`x-provider` takes the catalogue's names."""
    assert read({"x-provider": name}).options.provider == name


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000])
def test_rates(rate: int) -> None:
    """The vendor's four sample rates."""
    assert read({"x-sample-rate": str(rate)}).options.audio == AudioFormat("pcm_s16le", rate)


BAD: list[tuple[str, str]] = [
    ("lang_code", ""),
    ("lang_code", "en"),
    ("lang_code", "fr-FR"),
    ("lang_code", "en-IN,fr-FR"),
    ("lang_code", "en-IN,"),
    ("lang_code", "en-IN,en-hi-in-cm"),
    ("x-sample-rate", "22050"),
    ("x-sample-rate", "16k"),
    ("x-sample-rate", "16000, 8000"),
    ("x-format", "Verbatim"),
    ("itn_native_numerals", "yes"),
    ("x-provider", "nobody"),
    ("x-endpointing-ms", "10001"),
    ("x-vad-threshold", "1.5"),
    ("x-vad-threshold", "-0.5"),
    ("x-vad-threshold", "nan"),
    ("x-vad-events", "on"),
    ("x-partial-results", ""),
    ("strict_frames", "2"),
    ("x-api-request-id", ""),
    ("x-api-request-id", "a b"),
    ("x-api-request-id", "a" * 129),
]


@pytest.mark.parametrize(("name", "text"), BAD)
def test_wrong_values(name: str, text: str) -> None:
    """Each is named, wherever it stands."""
    for fault in (*wrong({name: text}), *wrong(query=urlencode({name: text}))):
        assert (fault.code, fault.parameter) == ("invalid_parameter", name)
        assert fault.message.startswith(f"parameter {name}: expected ")


def test_all_faults_are_told_in_the_vendors_shape() -> None:
    """The body of the HTTP 400 names every wrong value and what is allowed."""
    body = json.loads(bad_request(wrong({"lang_code": "xx", "x-sample-rate": "1"})))
    assert set(body) == {"detail"}
    assert (body["detail"]["error_code"], body["detail"]["status_code"]) == ("BAD_REQUEST", 400)
    for word in ("lang_code", "hi-IN", "x-sample-rate", "44100"):
        assert word in body["detail"]["message"]


@pytest.mark.parametrize(
    ("headers", "fault", "code", "status"),
    [
        ({}, unauthorized("no key; say it elsewhere"), "MISSING_API_KEY", 401),
        ({"x-api-key-id": KEY}, unauthorized("unknown key"), "UNAUTHORIZED", 401),
        ({"x-api-key-id": KEY}, forbidden("not for you"), "FORBIDDEN", 403),
    ],
)
def test_refusals(headers: dict[str, str], fault: ClientFault, code: str, status: int) -> None:
    """HTTP 401 and 403 have the vendor's body; who sends no key is told the name of this protocol's header."""
    body = json.loads(refusal(read(headers), fault))["detail"]
    assert (body["error_code"], body["status_code"]) == (code, status)
    assert body["message"] == (
        "no key; send one in the header x-api-key-id" if not headers else fault.message
    )


def test_headers_win() -> None:
    """A value in a header beats the one in the query; what nobody knows is ignored."""
    wish = read({"lang_code": "hi-IN"}, "lang_code=ta-IN&LANG_CODE=xx&x-format=transcribe&colour=red")
    assert more(wish).lang_code == "hi-IN"
    assert more(wish).is_transcribe
    assert wish.unknown == ("colour",)


def test_query_names_have_no_case() -> None:
    """As header names have none."""
    assert more(read(query="X-Format=transcribe")).is_transcribe
    assert [fault.parameter for fault in wrong(query="x-format=transcribe&X-Format=verbatim")] == ["x-format"]


def jwt_of(kind: str) -> str:
    return jwt.encode({"jti": "1"}, "k" * 32, headers={"typ": kind})


def test_keys_and_tokens() -> None:
    """Our tokens are told from keys, providers' own JWTs among them, and neither shows in what is logged."""
    ours, theirs = jwt_of(TYPE), jwt_of("JWT")
    for shown, key, token in ((ours, None, ours), (theirs, theirs, None), (KEY, KEY, None), ("", None, None)):
        for wish in (read({"x-api-key-id": shown}), read(query=urlencode({"x-api-key-id": shown}))):
            assert (wish.key, wish.token) == (key, token)
            assert not shown or shown not in repr(wish)


@pytest.mark.parametrize(
    "shown", ["a.b.c", "..", "é.é.é", "eyJhIjoxfQ.e30.", "." * 10_000, "W1tb" * 1500 + ".e30.e30"]
)
def test_what_looks_like_a_token_is_a_key(shown: str) -> None:
    """Nothing anybody sends as a key breaks the reading of it."""
    assert read({"x-api-key-id": shown}).key == shown


def fitted(provider: str, lang_code: str, model: str | None = None) -> Options:
    options = read({"lang_code": lang_code}).options
    return fit(msgspec.structs.replace(options, provider=provider, model=model))


@pytest.mark.parametrize(
    ("provider", "lang_code", "language"),
    [
        ("local", "en-IN", "en"),
        ("deepgram", "en-IN", "en-IN"),
        ("deepgram", "hi-IN", "hi"),
        ("vachana", "hi-IN", "hi-IN"),
        ("soniox", "ta-IN", "ta"),
        ("soniox", ALL, "auto"),
        ("deepgram", "en-hi-in-cm", "auto"),
        ("vachana", "en-hi-IN-latn", "hi-IN"),
        ("vachana", "ta-IN,en-IN", "ta-IN"),
        ("local", "hi-IN", "hi-IN"),
        ("local", "en-hi-IN-latn", "en"),
        ("local", "ta-IN,en-IN", "en"),
        ("local", "ta-IN,hi-IN", "ta-IN"),
    ],
)
def test_languages_in_the_providers_words(provider: str, lang_code: str, language: str) -> None:
    """The nearest mode the provider has; where there is none, what was asked for, to be refused by name."""
    assert fitted(provider, lang_code).language == language


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("lang_code", ["en-IN", f"{ALL}"])
def test_every_provider_takes_what_it_is_given(provider: str, lang_code: str) -> None:
    """English, and detection where there is any, pass every provider's own check."""
    PROVIDERS[provider].check(fitted(provider, lang_code))


MODELS = [(provider, model) for provider in PROVIDERS for model in load(provider).models]


@pytest.mark.parametrize(("provider", "model"), MODELS, ids=lambda it: getattr(it, "id", it))
def test_whose_silence_decides(provider: str, model: Model) -> None:
    """Where finals can be asked for, the provider's silence is put far behind ours; else it is as long as ours."""
    options = read({"x-endpointing-ms": "700"}, f"x-provider={provider}").options
    silence_ms = fit(msgspec.structs.replace(options, model=model.id)).endpointing_ms
    assert silence_ms == (10_000 if model.support.finalize == "native" else 700)


def test_an_unknown_model_is_asked_for_what_the_client_wants() -> None:
    """A model that no data file knows gets the language as it was asked for."""
    assert fitted("deepgram", "hi-IN", "our-own").language == "hi-IN"
    assert fitted("deepgram", "hi-IN,ta-IN", "our-own").language == "hi-IN"


def test_the_documentation_names_every_parameter() -> None:
    """The table in `docs/stt-v3.md` is what is read."""
    page = (Path(__file__).parents[2] / "docs" / "stt-v3.md").read_text()
    assert re.findall(r"^\| `([a-z_-]+)` \|", page, re.MULTILINE) == list(NAMES)


def test_entry() -> None:
    """The local engine is there when nobody says otherwise, and refusals come before the upgrade."""
    assert ENTRY.default_provider == "local"
    assert ENTRY.refusal is not None
    assert ENTRY.paths == ("/stt/v3/stream", "/stt/v3")
