"""What the gateway makes of a request: who shows what, and what goes on to the vendor."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeraudio.dialects.base import Request
from routeraudio.gateway import request
from routeraudio.providers.base import Credential, Dial
from routeraudio.providers.catalog import PROVIDERS

KEY = "router_canary_k5"
STORED = Credential("stored-canary-k7", is_clients_own=False)
GENERAL = "/v1/audio-stream"
BASE = "wss://vendor.test"


def read(target: str, **headers: str) -> request.Call:
    path, _, query = target.partition("?")
    return request.read(
        Request(path, query, {name.replace("_", "-"): text for name, text in headers.items()})
    )


def dialled(target: str, credential: Credential | None = STORED, **headers: str) -> Dial:
    return request.dial(read(target, **headers), BASE, credential)


@pytest.mark.parametrize(
    ("target", "headers", "secret"),
    [
        ("/gateway/deepgram/v1/listen", {"authorization": f"Token {KEY}"}, KEY),
        ("/gateway/deepgram/v1/listen", {"authorization": f"bearer {KEY}"}, KEY),
        ("/gateway/deepgram/v1/listen", {"authorization": f"token  {KEY}"}, KEY),
        ("/gateway/deepgram/v1/listen", {"sec_websocket_protocol": f"token, {KEY}"}, KEY),
        ("/gateway/deepgram/v1/listen", {"sec_websocket_protocol": f"bearer,{KEY}"}, KEY),
        ("/gateway/assemblyai/v3/ws", {"authorization": KEY}, KEY),
        (f"/gateway/assemblyai/v3/ws?token={KEY}", {}, KEY),
        ("/gateway/elevenlabs/v1/speech-to-text/realtime", {"xi_api_key": KEY}, KEY),
        (f"/gateway/elevenlabs/v1/speech-to-text/realtime?a=b&token={KEY}", {}, KEY),
        ("/gateway/openai/v1/realtime", {"authorization": f"Bearer {KEY}"}, KEY),
        (
            "/gateway/openai/v1/realtime",
            {"sec_websocket_protocol": f"realtime, openai-insecure-api-key.{KEY}"},
            KEY,
        ),
        ("/gateway/soniox/transcribe-websocket", {"sec_websocket_protocol": f"soniox-api-key, {KEY}"}, KEY),
        (f"/gateway/speechmatics/v2?jwt={KEY}", {}, KEY),
        ("/gateway/gradium/api/speech/asr", {"x_api_key": KEY}, KEY),
        ("/gateway/vachana/stt/v3/stream", {"x_api_key_id": KEY}, KEY),
        (GENERAL, {"authorization": KEY}, KEY),
        (f"{GENERAL}?api_key={KEY}", {}, KEY),
        (f"{GENERAL}?jwt_token={KEY}", {}, KEY),
        (f"{GENERAL}?%61pi_key={KEY}", {}, KEY),
        (f"{GENERAL}?API_KEY={KEY}", {}, KEY),
        (f"{GENERAL}?api_key=another", {"authorization": KEY}, KEY),
        ("/gateway/deepgram/v1/listen", {"authorization": ""}, None),
        ("/gateway/deepgram/v1/listen?api_key=", {"sec_websocket_protocol": "token"}, None),
        (GENERAL, {}, None),
    ],
)
def test_keys_are_found(target: str, headers: dict[str, str], secret: str | None) -> None:
    """In every form a vendor's clients use; a header counts before a subprotocol, that before the query."""
    assert read(target, **headers).secret == secret


def test_what_is_said_to_be_a_token() -> None:
    """Only by the name of its parameter; all else is told by its looks."""
    shown = [read(f"{GENERAL}?{name}=x").shown for name in ("jwt_token", "token")]
    assert [one and one.is_said_to_be_a_token for one in shown] == [True, False]


def test_no_repr_shows_a_key() -> None:
    """Neither of the call nor of what was shown."""
    call = read(f"{GENERAL}?provider=deepgram&api_key={KEY}", authorization=KEY)
    assert KEY not in repr(call) + repr(call.shown)


def test_the_documentation_names_everything() -> None:
    """Every provider, and every form of a key."""
    page = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text().lower()
    names = [*PROVIDERS, *request.KEY_HEADERS, *request.KEY_SUBPROTOCOLS, request.KEY_SUBPROTOCOL_PREFIX]
    assert [
        name for name in (*names, *request.KEY_PARAMETERS, *request.GENERAL_PATHS) if name not in page
    ] == []


