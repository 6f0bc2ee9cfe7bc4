"""Delivery: what counts, what is tried again and when, what is given up. Time is virtual."""

from collections.abc import AsyncIterator

import httpx
import pytest
import trio
import trio.testing

from routeraudio.pull.webhook import Webhook

from .callbacks import callback, record


class Endpoint:
    """Answers with the next of its answers, the last one for ever; None: does not answer."""

    def __init__(self, *answers: int | Exception | None) -> None:
        self.at_s: list[float] = []
        self.requests: list[httpx.Request] = []
        self._answers = list(answers)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.at_s.append(trio.current_time())
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is None:
            await trio.sleep_forever()
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer or 0, text="answer")

    async def deliver(self) -> bool:
        async with httpx.AsyncClient(transport=httpx.MockTransport(self)) as client:
            return await Webhook(client, b"secret", 10.0).deliver(record(), callback())

    @property
    def waits_s(self) -> list[float]:
        return [round(after - before, 3) for before, after in zip(self.at_s, self.at_s[1:], strict=False)]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_delivered(status: int, autojump_clock: trio.testing.MockClock) -> None:
    """A success is not asked twice."""
    endpoint = Endpoint(status)
    assert await endpoint.deliver()
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("answer", [301, 307, 400, 401, 404, 410, 429, 500, 503, httpx.ConnectError("no")])
async def test_everything_else_is_tried_again(
    answer: int | Exception, autojump_clock: trio.testing.MockClock
) -> None:
    """After 1, 5 and 25 s, then it is given up."""
    endpoint = Endpoint(answer)
    assert not await endpoint.deliver()
    assert endpoint.waits_s == [1.0, 5.0, 25.0]


async def test_comes_back(autojump_clock: trio.testing.MockClock) -> None:
    """A webhook that comes back in time gets the callback, the same, signed anew."""
    endpoint = Endpoint(500, httpx.ReadError("gone"), 200)
    assert await endpoint.deliver()
    assert endpoint.waits_s == [1.0, 5.0]
    bodies = {request.content for request in endpoint.requests}
    numbers = {request.headers["x-routeraudio-number"] for request in endpoint.requests}
    assert (len(bodies), numbers) == (1, {"1"})


async def test_no_answer(autojump_clock: trio.testing.MockClock) -> None:
    """An attempt ends after its time."""
    endpoint = Endpoint(None, 200)
    assert await endpoint.deliver()
    assert endpoint.waits_s == [11.0]


async def test_endless_answer(autojump_clock: trio.testing.MockClock) -> None:
    """An answer that never ends is not waited for."""

    class Flood(httpx.AsyncByteStream):
        read = 0

        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                self.read += 1
                yield b"x"

    flood = Flood()
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, stream=flood))
    async with httpx.AsyncClient(transport=transport) as client:
        assert await Webhook(client, b"secret", 10.0).deliver(record(), callback())
    assert flood.read == 0
