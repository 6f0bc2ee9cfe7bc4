"""Usage as people and programs read it: sums over the ledger, asked for with the same names everywhere."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, cast, get_args

import msgspec

from routeraudio.auth.requests import stamp
from routeraudio.policy.pricing import shown_rows_usd, shown_usd
from routeraudio.store.contract import REPORT_S, Group, Store, UsageQuery, UsageRow

GROUPS: Final[tuple[str, ...]] = get_args(Group)

PARAMETERS: Final = ("by", "account", "key", "provider", "since", "until")

SUMS: Final = ("sessions", "cycles", "audio_seconds", "connected_seconds", "replayed_seconds", "amount_usd")


class Report(msgspec.Struct, frozen=True):
    """What was used."""

    by: tuple[str, ...]
    rows: list[UsageRow]
    total: UsageRow


def parse(given: Mapping[str, str]) -> UsageQuery:
    """The query that these parameters ask for.

    Raises:
        ValueError: naming the parameter and what is allowed.
    """
    for name in given:
        if name not in PARAMETERS:
            raise ValueError(f"unknown parameter; allowed are {', '.join(PARAMETERS)}")
    by = tuple(given.get("by", "key,provider,model").split(","))
    if not set(by) <= set(GROUPS) or len(set(by)) < len(by):
        raise ValueError(f"by: expected some of {', '.join(GROUPS)}, with commas between")
    return UsageQuery(
        by=cast(tuple[Group, ...], by),
        account=given.get("account"),
        key_id=given.get("key"),
        provider=given.get("provider"),
        since_s=_stamp(given, "since"),
        until_s=_stamp(given, "until"),
    )


def read(store: Store, query: UsageQuery, *, within_s: float = REPORT_S) -> Report:
    """Ask the ledger. The total is what the rows add up to.

    Raises:
        ReportTooLong: it took longer than ``within_s``.
    """
    rows = store.usage(query, within_s=within_s)
    amounts = shown_rows_usd([row.amount_units for row in rows])
    rows = [
        msgspec.structs.replace(row, amount_usd=amount) for row, amount in zip(rows, amounts, strict=True)
    ]
    units = sum(row.amount_units for row in rows)
    total = UsageRow(
        group={},
        sessions=sum(row.sessions for row in rows),
        cycles=sum(row.cycles for row in rows),
        audio_ms=sum(row.audio_ms for row in rows),
        connected_ms=sum(row.connected_ms for row in rows),
        replayed_ms=sum(row.replayed_ms for row in rows),
        amount_units=units,
        amount_usd=shown_usd(units),
    )
    return Report(query.by, rows, total)


def view(report: Report) -> dict[str, object]:
    """As JSON: amounts as texts with every digit, times as numbers of seconds."""
    rows = [row.group | sums(row) for row in report.rows]
    return {"by": report.by, "rows": rows, "total": sums(report.total)}


def sums(row: UsageRow) -> dict[str, object]:
    """What a row adds up, under the names of `SUMS`."""
    return {
        "sessions": row.sessions,
        "cycles": row.cycles,
        "audio_seconds": row.audio_ms / 1000,
        "connected_seconds": row.connected_ms / 1000,
        "replayed_seconds": row.replayed_ms / 1000,
        "amount_usd": plain(row.amount_usd),
    }


def plain(amount_usd: Decimal) -> str:
    """An amount without an exponent and without zeros at its end."""
    text = f"{amount_usd:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _stamp(given: Mapping[str, str], name: str) -> float | None:
    try:
        return float(stamp(given[name])) if name in given else None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