FORMS = [
    "api_key=X",
    "token=X",
    "jwt_token=X",
    "jwt=X",
    "access_token=X",
    "x-api-key=X",
    "xi-api-key=X",
    "x-api-key-id=X",
    "authorization=X",
    "Token=X",
    "%74oken=X",
    "api%5Fkey=X",
    "token",
    "token=",
    "xi%2Dapi%2Dkey=X",
]


@pytest.mark.parametrize("form", FORMS)
def test_no_key_goes_on_in_the_query(form: str) -> None:
    """Not even disguised, and nobody can put a credential of his own beside ours."""
    dial = dialled(f"/gateway/deepgram/v1/listen?a=1&{form}&b=2", authorization=f"Token {KEY}")
    assert dial.url == f"{BASE}/v1/listen?a=1&b=2"


@given(
    pieces=st.lists(
        st.from_regex(
            r"(?!provider|token|jwt|api|x|acc|auth)[a-zA-Z_.]{1,8}(=[a-zA-Z0-9%+.,:;/?@!*'()~_-]{0,12}){0,2}",
            fullmatch=True,
        )
        | st.sampled_from(["", "=", "a=1", "a=1", "keyterm=x%20y", "keyterm=x+y"]),
        max_size=8,
    ).filter(lambda pieces: "model" not in "".join(pieces))
)
def test_the_query_goes_on_byte_for_byte(pieces: list[str]) -> None:
    """Order, repetition and encoding as they came."""
    query = "&".join(pieces)
    expected = f"{BASE}/v1/listen?{query}" if query else f"{BASE}/v1/listen"
    assert dialled(f"/gateway/deepgram/v1/listen?{query}").url == expected
    general = dialled(f"{GENERAL}?provider=deepgram&{query}" if query else f"{GENERAL}?provider=deepgram")
    assert general.url == expected


@pytest.mark.parametrize("provider", PROVIDERS)
def test_our_credential_stands_in_the_vendors_place(provider: str) -> None:
    """Once, in a header, and nothing of the client's headers that is not the vendor's business goes on."""
    target = f"/gateway/{provider}{PROVIDERS[provider].native.default_path}"
    noise = {
        "cookie": "c",
        "x_forwarded_for": "1.2.3.4",
        "origin": "https://a.test",
        "openai_organization": "org",
    }
    keys = {
        "authorization": KEY,
        "x_api_key": KEY,
        "xi_api_key": KEY,
        "x_api_key_id": KEY,
        "x_provider_key": "p",
    }
    headers = dialled(target, STORED, user_agent="sdk/1", **noise, **keys).headers
    allowed = {PROVIDERS[provider].native.key_header} | PROVIDERS[provider].native.headers
    assert {name for name, _ in headers} <= allowed
    assert [text for _, text in headers if STORED.secret in text] == [
        PROVIDERS[provider].native.key_scheme + STORED.secret
    ]
    assert KEY not in str(headers)


def test_vendor_headers_go_on() -> None:
    """What configures a Vachana session is in its headers."""
    sent = {"lang_code": "hi-IN", "x-sample-rate": "8000"}
    call = request.read(Request("/gateway/vachana/stt/v3/stream", "", {**sent, "x-api-key-id": KEY}))
    assert request.dial(call, BASE, STORED).headers == (*sent.items(), ("x-api-key-id", STORED.secret))


OWN = "own-canary-k9"


@pytest.mark.parametrize(
    ("target", "headers", "expected"),
    [
        (
            "/gateway/deepgram/v1/listen?a=1",
            {"authorization": f"bearer {OWN}"},
            Dial(f"{BASE}/v1/listen?a=1", (("authorization", f"bearer {OWN}"),)),
        ),
        (
            "/gateway/deepgram/v1/listen",
            {"sec_websocket_protocol": f"token, {OWN}"},
            Dial(f"{BASE}/v1/listen", (), ("token", OWN)),
        ),
        (
            f"/gateway/assemblyai/v3/ws?x=1&token={OWN}&y=2&jwt={KEY}",
            {},
            Dial(f"{BASE}/v3/ws?x=1&token={OWN}&y=2"),
        ),
        (
            "/gateway/openai/v1/realtime",
            {
                "authorization": f"Bearer {OWN}",
                "openai_organization": "org",
                "sec_websocket_protocol": "realtime",
            },
            Dial(
                f"{BASE}/v1/realtime",
                (("openai-organization", "org"), ("authorization", f"Bearer {OWN}")),
                ("realtime",),
            ),
        ),
    ],
)
def test_a_clients_own_key_stays_where_it_was(target: str, headers: dict[str, str], expected: Dial) -> None:
    """Temporary keys are only good in their own form; any other key beside it does not go on."""
    assert dialled(target, Credential(OWN, is_clients_own=True), **headers) == expected


