"""Clients that lose their connection and come back."""

import itertools
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from tests.edge.fakes import (
    KEY,
    LISTEN,
    PATIENCE_S,
    WORDS,
    Client,
    FakeDeepgram,
    ask,
    client,
    config,
    daemon_on,
    results,
    upgrade,
)

RESUMABLE = f"{LISTEN}&resume=30&summary=true"
PART = bytes(range(256)) * 100


@asynccontextmanager
async def world(**limits: Any) -> AsyncIterator[tuple[int, FakeDeepgram]]:
    deepgram = FakeDeepgram()
    async with deepgram.serving() as url, daemon_on(config(deepgram=url, limits=limits)) as port:
        yield port, deepgram


def back(session: dict[str, Any], after: int = 0) -> str:
    return f"/v1/listen?resume_token={session['resume_token']}&after={after}"


async def drop(caller: Client) -> None:
    """As a network does."""
    await trio.aclose_forcefully(caller.stream)


async def test_who_comes_back_goes_on() -> None:
    """One session, one provider's connection, every byte once."""
    async with world() as (port, deepgram):
        async with client(port, RESUMABLE) as caller:
            session = await caller.receive()
            assert (session["type"], session["received_bytes"], session["last_seq"]) == ("session", 0, 0)
            assert session["resume_s"] == 30
            await caller.send(PART)
            await deepgram.until_heard(len(PART))
            await drop(caller)
        async with client(port, back(session)) as caller:
            again = await caller.receive()
            assert again["id"] == session["id"]
            assert again["received_bytes"] == len(PART)
            assert again["received_s"] == len(PART) / 32_000
            assert again["resume_token"] != session["resume_token"]
            await caller.send(PART[::-1])
            await caller.finish()
            messages, code = await caller.rest()
    assert code == 1000
    assert [bytes(audio) for audio in deepgram.audio] == [PART + PART[::-1]]
    assert [message["seq"] for message in messages] == [1, 2, 3]
    assert [message["type"] for message in messages] == ["transcript", "turn_end", "summary"]
    assert messages[0]["transcript"] == WORDS
    assert messages[-1]["seconds_received"] == 2 * len(PART) / 32_000


async def test_a_phone_changes_its_network() -> None:
    """The new connection is there before the old one's end is known: the old one is given up."""
    async with world() as (port, deepgram), client(port, RESUMABLE) as old:
        session = await old.receive()
        await old.send(PART)
        await deepgram.until_heard(len(PART))
        async with client(port, back(session)) as caller:
            assert (await caller.receive())["received_bytes"] == len(PART)
            assert (await old.rest())[1] == 1006
            await caller.finish()
            assert (await caller.rest())[1] == 1000
        await deepgram.until(0)


async def test_the_end_waits_for_who_is_away() -> None:
    """Last words that were said to nobody, or to a connection that had died, are told to who comes back."""
    async with world() as (port, deepgram):
        async with client(port, RESUMABLE) as caller:
            session = await caller.receive()
            await caller.send(PART)
            await caller.finish()
            await drop(caller)
        await deepgram.until(0)
        async with client(port, back(session)) as caller:
            messages, code = await caller.rest()
        assert (messages[0]["type"], messages[1]["transcript"], code) == ("session", WORDS, 1000)
        async with client(port, back(messages[0], after=messages[-1]["seq"])) as caller:
            assert (await caller.rest())[1] == 1008, "whoever has heard the end has nothing to come back to"


async def test_messages_behind_the_named_one() -> None:
    async with world() as (port, _):
        async with client(port, RESUMABLE) as caller:
            session = await caller.receive()
            await caller.send(PART)
            await caller.finish()
            assert [(await caller.receive())["type"] for _ in range(2)] == ["transcript", "turn_end"]
            await drop(caller)
        async with client(port, back(session, after=2)) as caller:
            messages, _ = await caller.rest()
        assert [message["type"] for message in messages] == ["session", "summary"]


async def test_a_token_is_good_until_the_next_one_is_known_to_have_arrived() -> None:
    """The first message of a connection that dies at once may never have been read."""
    async with world() as (port, deepgram), client(port, RESUMABLE) as first:
        session = await first.receive()
        async with client(port, back(session)) as caller:
            await caller.receive()
        async with client(port, back(session)) as caller:
            again = await caller.receive()
            await caller.send(PART)
            await deepgram.until_heard(len(PART))
            async with client(port, back(session)) as thief:
                refused, code = await thief.rest()
            assert code == 1008
            assert refused[0]["code"] == "invalid_parameter"
            async with client(port, back(again)) as caller:
                await caller.finish()
                assert (await caller.rest())[1] == 1000


async def test_another_key_gets_nothing() -> None:
    async with world() as (port, _), client(port, RESUMABLE) as caller:
        session = await caller.receive()
        for headers in ({}, {"x-api-key": KEY + "x"}):
            async with client(port, back(session), headers) as thief:
                assert (await thief.rest())[1] == 3000
        await caller.finish()
        assert (await caller.rest())[1] == 1000


