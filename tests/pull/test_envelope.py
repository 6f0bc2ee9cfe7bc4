"""What is posted, and its signature."""

import hmac
import json
from hashlib import sha256

import pytest

from routeraudio.pull import envelope
from routeraudio.pull.record import BALANCE_USED_UP, SOURCE_ENDED, STOPPED, Ending, failed, hidden
from tests.pull.callbacks import VERBATIM, callback, record


def test_the_message_stands_in_it_byte_for_byte() -> None:
    """Blanks, escapes, number formats and repeated names of the provider's JSON are not touched."""
    body = envelope.body(record(), callback(position_ms=17_000))
    assert body == (
        b'{"code":200,"message":"SUCCESS","task_id":"3d0c","data":{"segment_index":3,"segment_start_time":"15.0",'
        b'"segment_end_time":"20.0","status":0,"provider":"assemblyai","message":"transcript","transcript":'
        + VERBATIM.encode()
        + b"}}"
    )


@pytest.mark.parametrize("message", ["no JSON", "", "{", "[" * 100_000, '{"a":1} {"b":2}', '"\ud83d"'])
def test_what_is_no_json_is_a_string(message: str) -> None:
    """A message that would break the envelope is put into it as text."""
    body = envelope.body(record(), callback(message)) if message.isprintable() else None
    if body is not None and message.encode("utf-8", "replace").decode() == message:
        assert json.loads(body)["data"]["transcript"] == message


def test_binary_is_base64() -> None:
    """A binary message is base64 in the envelope, and itself with raw=true."""
    assert json.loads(envelope.body(record(), callback(b"\0\xff")))["data"]["transcript"] == "AP8="
    assert envelope.body(record(is_raw=True), callback(b"\0\xff")) == b"\0\xff"


def test_raw() -> None:
    """With raw=true the body is the provider's message; the last callback has an envelope nevertheless."""
    assert envelope.body(record(is_raw=True), callback()) == VERBATIM.encode()
    last = json.loads(envelope.body(record(is_raw=True), callback(b"", STOPPED)))
    assert last["data"]["status"] == 14
    names = envelope.headers(record(is_raw=True), callback(b"\0"), b"\0", b"s", 1)
    assert names["content-type"] == "application/octet-stream"
    assert names["x-routeraudio-task-id"] == "3d0c"


@pytest.mark.parametrize(
    ("ending", "code", "status", "sentence"),
    [
        (STOPPED, 200, 14, "Stream stopped by user"),
        (SOURCE_ENDED, 200, 13, "Stream source ended"),
        (failed("why"), 500, 15, "Stream failed"),
        (BALANCE_USED_UP, 402, 17, "Balance used up"),
    ],
)
def test_last_callback(ending: Ending, code: int, status: int, sentence: str) -> None:
    """Each ending has its numbers, counts cycles of audio, and says what went wrong where something did."""
    last = json.loads(envelope.body(record(), callback(b"", ending, position_ms=85_000)))
    assert (last["code"], last["task_id"]) == (code, "3d0c")
    data = last["data"]
    assert (data["segment_index"], data["segment_start_time"], data["segment_end_time"]) == (
        17,
        "85.0",
        "90.0",
    )
    assert (data["status"], data["message"], data["transcript"]) == (status, sentence, None)
    assert data.get("error") == ending.error


def test_signature() -> None:
    """HMAC-SHA256 over timestamp, dot and body."""
    expected = hmac.new(b"secret", b"1795168800.body", sha256).hexdigest()
    assert envelope.signature(b"secret", 1795168800, b"body") == expected


def test_what_may_be_secret_in_a_url_is_hidden() -> None:
    """Credentials, query and fragment of a source are shown to nobody."""
    assert (
        hidden("rtmp://user:pass@media.example:1935/live/a?token=b#c") == "rtmp://media.example:1935/live/a"
    )
