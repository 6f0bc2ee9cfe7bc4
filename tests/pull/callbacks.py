"""A task and what is posted about it."""

from decimal import Decimal

from routeraudio.pull.outbox import Callback
from routeraudio.pull.record import Ending, Record

VERBATIM = '{"type" : "Turn",  "n":1.50, "s":"\\u00e9", "big":12345678901234567890, "n":2}'


def record(*, is_raw: bool = False) -> Record:
    return Record(
        task_id="3d0c",
        account="acme",
        key_id="k",
        provider="assemblyai",
        model=None,
        audio_url="rtmp://media.example/live",
        callback_url="https://hook.example/",
        is_raw=is_raw,
        price_per_hour_usd=Decimal("0.15"),
        started_at_s=0.0,
    )


def callback(message: str | bytes = VERBATIM, ending: Ending | None = None, position_ms: int = 0) -> Callback:
    return Callback(number=1, position_ms=position_ms, message=message, ending=ending)
