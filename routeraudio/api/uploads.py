"""Forms with a recording in them: longer than other bodies, and kept in memory, never on a disk."""

import os
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import IO, Any, Final, cast

from quart import request
from quart.formparser import FormDataParser
from quart_trio.wrappers.request import TrioRequest

FIELDS_BYTES: Final = 65_536
"""Of a form, beside its file."""

PARTS_MAX: Final = 128
"""Of a form; repeated key terms are the most of them."""

UPLOAD_S: Final = 120.0
"""For a whole form: 25 MiB at 2 Mbit/s."""

_HELD: Final = "routeraudio.held"


def is_file(path: str) -> bool:
    """Whether a recording is sent to this path."""
    return path.endswith("/v1/audio/transcriptions")


def request_class(file_bytes: Callable[[], int]) -> type[TrioRequest]:
    """Requests as the application makes them.

    Args:
        file_bytes: how long a recording may be.
    """

    class UploadRequest(TrioRequest):
        def __init__(self, method: str, scheme: str, path: str, *rest: Any, **options: Any) -> None:
            if is_file(path):
                options |= {"max_content_length": file_bytes() + FIELDS_BYTES, "body_timeout": UPLOAD_S}
            super().__init__(method, scheme, path, *rest, **options)

        def make_form_data_parser(self) -> FormDataParser:
            return self.form_data_parser_class(
                max_form_memory_size=FIELDS_BYTES,
                max_form_parts=PARTS_MAX,
                cls=self.parameter_storage_class,
                stream_factory=_in_memory,
                silent=False,
            )

    return UploadRequest


def _in_memory(*_known: object) -> IO[bytes]:
    """A file that a decoder process can be given, with no name on any disk."""
    if not hasattr(os, "memfd_create"):
        return cast(IO[bytes], tempfile.TemporaryFile())  # nearest to it: deleted as soon as it is made
    return os.fdopen(os.memfd_create("upload"), "w+b")


def holding(app: Any) -> Any:
    """An ASGI application whose requests `hold` things until their answer is sent, or nobody waits for it any more."""

    async def held(scope: Any, receive: Any, send: Any) -> None:
        async with AsyncExitStack() as stack:
            await app({**scope, _HELD: stack}, receive, send)

    return held


def hold() -> AsyncExitStack:
    """What the request holds: entered in its handler, left behind its answer."""
    return cast(AsyncExitStack, request.scope[_HELD])  # type: ignore[typeddict-item] # ours
