"""One client session: tasks over synchronous stages, between the client and its upstream.

    client ──▶ ingest ──link──▶ transcode ──link──▶ relay ──▶ upstream
    client ◀── deliver ◀────────link──────────────  relay ◀── upstream

It serves inside a `session.frame.Frame`, which owns the error boundary, the credit, the watchdog and the log lines.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec
import structlog
import trio

from routeraudio.audio.sniff import Sniffer
from routeraudio.audio.transcode import transcoder
from routeraudio.dialects.base import Command, Dialect
from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import CloseCode, Fault, InternalFault, UpstreamFault
from routeraudio.model.events import Failed, Finished, Summary
from routeraudio.model.message import Message
from routeraudio.model.options import Options
from routeraudio.policy.limits import Limits
from routeraudio.providers.base import Adapter, Pace
from routeraudio.session.audio_meter import AudioMeter
from routeraudio.session.candidate import UNKNOWN, Candidate, Health
from routeraudio.session.credit import Credit, UnlimitedCredit
from routeraudio.session.deliver import Deliver
from routeraudio.session.first_messages import FirstMessages
from routeraudio.session.frame import Ending, Frame, Usage, ending_word
from routeraudio.session.ingest import Ingest
from routeraudio.session.legs import Legs, OpenLeg
from routeraudio.session.link import Link
from routeraudio.session.observer import Arrivals, NullObserver, Observer
from routeraudio.session.received import Received
from routeraudio.session.relay import Relay, room_bytes, size
from routeraudio.session.replay import Kept
from routeraudio.session.stall import Stall, hears
from routeraudio.session.streams import Dialler, MessageStream
from routeraudio.session.succession import Failover, Succession
from routeraudio.session.transcode import Transcode
from routeraudio.session.watchdog import Sentences

log = structlog.get_logger(__name__)

OUR_OWN_WORDS: Final = frozenset({"timeout", "internal"})
"""Codes of faults whose sentences are written here and quote nobody: an operator reads them in the log."""

SENTENCES: Final = Sentences(
    idle="no audio for {:g} s; send audio or keepalive messages",
    lasted="sessions last at most {:g} s; connect again",
)


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
    health: Health = UNKNOWN
    """How the provider stands."""
    others: tuple[Candidate, ...] = ()
    """Who may serve the session when the provider cannot, best first."""
    failover: Failover | None = None
    """How the loss of a connection is survived; None: it ends the session."""
    credit: Credit = UnlimitedCredit()
    """What the session is charged to. The session closes it."""
    legs: Legs | None = None
    """The same, where connections that take over have lines of their own."""
    open_leg: OpenLeg | None = None
    """See `Candidate.open_leg`."""
    observer: Observer = NullObserver()
    """Counts it for metrics."""


class Session:
    """One client and its upstream.

    Args:
        already: what the client has said so far, where its first messages were read for its options.
    """

    def __init__(
        self,
        plan: Plan,
        client: MessageStream,
        dial: Dialler,
        limits: Limits,
        already: FirstMessages | None = None,
    ) -> None:
        self._plan = plan
        self._client = client
        self._because: Fault | None = None
        self._upstream_status: int | None = None
        """The HTTP status that ended the session."""
        options = plan.options
        self._transcoder = transcoder(options.audio, plan.adapter.audio_format)
        arrivals = Arrivals(options.audio, plan.observer)
        self._deliver = Deliver(client, plan.dialect, limits, on_room=self._resume)
        self._audio_meter = AudioMeter(
            plan.credit, plan.adapter.audio_format, position_ms=self._container_ms, on_refused=self.finish
        )
        audio = plan.adapter.audio_format
        candidate = Candidate(
            name=options.provider,
            title=plan.title,
            audio_format=audio,
            adapter=plan.another or (lambda: plan.adapter),
            dial=dial,
            pace=plan.pace,
            session_s=plan.session_s,
            open_leg=plan.open_leg,
            health=plan.health,
        )
        if plan.failover is not None:
            self._transcoder.keep(plan.failover.replay_s)
        self._relay = Relay(
            audio,
            self._deliver,
            limits,
            audio_meter=self._audio_meter,
            observer=plan.observer,
            arrivals=arrivals,
            source=self._transcoder,
            kept=Kept(audio, plan.failover.replay_s) if plan.failover is not None and audio.is_raw else None,
            stall=_stall(plan.failover, audio),
            channels=tuple(range(options.audio.channels)) if options.wants_channels else (None,),
        )
        self._succession = Succession(
            self._relay,
            (candidate, *plan.others),
            limits,
            audio=audio,
            source=self._transcoder,
            observer=plan.observer,
            is_raw=not options.parse_json,
            failover=plan.failover,
            legs=plan.legs,
        )
        self._transcode = Transcode(self._transcoder, self._relay.link)
        self._audio: Link[Command] = Link(
            self._transcode.step,
            wait=self._transcode.wait,
            size=size,
            room_bytes=room_bytes(options.audio, limits.stage_audio_s),
            on_room=client.resume,
        )
        self._received = Received(arrivals)
        sniffer = Sniffer(options.audio) if options.audio.is_raw else None
        self._ingest = Ingest(
            client,
            plan.dialect,
            self._audio,
            self._received,
            aside=self._deliver.push,
            sniffer=sniffer,
            already=already,
        )
        self._frame = Frame(
            client,
            limits,
            SENTENCES,
            request_id=plan.request_id,
            credit=plan.credit,
            observer=plan.observer,
        )

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
        await self._frame.run(self)

    # For the frame: see `frame.Service`.

    async def serve(self, nursery: trio.Nursery) -> Ending:
        """See `Service`."""
        nursery.start_soon(self._ingest.run)
        nursery.start_soon(self._audio.run)
        nursery.start_soon(self._succession.run)
        nursery.start_soon(self._deliver.run)
        await self._deliver.ended.wait()
        ending = self._deliver.ending
        return self.end(ending.fault if isinstance(ending, Failed) else self._because or self._loss())

    def end(self, fault: Fault | None) -> Ending:
        """Everything that is final, then the error, then the close code."""
        if isinstance(fault, InternalFault):
            with suppress(Exception):  # the bug is known already, and may be met again here
                self._deliver.drain()
        else:
            self._relay.settle()
            self._deliver.drain()
        for message in self._last_messages(fault):
            self._client.send(message)
        if fault is None:
            return Ending("ok", CloseCode.NORMAL)
        # A vendor's words are cut, and cleared of keys, by its adapter; a client's may hold anything.
        is_for_log = isinstance(fault, UpstreamFault) or fault.code in OUR_OWN_WORDS
        why = fault.message if is_for_log else None
        self._upstream_status = fault.status if isinstance(fault, UpstreamFault) else None
        if why is None:
            log.debug("session_fault", request_id=self._plan.request_id, why=fault.message)
        return Ending(ending_word(fault), int(self._plan.dialect.close_code(fault)), fault.code, why)

    def cancelled(self) -> Ending:
        """See `Service`."""
        return Ending("restart", int(CloseCode.RESTART))

    def activity(self) -> object:
        """See `Service`."""
        return self._received.received_bytes, self._received.keepalives

    def progress(self) -> tuple[int, int]:
        """See `Service`."""
        received_ms = self._received_ms
        return received_ms, min(self._audio_meter.sent_ms, received_ms)

    def usage(self) -> Usage:
        """See `Service`."""
        usage = self._relay.usage
        return Usage(self._audio_meter.sent_ms, usage.audio_ms if usage else None)

    def names(self) -> Mapping[str, object]:
        """See `Service`."""
        return {
            "request_id": self._plan.request_id,
            "key_id": self._plan.key_id,
            "provider": self._plan.options.provider,
            "model": self._plan.options.model,
        }

    def log_fields(self) -> Mapping[str, object]:
        """See `Service`."""
        return {
            "audio_ms": self._received_ms,
            "cycles": self._audio_meter.cycles,
            "upstream_audio_ms": self.usage().provider_ms,
            "connections": self._relay.connections,
            **({} if self._relay.connections < 2 else {"served_by": self._served_by()}),
            **({} if self._upstream_status is None else {"upstream_status": self._upstream_status}),
            **({} if not self._succession.losses else {"connections_lost": self._succession.losses}),
        }

    async def aclose(self) -> None:
        """See `Service`."""
        await self._succession.aclose()

    # The rest.

    def _last_messages(self, fault: Fault | None) -> Sequence[Message]:
        dialect = self._plan.dialect
        messages = [] if fault is None else [*dialect.error(fault)]
        if self._plan.options.summary:
            try:
                messages += dialect.event(self._summary(fault))
            except Exception:
                if not isinstance(fault, InternalFault):
                    raise
        return messages

    def _loss(self) -> Fault | None:
        """Of a session that seems to have ended well: audio of which no text has come, and none will."""
        lost_ms = self._relay.lost_ms
        if not lost_ms:
            return None
        return UpstreamFault(
            f"{self._plan.title} has failed at {lost_ms / 1000:g} s of the audio; everything else is final"
        )

    def _summary(self, fault: Fault | None) -> Summary:
        """What was sent to a provider that said its last word was heard out; else only what is final is sure."""
        received_ms = self._received_ms
        sent_ms = min(self._audio_meter.sent_ms, received_ms)
        is_heard_out = isinstance(self._deliver.ending, Finished)
        finalised_ms = sent_ms if is_heard_out else min(self._relay.finalised_ms, sent_ms)
        finalised_ms = max(0, finalised_ms - self._relay.lost_ms)
        self._relay.parts.ends(sent_ms, "ok" if fault is None else fault.code)
        return Summary(
            received_ms,
            sent_ms,
            finalised_ms,
            self._relay.connections,
            self._transcoder.warnings,
            self._relay.parts.all(),
        )

    @property
    def _received_ms(self) -> int:
        """Audio received, whole milliseconds; of a container, what has been read of it."""
        audio = self._plan.options.audio
        return (
            audio.duration_ms(self._received.received_bytes) if audio.is_raw else self._transcoder.source_ms
        )

    def _served_by(self) -> list[str]:
        """Providers, in the order in which they came in."""
        return list(dict.fromkeys(part.provider for part in self._relay.parts.all()))

    def _container_ms(self, sent_bytes: int) -> int:
        """How much audio a container's bytes hold."""
        return self._transcode.position_ms(sent_bytes)

    def _resume(self) -> None:
        """The client reads again: so may both sides."""
        self._client.resume()
        self._succession.resume()


def _stall(failover: Failover | None, audio: AudioFormat) -> Stall | None:
    is_noticed = failover is not None and failover.stall_s and hears(audio)
    return Stall(audio, failover.stall_s) if failover is not None and is_noticed else None
