"""One client session: a nursery of five tasks over synchronous stages, and the one error boundary.

    client ──▶ ingest ──link──▶ transcode ──link──▶ relay ──▶ upstream
    client ◀── deliver ◀────────link──────────────  relay ◀── upstream
                        meter reads along

Every way a session can end passes through `Session.run`: the upstream's last word, a fault of somebody's, the
client leaving, our own bug, cancellation. Each becomes one error message (where there is somebody to read it), one
close code and one log line.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog
import trio

from routeraudio.audio.transcode import transcoder
from routeraudio.dialects.base import Command, Dialect
from routeraudio.model.errors import CloseCode, Fault, InternalFault, Overloaded
from routeraudio.model.events import Failed, Finished, Summary
from routeraudio.model.exceptions import first, where
from routeraudio.model.message import Message
from routeraudio.model.options import Options
from routeraudio.policy.limits import Limits
from routeraudio.providers.base import Adapter, Pace
from routeraudio.session.audio_meter import AudioMeter
from routeraudio.session.candidate import Candidate
from routeraudio.session.credit import Credit, UnlimitedCredit
from routeraudio.session.deliver import Deliver
from routeraudio.session.ingest import ClientGone, Ingest
from routeraudio.session.link import Link
from routeraudio.session.observer import Arrivals, NullObserver, Observer
from routeraudio.session.relay import Relay, room_bytes, size
from routeraudio.session.streams import Dialler, MessageStream
from routeraudio.session.succession import Succession
from routeraudio.session.transcode import Transcode
from routeraudio.session.watchdog import Watchdog

log = structlog.get_logger(__name__)

OUR_OWN_WORDS: Final = frozenset({"provider_unreachable", "timeout", "internal"})
"""Codes of faults whose sentences are written here and quote nobody: an operator reads them in the log."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a session is made from, once everything that can be refused before the upgrade has been checked."""

    request_id: str
    key_id: str
    """Who pays: the id of a router key, `own` for a provider key of the client's, `anonymous`."""
    title: str
    """The provider as people write it."""
    options: Options
    adapter: Adapter
    dialect: Dialect
    another: Callable[[], Adapter] | None = None
    """Makes the adapter of a further connection, for vendors that end connections by the clock."""
    session_s: float | None = None
    """Connections are replaced in time for the vendor's own end after so long; None: they are not."""
    pace: Pace | None = None
    """How fast the vendor wants audio."""
    credit: Credit = UnlimitedCredit()
    """What the session is charged to. The session closes it."""
    observer: Observer = NullObserver()
    """Counts it for metrics."""


