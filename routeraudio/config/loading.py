"""Reading the configuration: file, environment, checks, and the files it names."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

import msgspec

from routeraudio.config.checks import check
from routeraudio.config.decode import decode
from routeraudio.config.environment import overlay
from routeraudio.config.files import Folders, check_secret, read_secret
from routeraudio.config.schema import Config, Provider, Server
from routeraudio.config.secret import Secret
from routeraudio.config.source import NO_FILE, Source
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
    files = _Files(source, Folders(Path() if path is None else path.parent, environ), environ)
    return msgspec.structs.replace(
        config,
        server=files.server(config.server),
        providers={name: files.provider(name, provider) for name, provider in config.providers.items()},
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
        )

    def provider(self, name: str, provider: Provider) -> Provider:
        return msgspec.structs.replace(
            provider,
            api_key=self._credential(name, provider),
            ca_file=self._path(("providers", name, "ca_file"), provider.ca_file),
        )

    def _path(self, path: tuple[str, ...], name: str | None) -> str | None:
        if name is None:
            return None
        try:
            return str(self._folders.find(name))
        except ValueError as error:
            raise self._source.fault(path, str(error)) from None

    def _credential(self, name: str, provider: Provider) -> Secret | None:
        """One of three ways; an unreadable one is an error now, not with the first session."""
        ways = [
            key for key in ("api_key", "api_key_file", "api_key_env") if getattr(provider, key) is not None
        ]
        if not ways:
            return None
        path = ("providers", name, ways[-1])
        if len(ways) > 1:
            raise self._source.fault(path, f"stands beside {ways[0]}; keep one of the two")
        try:
            return Secret(self._secret(provider))
        except ValueError as error:
            raise self._source.fault(path, str(error)) from None

    def _secret(self, provider: Provider) -> str:
        if provider.api_key_file is not None:
            return read_secret(self._folders.find(provider.api_key_file))
        if provider.api_key_env is not None:
            if provider.api_key_env not in self._environ:
                raise ValueError("the environment variable it names is not set")
            return check_secret(self._environ[provider.api_key_env])
        assert provider.api_key is not None
        return check_secret(provider.api_key.reveal())
