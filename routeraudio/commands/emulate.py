"""`routeraudio emulate`: stand-ins for providers, for tests and for working without a key."""

from functools import partial
from pathlib import Path
from typing import Final

import trio

from routeraudio.commands import services
from routeraudio.commands.errors import usage
from routeraudio.emulators.catalog import EMULATORS
from routeraudio.emulators.kit import faults, script
from routeraudio.emulators.kit.hearing import EngineHear
from routeraudio.engine.pool import open_pool
from routeraudio.model.errors import ConfigFault

ALL: Final = "all"


def emulate(
    vendor: str,
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    script: Path | None = None,
    fault: str | None = None,
) -> int:
    """Run a stand-in for a provider until Ctrl-C.

    It checks what it is sent as the real service would and answers with what the local engine hears. Every key is
    good except those that begin with "bad"; a key such as fault-drop-3 asks for a fault on that connection.

    Parameters
    ----------
    vendor
        Whose service, by the catalogue's name; "all" starts every one and prints a configuration that points there.
    host
        Address to listen on.
    port
        Port to listen on; 0 takes any free one, which is printed. With "all" the first of as many.
    script
        A JSON file with the answers to give instead of listening.
    fault
        What goes wrong on every connection: refuse-STATUS, delay-S, stall, garbage-KIND, drop-S, deaf-S, early-S,
        endless; several joined with +.
    """
    asked = _faults(fault)
    if vendor == ALL:
        if script is not None:
            raise usage("--script: a script is written for one vendor; name it instead of all")
        return services.run_all(partial(_serve_all, host=host, port=port, faults=asked))
    if vendor not in EMULATORS:
        raise usage(f"no emulator for {vendor!r}; there are {', '.join(EMULATORS)} and {ALL}")
    service = partial(EMULATORS[vendor], host=host, port=port, script=_script(script), faults=asked)
    return services.run(service, f"{vendor} emulator", host)


async def _serve_all(
    *, host: str, port: int, faults: faults.Faults, task_status: trio.TaskStatus[str]
) -> None:
    """Every emulator, with one engine for all. Started with a configuration that points at them."""
    tables: list[str] = []
    async with open_pool() as pool, trio.open_nursery() as nursery:
        for number, (name, serve) in enumerate(EMULATORS.items()):
            chosen = port + number if port else 0
            bound = await nursery.start(
                partial(serve, host=host, port=chosen, faults=faults, hear=EngineHear(pool))
            )
            url = f"ws://{f'[{host}]' if ':' in host else host}:{bound}"
            tables.append(f'[providers.{name}]\nurl = "{url}"\napi_key = "emulated"\n')
        task_status.started("\n".join(tables))


def _script(path: Path | None) -> script.Script | None:
    try:
        return None if path is None else script.load_script(path)
    except ConfigFault as fault:
        raise usage(f"--script: {fault}") from None


def _faults(text: str | None) -> faults.Faults:
    try:
        return faults.NONE if text is None else faults.parse_faults(text)
    except ValueError as error:
        raise usage(f"--fault: {error}") from None
