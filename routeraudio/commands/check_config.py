"""`routeraudio check-config`: is this configuration one the daemon would start with?"""

import os
from collections.abc import Mapping
from pathlib import Path

from routeraudio.commands.errors import DONE, usage
from routeraudio.config.loading import load
from routeraudio.config.schema import Config, Provider, credential
from routeraudio.model.errors import ConfigFault
from routeraudio.providers.catalog import PROVIDERS


def check_config(*, config: Path | None = None) -> int:
    """Read a configuration as the daemon would, with the environment; exit 0 when it can be used, else 2.

    Parameters
    ----------
    config
        The configuration file; without one, defaults and the environment.
    """
    loaded = checked(config)
    print(f"{config or 'defaults and environment'}: valid; {_summary(loaded)}")
    return DONE


def checked(config: Path | None, environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration as the daemon would read it.

    Raises:
        Trouble: it cannot be used.
    """
    try:
        return load(config, environ)
    except ConfigFault as fault:
        raise usage(str(fault)) from None


def _summary(config: Config) -> str:
    """What an operator compares with what was meant; never a secret."""
    providers = [f"{name} ({_key(name, provider)})" for name, provider in sorted(config.providers.items())]
    return (
        f"listens on {', '.join(config.server.bind)}; "
        f"providers: {', '.join(providers) or 'none configured'}; router keys: {len(config.keys)}"
    )


def _key(name: str, provider: Provider) -> str:
    if not PROVIDERS[name].needs_key:
        return "needs no key"
    return "stored key" if credential(provider) else "no stored key"
