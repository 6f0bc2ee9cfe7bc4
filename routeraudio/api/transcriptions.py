"""`POST /v1/audio/transcriptions`, as OpenAI has it: a recording in a form, its text in the answer, by any provider."""

import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Final, ParamSpec

import trio
from quart import Response, request
from quart.wrappers.response import ResponseBody
from quart_trio import QuartTrio

from routeraudio.api import helpers, uploads
from routeraudio.api.openai_answers import PLACES, answering, fault_of
from routeraudio.api.recording import Recording
from routeraudio.auth.authenticator import PROVIDER_KEY_HEADER, PresentedKeys
from routeraudio.dialects.base import StreamRequest
from routeraudio.dialects.choice import Choice
from routeraudio.dialects.openai import ENTRY, files, messages
from routeraudio.dialects.openai.request import credential
from routeraudio.dialects.parameters import ignored
from routeraudio.edge.choosing import chosen, model_of
from routeraudio.edge.forwarded import Network
from routeraudio.edge.sessions import Sessions
from routeraudio.edge.stream_handler import WARNINGS_HEADER
from routeraudio.model.errors import (
    ClientFault,
    Overloaded,
    invalid_parameter,
    unauthorized,
)
from routeraudio.model.events import Final as FinalText
from routeraudio.model.options import Options
from routeraudio.policy.access import Principal
from routeraudio.providers.compatibility import warnings
from routeraudio.routes.routes import Route

P = ParamSpec("P")

DIALECT: Final = "openai_files"