@pytest.mark.parametrize("after", [1, 99])
async def test_nobody_goes_on_behind_what_was_never_said(after: int) -> None:
    async with world() as (port, _), client(port, RESUMABLE) as caller:
        session = await caller.receive()
        async with client(port, back(session, after=after)) as other:
            messages, code = await other.rest()
        assert (code, messages[0]["code"]) == (1008, "invalid_parameter")
        await caller.finish()
        assert (await caller.rest())[1] == 1000


async def test_who_stays_away_is_not_waited_for() -> None:
    """The provider's connection is released, and the token with it."""
    async with world(resume_s=0.2) as (port, deepgram):
        async with client(port, RESUMABLE) as caller:
            session = await caller.receive()
            assert session["resume_s"] == 0.2
            await caller.send(PART)
            await deepgram.until(1)
            await drop(caller)
        await deepgram.until(0)
        with trio.fail_after(PATIENCE_S):
            while True:
                async with client(port, back(session)) as caller:
                    messages, code = await caller.rest()
                if code == 1008:
                    break
    assert "begin a new session" in messages[0]["error"]


async def test_a_close_frame_is_an_end() -> None:
    async with world() as (port, deepgram):
        async with client(port, RESUMABLE) as caller:
            session = await caller.receive()
            await deepgram.until(1)
            await caller.socket.aclose(1001)
        await deepgram.until(0)
        async with client(port, back(session)) as caller:
            assert (await caller.rest())[1] == 1008


async def test_acknowledgements() -> None:
    """How much has arrived; without a number, since nobody wants them twice."""
    async with world() as (port, _), client(port, f"{RESUMABLE}&acks=true") as caller:
        await caller.receive()
        await caller.send(PART)
        ack = await caller.receive()
        assert ack == {"type": "ack", "received_bytes": len(PART), "received_s": len(PART) / 32_000}


async def test_a_session_on_another_node() -> None:
    """The balancer, or the client, is told where."""
    async with world() as (port, _):
        answer = await ask(port, upgrade("/v1/listen?after=0&resume_token=resume~amsterdam~1~" + 32 * "x"))
    assert answer.status == 503
    assert answer.headers["x-routeraudio-node"] == "amsterdam"
    assert b"amsterdam" in answer.body


async def test_where_nobody_may_come_back() -> None:
    async with world(resume_s=0) as (port, _), client(port, RESUMABLE) as caller:
        messages, code = await caller.rest()
    assert (code, messages[0]["code"]) == (1008, "invalid_parameter")
    assert "limits.resume_s" in messages[0]["error"]


class Counting(FakeDeepgram):
    """Says a number for every tenth of a second."""

    async def _talk(self, connection: WebSocketConnection, audio: bytearray) -> None:
        said = 0
        while True:
            message = await connection.get_message()
            if isinstance(message, bytes):
                audio += message
                while len(audio) >= (said + 1) * STEP_BYTES:
                    said += 1
                    told = results(f"w{said}", 0.1, start_s=(said - 1) / 10)
                    await connection.send_message(json.dumps(told))
                self._say_changed()
            elif json.loads(message)["type"] == "CloseStream":
                await connection.aclose(1000)


STEP_BYTES = 3200
STEPS = 60


@pytest.mark.parametrize("seed", range(12))
async def test_no_word_is_lost_or_doubled_by_a_client_that_is_cut_anywhere(seed: int) -> None:
    """It sends from where it is told to, and keeps the number of the last message it has read."""
    random = Random(seed)
    deepgram, audio = Counting(), random.randbytes(STEPS * STEP_BYTES)
    words, after, path, code = [], 0, f"{LISTEN}&resume=30", 0
    async with deepgram.serving() as url, daemon_on(config(deepgram=url)) as port:
        for cut in itertools.count():
            async with client(port, path) as caller:
                session = await caller.receive()
                path = back(session)
                sent = session["received_bytes"]
                patience = random.randrange(1, 30) if cut < 8 else sys.maxsize
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_send, caller, audio[sent:], random, patience)
                    told, code = await caller.rest()
                    nursery.cancel_scope.cancel()
            for message in told:
                assert message["seq"] > after, "told twice"
                after = message["seq"]
                words += [message["transcript"]] if message["type"] == "transcript" else []
            path = f"{path.split('&after')[0]}&after={after}"
            if code == 1000:
                break
    assert words == [f"w{number}" for number in range(1, STEPS + 1)]
    assert [bytes(one) for one in deepgram.audio] == [audio]


async def _send(caller: Client, audio: bytes, random: Random, patience: int) -> None:
    """In messages of any length, until the line is cut."""
    with suppress(ConnectionClosed):
        while audio:
            length = random.randrange(1, 2 * STEP_BYTES)
            await caller.send(audio[:length])
            audio = audio[length:]
            patience -= 1
            if not patience:
                await drop(caller)
                return
        await caller.finish()
