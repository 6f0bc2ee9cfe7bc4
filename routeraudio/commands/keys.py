"""`routeraudio keys`: making router keys, changing them, and ending them."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table

from routeraudio.auth.key_admin import Made, Raw, view, view_made
from routeraudio.commands.admin_store import open_admin_store, pairs, split
from routeraudio.commands.errors import DONE, usage
from routeraudio.policy.keys import Key, Priority

NONE: Final = "none"
"""Takes a limit away."""


Several = Annotated[list[str] | None, Parameter(negative=())]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a key allows; what is not given has its default, or stays as it is.

    Parameters
    ----------
    account
        Whose limits it shares with other keys; one of its own otherwise.
    streams
        The gateway and stream pull.
    own_provider_keys
        A provider's own key beside this one.
    tokens
        Making tokens for it.
    providers
        Providers it may use, with commas between or one by one; "none": all.
    models
        Models it may use, alone or as provider/model, likewise; "none": all.
    origin
        Origins of web pages that may use it, as in https://app.example, likewise; "none": any.
    budget
        Dollars per day, per month or in total, as in 10/month; "none": no limit.
    concurrency
        Streams at the same time; "none": no limit.
    rate
        New streams per minute; "none": no limit.
    priority
        Who is refused first when the daemon is full.
    expires
        30d, 12h, or a date or time, UTC unless it says otherwise; "none": never.
    default_provider
        Serves clients that name no provider.
    webhook_url
        Where stream pull posts.
    metadata
        name=value; may be given several times.
    """

    account: str | None = None
    streams: bool | None = None
    own_provider_keys: bool | None = None
    tokens: bool | None = None
    providers: Several = None
    models: Several = None
    origin: Several = None
    budget: str | None = None
    concurrency: str | None = None
    rate: str | None = None
    priority: Priority | None = None
    expires: str | None = None
    default_provider: str | None = None
    webhook_url: str | None = None
    metadata: Several = None


Flat = Annotated[Options | None, Parameter(name="*")]

_NAMES: Final = {
    "origin": "origins",
    "concurrency": "concurrency_max",
    "rate": "sessions_per_minute_max",
    "expires": "expires_at",
}
"""Options whose field in the record has another name."""


def create(*, name: str, config: Path | None = None, json: bool = False, options: Flat = None) -> int:
    """Make a router key and show it, once.

    Parameters
    ----------
    name
        What people call it.
    config
        The daemon's configuration file; without one, defaults and the environment.
    json
        Print the key and its record as JSON.
    """
    with open_admin_store(config) as admin:
        made = admin.keyring.create({"name": name, **_raw(options)})
    _show_made(made, json=json)
    return DONE


def update(
    key_id: str,
    /,
    *,
    name: str | None = None,
    enabled: bool | None = None,
    config: Path | None = None,
    json: bool = False,
    options: Flat = None,
) -> int:
    """Change a router key. It acts within five seconds.

    Parameters
    ----------
    key_id
        Its id, as `routeraudio keys list` shows it.
    name
        What people call it.
    enabled
        Whether it opens anything.
    config
        The daemon's configuration file; without one, defaults and the environment.
    json
        Print the record as JSON.
    """
    raw = _raw(options)
    if name is not None:
        raw["name"] = name
    if enabled is not None:
        raw["disabled"] = not enabled
    if not raw:
        raise usage("nothing to change; routeraudio keys update --help shows what can be")
    with open_admin_store(config) as admin:
        key = admin.keyring.update(key_id, raw)
    _show(key, json=json)
    return DONE


def list_keys(*, account: str | None = None, config: Path | None = None, json: bool = False) -> int:
    """List router keys, without the keys themselves.

    Parameters
    ----------
    account
        Only this account's.
    config
        The daemon's configuration file; without one, defaults and the environment.
    json
        Print JSON instead of a table.
    """
    with open_admin_store(config) as admin:
        keys = admin.keyring.list(account)
    if json:
        _print_json({"keys": [view(key) for key in keys]})
    else:
        Console().print(_table(keys))
    return DONE


