"""`routeraudio emulate`: a stand-in for a provider, for tests and for working without a key."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from routeraudio.commands import services
from routeraudio.commands.trouble import usage
from routeraudio.emulators import deepgram, faults, script
from routeraudio.model.errors import ConfigFault

Vendor = Literal["deepgram"]

SERVES: Final[dict[Vendor, Callable[..., Awaitable[Any]]]] = {"deepgram": deepgram.serve}


def emulate(
    vendor: Vendor,
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
        Whose service.
    host
        Address to listen on.
    port
        Port to listen on; 0 takes any free one, which is printed.
    script
        A JSON file with the answers to give instead of listening.
    fault
        What goes wrong on every connection: refuse-STATUS, delay-S, stall, garbage-KIND, drop-S, deaf-S, early-S,
        endless; several joined with +.
    """
    service = partial(SERVES[vendor], host=host, port=port, script=_script(script), faults=_faults(fault))
    return services.run(service, f"{vendor} emulator", host)


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
