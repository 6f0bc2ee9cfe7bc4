"""`/v1/listen`: the query parameters, as the router.audio API reference and our own additions have them."""

import json
import string
from typing import Any
from urllib.parse import quote, urlencode

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from routeraudio.dialects.base import BadRequest, Opening, Request, StreamRequest
from routeraudio.dialects.listen import ENTRY, bad_request, parse
from routeraudio.dialects.parameters import PARAMETERS_MAX
from routeraudio.model.audio import ENCODINGS, SAMPLE_RATES_HZ, AudioFormat
from routeraudio.model.errors import ClientFault, invalid_parameter
from routeraudio.model.events import Summary
from routeraudio.providers.catalog import PROVIDERS

CANARY = "canary-in-a-coal-mine"

REQUIRED = {"provider": "deepgram", "encoding": "pcm_s16le", "sample_rate": "16000"}


def read(query: str, headers: dict[str, str] | None = None) -> StreamRequest:
    return parse(Request("/v1/listen", query, {} if headers is None else headers))


def wish(headers: dict[str, str] | None = None, /, **parameters: str) -> StreamRequest:
    return read(urlencode({**REQUIRED, **parameters}), headers)


def wrong(query: str) -> list[str | None]:
    """The parameters that are complained about."""
    with pytest.raises(BadRequest) as raised:
        read(query)
    for fault in raised.value.faults:
        assert fault.code == "invalid_parameter"
    return [fault.parameter for fault in raised.value.faults]


def complaint(**parameters: str) -> str:
    """The one complaint about a request that is otherwise good."""
    with pytest.raises(BadRequest) as raised:
        wish(**parameters)
    (fault,) = raised.value.faults
    return fault.message


# Good values.


def test_defaults() -> None:
    """What is not said is: mono, English, punctuated, finals only, 500 ms, one schema, the provider's model."""
    options = wish().options
    assert options.provider == "deepgram"
    assert options.audio == AudioFormat("pcm_s16le", 16000, 1)
    assert options.model is None
    assert options.language == "en"
    assert (options.diarize, options.punctuate, options.partial_results) == (False, True, False)
    assert options.endpointing_ms == 500
    assert options.parse_json
    assert wish().unknown == ()


GOOD: list[tuple[str, str, str, Any]] = [
    *[("provider", name, "provider", name) for name in PROVIDERS],
    *[("encoding", name, "audio.encoding", name) for name in ENCODINGS],
    ("encoding", "mulaw", "audio.encoding", "pcm_mulaw"),
    *[("sample_rate", str(rate), "audio.sample_rate", rate) for rate in SAMPLE_RATES_HZ],
    *[("channels", str(count), "audio.channels", count) for count in range(1, 9)],
    ("model", "nova-3", "model", "nova-3"),
    ("model", "org/Model_1:v2.0", "model", "org/Model_1:v2.0"),
    ("model", "m" * 128, "model", "m" * 128),
    ("language", "fr", "language", "fr"),
    ("language", "pt-BR", "language", "pt-BR"),
    ("language", "zh-Hant-TW", "language", "zh-Hant-TW"),
    ("language", "auto", "language", "auto"),
    ("language", "multi", "language", "multi"),
    ("endpointing", "0", "endpointing_ms", 0),
    ("endpointing", "10000", "endpointing_ms", 10_000),
    *[
        (name, text, name, value)
        for name in ("diarize", "punctuate", "partial_results", "parse_json")
        for texts, value in [(("true", "1", "TRUE", "True"), True), (("false", "0", "FALSE", "fAlSe"), False)]
        for text in texts
    ],
]


@pytest.mark.parametrize(("name", "text", "path", "value"), GOOD)
def test_good_values(name: str, text: str, path: str, value: object) -> None:
    """Every documented value of every parameter means what the reference says."""
    found: Any = wish(**{name: text}).options
    for step in path.split("."):
        found = getattr(found, step)
    assert found == value
    assert type(found) is type(value)


def test_percent_encoding_is_undone() -> None:
    """Parameters may be percent-encoded in any way a client likes."""
    query = "provider=%64eepgram&encoding=pcm%5Fs16le&sample%5Frate=1600%30&api_key=a%2Bb%26c&model=a%2Fb"
    found = read(query)
    assert found.options.provider == "deepgram"
    assert found.options.audio.sample_rate == 16000
    assert found.options.model == "a/b"
    assert found.key == "a+b&c"


# Wrong values.