def test_an_own_key_beside_a_router_key() -> None:
    """It stands in the vendor's place, and the router key goes nowhere."""
    own = Credential(OWN, is_clients_own=True)
    dial = dialled("/gateway/deepgram/v1/listen", own, authorization=f"Token {KEY}")
    assert dial.headers == (("authorization", f"Token {OWN}"),)


@pytest.mark.parametrize(
    ("target", "offered", "answered", "passed_on"),
    [
        (
            "/gateway/openai/v1/realtime",
            f"realtime, openai-insecure-api-key.{KEY}",
            "realtime",
            ("realtime",),
        ),
        (
            "/gateway/openai/v1/realtime",
            f"openai-insecure-api-key.{KEY}, realtime",
            "realtime",
            ("realtime",),
        ),
        ("/gateway/deepgram/v1/listen", f"token, {KEY}", "token", ()),
        ("/gateway/soniox/transcribe-websocket", f"soniox-api-key, {KEY}", "soniox-api-key", ()),
        ("/gateway/deepgram/v1/listen", "chat", None, ()),
        ("/gateway/deepgram/v1/listen", "", None, ()),
    ],
)
def test_subprotocols(target: str, offered: str, answered: str | None, passed_on: tuple[str, ...]) -> None:
    """The client is answered one that it offered, and never its key; the vendor gets those that mean something."""
    assert read(target, sec_websocket_protocol=offered).subprotocol == answered
    assert dialled(target, sec_websocket_protocol=offered).subprotocols == passed_on


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (GENERAL, 400),
        (f"{GENERAL}?provider=nobody", 400),
        ("/serve/ws/v2/audio-stream?Provider=deepgram", None),
        (f"{GENERAL}?provider=deepgram", None),
        (f"{GENERAL}?provider=deepgram&provider=openai", None),
        ("/gateway/nobody/v1/listen", 404),
        ("/gateway/", 404),
        ("/gateway/deepgram", 404),
        ("/gateway/deepgram/v1/speak", 404),
        ("/gateway/deepgram/v1/listen?a#b", 400),
        ("/gateway/deepgram/v1/listen?model=a&model=b", 400),
        ("/gateway/deepgram/v1/listen?model=a&model=a", None),
        ("/gateway/elevenlabs/v1/speech-to-text/realtime?keyterms=a&keyterms=b", None),
        # What is charged depends on these.
        ("/gateway/deepgram/v1/listen?sample_rate=8000&sample_rate=192000", 400),
        ("/gateway/deepgram/v1/listen?sample_rate=8000&sample_rate=8000", None),
        ("/gateway/deepgram/v1/listen?encoding=mulaw&%65ncoding=linear16", 400),
        ("/gateway/deepgram/v1/listen?MODEL=nova-2", 400),
        ("/gateway/assemblyai/v3/ws?Sample_Rate=8000", 400),
        ("/gateway/elevenlabs/v1/speech-to-text/realtime?audio_format=a&audio_format=b", 400),
    ],
)
def test_problems(target: str, status: int | None) -> None:
    """What cannot be served is noted, not raised: who asks is looked at first."""
    problem = read(target).problem
    assert (problem and problem.status) == status


def test_headers_that_cannot_go_on() -> None:
    """A header that the vendor would read must be what it can read."""
    problem = request.read(Request("/gateway/vachana/stt/v3/stream", "", {"lang_code": "hi\xe9"})).problem
    assert problem is not None
    assert problem.status == 400