def show(key_id: str, /, *, config: Path | None = None, json: bool = False) -> int:
    """Show a router key's record, without the key itself.

    Parameters
    ----------
    key_id
        Its id, as `routeraudio keys list` shows it.
    config
        The daemon's configuration file; without one, defaults and the environment.
    json
        Print JSON instead of a table.
    """
    with open_admin_store(config) as admin:
        key = admin.keyring.get(key_id)
    _show(key, json=json)
    return DONE


def webhook_secret(key_id: str, /, *, config: Path | None = None, json: bool = False) -> int:
    """Show what callbacks of stream pull to this key's account are signed with, for their receiver to check them.

    Parameters
    ----------
    key_id
        Its id, as `routeraudio keys list` shows it.
    config
        The daemon's configuration file; without one, defaults and the environment.
    json
        Print JSON.
    """
    with open_admin_store(config) as admin:
        account = admin.keyring.get(key_id).account
        secret = admin.secrets.webhook_secret(account).hex()
    if json:
        _print_json({"account": account, "webhook_secret": secret})
    else:
        print(secret)
    return DONE


def disable(key_id: str, /, *, config: Path | None = None, json: bool = False) -> int:
    """Let a router key open nothing any more; `routeraudio keys update ID --enabled` takes it back.

    Parameters
    ----------
    key_id
        Its id, as `routeraudio keys list` shows it.
    config
        The daemon's configuration file; without one, defaults and the environment.
    json
        Print the record as JSON.
    """
    with open_admin_store(config) as admin:
        key = admin.keyring.disable(key_id)
    _show(key, json=json)
    return DONE


def rotate(key_id: str, /, *, config: Path | None = None, json: bool = False) -> int:
    """Make another key with the same id and limits, and show it, once. The old one opens nothing any more.

    Parameters
    ----------
    key_id
        Its id, as `routeraudio keys list` shows it.
    config
        The daemon's configuration file; without one, defaults and the environment.
    json
        Print the key and its record as JSON.
    """
    with open_admin_store(config) as admin:
        made = admin.keyring.rotate(key_id)
    _show_made(made, json=json)
    return DONE


def _raw(options: Options | None) -> Raw:
    """The options that were given, as fields of a `wishes.KeyWish`."""
    given = asdict(options or Options())
    return {_NAMES.get(name, name): _read(name, value) for name, value in given.items() if value is not None}


def _read(name: str, value: object) -> object:
    if value in (NONE, [NONE]):
        return None
    if isinstance(value, list):
        return pairs(value) if name == "metadata" else split(",".join(value))
    if name in ("concurrency", "rate"):
        return int(str(value)) if str(value).isdecimal() else value
    if name == "budget":
        usd, _, period = str(value).partition("/")
        return {"usd": usd, "period": period or "total"}
    return value


def _show_made(made: Made, *, json: bool) -> None:
    if json:
        _print_json(view_made(made))
        return
    # Plain text on a line of its own: it is copied from here.
    Console().print(
        Panel(
            Group(made.text, "", "This is the only time that the key is shown.", _record(made.key)),
            title=f"router key {made.key.id}",
            expand=False,
        ),
        soft_wrap=True,
    )


def _show(key: Key, *, json: bool) -> None:
    if json:
        _print_json(view(key))
    else:
        Console().print(_record(key))


def _record(key: Key) -> Table:
    table = Table(box=None, show_header=False)
    for name, value in view(key).items():
        table.add_row(name.replace("_", " "), value if isinstance(value, str) else _json(value))
    return table


def _table(keys: list[Key]) -> Table:
    columns = ("id", "name", "account", "state", "expires", "streams", "budget", "at once")
    table = Table(*columns, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in table.columns:
        column.overflow = "fold"
    table.columns[0].no_wrap = True
    for key in keys:
        terms, expires_at = key.terms, view(key)["expires_at"]
        table.add_row(
            key.id,
            key.name,
            key.account if key.account != key.id else "its own",
            "disabled" if key.is_disabled else "on",
            str(expires_at or "never").partition("T")[0],
            "yes" if terms.streams else "no",
            f"{terms.budget.usd}/{terms.budget.period}" if terms.budget else "none",
            str(terms.concurrency_max or "any"),
        )
    return table


def _print_json(value: object) -> None:
    print(_json(value))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