BOOLEANS = ["", "yes", "no", "on", "2", "-1", " true", "true ", "null", "truе", "１"]
BAD: list[tuple[str, str]] = [
    *[("provider", text) for text in ("", "Deepgram", "deepgram ", "deepgram,", "-x", ",local")],
    *[("encoding", text) for text in ("", "PCM_S16LE", "linear16", "opus", "flac", "pcm", "mulaw ")],
    *[("sample_rate", text) for text in ("", "0", "11025", "96000", "16000.0", "16k", "9" * 10_000)],
    *[("sample_rate", text) for text in ("-16000", "+16000", "16_000", " 16000", "16000\n", "1e4", "0x3e80")],
    *[("sample_rate", text) for text in ("１６０００", "१६०००", "²")],
    *[("channels", text) for text in ("", "0", "9", "-1", "1.0", "two", "Ⅱ", "٢", "9" * 5000)],
    *[("model", text) for text in ("", " ", "-x", "a b", "a\nb", "a\r\nX: y", "é", "m" * 129, "a?b", "a&b")],
    *[
        ("language", text)
        for text in ("", "e", "en_US", "en-", "-en", "english language", "ен", "en\n", "en;")
    ],
    ("language", "-".join(["en"] * 6)),
    *[("endpointing", text) for text in ("", "-1", "10001", "0.5", "true", "five", "1e3", "５００")],
    *[
        (name, text)
        for name in ("diarize", "punctuate", "partial_results", "parse_json")
        for text in BOOLEANS
    ],
]


@pytest.mark.parametrize(("name", "text"), BAD)
def test_wrong_values(name: str, text: str) -> None:
    """A wrong value is refused, and the complaint names the parameter and what is expected."""
    message = complaint(**{name: text})
    assert message.startswith(f"parameter {name}: expected ")


@pytest.mark.parametrize("name", [*REQUIRED, "model", "language", "channels"])
def test_wrong_values_are_not_repeated(name: str) -> None:
    """A complaint never quotes what came: it may be a key in the wrong place."""
    assert CANARY not in complaint(**{name: f"{CANARY}!"})


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("provider", "one of " + ", ".join(PROVIDERS)),
        ("encoding", "pcm_s16le, pcm_mulaw, ogg_opus, webm, mp3, mulaw"),
        ("sample_rate", "8000, 16000, 22050, 24000, 44100, 48000"),
        ("channels", "a whole number from 1 to 8"),
        ("endpointing", "a whole number from 0 to 10000"),
        ("diarize", "true or false"),
        ("language", "pt-BR"),
    ],
)
def test_complaints_say_what_is_allowed(name: str, words: str) -> None:
    """A complaint lists the allowed values, so that nobody has to look them up."""
    assert words in complaint(**{name: "?"})


@pytest.mark.parametrize("name", REQUIRED)
def test_required_parameters(name: str) -> None:
    """Provider, encoding and rate must be said."""
    rest = {other: value for other, value in REQUIRED.items() if other != name}
    assert wrong(urlencode(rest)) == [name]


def test_everything_wrong_is_named_at_once() -> None:
    """One answer tells everything that is wrong, so that nobody needs nine attempts."""
    query = "channels=0&model=+&language=1&diarize=x&punctuate=x&partial_results=x&endpointing=x&parse_json=x"
    assert wrong(query) == [
        "provider",
        "encoding",
        "sample_rate",
        "channels",
        "model",
        "language",
        "diarize",
        "punctuate",
        "partial_results",
        "endpointing",
        "parse_json",
    ]


def test_an_empty_query() -> None:
    """Nothing at all is three missing parameters."""
    assert wrong("") == ["provider", "encoding", "sample_rate"]


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("provider", "deepgram", "local"),
        ("sample_rate", "8000", "16000"),
        ("language", "en", "fr"),
        ("diarize", "true", "true"),
        ("api_key", "one", "two"),
        ("jwt_token", "one", "two"),
    ],
)
def test_repeated_parameters(name: str, first: str, second: str) -> None:
    """A parameter that is said twice is refused: whichever of the two we took, half of all clients meant the other."""
    rest = urlencode({other: value for other, value in REQUIRED.items() if other != name})
    assert wrong(f"{rest}&{name}={first}&{name}={second}") == [name]


def test_unknown_parameters_are_ignored_and_named() -> None:
    """Parameters of newer clients and other products change nothing, repeated or not; their values are not kept."""
    found = read(urlencode(REQUIRED) + f"&smart_format=true&keyterm=a&keyterm={CANARY}&Provider=x&empty")
    assert found.options == wish().options
    assert found.unknown == ("smart_format", "keyterm", "Provider", "empty")
    assert CANARY not in repr(found.unknown)


@pytest.mark.parametrize("query", ["%ff=1", "model=%c3%28", "provider=%ed%a0%80"])
def test_queries_that_are_not_utf8(query: str) -> None:
    """Bytes that are no UTF-8 are refused, not replaced."""
    assert wrong(query) == ["query"]


