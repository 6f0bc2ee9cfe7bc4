"""Who gets in at Deepgram's, and in which words the others are told."""

import json

import pytest
from trio.testing import MockClock

from routeraudio.emulators.deepgram import Deepgram
from routeraudio.emulators.kit.faults import Faults
from routeraudio.emulators.kit.server import Emulator
from tests.emulators.helping import RAW, ask

V1 = f"/v1/listen?model=nova-3&{RAW}"
V2 = f"/v2/listen?model=flux-general-en&{RAW}"


def key(value: str) -> list[tuple[str, str]]:
    return [("Authorization", value)]


@pytest.mark.parametrize("target", [V1, V2])
@pytest.mark.parametrize("value", ["Token abc", "token abc", "bearer e.y.J", "Bearer e.y.J"])
async def test_good_keys(target: str, value: str, autojump_clock: MockClock) -> None:
    """Token and Bearer, in any case of letters."""
    status, headers, _ = await ask(Emulator(Deepgram()), target, key(value))
    assert status == 101
    assert "dg-request-id" in headers


@pytest.mark.parametrize(
    "headers",
    [
        (),
        key("Token"),
        key("Token badkey"),
        key("Basic abc"),
        key("abc"),
        [("Sec-WebSocket-Protocol", "token")],
    ],
)
async def test_bad_keys(headers: list[tuple[str, str]], autojump_clock: MockClock) -> None:
    """401, with the service's code in the body and its reason in a header."""
    emulator = Emulator(Deepgram())
    status, answer, body = await ask(emulator, V1, headers)
    assert (status, answer["dg-error"]) == (401, "Invalid credentials.")
    assert json.loads(body) == {
        "err_code": "INVALID_AUTH",
        "err_msg": "Invalid credentials.",
        "request_id": answer["dg-request-id"],
    }
    assert emulator.connections[0].refused == 401


async def test_accepted_keys_are_configurable(autojump_clock: MockClock) -> None:
    """An emulator may be told which keys are good."""
    emulator = Emulator(Deepgram(accepts=lambda key: key == "only"))
    assert [(await ask(emulator, V1, key(f"Token {each}")))[0] for each in ("only", "other")] == [101, 401]


async def test_other_paths(autojump_clock: MockClock) -> None:
    """There is nothing else here."""
    status, _, _ = await ask(Emulator(Deepgram()), "/v3/listen", key("Token abc"))
    assert status == 404


