"""What every session has, whatever it serves: the error boundary, credit, watchdog, metrics, log lines, close code.

`session.pipeline` and `gateway.proxy` are services inside a frame. However a service ends (its own ending, a declared
fault, the client leaving, our own bug, cancellation), the client's connection is closed with one code, the credit is
closed, and there is one `session_ended` line; a bug has one `session_bug` line that names file and line.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec
import structlog
import trio

from routeraudio.model.errors import CloseCode, Fault, InternalFault
from routeraudio.model.exceptions import bug_fields, first
from routeraudio.policy.limits import Limits
from routeraudio.session.credit import Credit
from routeraudio.session.observer import Observer
from routeraudio.session.streams import ClientGone, MessageStream
from routeraudio.session.watchdog import Sentences, Watchdog

log = structlog.get_logger(__name__)


class Ending(msgspec.Struct, frozen=True):
    """How a session ended."""

    word: str
    """For logs and the ledger: `ok`, `client_gone`, `restart`, an error code."""
    close_code: int | None
    """Of the client's connection; None: the client left without one."""
    reason: str = ""
    """Of the close frame."""
    why: str | None = None
    """For the log: a sentence written here, which quotes nobody."""


class Usage(msgspec.Struct, frozen=True):
    """What the ledger is told at the end."""

    audio_ms: int
    """That was sent to the provider."""
    provider_ms: int | None = None
    """By the provider's own count."""


class Service(Protocol):
    """What runs inside a frame."""

    async def serve(self, nursery: trio.Nursery) -> Ending:
        """Run, with tasks in ``nursery``, until it is over; the frame cancels what still runs.

        Raises:
            ClientGone: there is nobody left to tell anything.
            Fault: told to the client by `end`.
        """

    def finish(self, because: Fault) -> None:
        """End soon and politely, because of a limit or of the daemon's stop."""

    def end(self, fault: Fault) -> Ending:
        """Tell the client everything final, then ``fault``. Never waits."""

    def cancelled(self) -> Ending:
        """The ending of a session that is cancelled: there is no time to tell anything but the close code."""

    def activity(self) -> object:
        """Changes when something happens that keeps an idle session alive."""

    def progress(self) -> tuple[int, int]:
        """See `observer.Progress`."""

    def usage(self) -> Usage:
        """For the ledger."""

    def names(self) -> Mapping[str, object]:
        """Whose session it is, for both log lines."""

    def log_fields(self) -> Mapping[str, object]:
        """For the `session_ended` line."""

    async def aclose(self) -> None:
        """Release the provider's side."""


class Frame:
    """One session's."""

    __slots__ = (
        "_began_s",
        "_client",
        "_credit",
        "_is_broken",
        "_limits",
        "_observer",
        "_request_id",
        "_sentences",
    )

    def __init__(
        self,
        client: MessageStream,
        limits: Limits,
        sentences: Sentences,
        *,
        request_id: str,
        credit: Credit,
        observer: Observer,
    ) -> None:
        self._client = client
        self._limits = limits
        self._sentences = sentences
        self._request_id = request_id
        self._credit = credit
        self._observer = observer
        self._began_s = 0.0
        self._is_broken = False

    @property
    def lasted_s(self) -> float:
        """Since `run`."""
        return trio.current_time() - self._began_s

    async def run(self, service: Service) -> None:
        """Serve until the session has ended and both sides are released.

        Owns the client's stream and the credit. Raises nothing of its own; when cancelled, closes the client with 1012
        without waiting.
        """
        self._began_s = trio.current_time()
        ending = service.cancelled()
        try:
            ending = await self._serve(service)
        finally:
            code = CloseCode.RESTART if ending.close_code is None else ending.close_code
            self._guarded(lambda: self._client.close(code, ending.reason))
            self._guarded(lambda: self._observer.ended(ending.close_code, ending.word))
            self._guarded(lambda: self._report(service, ending))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._guarded_task, self._client.aclose)
                nursery.start_soon(self._guarded_task, service.aclose)
                nursery.start_soon(self._guarded_task, lambda: self._close_credit(service, ending))

    async def _serve(self, service: Service) -> Ending:
        """The error boundary."""
        endings: list[Ending] = []
        try:
            log.info("session_started", **service.names())
            self._observer.began(service.progress)
            async with trio.open_nursery() as nursery:
                watchdog = Watchdog(
                    self._limits,
                    self._sentences,
                    credit=self._credit,
                    activity=service.activity,
                    on_limit=service.finish,
                    is_held=lambda: self._client.is_paused,
                )
                nursery.start_soon(watchdog.run)
                endings.append(await service.serve(nursery))
                nursery.cancel_scope.cancel()
        except* ClientGone as group:
            endings.insert(0, Ending("client_gone", first(group).how.code))
        except* Fault as group:
            endings.append(self._end(service, first(group)))
        except* Exception as group:  # noqa: BLE001 - this is the boundary: a bug costs one session
            endings.append(self._broken(service, group))
        return endings[0]

    def _end(self, service: Service, fault: Fault) -> Ending:
        try:
            return service.end(fault)
        except Exception as error:  # noqa: BLE001 - see above
            return self._broken(service, error)

    def _broken(self, service: Service, error: Exception) -> Ending:
        """A bug: the client is told an id, in the close frame where no message can say it."""
        self._log_bug(error)
        fault = InternalFault(self._request_id)
        try:
            return service.end(fault)
        except Exception:  # noqa: BLE001 - the same bug again, or its consequence
            return Ending(fault.code, int(fault.close_code), fault.message, fault.message)

    def _log_bug(self, error: Exception) -> None:
        """Once a session: what fails afterwards fails because of it."""
        if not self._is_broken:
            self._is_broken = True
            log.error("session_bug", **bug_fields(error, self._request_id))

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - what comes behind must happen too
            self._log_bug(error)

    async def _guarded_task(self, act: Callable[[], Awaitable[None]]) -> None:
        try:
            await act()
        except Exception as error:  # noqa: BLE001 - the other side and the credit are closed all the same
            self._log_bug(error)

    def _report(self, service: Service, ending: Ending) -> None:
        """One line per session, without a word of what was said in it."""
        log.info(
            "session_ended",
            **service.names(),
            close_code=ending.close_code,
            error=None if ending.word == "ok" else ending.word,
            **({} if ending.why is None else {"why": ending.why}),
            duration_s=round(self.lasted_s, 3),
            **service.log_fields(),
        )

    async def _close_credit(self, service: Service, ending: Ending) -> None:
        usage = service.usage()
        await self._credit.close(
            audio_ms=usage.audio_ms,
            connected_ms=round(self.lasted_s * 1000),
            provider_ms=usage.provider_ms,
            ending=ending.word,
        )


def ending_word(fault: Fault) -> str:
    """A fault in one word for logs and the ledger."""
    return "restart" if fault.close_code is CloseCode.RESTART else fault.code


class Running:
    """The sessions of one door, so that all can be asked to end."""

    def __init__(self) -> None:
        self._sessions: set[RunsAndFinishes] = set()

    async def run(self, session: "RunsAndFinishes") -> None:
        """Run it to its end."""
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)

    def finish_all(self, because: Fault) -> None:
        """Ask every session for its last words."""
        for session in self._sessions:
            session.finish(because)


class RunsAndFinishes(Protocol):
    """A session as its door sees it."""

    async def run(self) -> None:
        """Serve to the end; raises nothing of its own."""

    def finish(self, because: Fault) -> None:
        """End it politely."""
