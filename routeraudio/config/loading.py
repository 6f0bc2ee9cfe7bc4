"""Reading the configuration: file, environment, checks, and the files it names."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, cast

import msgspec

from routeraudio.config.checks import check
from routeraudio.config.decode import decode
from routeraudio.config.environment import overlay
from routeraudio.config.files import (
    Folders,
    check_admin_key,
    check_secret,
    check_server_secret,
    read_text,
    ways,
)
from routeraudio.config.schema import Access, Config, Provider, Server, Wyoming
from routeraudio.config.secret import Secret
from routeraudio.config.source import NO_FILE, Source
from routeraudio.config.source import Path as Place
from routeraudio.config.state import placed
from routeraudio.model.errors import ConfigFault
from routeraudio.providers.catalog import PROVIDERS

FILE_BYTES_MAX: Final = 1_048_576
"""Ten thousand keys need less."""


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """The configuration, complete and checked: credentials are read, files found, names known.

    Args:
        path: the TOML file; None: defaults and environment only.
        environ: usually `os.environ`.

    Raises:
        ConfigFault: naming file or variable, key, what came and what is allowed.
    """
    source = overlay(_read(path), environ)
    config = cast(Config, decode(Config, source.values, (), source))
    check(config, source, tuple(PROVIDERS))
    beside = Path() if path is None else path.parent
    files = _Files(source, Folders(beside, environ), environ)
    return msgspec.structs.replace(
        config,
        server=files.server(config.server),
        access=files.access(config.access),
        store=placed(config.store, beside, environ),
        providers={name: files.provider(name, provider) for name, provider in config.providers.items()},
        wyoming=tuple(files.wyoming(at, listener) for at, listener in enumerate(config.wyoming)),
    )


def _read(path: Path | None) -> Source:
    if path is None:
        return Source({}, NO_FILE)
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
        if len(content) > FILE_BYTES_MAX:
            raise ConfigFault(
                f"{path}: has more than {FILE_BYTES_MAX} bytes; expected a configuration in TOML"
            )
        return Source(tomllib.loads(content.decode()), str(path))
    except OSError as error:
        raise ConfigFault(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigFault(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigFault(f"{path}: is not TOML: {error}") from None
    except RecursionError:
        raise ConfigFault(f"{path}: is nested too deeply") from None


class _Files:
    """Puts found paths and credentials in the place of names."""

    def __init__(self, source: Source, folders: Folders, environ: Mapping[str, str]) -> None:
        self._source = source
        self._folders = folders
        self._environ = environ

    def server(self, server: Server) -> Server:
        return msgspec.structs.replace(
            server,
            tls_certificate=self._path(("server", "tls_certificate"), server.tls_certificate),
            tls_key=self._path(("server", "tls_key"), server.tls_key),
            certificates=tuple(
                msgspec.structs.replace(
                    one,
                    certificate=self._found(
                        ("server", "certificates", number, "certificate"), one.certificate
                    ),
                    key=self._found(("server", "certificates", number, "key"), one.key),
                )
                for number, one in enumerate(server.certificates)
            ),
        )

    def access(self, access: Access) -> Access:
        return msgspec.structs.replace(
            access,
            admin_key=self._secret(("access",), access, "admin_key", check_admin_key),
            token_secret=self._secret(("access",), access, "token_secret", check_server_secret),
        )

    def provider(self, name: str, provider: Provider) -> Provider:
        path = ("providers", name)
        return msgspec.structs.replace(
            provider,
            api_key=self._secret(path, provider, "api_key", check_secret),
            ca_file=self._path((*path, "ca_file"), provider.ca_file),
            models=tuple(
                msgspec.structs.replace(model, path=self._path((*path, "models", "path"), model.path))
                for model in provider.models
            ),
        )

    def wyoming(self, at: int, listener: Wyoming) -> Wyoming:
        key = self._secret(("wyoming", at), listener, "api_key", check_secret)
        return msgspec.structs.replace(listener, api_key=key)

    def _path(self, path: Place, name: str | None) -> str | None:
        return None if name is None else self._found(path, name)

    def _found(self, path: Place, name: str) -> str:
        try:
            return str(self._folders.find(name))
        except ValueError as error:
            raise self._source.fault(path, str(error)) from None

    def _secret(
        self, path: Place, table: Access | Provider | Wyoming, name: str, check: Callable[[str], str]
    ) -> Secret | None:
        """One of three ways; an unreadable one is an error now, not with the first session."""
        given = [way for way in ways(name) if getattr(table, way) is not None]
        if not given:
            return None
        path = (*path, given[-1])
        if len(given) > 1:
            raise self._source.fault(path, f"stands beside {given[0]}; keep one of the two")
        try:
            return Secret(check(self._read(given[0], getattr(table, given[0]))))
        except ValueError as error:
            raise self._source.fault(path, str(error)) from None

    def _read(self, way: str, value: str | Secret) -> str:
        if isinstance(value, Secret):
            return value.reveal()
        if way.endswith("_file"):
            return read_text(self._folders.find(value))
        if value not in self._environ:
            raise ValueError("the environment variable it names is not set")
        return self._environ[value]
