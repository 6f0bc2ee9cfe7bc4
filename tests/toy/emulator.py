"""The toy provider's service."""

from typing import Final

import msgspec

from routeraudio.emulators.kit.call import Call
from routeraudio.emulators.kit.heard import Heard
from routeraudio.emulators.kit.hearing import Service
from routeraudio.emulators.kit.intake import open_intake
from routeraudio.emulators.kit.request import Refusal, Request
from routeraudio.emulators.kit.sound import RawFormat
from routeraudio.emulators.kit.vendor import Admission, any_key_but_bad

BROKEN: Final = '{"type":"final","text":42,"words":"none"}'


class Toy:
    """The vendor."""

    name: Final = "toy"
    broken_message: Final = BROKEN

    def key(self, request: Request) -> str | None:
        return (request.header("authorization") or "").removeprefix("Bearer ") or None

    def admit(self, request: Request) -> Admission | Refusal:
        if request.path != "/toy":
            return self.refuse(request, 404)
        return Admission(_converse) if any_key_but_bad(self.key(request) or "") else self.refuse(request, 401)

    def refuse(self, request: Request, status: int) -> Refusal:
        return Refusal(status, msgspec.json.encode({"error": f"status {status}"}))


async def _converse(call: Call) -> None:
    async def tell(_channel: int, heard: Heard) -> None:
        words = [
            {"text": word.text, "start": word.start_ms / 1000, "end": word.end_ms / 1000}
            for word in heard.words
        ]
        if words:
            await call.say({"type": heard.kind, "text": heard.text, "words": words})

    await call.say({"type": "ready", "id": call.request.id})
    sound = RawFormat(encoding="s16le", sample_rate=16_000)
    async with open_intake(
        call, sound, endpointing_ms=500, partials=True, tell=tell, say=call.say, broken_message=BROKEN
    ) as intake:
        while True:
            message = await call.receive()
            if isinstance(message, bytes):
                await intake.audio(message)
            elif msgspec.json.decode(message)["type"] == "finalize":
                await intake.finalize()
            else:
                await intake.finish()
                await call.say({"type": "done"})
                return


serve: Final = Service(Toy)
