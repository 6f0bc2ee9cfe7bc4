"""`routeraudio serve`: the daemon."""

from pathlib import Path

from routeraudio import daemon


def serve(*, config: Path | None = None) -> int:
    """Run the daemon until SIGTERM or Ctrl-C.

    Parameters
    ----------
    config
        The configuration file; without one, defaults and the environment.
    """
    return daemon.main(config)
