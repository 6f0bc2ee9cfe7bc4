"""The certificates of our own listeners: loaded at start, looked at again while the daemon runs.

A renewed certificate must reach new connections without a restart, or a daemon that runs for a year serves one that has
expired. So listeners ask `Certificates.context` for each connection, and a look at the files every minute and every
reload put the new ones in place. Files that cannot be used change nothing: the old certificate is served on.
"""

import os
import ssl
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509

from routeraudio.model.errors import ConfigFault
from routeraudio.transport.tls import server_context

LOOK_S: Final = 60.0
"""Between two looks at the files. ACME clients renew weeks ahead; a minute is for whoever replaces one by hand."""

EXPIRES_SOON_S: Final = 14 * 86_400.0
"""ACME clients renew with 30 days to go: two weeks left means that renewal has failed for two weeks."""


class Files(msgspec.Struct, frozen=True):
    """One certificate chain and its private key, as PEM files."""

    certificate: Path
    key: Path


class Certificates:
    """TLS contexts by server name (SNI). The first certificate serves names that none of them is for.

    Raises:
        ConfigFault: a file cannot be used.
    """

    def __init__(self, files: Sequence[Files]) -> None:
        self._files = tuple(files)
        self._state = _Loaded.read(self._files)

    @property
    def context(self) -> ssl.SSLContext:
        """What a new connection shakes hands with."""
        return self._state.context

    @property
    def expires_at(self) -> float:
        """Unix time at which the first of them expires."""
        return self._state.expires_at

    def is_changed(self) -> bool:
        """Whether a file is another one than was read."""
        return _signature(self._files) != self._state.signature

    def reload(self, files: Sequence[Files] | None = None) -> None:
        """Read the files again, or other ones. Connections that are open keep what they have.

        Raises:
            ConfigFault: a file cannot be used; nothing has changed.
        """
        new = self._files if files is None else tuple(files)
        self._state = _Loaded.read(new)
        self._files = new


class _Loaded(msgspec.Struct, frozen=True):
    """What was read at one time."""

    context: ssl.SSLContext
    expires_at: float
    signature: tuple[object, ...]

    @classmethod
    def read(cls, files: Sequence[Files]) -> "_Loaded":
        signature = _signature(files)
        contexts = [server_context(one.certificate, one.key) for one in files]
        leaves = [_leaf(one.certificate) for one in files]
        by_name = {
            name: context
            for leaf, context in reversed(list(zip(leaves, contexts, strict=True)))
            for name in _names(leaf)
        }
        if len(contexts) > 1:

            def chosen(connection: ssl.SSLObject, name: str | None, _default: ssl.SSLContext) -> None:
                if name is not None and (context := _serving(by_name, name)) is not None:
                    connection.context = context

            contexts[0].sni_callback = chosen
        expires_at = min(_timestamp(leaf.not_valid_after_utc) for leaf in leaves)
        return cls(contexts[0], expires_at, signature)


def _serving(by_name: dict[str, ssl.SSLContext], name: str) -> ssl.SSLContext | None:
    """The context for a name, itself or by a wildcard for its first label (RFC 6125, 6.4.3)."""
    name = name.lower()
    return by_name.get(name) or by_name.get("*." + name.partition(".")[2])


def _names(leaf: x509.Certificate) -> list[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []  # serves only as the first one
    return [name.lower() for name in names.get_values_for_type(x509.DNSName)]


def _leaf(certificate: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    except (OSError, ValueError) as error:
        raise ConfigFault(
            f"server.tls_certificate: {certificate} cannot be read as PEM certificates ({type(error).__name__})"
        ) from error


def _signature(files: Sequence[Files]) -> tuple[object, ...]:
    """Changes whenever a file is replaced or written; None in the place of one that is not there."""
    return tuple(_stat(path) for one in files for path in (one.certificate, one.key))


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _timestamp(moment: datetime) -> float:
    return moment.timestamp()
