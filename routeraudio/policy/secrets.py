"""The server's secret, and what is derived from it: one pepper, one signing key and one webhook secret per purpose.

The secret is one or several lines, `kid:secret` or the secret alone. The first line makes, every line verifies: a new
line goes first, and the old ones stay as long as something made with them is in use. That is an hour for tokens, and
as long as they live for router keys, whose hashes carry the pepper of the line they were made under.

Each use has a key of its own (HKDF, RFC 5869), so that none tells anything about another.
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET_BYTES_MIN: Final = 32
"""256 bits when random: what HMAC-SHA256 can use (RFC 7518 3.2)."""

LINES_MAX: Final = 8
"""A key's hash is compared under each."""

DERIVED_BYTES: Final = 32

_LINE: Final = re.compile(r"(?:(?P<kid>[A-Za-z0-9._-]{1,32}):)?(?P<secret>[\x21-\x7e]+)")


class ServerSecret(msgspec.Struct, frozen=True):
    """One line."""

    kid: str
    """Stands in the head of tokens made with it; not secret."""
    secret: bytes

    def __repr__(self) -> str:
        return f"ServerSecret({self.kid!r}, …)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """For pretty printers, which do not ask `__repr__`."""
        return [("kid", self.kid)]


def parse(text: str) -> tuple[ServerSecret, ...]:
    """The lines of a secret file; empty ones and those that begin with `#` say nothing.

    Raises:
        ValueError: saying what is wrong and in which line, without the text.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    found = [_line(number, line) for number, line in lines if line and not line.startswith("#")]
    if not found:
        raise ValueError(f"is empty; expected at least {SECRET_BYTES_MIN} random bytes, as text")
    if len(found) > LINES_MAX:
        raise ValueError(f"has {len(found)} secrets; expected at most {LINES_MAX}")
    if len({one.kid for one in found}) < len(found):
        raise ValueError("names the same key id twice; expected a new one for each secret")
    return tuple(found)


class Secrets:
    """What this daemon signs and hashes with. Every node of a fleet has the same."""

    def __init__(self, lines: Sequence[ServerSecret]) -> None:
        self.signing_kid: Final = lines[0].kid
        self.token_keys: Final = {line.kid: _derive(line.secret, "token") for line in lines}
        """By key id; the one of `signing_kid` signs."""
        self.peppers: Final = tuple(_derive(line.secret, "pepper") for line in lines)
        """The first is for new hashes."""
        self.fingerprints: Final = tuple(_derive(line.secret, "fingerprint")[:8].hex() for line in lines)
        """Tells one secret from another and gives nothing of it away; kept in the database."""
        self._secret: Final = lines[0].secret

    def derive(self, purpose: str) -> bytes:
        """A key for one purpose, 32 bytes, from the first line."""
        return _derive(self._secret, purpose)

    def webhook_secret(self, account: str) -> bytes:
        """What an account's webhooks are signed with."""
        return self.derive(f"webhook/{account}")

    def __repr__(self) -> str:
        return f"Secrets(signing_kid={self.signing_kid!r}, …)"


def _line(number: int, line: str) -> ServerSecret:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(
            f"line {number}: expected kid:secret or a secret alone, printable ASCII without spaces"
        )
    secret = match["secret"].encode()
    if len(secret) < SECRET_BYTES_MIN:
        raise ValueError(f"line {number}: the secret has less than {SECRET_BYTES_MIN} bytes")
    return ServerSecret(match["kid"] or _derive(secret, "kid")[:4].hex(), secret)


def _derive(secret: bytes, purpose: str) -> bytes:
    info = f"routeraudio/1/{purpose}".encode()
    return HKDF(algorithm=SHA256(), length=DERIVED_BYTES, salt=None, info=info).derive(secret)