def test_models() -> None:
    """The model is known before the dial where it stands in the query, decoded."""
    assert read("/gateway/deepgram/v1/listen?model=nova%2D3").model == "nova-3"
    assert read("/gateway/deepgram/v1/listen?model=").model is None
    assert read("/gateway/soniox/transcribe-websocket?model=x").model is None


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ("intent=transcription", "intent=transcription"),
        ("intent=transcription&model=gpt-4o-transcribe", "intent=transcription"),
        ("model=gpt-4o-mini-transcribe-2025-12-15", "intent=transcription"),
        ("model=whisper%2D1&a=b", "a=b&intent=transcription"),
        ("m%6Fdel=gpt-realtime-whisper", "intent=transcription"),
    ],
)
def test_openai_is_for_transcription(query: str, sent: str) -> None:
    """LiveKit and the JavaScript client name a model in the query, which the vendor takes for a conversation's."""
    call = read(f"/gateway/openai/v1/realtime?{query}")
    assert PROVIDERS["openai"].native.check(call.handshake) is None
    assert request.dial(call, BASE, STORED).url == f"{BASE}/v1/realtime?{sent}"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "intent=conversation",
        "intent=conversation&model=whisper-1",
        "intent=conversation&intent=transcription",
        "intent=transcription&model=gpt-realtime",
        "model=whisper-1&model=gpt-realtime",
        "model=whisper-1&MODEL=gpt-realtime",
        "model=gpt-realtime",
        "intent=transcription&model=",
        "intent=transcription&call_id=1",
        "intent=transcription&Call_Id=1",
    ],
)
def test_openai_is_for_nothing_else(query: str) -> None:
    """Our credential pays for no conversations."""
    check = PROVIDERS["openai"].native.check
    assert check(read(f"/gateway/openai/v1/realtime?{query}").handshake) is not None


@pytest.mark.parametrize(
    "target",
    [
        "/gateway/deepgram/v1/listen?model=nova-3&callback=https://evil.example",
        "/gateway/deepgram/v1/listen?model=nova-3&Callback=https://evil.example",
        "/gateway/deepgram/v1/listen?model=nova-3&call%62ack=https://evil.example",
        "/gateway/deepgram/v1/listen?model=nova-3&callback_method=put",
        "/gateway/deepgram/v2/listen?something_new=1",
        "/gateway/openai/v1/realtime?intent=transcription&Intent=x",
        "/gateway/assemblyai/v3/ws?webhook_url=https://evil.example",
        "/gateway/assemblyai/v3/ws?llm_gateway=%7B%7D",
        "/gateway/speechmatics/v2?notification_config=x",
    ],
)
def test_our_credential_is_used_with_known_parameters(target: str) -> None:
    """Whatever else a vendor takes may cost more, or send transcripts elsewhere."""
    call = read(target)
    assert PROVIDERS[call.provider].native.forbidden(call.passed_on) is not None or call.problem is not None


@pytest.mark.parametrize(
    "target",
    [
        "/gateway/deepgram/v1/listen?model=nova-3&keyterm=a&keyterm=b&token=router_key&tag=x",
        "/gateway/speechmatics/v2?sm-sdk=python-rt-sdk-v1.2.1&jwt=x",
        "/gateway/assemblyai/v3/ws?speech_model=x&keyterms_prompt=%5B%22a%22%5D",
    ],
)
def test_what_clients_ask_for_every_day(target: str) -> None:
    """Passes; a key among it is ours to take out."""
    call = read(target)
    assert call.problem is None
    assert PROVIDERS[call.provider].native.forbidden(call.passed_on) is None


@pytest.mark.parametrize("path", ["/v2/Agent", "/v2/AGENT", "/v2/agent/x", "/v2/Agent/", "/v2/en/x"])
def test_speechmatics_transcribes_only(path: str) -> None:
    """Whatever the case."""
    problem = read(f"/gateway/speechmatics{path}").problem
    assert problem is not None
    assert problem.status == 404


@pytest.mark.parametrize("path", ["/v2", "/v2/", "/v2/en", "/v2/cmn_en", "/v2/en_ms_ta", "/v2/auto"])
def test_speechmatics_languages(path: str) -> None:
    """The old SDK appends them."""
    assert read(f"/gateway/speechmatics{path}").problem is None


def test_a_parameter_given_twice() -> None:
    """Which of two counts is the vendor's secret: `intent` may not be said in two ways."""
    problem = read("/gateway/openai/v1/realtime?intent=transcription&intent=conversation").problem
    assert problem is not None
    assert problem.status == 400