def test_queries_without_end() -> None:
    """The number of parameters is bounded."""
    good = urlencode(REQUIRED)
    read(good + "&a=1" * (PARAMETERS_MAX - 3))
    assert wrong(good + "&a=1" * (PARAMETERS_MAX - 2)) == ["query"]
    assert wrong("&" * 10_000) == ["query"]


@given(st.text(max_size=60))
def test_any_query_is_read_or_refused(query: str) -> None:
    """Whatever stands in a query, the answer is a wish or a list of faults with a readable body."""
    for text in (query, quote(query), f"provider=deepgram&{query}"):
        with pytest.raises(BadRequest) as raised:
            read(text)
        body = msgspec.json.decode(bad_request(raised.value.faults))
        assert body["error"]
        assert len(body["errors"]) == len(raised.value.faults)


@given(st.dictionaries(st.sampled_from([name for name, *_ in GOOD]), st.text(string.printable, max_size=20)))
def test_any_values_are_read_or_refused_by_name(parameters: dict[str, str]) -> None:
    """Whatever the values, only parameters that were sent or are missing are complained about."""
    missing = {name for name in REQUIRED if name not in parameters}
    try:
        read(urlencode(parameters))
    except BadRequest as bad:
        complained = {fault.parameter for fault in bad.faults}
    else:
        complained = set()
    assert missing <= complained <= {*parameters, *missing}


# Keys.


@pytest.mark.parametrize(
    ("headers", "parameters", "key", "token"),
    [
        ({}, {}, None, None),
        ({"x-api-key": "h"}, {}, "h", None),
        ({}, {"api_key": "q"}, "q", None),
        ({}, {"jwt_token": "t"}, None, "t"),
        ({"x-api-key": "h"}, {"api_key": "q", "jwt_token": "t"}, "h", "t"),
        ({"x-api-key": ""}, {"api_key": "q"}, "q", None),
        ({"x-api-key": ""}, {"api_key": ""}, None, None),
        ({}, {"api_key": "", "jwt_token": "t"}, None, "t"),
        ({}, {"jwt_token": ""}, None, None),
        ({"authorization": "Token h"}, {}, None, None),
    ],
)
def test_where_keys_come_from(
    headers: dict[str, str], parameters: dict[str, str], key: str | None, token: str | None
) -> None:
    """The header wins over the query; an empty key is none."""
    found = wish(headers, **parameters)
    assert (found.key, found.token) == (key, token)


@pytest.mark.parametrize("key", ["0123456789abcdef" * 2, "router_" + "x" * 32, "a b", "sk-\n", "é"])
def test_keys_are_not_taken_for_unknown_parameters(key: str) -> None:
    """Names of unknown parameters may be logged; a key or token in any place, also without its name, is not there."""
    found = wish({}, api_key=CANARY, jwt_token=CANARY, **{key: ""})
    assert found.unknown == ("…",)


# The answer.


def test_the_body_of_a_refusal() -> None:
    """`error` and `parameter` tell the first problem, as the API reference shows; `errors` tells all."""
    faults = [invalid_parameter("encoding", "first"), invalid_parameter("channels", "second")]
    assert msgspec.json.decode(bad_request(faults)) == {
        "error": "first",
        "parameter": "encoding",
        "code": "invalid_parameter",
        "errors": [
            {"error": "first", "parameter": "encoding"},
            {"error": "second", "parameter": "channels"},
        ],
    }


def test_the_body_of_a_refusal_without_parameter() -> None:
    """A fault that is about no single parameter says null."""
    fault = ClientFault("no", code="unsupported_language", close_code=1003)  # type: ignore[arg-type]
    body = msgspec.json.decode(bad_request([fault]))
    assert body["parameter"] is None
    assert body["code"] == "unsupported_language"


def test_the_catalogue_line() -> None:
    """The dialect is served where router.audio serves it."""
    assert ENTRY.name == "listen"
    assert ENTRY.paths == ("/v1/listen",)
    assert ENTRY.parse is parse


def test_unknown_names_are_told() -> None:
    """A misspelt parameter is no error, for newer clients' sake, and is told; text that may be a key is not."""
    query = "provider=local&encoding=pcm_s16le&sample_rate=16000&summary=true&partial_result=true&"
    query += "k" * 40
    wish = parse(Request("/v1/listen", query, {}))
    dialect = ENTRY.dialect(Opening(wish, wish.options, "request-1", lambda: 0.0))
    (summary,) = dialect.event(Summary(0, 0, 0, 1))
    assert isinstance(summary, str)
    assert json.loads(summary)["warnings"] == ["partial_result: unknown here, has no effect"]
