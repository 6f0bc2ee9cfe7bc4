"""Refusals and closes in words."""

import pytest

from routeraudio.commands.errors import FAILED, USAGE
from routeraudio.commands.refusals import WORDS_MAX, ended, refused
from routeraudio.commands.wire import Error


@pytest.mark.parametrize(
    ("status", "body", "sentence", "exit_code"),
    [
        (
            400,
            b'{"error":"unknown provider nobody","parameter":"provider"}',
            "the server refused the request (HTTP 400): unknown provider nobody; correct --provider",
            USAGE,
        ),
        (
            401,
            b"",
            "the server refused the request (HTTP 401); give a valid key with --key or ROUTERAUDIO_KEY",
            FAILED,
        ),
        (502, b"\xff<html>", "the server refused the request (HTTP 502); look at the daemon's log", FAILED),
        (400, b"[" * 5000, "the server refused the request (HTTP 400); look at the daemon's log", FAILED),
        (
            503,
            b'{"error":"\\u001b[31mfull\\n."}',
            "the server refused the request (HTTP 503): [31mfull; try again later",
            FAILED,
        ),
    ],
)
def test_refused(status: int, body: bytes, sentence: str, exit_code: int) -> None:
    """One sentence with the server's own words where they can be read, and the next step."""
    trouble = refused(status, body)
    assert (str(trouble), trouble.exit_code) == (sentence, exit_code)


@pytest.mark.parametrize(
    ("code", "reason", "error", "sentence"),
    [
        (
            3000,
            "",
            Error("no such key"),
            "the server ended the stream (code 3000): no such key; give a valid key with --key or ROUTERAUDIO_KEY",
        ),
        (1013, "", None, "the server ended the stream (code 1013); try again later"),
        (1009, "too big", None, "the server ended the stream (code 1009): too big; send smaller messages"),
        (4999, "", None, "the server ended the stream (code 4999); look at the daemon's log"),
        (1000, "", Error("no"), "the server ended the stream (code 1000): no; look at the daemon's log"),
        (1006, "", None, "the connection was lost; run the command again"),
        (None, "", None, "the connection was lost; run the command again"),
    ],
)
def test_ended(code: int | None, reason: str, error: Error | None, sentence: str) -> None:
    """Every close but a good one is a failure that says what to do."""
    trouble = ended(code, reason, error)
    assert trouble is not None
    assert (str(trouble), trouble.exit_code) == (sentence, FAILED)


def test_ended_well() -> None:
    """1000 without an error message is success."""
    assert ended(1000, "", None) is None


def test_long_words_are_cut() -> None:
    """A server cannot fill the terminal."""
    trouble = ended(1011, "", Error("x" * 100_000))
    assert len(str(trouble)) < WORDS_MAX + 100
