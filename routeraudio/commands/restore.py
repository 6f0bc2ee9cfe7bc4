"""`routeraudio restore`."""

from routeraudio.commands.backup import restore

__all__ = ["restore"]
