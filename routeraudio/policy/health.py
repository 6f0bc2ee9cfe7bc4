"""How a provider stands: a circuit breaker, a learned ceiling of sessions, and a disabled credential.

One record per provider, address and credential, shared by all workers of a machine. Only the provider's own faults
count (`model.errors.UpstreamFault`); what a client does wrong, or how we end a session, says nothing about a provider.

    closed ── FAILURES_MAX failures in a row ──▶ open ── after open_s ──▶ half-open: one probing session
       ▲                                          ▲                          │
       └──────────── it says something ───────────┼──────────────────────────┤
                                                  └── it fails: twice as long┘
"""

from typing import Final, Literal

import msgspec

FAILURES_MAX: Final = 5
"""In a row, until the breaker opens. A provider that fails one session in ten fails five in a row once in 10^5."""

BURST_MS: Final = 1000
"""Failures this close together are one: a restart that cuts a hundred sessions at once is one failure."""

OPEN_MS: Final = 10_000
"""How long a breaker stays open the first time: a server that is restarted is back by then."""

OPEN_MS_MAX: Final = 160_000
"""After that it doubles up to here: one probing session every three minutes harms nobody."""

PROBE_MS: Final = 30_000
"""A probing session that has not told how it went by then is forgotten, and the next one may probe."""

RETRY_MS: Final = 1000
"""After a 429 that names no time."""

RETRY_MS_MAX: Final = 120_000
"""Longer than this no Retry-After is believed."""

CEILING_FALL: Final = 0.75
"""A 429 leaves this share of the sessions that run as the new ceiling."""

CEILING_RISE_MS: Final = 10_000
"""One session more is tried after each such time without a 429."""

FailureKind = Literal["failed", "crowded", "refused"]
"""`failed`: unreachable, cut, stalled, garbage, 5xx. `crowded`: 429. `refused`: 401 or 403 to a stored credential."""

State = Literal["closed", "open", "half-open", "disabled"]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Everything known. Times are milliseconds on one monotonic clock; 0: never."""

    failures: int = 0
    """In a row."""
    failed_ms: int = 0
    """When the last one was counted."""
    open_until_ms: int = 0
    open_ms: int = 0
    """How long it was opened for."""
    probe_until_ms: int = 0
    """A probing session is under way."""
    disabled: int = 0
    """1: the stored credential was refused; nothing but a reload of the configuration changes that."""
    ceiling: int = 0
    """Sessions at the same time; 0: none has been learned."""
    raised_ms: int = 0
    """When the ceiling was learned or last raised."""
    retry_at_ms: int = 0
    """The provider asked not to be dialled before."""
    ready_ms: int = 0
    """From dial to readiness, lately."""


GOOD: Final = Health()


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator sees of it."""

    state: State
    sessions: int
    """Connections to it."""
    sessions_max: int | None
    """How many it has been seen to take; None: nobody knows."""
    failures: int
    """In a row."""
    wait_s: float | None
    """For so long it is not dialled; None: until the configuration is reloaded."""
    ready_s: float | None
    """How long it lately took to take audio; None: nobody knows."""


def state(health: Health, now_ms: int) -> State:
    """In one word, for metrics and `/readyz?verbose`."""
    if health.disabled:
        return "disabled"
    if not health.open_ms:
        return "closed"
    return "open" if now_ms < health.open_until_ms else "half-open"


def wait_ms(health: Health, now_ms: int, sessions: int) -> int | None:
    """How long a new connection should wait; 0: not at all, None: for ever.

    Args:
        sessions: connections to it on this machine.
    """
    if health.disabled:
        return None
    until_ms = max(health.open_until_ms, health.retry_at_ms)
    if health.open_ms:
        until_ms = max(until_ms, health.probe_until_ms)
    if health.ceiling and sessions >= health.ceiling:
        until_ms = max(until_ms, health.raised_ms + CEILING_RISE_MS)
    return max(0, until_ms - now_ms)


def dialled(health: Health, now_ms: int, sessions: int) -> Health:
    """A connection is being dialled: of a half-open breaker it is the probe, at a ceiling it tries one more."""
    if health.open_ms and now_ms >= health.open_until_ms:
        health = msgspec.structs.replace(health, probe_until_ms=now_ms + PROBE_MS)
    if health.ceiling and sessions >= health.ceiling and now_ms >= health.raised_ms + CEILING_RISE_MS:
        health = msgspec.structs.replace(health, ceiling=health.ceiling + 1, raised_ms=now_ms)
    return health


def ready(health: Health, took_ms: int) -> Health:
    """It accepts audio. Says little about whether it will say anything."""
    smoothed = took_ms if not health.ready_ms else (3 * health.ready_ms + took_ms) // 4
    return msgspec.structs.replace(health, ready_ms=max(1, smoothed))


def worked(health: Health) -> Health:
    """It has said something, or heard a session out: whatever was wrong is over."""
    if not (health.failures or health.open_ms):
        return health
    return msgspec.structs.replace(health, failures=0, open_until_ms=0, open_ms=0, probe_until_ms=0)


def failed(
    health: Health, kind: FailureKind, now_ms: int, *, sessions: int, retry_after_ms: int | None = None
) -> Health:
    """It has failed.

    Args:
        sessions: connections to it that go on.
        retry_after_ms: what it said about when to come back.
    """
    if kind == "refused":
        return msgspec.structs.replace(health, disabled=1)
    if retry_after_ms is not None or kind == "crowded":
        pause_ms = min(RETRY_MS if retry_after_ms is None else max(0, retry_after_ms), RETRY_MS_MAX)
        health = msgspec.structs.replace(health, retry_at_ms=now_ms + pause_ms)
    if kind == "crowded":
        ceiling = max(1, int(sessions * CEILING_FALL))
        return msgspec.structs.replace(health, ceiling=ceiling, raised_ms=now_ms)
    if health.failed_ms and now_ms - health.failed_ms < BURST_MS and not health.probe_until_ms:
        return health
    failures = health.failures + 1
    health = msgspec.structs.replace(health, failures=failures, failed_ms=now_ms)
    is_probe = health.open_ms and health.probe_until_ms
    if failures < FAILURES_MAX and not is_probe:
        return health
    if health.open_ms and not is_probe:
        return health  # of a connection from before: the breaker is open already
    open_ms = min(health.open_ms * 2, OPEN_MS_MAX) if health.open_ms else OPEN_MS
    return msgspec.structs.replace(health, open_ms=open_ms, open_until_ms=now_ms + open_ms, probe_until_ms=0)