class TranscriptionApi:
    """The call."""

    def __init__(self, sessions: Sessions, trusted_proxies: Sequence[Network] = ()) -> None:
        self._sessions = sessions
        self._access = sessions.access
        self._trusted_proxies = tuple(trusted_proxies)
        self._files = 0

    def mount(self, app: QuartTrio) -> None:
        """Add the paths to ``app``."""
        for place in PLACES:
            app.add_url_rule(
                f"{place}/v1/audio/transcriptions",
                endpoint=f"transcriptions{place}",
                view_func=answering(self._transcribe),
                methods=["POST"],
            )

    async def _transcribe(self, provider: str = "", model: str | None = None) -> Response:
        shown = self._shown()
        await self._check_key(shown)
        held = uploads.hold()
        held.enter_context(self._place())
        recording, fields = await self._form()
        place = Choice(provider, model)
        stream_request, wanted = files.read(fields, place, shown.key, shown.token)
        usual = None if stream_request.options.provider else await self._usual(shown)
        options, route = chosen(stream_request, ENTRY, usual, self._sessions.routes())
        principal = await self._principal(shown, options, route)
        converse = await self._sessions.open(held, DIALECT, principal, options, route)
        finals: list[FinalText] = []

        def transcript() -> files.Transcript:
            return files.Transcript(finals, recording.heard_ms, options.language)

        headers = _warnings(stream_request, options)
        if wanted.is_streamed:
            told = _Told(partial(recording.transcribe, converse), finals, transcript)
            answer = Response(told, content_type=files.EVENTS, headers=headers)
            answer.timeout = None
            return answer
        await recording.transcribe(converse, finals.append)
        media_type, body = files.body(wanted, transcript())
        return Response(body, content_type=media_type, headers=headers)

    # Who, and what.

    def _shown(self) -> PresentedKeys:
        key, token = credential(helpers.shown_key())
        return PresentedKeys(key, token, request.headers.get(PROVIDER_KEY_HEADER))

    async def _check_key(self, shown: PresentedKeys) -> None:
        """Before a byte of the recording is read.

        Raises:
            Fault: there is no such key, or none at all where one is needed.
        """
        holder, own_key = await self._access.who(shown, helpers.caller(self._trusted_proxies))
        if holder is None and own_key is None and not await self._access.is_open():
            raise unauthorized(messages.NO_KEY)

    async def _usual(self, shown: PresentedKeys) -> str | None:
        return (await self._access.terms(shown, helpers.caller(self._trusted_proxies))).default_provider

    async def _principal(self, shown: PresentedKeys, options: Options, route: Route) -> Principal:
        try:
            return await self._access.principal(
                shown,
                entry=route.entry,
                stored=route.stored,
                model=model_of(options),
                origin=request.headers.get("origin"),
                address=helpers.caller(self._trusted_proxies),
            )
        except ClientFault as fault:
            if fault.code == "unauthorized" and shown.key is None and shown.token is None:
                raise unauthorized(
                    messages.NO_KEY
                ) from None  # the usual sentence names headers of another protocol
            raise

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Room for a recording in this process's memory.

        Raises:
            Overloaded: there is none.
        """
        if self._files >= self._sessions.config().limits.files_max:
            raise Overloaded("as many recordings are being transcribed as may be; try again later")
        self._files += 1
        try:
            yield
        finally:
            self._files -= 1

    async def _form(self) -> tuple[Recording, list[tuple[str, str]]]:
        """The recording, and the other fields.

        Raises:
            ClientFault: it is no form with a file.
        """
        if request.mimetype != "multipart/form-data":
            raise invalid_parameter(
                "body", "expected multipart/form-data with the recording as its field file"
            )
        try:
            uploaded, form = await request.files, await request.form
        except ValueError:
            raise invalid_parameter("body", "the form is not valid multipart/form-data") from None
        for one in uploaded.values():
            uploads.hold().callback(one.close)
        file = uploaded.get("file")
        if file is None:
            raise invalid_parameter("file", "file: missing; expected the recording as a file of that name")
        file.stream.flush()
        file.stream.seek(0)
        fields = [(name, text) for name, texts in form.lists() for text in texts]
        # The framework closes its files when the handler is done; what is streamed is still being heard then.
        descriptor = os.dup(file.stream.fileno())
        uploads.hold().callback(os.close, descriptor)
        return Recording(descriptor, self._sessions.config().pull.decoder_bytes), fields


class _Told(ResponseBody):
    """Text as server-sent events, while the recording is heard.

    Args:
        transcribe: hears it, given whom to tell of finals.
        finals: filled here.
        transcript: of what they are at the end.
    """

    def __init__(
        self,
        transcribe: Callable[[Callable[[FinalText], None]], Awaitable[None]],
        finals: list[FinalText],
        transcript: Callable[[], files.Transcript],
    ) -> None:
        self._transcribe = transcribe
        self._finals = finals
        self._transcript = transcript
        self._nursery_manager = trio.open_nursery()
        # As many as there are: text, and a recording has no more of it than fits into memory besides its audio.
        self._send, self._receive = trio.open_memory_channel[bytes](math.inf)

    async def __aenter__(self) -> AsyncIterator[bytes]:
        nursery = await self._nursery_manager.__aenter__()
        nursery.start_soon(self._run)
        return self._receive

    async def __aexit__(
        self, exc_type: type[BaseException], exc_value: BaseException, tb: TracebackType
    ) -> None:
        await self._nursery_manager.__aexit__(exc_type, exc_value, tb)

    async def _run(self) -> None:
        with self._send:
            try:
                await self._transcribe(self._on_final)
                self._send.send_nowait(files.done(self._transcript()))
            except Exception as error:  # noqa: BLE001 - told like any other; the status has been sent
                details = messages.details(fault_of(error))
                self._send.send_nowait(files.event({"type": "error", "error": details}))

    def _on_final(self, final: FinalText) -> None:
        self._send.send_nowait(files.delta(final.text, is_first=not self._finals))
        self._finals.append(final)


def _warnings(stream_request: StreamRequest, options: Options) -> dict[str, str]:
    is_replaced = stream_request.has_own_model and stream_request.options.model != options.model
    served = (f"model: {options.provider} serves, with {model_of(options)}",) if is_replaced else ()
    advice = (*warnings(options), *stream_request.advice, *served, *ignored(stream_request.unknown))
    return {WARNINGS_HEADER: "; ".join(advice)} if advice else {}
