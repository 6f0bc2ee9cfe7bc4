"""Deliver callbacks: one at a time, signed, tried again, given up."""

import time
from typing import Final

import httpx
import structlog
import trio

from routeraudio.pull import envelope
from routeraudio.pull.outbox import Callback
from routeraudio.pull.record import Record

log = structlog.get_logger(__name__)

RETRIES_S: Final = (1.0, 5.0, 25.0)
"""Before each further attempt (seed memories.ai audio stream, section 4)."""

ANSWER_BYTES: Final = 16_384
"""An answer up to here is read, though nobody looks at it, so that its connection can be used again."""


class Webhook:
    """Where one task's callbacks go.

    Args:
        secret: signs them.
        answer_s: what one attempt may take.
    """

    def __init__(self, client: httpx.AsyncClient, secret: bytes, answer_s: float) -> None:
        self._client = client
        self._secret = secret
        self._answer_s = answer_s

    async def deliver(self, record: Record, callback: Callback) -> bool:
        """Post a callback until a 2xx answers, or it is given up (False)."""
        content = envelope.body(record, callback)
        for wait_s in (*RETRIES_S, None):
            why = await self._attempt(record, callback, content)
            if why is None:
                return True
            log.info("callback_refused", task_id=record.task_id, number=callback.number, why=why)
            if wait_s is not None:
                await trio.sleep(wait_s)
        return False

    async def _attempt(self, record: Record, callback: Callback, content: bytes) -> str | None:
        """Post once; None: delivered, else why not."""
        headers = envelope.headers(record, callback, content, self._secret, int(time.time()))
        with trio.move_on_after(self._answer_s):
            try:
                async with self._client.stream(
                    "POST", record.callback_url, content=content, headers=headers
                ) as response:
                    if _is_short(response):
                        await response.aread()
                    return None if response.is_success else f"HTTP {response.status_code}"
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                return type(error).__name__
        return "no answer in time"


def _is_short(response: httpx.Response) -> bool:
    length = response.headers.get("content-length", "")
    return length.isdecimal() and int(length) <= ANSWER_BYTES
