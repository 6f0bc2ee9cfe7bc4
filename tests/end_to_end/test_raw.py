"""`parse_json=false`: the provider's own messages."""

import wave

from routeraudio.engine.pool import Pool

from .router import CLIP, open_router, rest


async def test_messages_pass_byte_for_byte(pool: Pool) -> None:
    """Every message of the provider arrives as it was sent, in order, and nothing else does."""
    async with open_router(pool=pool) as router:
        async with router.connect(
            "good",
            provider="deepgram",
            encoding="pcm_s16le",
            sample_rate=16000,
            parse_json="false",
            partial_results="true",
        ) as client:
            with wave.open(str(CLIP)) as sound:
                while block := sound.readframes(4000):
                    await client.send_message(block)
            await client.send_message('{"type":"CloseStream"}')
            messages, code = await rest(client)
        sent = router.emulator.connections[0].sent
    assert code == 1000
    assert any('"is_final":false' in message for message in messages)
    assert messages[-1].startswith('{"type":"Metadata"')
    assert messages == list(sent)