@pytest.mark.parametrize(
    "query",
    [
        "model=flux-general-en",
        "model=whisper-large",
        "model=nova-3&language=xx",
        "model=nova-2-meeting&language=de",
        "model=nova-3&encoding=linear16",
        "model=nova-3&encoding=amr-nb&sample_rate=16000",
        "model=nova-3&encoding=speex&sample_rate=16000",
        "model=nova-3&keywords=a:2",
        "model=nova-2&keyterm=a",
        f"model=nova-3&keyterm={'a+' * 250}&keyterm={'a+' * 251}",
    ],
)
async def test_v1_combinations_that_cannot_work(query: str, autojump_clock: MockClock) -> None:
    """Each is a 400 with `Bad Request`."""
    status, _, body = await ask(Emulator(Deepgram()), f"/v1/listen?{query}", key("Token abc"))
    assert (status, json.loads(body)["err_code"]) == (400, "Bad Request")


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("encoding=pcm", "encoding"),
        ("sample_rate=16k", "sample_rate"),
        ("sample_rate=1", "sample_rate"),
        ("channels=0", "channels"),
        ("interim_results=True", "interim_results"),
        ("interim_results=1", "interim_results"),
        ("punctuate=", "punctuate"),
        ("endpointing=true", "endpointing"),
        ("endpointing=-1", "endpointing"),
        ("utterance_end_ms=999", "utterance_end_ms"),
        ("redact=names", "redact"),
        ("diarize_model=v2", "diarize_model"),
        ("detect_language=true", "detect_language"),
        ("interm_results=true", "interm_results"),
        ("callback=http%3A%2F%2Flocalhost", "callback"),
        ("language=en&language=de", "language"),
        (f"tag={'x' * 129}", "tag"),
        ("keyterm=", "keyterm"),
    ],
)
async def test_v1_values_that_are_not_allowed(query: str, name: str, autojump_clock: MockClock) -> None:
    """Each is a 400 that names the parameter."""
    status, _, body = await ask(Emulator(Deepgram()), f"/v1/listen?model=nova-3&{query}", key("Token abc"))
    answer = json.loads(body)
    assert (status, answer["err_code"]) == (400, "INVALID_QUERY_PARAMETER")
    assert name in answer["err_msg"]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "model=nova-3&interim_results=true&endpointing=false&utterance_end_ms=1000&vad_events=true",
        "model=nova-3&language=multi&language_hint=en&language_hint=de&endpointing=100",
        "model=nova-3&keyterm=Ann&keyterm=Bob&tag=a&tag=b&extra=k:v&redact=pci&redact=ssn&mip_opt_out=true",
        "model=nova-2-meeting&keywords=Ann:2&filler_words=true&no_delay=true&version=latest",
        "model=nova-3&channels=2&encoding=mulaw&sample_rate=8000&multichannel=true&diarize=true",
        "model=nova-3-medical&language=en-GB&smart_format=true&numerals=true&dictation=false",
    ],
)
async def test_v1_queries_that_work(query: str, autojump_clock: MockClock) -> None:
    """What clients are known to send is taken."""
    status, _, body = await ask(Emulator(Deepgram()), f"/v1/listen?{query}", key("Token abc"))
    assert (status, body) == (101, b"")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "model=nova-3",
        "model=flux-general-en&language=en",
        "model=flux-general-en&interim_results=true",
        "model=flux-general-en&encoding=linear16",
        "model=flux-general-en&encoding=linear16&sample_rate=22050",
        "model=flux-general-en&encoding=flac",
        "model=flux-general-en&eot_threshold=0.4",
        "model=flux-general-en&eot_threshold=nan",
        "model=flux-general-en&eager_eot_threshold=0.95",
        "model=flux-general-en&eot_timeout_ms=100",
        "model=flux-general-en&language_hint=en",
        "model=flux-general-multi&language_hint=sv",
    ],
)
async def test_v2_queries_that_are_refused(query: str, autojump_clock: MockClock) -> None:
    """Flux takes neither v1's models nor its parameters."""
    status, _, _ = await ask(Emulator(Deepgram()), f"/v2/listen?{query}", key("Token abc"))
    assert status == 400


async def test_v2_queries_that_work(autojump_clock: MockClock) -> None:
    """All of Flux's own parameters together."""
    query = (
        "model=flux-general-multi&encoding=mulaw&sample_rate=8000&eot_threshold=0.5&eager_eot_threshold=0.3"
        "&eot_timeout_ms=60000&language_hint=en&language_hint=de&keyterm=Ann&numerals=true&redact=numbers&tag=x"
        "&profanity_filter=true&mip_opt_out=true"
    )
    status, _, _ = await ask(Emulator(Deepgram()), f"/v2/listen?{query}", key("Token abc"))
    assert status == 101


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "INVALID_AUTH"),
        (402, "ASR_PAYMENT_REQUIRED"),
        (403, "INSUFFICIENT_PERMISSIONS"),
        (429, "TOO_MANY_REQUESTS"),
        (500, "INTERNAL_SERVER_ERROR"),
    ],
)
async def test_refusals_on_request(status: int, code: str, autojump_clock: MockClock) -> None:
    """The fault `refuse` answers in the vendor's words, for all connections or for one key."""
    for emulator, value in (
        (Emulator(Deepgram(), faults=Faults(refuse=status)), "Token abc"),
        (Emulator(Deepgram()), f"Token fault-refuse-{status}"),
    ):
        answered, _, body = await ask(emulator, V1, key(value))
        assert (answered, json.loads(body)["err_code"]) == (status, code)


async def test_a_fault_that_does_not_exist(autojump_clock: MockClock) -> None:
    """A mistyped fault is said to be one."""
    status, _, body = await ask(Emulator(Deepgram()), V1, key("Token fault-explode"))
    assert status == 400
    assert b"explode" in body
