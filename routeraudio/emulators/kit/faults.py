"""What an emulator does wrong on request.

Faults are asked for in two ways:

* for every connection, by the `Faults` an emulator is started with (`--fault drop-3` on the command line);
* for one connection, by its **API key**: a key `fault-drop-3` is accepted and drops that connection after
  three seconds of audio. A key travels unchanged through every adapter and through the daemon, whether it
  is stored in the configuration or brought by the client, so no code on the way has to know about faults.

Several are joined with `+`: `fault-delay-2+refuse-429`. The names:

    refuse-STATUS   answer the upgrade with this HTTP status in the vendor's own words
    delay-S         wait before answering the upgrade
    stall           accept, read everything, never say a word
    garbage-KIND    answer the first audio with nonsense: text (not JSON), binary, utf8 (invalid UTF-8 in
                    a text message), types (JSON of the vendor with wrong types)
    drop-S          reset the TCP connection after S seconds of audio
    deaf-S          stop reading the socket after S seconds of audio: the client feels back-pressure
    early-S         close with 1000 after S seconds of audio, without finals
    endless         ignore the end-of-stream message and never close
"""

from typing import Final, Literal, get_args

import msgspec

KEY_PREFIX: Final = "fault-"

REFUSALS: Final = (400, 401, 402, 403, 404, 429, 500, 502, 503)

SECONDS_MAX: Final = 3600.0
"""Longer than any test; keeps a mistyped number from making a connection immortal."""

Garbage = Literal["text", "binary", "utf8", "types"]


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Misbehaviour of one connection. Seconds count *audio* received, except `delay_s`."""

    refuse: int | None = None
    delay_s: float = 0.0
    stall: bool = False
    garbage: Garbage | None = None
    drop_after_s: float | None = None
    deaf_after_s: float | None = None
    early_after_s: float | None = None
    endless: bool = False


NONE: Final = Faults()

_SECONDS: Final = {
    "delay": "delay_s",
    "drop": "drop_after_s",
    "deaf": "deaf_after_s",
    "early": "early_after_s",
}
_FLAGS: Final = ("stall", "endless")
_NAMES: Final = (
    "refuse-STATUS, delay-S, stall, garbage-KIND, drop-S, deaf-S, early-S, endless, several joined with +"
)


def parse_faults(text: str, base: Faults = NONE) -> Faults:
    """Read `drop-3+delay-2` on top of ``base``.

    Raises:
        ValueError: an unknown name or a bad value; says what is allowed.
    """
    fields = msgspec.structs.asdict(base)
    for part in text.split("+"):
        name, _, value = part.partition("-")
        fields |= _field(name, value)
    return Faults(**fields)


def faults_of_key(key: str | None, base: Faults) -> Faults:
    """The faults of a connection that came with this key: ``base`` for every ordinary key.

    Raises:
        ValueError: the key starts like a fault and names none.
    """
    if key is None or not key.startswith(KEY_PREFIX):
        return base
    return parse_faults(key.removeprefix(KEY_PREFIX), base)


def _field(name: str, value: str) -> dict[str, object]:
    if name in _FLAGS and not value:
        return {name: True}
    if name in _SECONDS:
        return {_SECONDS[name]: _seconds(name, value)}
    if name == "garbage":
        return {"garbage": _choice(name, value, get_args(Garbage))}
    if name == "refuse":
        return {"refuse": int(_choice(name, value, tuple(map(str, REFUSALS))))}
    raise ValueError(f"there is no fault {name!r}; allowed: {_NAMES}")


def _seconds(name: str, value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= SECONDS_MAX:  # also refuses nan
        raise ValueError(
            f"fault {name} needs seconds from 0 to {SECONDS_MAX:g}, as in {name}-3; got {value!r}"
        )
    return seconds


def _choice(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"fault {name} needs one of {', '.join(allowed)}; got {value!r}")
    return value
