"""Files the configuration names: where they are looked for, and what is read from them."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from routeraudio.policy import secrets

SECRET_BYTES_MAX: Final = 4096
"""The longest provider keys (signed tokens) stay under 2 KiB."""

ADMIN_KEY_CHARACTERS_MIN: Final = 16
"""Nothing slows a guesser's machine down but the daemon itself."""

SECRETS: Final = ("api_key", "admin_key", "token_secret")
"""Keys with three ways to give one thing: NAME itself, NAME_file and NAME_env."""

_SECRET = re.compile(r"[\x21-\x7e]+")
"""What may stand in an HTTP header without quoting."""


class Folders:
    """Where relative names are looked for: among systemd's credentials, then beside the configuration."""

    def __init__(self, beside: Path, environ: Mapping[str, str]) -> None:
        credentials = environ.get("CREDENTIALS_DIRECTORY")
        self._folders = [*([Path(credentials)] if credentials else []), beside.resolve()]

    def find(self, name: str) -> Path:
        """The absolute path of a readable file.

        Raises:
            ValueError: without the name itself, because people put secrets where a file name belongs.
        """
        candidates = [folder / name for folder in self._folders]
        found = next((path for path in candidates if _exists(path)), None)
        if found is None:
            looked = "" if Path(name).is_absolute() else " in " + " or ".join(map(str, self._folders))
            raise ValueError(f"the file it names does not exist{looked}")
        if not found.is_file() or not os.access(found, os.R_OK):
            raise ValueError(
                "the file it names cannot be read; check its permissions and those of its folder"
            )
        return found


def ways(name: str) -> tuple[str, str, str]:
    """The three keys that give one secret."""
    return (name, f"{name}_file", f"{name}_env")


def ways_to(key: str) -> tuple[str, ...]:
    """All ways to the secret that ``key`` is one of; none when it is no such key."""
    return next((ways(name) for name in SECRETS if key in ways(name)), ())


def read_text(path: Path) -> str:
    """The content of a file with a secret.

    Raises:
        ValueError: saying what is wrong with the file, without its content.
    """
    try:
        with path.open("rb") as file:
            content = file.read(SECRET_BYTES_MAX + 1)
    except OSError as error:
        raise ValueError(f"the file it names cannot be read: {error.strerror}") from None
    return content.decode("latin-1").strip()


def check_secret(text: str) -> str:
    """The text itself when it can be a key.

    Raises:
        ValueError: saying what is wrong, without the text.
    """
    if text == "":
        raise ValueError("is empty; expected a key")
    if len(text) > SECRET_BYTES_MAX:
        raise ValueError(f"is too long for a key (over {SECRET_BYTES_MAX} bytes)")
    if _SECRET.fullmatch(text) is None:
        raise ValueError("expected one word of printable ASCII characters, without spaces or line breaks")
    return text


def check_admin_key(text: str) -> str:
    """The text itself when it can open the administration.

    Raises:
        ValueError: saying what is wrong, without the text.
    """
    if len(text) < ADMIN_KEY_CHARACTERS_MIN:
        raise ValueError(f"has less than {ADMIN_KEY_CHARACTERS_MIN} characters, which can be guessed")
    return check_secret(text)


def check_server_secret(text: str) -> str:
    """The text itself when it can be the server's secret.

    Raises:
        ValueError: saying what is wrong, without the text.
    """
    if len(text) > SECRET_BYTES_MAX:
        raise ValueError(f"is too long for the server's secret (over {SECRET_BYTES_MAX} bytes)")
    secrets.parse(text)
    return text


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False  # over-long names, or a folder we may not enter
