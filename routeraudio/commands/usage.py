"""`routeraudio usage`: what the ledger says."""

import csv
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from routeraudio.api.usage_report import SUMS, Report, parse, read, sums, view
from routeraudio.commands.admin_store import open_admin_store
from routeraudio.commands.errors import DONE
from routeraudio.commands.errors import usage as misuse


def usage(
    *,
    config: Path | None = None,
    by: str = "key,provider,model",
    account: str | None = None,
    key: str | None = None,
    provider: str | None = None,
    since: str | None = None,
    until: str | None = None,
    csv: bool = False,
    json: bool = False,
) -> int:
    """Show what was used and what it costs. Works while the daemon runs and while it does not.

    Parameters
    ----------
    config
        The daemon's configuration file; without one, defaults and the environment.
    by
        What to add up by, with commas between: key, account, provider, model, day, session.
    account
        Only this account.
    key
        Only the key of this id.
    provider
        Only this provider.
    since
        Only streams that began then or later: 2027-01-31, 2027-01-31T12:00:00Z; UTC unless it says otherwise.
    until
        Only streams that began before.
    csv
        Print CSV: one line per row and one that begins with "total".
    json
        Print JSON: rows and a total.
    """
    given = {
        "by": by,
        "account": account,
        "key": key,
        "provider": provider,
        "since": since,
        "until": until,
    }
    try:
        query = parse({name: value for name, value in given.items() if value is not None})
    except ValueError as error:
        raise misuse(f"--{error}") from None
    with open_admin_store(config) as admin:
        report = read(admin.store, query)
    if json:
        print(msgspec.json.encode(view(report)).decode())
    elif csv:
        _write_csv(report)
    else:
        Console().print(_table(report))
    return DONE


def _write_csv(report: Report) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*report.by, *SUMS])
    for row in report.rows:
        writer.writerow([*row.group.values(), *sums(row).values()])
    writer.writerow(["total", *[""] * (len(report.by) - 1), *sums(report.total).values()])


def _table(report: Report) -> Table:
    table = Table(*report.by, show_footer=True, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in table.columns:
        column.overflow = "fold"
    table.columns[0].footer = "total"
    for name, value in sums(report.total).items():
        table.add_column(name.replace("_", " "), footer=_short(value), justify="right", overflow="fold")
    for row in report.rows:
        table.add_row(*row.group.values(), *map(_short, sums(row).values()))
    return table


def _short(value: object) -> str:
    """Amounts to a millionth of a dollar, for a terminal's width; CSV and JSON have them whole."""
    return f"{Decimal(value):.6f}" if isinstance(value, str) else str(value)
