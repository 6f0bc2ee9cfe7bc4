"""`routeraudio version`."""

import platform
from importlib.metadata import version as installed

from routeraudio import __version__
from routeraudio.commands.errors import DONE


def version() -> int:
    """Show versions, for reports of faults."""
    packages = "  ".join(f"{name} {installed(name)}" for name in ("trio", "websockets"))
    print(f"routeraudio {__version__}  Python {platform.python_version()}  {packages}")
    return DONE
