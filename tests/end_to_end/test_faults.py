"""What goes wrong upstream is told to the client: whose fault, which provider, the right close code, no final lost."""

import json

import pytest
from trio_websocket import ConnectionClosed, ConnectionRejected

from routeraudio.engine.pool import Pool

from .router import BARE_WORDS, SHORT, Router, open_router, rest, speech

RAW = {"provider": "deepgram", "encoding": "pcm_s16le", "sample_rate": 16000}
END = '{"type":"end_of_stream"}'


@pytest.mark.parametrize(
    ("key", "code", "error"),
    [
        ("bad-key", 3000, "unauthorized"),  # the client's own key: the client must fix it
        ("fault-refuse-402", 4040, "provider_error"),
        ("fault-refuse-429", 4040, "rate_limited"),
        ("fault-refuse-500", 4040, "provider_error"),
        ("fault-drop-1", 4040, "provider_error"),
        ("fault-stall", 4040, "provider_unreachable"),
        ("fault-endless", 4040, "provider_unreachable"),
        ("fault-garbage-text", 4040, "provider_error"),
        ("fault-garbage-types", 4040, "provider_error"),
        ("fault-garbage-utf8", 4040, "provider_error"),
        ("fault-early-1", 4040, "provider_error"),
        ("fault-delay-5", 4040, "provider_unreachable"),
    ],
)
async def test_upstream_fault(key: str, code: int, error: str) -> None:
    """Each fault becomes one error message that names the provider, and a close code."""
    async with open_router(limits=SHORT) as router:
        messages, closed = await converse(router, key)
    told = [message for message in messages if message["type"] == "error"]
    assert [(one["code"], one["provider"]) for one in told] == [(error, "deepgram")]
    assert "Deepgram" in told[0]["error"]
    assert key not in json.dumps(told)
    assert closed == code


async def test_no_word_is_lost_in_a_fall(pool: Pool) -> None:
    """What was final before the connection fell is told once, and what was not comes from the next connection."""
    silence = bytes(2 * 16000 * 2)
    async with open_router(pool=pool, limits=SHORT) as router:
        messages, closed = await converse(
            router, "fault-drop-6", audio=speech() + silence, waits_for_final=True
        )
        assert len(router.emulator.connections) > 1
    assert closed == 1000
    finals = [message for message in messages if message["type"] == "transcript"]
    assert [str(one["transcript"]).lower().rstrip(".") for one in finals] == [BARE_WORDS] * 2


async def test_wrong_parameters_are_all_named() -> None:
    """A request that cannot work is refused before the upgrade, with every reason."""
    async with open_router() as router:
        with pytest.RaisesGroup(ConnectionRejected, flatten_subgroups=True, allow_unwrapped=True) as refused:
            async with router.connect(
                "good", provider="nobody", encoding="aiff", channels=9, diarize="maybe"
            ):
                pass
    rejected = refused.value
    while isinstance(rejected, BaseExceptionGroup):
        rejected = rejected.exceptions[0]
    assert isinstance(rejected, ConnectionRejected)
    assert rejected.status_code == 400
    body = json.loads(rejected.body or b"")
    assert {one["parameter"] for one in body["errors"]} == {
        "provider",
        "encoding",
        "sample_rate",
        "channels",
        "diarize",
    }


async def test_text_where_audio_belongs() -> None:
    """Audio sent as text is told so instead of being ignored."""
    async with open_router(limits=SHORT) as router:
        messages, closed = await converse(router, "good", audio=b"", text="UklGRiQAAABXQVZF")
    assert [message["code"] for message in messages] == ["audio_error"]
    assert closed == 1003


async def converse(
    router: Router,
    key: str,
    *,
    audio: bytes | None = None,
    text: str = END,
    waits_for_final: bool = False,
) -> tuple[list[dict[str, object]], int]:
    """One session: the messages that came back, and the close code."""
    data = speech() if audio is None else audio
    messages: list[dict[str, object]] = []
    async with router.connect(key, **RAW) as client:
        try:
            for start in range(0, len(data), 8000):
                await client.send_message(data[start : start + 8000])
            if waits_for_final:
                messages.append(json.loads(await client.get_message()))
                await client.send_message(speech())
            await client.send_message(text)
        except ConnectionClosed:
            pass  # what came before is still to be read
        told, code = await rest(client)
    return messages + [json.loads(one) for one in told], code