class Session:
    """One client and its upstream."""

    def __init__(self, plan: Plan, client: MessageStream, dial: Dialler, limits: Limits) -> None:
        self._plan = plan
        self._client = client
        self._because: Fault | None = None
        self._began_s = 0.0
        options = plan.options
        self._transcoder = transcoder(options.audio, plan.adapter.audio_format)
        arrivals = Arrivals(options.audio, plan.observer)
        self._deliver = Deliver(client, plan.dialect, limits, on_room=self._resume_upstream)
        self._audio_meter = AudioMeter(
            plan.credit, plan.adapter.audio_format, position_ms=self._container_ms, on_refused=self.finish
        )
        candidate = Candidate(
            title=plan.title,
            audio_format=plan.adapter.audio_format,
            adapter=plan.another or (lambda: plan.adapter),
            dial=dial,
            pace=plan.pace,
            session_s=plan.session_s,
        )
        self._relay = Relay(
            candidate.audio_format,
            self._deliver,
            limits,
            audio_meter=self._audio_meter,
            observer=plan.observer,
            arrivals=arrivals,
            source=self._transcoder,
        )
        self._succession = Succession(
            self._relay,
            candidate,
            limits,
            source=self._transcoder,
            observer=plan.observer,
            is_raw=not options.parse_json,
        )
        self._transcode = Transcode(self._transcoder, self._relay.link)
        self._audio: Link[Command] = Link(
            self._transcode.step,
            wait=self._transcode.wait,
            size=size,
            room_bytes=room_bytes(options.audio, limits.stage_audio_s),
            on_room=client.resume,
        )
        self._watchdog = Watchdog(
            limits, credit=plan.credit, arrivals=arrivals, on_limit=self.finish, is_held=self._is_client_held
        )
        self._ingest = Ingest(client, plan.dialect, self._audio, self._watchdog, aside=self._deliver.push)

    def finish(self, because: Fault | None = None) -> None:
        """End the session from our side, politely: last words first, then ``because`` and its close code."""
        if self._because is None and not self._ingest.is_finished:
            # Who has asked for the end gets it, and 1000, whatever happens while the last words are waited for.
            self._because = because
        try:
            self._ingest.finish()
        except Exception as error:  # noqa: BLE001 - ours, not the caller's, who finishes many sessions
            self._ingest.crashed(error)

    async def run(self) -> None:
        """Serve until the session has ended and both sockets are released.

        Owns both streams. Raises nothing of its own; when cancelled, tells the client 1012 without waiting.
        """
        self._began_s = trio.current_time()
        self._plan.observer.began(self._progress)
        log.info("session_started", **self._names())
        fault: Fault | ClientGone | None = Overloaded("cancelled", close_code=CloseCode.RESTART)
        try:
            fault = self._tell(await self._serve())
        finally:
            # After `_tell` this changes nothing; a cancelled session gets its one chance to say why.
            self._client.close(CloseCode.RESTART)
            self._plan.observer.ended(self._close_code(fault), _ending(fault))
            self._report(fault)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._client.aclose)
                nursery.start_soon(self._succession.aclose)
                nursery.start_soon(self._settle_credit, fault)

    async def _serve(self) -> Fault | ClientGone | None:
        """The error boundary: run the stages until one of them says that it is over; None: all went well."""
        endings: list[Fault | ClientGone] = []
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._ingest.run)
                nursery.start_soon(self._audio.run)
                nursery.start_soon(self._succession.run)
                nursery.start_soon(self._deliver.run)
                nursery.start_soon(self._watchdog.run)
                await self._deliver.ended.wait()
                nursery.cancel_scope.cancel()
        except* ClientGone as group:
            endings.append(first(group))
        except* Fault as group:
            endings.append(first(group))
        except* Exception as group:  # noqa: BLE001 - this is the boundary: a bug costs one session
            endings.append(self._bug(first(group)))
        if endings:
            return endings[0]
        ending = self._deliver.ending
        return ending.fault if isinstance(ending, Failed) else self._because

    def _tell(self, fault: Fault | ClientGone | None) -> Fault | ClientGone | None:
        """Everything that is final, then the error, then the close code. Returns what it was in the end."""
        if isinstance(fault, ClientGone):
            return fault
        try:
            if not isinstance(fault, InternalFault):
                self._relay.settle()
            self._deliver.drain()
        except Exception as error:  # noqa: BLE001 - a bug that the boundary has not met yet, or meets again
            fault = self._bug(error)
        for message in self._last_messages(fault):
            self._client.send(message)
        if fault is None:
            self._client.close(CloseCode.NORMAL)
        else:
            self._client.close(self._plan.dialect.close_code(fault), fault.code)
        return fault

    def _last_messages(self, fault: Fault | None) -> Sequence[Message]:
        dialect = self._plan.dialect
        messages: list[Message] = []
        try:
            if fault is not None:
                messages += dialect.error(fault)
            if self._plan.options.summary:
                messages += dialect.event(self._summary())
        except Exception as bug:  # noqa: BLE001 - the close code has to say it then
            self._bug(bug)
        return messages

    def _summary(self) -> Summary:
        """A session whose provider said its last word was heard out; of any other only what is final is sure."""
        received_ms = self._received_ms
        is_heard_out = isinstance(self._deliver.ending, Finished)
        finalised_ms = received_ms if is_heard_out else min(self._relay.finalised_ms, received_ms)
        return Summary(
            received_ms, min(self._audio_meter.sent_ms, received_ms), finalised_ms, self._relay.connections
        )

    def _bug(self, error: Exception) -> InternalFault:
        log.error("session_bug", request_id=self._plan.request_id, **where(error))
        return InternalFault(self._plan.request_id)

    @property
    def _received_ms(self) -> int:
        """Audio received, whole milliseconds; of a container, what has been read of it."""
        audio = self._plan.options.audio
        return (
            audio.duration_ms(self._watchdog.received_bytes) if audio.is_raw else self._transcoder.source_ms
        )

    def _container_ms(self, sent_bytes: int) -> int:
        """How much audio a container's bytes hold; where it cannot be read, as long as the session has lasted."""
        if self._transcoder.is_sized:
            return self._transcode.position_ms(sent_bytes)
        return round((trio.current_time() - self._began_s) * 1000)

    def _progress(self) -> tuple[int, int]:
        """See `watch.Progress`."""
        received_ms = self._received_ms
        return received_ms, min(self._audio_meter.sent_ms, received_ms)

    def _resume_upstream(self) -> None:
        self._succession.resume()

    def _is_client_held(self) -> bool:
        return self._client.is_paused

    def _names(self) -> dict[str, str | None]:
        options = self._plan.options
        return {
            "request_id": self._plan.request_id,
            "key_id": self._plan.key_id,
            "provider": options.provider,
            "model": options.model,
        }

    async def _settle_credit(self, fault: Fault | ClientGone | None) -> None:
        usage = self._relay.usage
        await self._plan.credit.close(
            audio_ms=self._audio_meter.sent_ms,
            connected_ms=round((trio.current_time() - self._began_s) * 1000),
            provider_ms=usage.audio_ms if usage else None,
            ending=_ending(fault),
        )

    def _close_code(self, fault: Fault | ClientGone | None) -> int | None:
        """What the client's connection was closed with."""
        if isinstance(fault, ClientGone):
            return fault.how.code
        return int(CloseCode.NORMAL if fault is None else self._plan.dialect.close_code(fault))

    def _report(self, fault: Fault | ClientGone | None) -> None:
        """One line per session, without a word of what was said in it."""
        usage = self._relay.usage
        ending: dict[str, object] = {"close_code": self._close_code(fault), "error": fault and _ending(fault)}
        if isinstance(fault, Fault):
            if fault.code in OUR_OWN_WORDS:
                ending["why"] = fault.message
            else:
                # The sentence may quote the vendor; whoever debugs asks for it.
                log.debug("session_fault", request_id=self._plan.request_id, why=fault.message)
        log.info(
            "session_ended",
            **self._names(),
            **ending,
            duration_s=round(trio.current_time() - self._began_s, 3),
            audio_ms=self._received_ms,
            cycles=self._audio_meter.cycles,
            upstream_audio_ms=usage.audio_ms if usage else None,
        )


def _ending(fault: Fault | ClientGone | None) -> str:
    """How a session ended, in one word for logs and the ledger."""
    if fault is None:
        return "ok"
    if isinstance(fault, ClientGone):
        return "client_gone"
    return "restart" if fault.close_code is CloseCode.RESTART else fault.code
