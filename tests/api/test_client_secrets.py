"""`POST /v1/realtime/client_secrets` and `transcription_sessions`: tokens, in OpenAI's words."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from routeraudio.auth.authenticator import PresentedKeys
from routeraudio.dialects.openai.request import credential
from tests.api.office import STATIC, Office, config_of, open_office
from tests.auth.keystore import CLOUD, STORED

SECRETS = "/v1/realtime/client_secrets"
SESSIONS = "/v1/realtime/transcription_sessions"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(config_of(tmp_path)) as opened:
        yield opened


async def ask(office: Office, path: str, key: str | None, body: Any) -> tuple[int, Any]:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    answer = await office.client.post(path, json=body, headers=headers)
    return answer.status_code, answer.json()


@pytest.mark.parametrize("place", ["", "/as/openai", "/as/openai/soniox", "/as/openai/soniox/stt-rt-v5"])
async def test_a_secret_opens_a_session(place: str, office: Office) -> None:
    """It becomes its key, until the time that is told."""
    made = await office.create(account="acme")
    wish = {
        "expires_after": {"anchor": "created_at", "seconds": 60},
        "session": {"type": "transcription", "audio": {"input": {"transcription": {"language": "de"}}}},
    }
    status, body = await ask(office, place + SECRETS, made["key"], wish)
    assert status == 200
    assert body["value"].startswith("ek_")
    assert body["session"]["audio"]["input"]["transcription"]["language"] == "de"
    key, token = credential(body["value"])
    assert key is None
    found = await office.access.principal(PresentedKeys(token=token), entry=CLOUD, stored=STORED)
    assert (found.key_id, found.account) == (made["id"], "acme")
    assert found.restriction is not None
    assert body["expires_at"] == found.restriction.expires_at_s


async def test_the_beta(office: Office) -> None:
    """The body is the session."""
    made = await office.create()
    status, body = await ask(office, SESSIONS, made["key"], {"input_audio_format": "g711_ulaw"})
    assert (status, body["input_audio_format"]) == (200, "g711_ulaw")
    assert body["client_secret"]["value"].startswith("ek_")


@pytest.mark.parametrize(
    ("key", "body", "status", "code"),
    [
        (None, {}, 401, "invalid_api_key"),
        ("router_unknown-canary", {}, 401, "invalid_api_key"),
        ("sk-own-key", {}, 401, "invalid_api_key"),
        ("", {"session": {"type": "realtime"}}, 400, "invalid_parameter"),
        ("", {"expires_after": {"seconds": 1}}, 400, "invalid_parameter"),
        ("", [], 400, "invalid_parameter"),
        (
            "",
            {"session": {"audio": {"input": {"transcription": {"model": "m" * 100}}}}},
            400,
            "invalid_parameter",
        ),
    ],
)
async def test_what_is_refused(key: str | None, body: Any, status: int, code: str, office: Office) -> None:
    """In the vendor's shape."""
    shown = (await office.create())["key"] if key == "" else key
    found, told = await ask(office, SECRETS, shown, body)
    assert (found, told["error"]["code"]) == (status, code)
    assert set(told["error"]) == {"type", "code", "message", "param"}


async def test_a_path_that_names_nobody(office: Office) -> None:
    """It is none of ours."""
    made = await office.create()
    assert (await ask(office, "/as/openai/whisper" + SECRETS, made["key"], {}))[0] == 400


async def test_a_key_that_makes_no_tokens(office: Office) -> None:
    """Is told so."""
    made = await office.create(tokens=False)
    status, told = await ask(office, SECRETS, made["key"], {})
    assert (status, told["error"]["code"]) == (403, "forbidden")


async def test_the_rate(tmp_path: Path) -> None:
    """The client's library tries again later, when it is told to."""
    async with open_office(config_of(tmp_path, tokens_per_second_max=1)) as office:
        answers = [
            await office.client.post(SECRETS, json={}, headers={"authorization": f"Bearer {STATIC}"})
            for _ in range(12)
        ]
    assert {answer.status_code for answer in answers} == {200, 429}
    assert {answer.headers["retry-after"] for answer in answers if answer.status_code == 429} == {"1"}
