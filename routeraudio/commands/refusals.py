"""Refusals and close codes in words, with the next step."""

from collections.abc import Mapping
from typing import Final

import msgspec

from routeraudio.commands.errors import FAILED, USAGE, Trouble
from routeraudio.commands.wire import Error

WORDS_MAX: Final = 300
"""Characters of a server's own words that are repeated."""

STATUS_STEPS: Final[Mapping[int, str]] = {
    401: "give a valid key with --key or ROUTERAUDIO_KEY",
    403: "use a key that may do this",
    404: "check --url: there is no /v1/listen at that address",
    426: "check --url: there is no WebSocket at that address",
    429: "try again later",
    503: "try again later",
}

CLOSE_STEPS: Final[Mapping[int, str]] = {
    1003: "check the audio and --encoding",
    1008: "look at the daemon's log",
    1009: "send smaller messages",
    1011: "look at the daemon's log",
    1012: "the daemon is stopping or restarting: run the command again",
    1013: "try again later",
    3000: "give a valid key with --key or ROUTERAUDIO_KEY",
    3003: "use a key that may do this",
    3008: "keep the audio flowing",
    4040: "try another --provider, or look at the daemon's log",
}

NORMAL: Final = 1000


class _Refusal(msgspec.Struct):
    error: str
    parameter: str | None = None


def refused(status: int, body: bytes) -> Trouble:
    """An HTTP answer instead of the upgrade; the daemon says in JSON which parameter is wrong."""
    try:
        refusal = msgspec.json.decode(body, type=_Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        refusal = _Refusal("")
    step = STATUS_STEPS.get(status, "look at the daemon's log")
    if refusal.parameter is not None:
        step = f"correct --{refusal.parameter[:WORDS_MAX].replace('_', '-')}"
    return Trouble(
        f"the server refused the request (HTTP {status}){_words(refusal.error)}; {step}",
        exit_code=USAGE if status == 400 and refusal.parameter is not None else FAILED,
    )


def ended(code: int | None, reason: str, error: Error | None) -> Trouble | None:
    """What a close means; None: all is well.

    Args:
        code: the close code; 1006 or None without a close frame.
        error: the error message that came before, if any.
    """
    if code == NORMAL and error is None:
        return None
    if code in (None, 1006) and error is None:
        return Trouble("the connection was lost; run the command again")
    step = CLOSE_STEPS.get(code or 0, "look at the daemon's log")
    words = reason if error is None else error.error
    return Trouble(f"the server ended the stream (code {code}){_words(words)}; {step}")


def _words(text: str) -> str:
    plain = "".join(character if character.isprintable() else " " for character in text[:WORDS_MAX]).strip(
        " ."
    )
    return f": {plain}" if plain else ""
