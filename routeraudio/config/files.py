"""Files the configuration names: where they are looked for, and what is read from them."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SECRET_BYTES_MAX: Final = 4096
"""The longest provider keys (signed tokens) stay under 2 KiB."""

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


def read_secret(path: Path) -> str:
    """The one line of a key file.

    Raises:
        ValueError: saying what is wrong with the file, without its content.
    """
    try:
        with path.open("rb") as file:
            content = file.read(SECRET_BYTES_MAX + 1)
    except OSError as error:
        raise ValueError(f"the file it names cannot be read: {error.strerror}") from None
    return check_secret(content.decode("latin-1").strip())


def check_secret(text: str) -> str:
    """The text itself when it can be a provider key.

    Raises:
        ValueError: saying what is wrong, without the text.
    """
    if text == "":
        raise ValueError("is empty; expected a provider key")
    if len(text) > SECRET_BYTES_MAX:
        raise ValueError(f"is too long for a provider key (over {SECRET_BYTES_MAX} bytes)")
    if _SECRET.fullmatch(text) is None:
        raise ValueError("expected one word of printable ASCII characters, without spaces or line breaks")
    return text


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False  # over-long names, or a folder we may not enter
