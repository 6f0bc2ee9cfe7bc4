"""A vendor that ends connections by the clock, and a client that never notices."""

import json
import re
import wave
from functools import partial

import trio

from routeraudio import daemon
from routeraudio.config.schema import Config, Provider, Server
from routeraudio.emulators.gradium import Gradium
from routeraudio.emulators.kit.hearing import EngineHear
from routeraudio.emulators.kit.server import Emulator
from routeraudio.engine.pool import Pool

from .router import BARE_WORDS, CLIP, PATIENCE_S, client_of, rest

SESSION_S = 6.0
ROUNDS = 3


async def test_connections_that_end_by_the_clock_are_one_session(pool: Pool) -> None:
    """Each word once, on one timeline, over several connections; nothing is lost and nobody complains."""
    with wave.open(str(CLIP)) as sound:
        speech = sound.readframes(sound.getnframes())
    audio = (speech + bytes(2 * 16000 * 2)) * ROUNDS
    emulator = Emulator(Gradium(session_s=SESSION_S), hear=EngineHear(pool))
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            port = await nursery.start(emulator.serve)
            settings = Provider(url=f"ws://127.0.0.1:{port}", session_s=SESSION_S)
            config = Config(server=Server(bind=("127.0.0.1:0",)), providers={"gradium": settings})
            (address,) = await nursery.start(partial(daemon.serve, config))
            wish = {"provider": "gradium", "encoding": "pcm_s16le", "sample_rate": 16000, "summary": "true"}
            async with client_of(address, "good-key", **wish) as client:
                for start in range(0, len(audio), 3200):
                    await client.send_message(audio[start : start + 3200])
                    await trio.sleep(0.1)
                await client.send_message('{"type":"end_of_stream"}')
                messages, code = await rest(client)
            nursery.cancel_scope.cancel()
    told = [json.loads(message) for message in messages]
    finals = [message for message in told if message["type"] == "transcript"]
    text = " ".join(re.findall(r"[a-z']+", " ".join(final["transcript"] for final in finals).lower()))
    assert text == " ".join([BARE_WORDS] * ROUNDS)
    assert code == 1000
    assert told[-1]["seconds_lost"] == 0
    # One more may have been dialled and not been needed.
    assert ROUNDS <= told[-1]["upstream_connections"] <= len(emulator.connections)
    assert finals[-1]["start_time"] > 2 * len(audio) / ROUNDS / 32000 - 0.5
