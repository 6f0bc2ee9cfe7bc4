"""The store contract: keys, burnt tokens, open streams and the usage ledger behind one small protocol.

Every method is synchronous, is one transaction, and runs in a thread of its caller's choosing; a store may be used by
several threads at once. Times are Unix seconds from the *store's* clock, so that the clocks of nodes do not matter.

The ledger has one row per (session, leg): a line. It is also the lease: a line is *open* until it has ended, and it
holds a place of its account while its node lives. `granted` cycles may be streamed; telling how many have begun and
asking for the next one are the same write, a `Mark`, so that one group commit serves every stream of a node.

    join(node)         → its lease begins                    closes what earlier processes of that id left open
    open(opening)      → Opened(granted=1) or Refusal        burns the token, counts, reserves the first cycle
    settle(marks)      → what is granted now                 cycles are high-water marks: replays change nothing
    heartbeat(node)    → whether the node still holds its streams
    sweep()            → closes what dead nodes left open, as `aborted`, and gives their reservations back
"""

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Final, Literal, Protocol

import msgspec

from routeraudio.policy.keys import Budget, Key

Status = Literal["open", "ended", "aborted"]

Why = Literal["token_used", "unknown", "disabled", "expired", "concurrency", "rate", "budget", "lease"]
"""Why a stream may not begin, or not go on. `lease`: its node was not heard of for `LEASE_S`; its places are gone."""

LEASE_S: Final = 30.0
"""How long a node that is not heard of keeps its streams' places."""


REPORT_S: Final = 600.0
"""What a report may take where nobody says less."""


class StoreUnavailable(Exception):
    """The store cannot be reached or did not answer in time. The message names it without its password."""


class StoreUnusable(StoreUnavailable):
    """Waiting will not help: somebody has to do what the message says."""


class ReportTooLong(Exception):
    """A report took longer than it may, and was stopped. Says nothing about the store's health."""


class NewerSchema(Exception):
    """The database was made by a newer version; names both versions."""


class Node(msgspec.Struct, frozen=True):
    """One daemon process. ``epoch`` tells a restarted process from the one before."""

    id: str
    epoch: str


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """A stream that wants to begin."""

    session_id: str
    leg: int = 1
    node: Node
    key_id: str
    """A router key's id. Keys that have no record here have no limits either, and their account no sums: `own`,
    `anonymous`, and keys that stand in a configuration file."""
    account: str
    dialect: str
    provider: str
    model: str | None
    price_per_hour_usd: Decimal
    concurrency_max: int | None = None
    sessions_per_minute_max: int | None = None
    budget: Budget | None = None
    token_jti: str | None = None
    """Burnt here, whatever else is refused."""
    token_expires_at_s: int | None = None
    token_concurrent_max: int | None = None


class Refusal(msgspec.Struct, frozen=True):
    """A stream may not begin, or not go on."""

    why: Why
    retry_after_s: float | None = None


class Opened(msgspec.Struct, frozen=True):
    """A stream may begin."""

    granted: int
    """Cycles that may be streamed: the first one. A budget that does not cover it is a `Refusal`."""


MOVED: Final = "moved"
"""How a leg ends that another one goes on from. Audio whose text had not become final is the next leg's: here
`cycles` and `audio_ms` are exact, and marks from before change nothing any more."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Where a stream stands. High-water marks: a smaller number than what is known changes nothing, but see `MOVED`."""

    session_id: str
    leg: int = 1
    cycles: int
    """Begun."""
    wanted: int
    """Cycles that it would like to have granted."""
    audio_ms: int = 0
    connected_ms: int = 0
    provider_ms: int | None = None
    """What the provider reported that it heard."""
    replayed_ms: int = 0
    """Audio that an earlier leg's provider had been sent already: the operator's cost, in no cycle."""
    ended: str | None = None
    """How it ended, from a closed vocabulary (`ok`, or an error code); None: it goes on."""


class Settled(msgspec.Struct, frozen=True):
    """What the ledger says about a mark."""

    session_id: str
    leg: int
    granted: int
    refusal: Refusal | None = None
    """Why not all that was wanted is granted, or that the key has been disabled."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the ledger."""

    session_id: str
    leg: int
    key_id: str
    account: str
    dialect: str
    provider: str
    model: str | None
    price_per_hour_usd: Decimal
    node: str
    began_at_s: float
    ended_at_s: float | None
    status: Status
    ending: str | None
    cycles: int
    granted: int
    audio_ms: int
    connected_ms: int
    provider_ms: int | None
    replayed_ms: int


Group = Literal["key", "account", "provider", "model", "day", "session"]


class UsageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines, and added up by what."""

    by: tuple[Group, ...] = ("key", "provider", "model")
    account: str | None = None
    key_id: str | None = None
    provider: str | None = None
    since_s: float | None = None
    """Streams that began then or later, Unix time."""
    until_s: float | None = None
    rows_max: int | None = None
    """Of the answer: no more are read."""


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """A sum over lines, exact. A session counts where it began: with its first leg."""

    group: dict[str, str]
    """The query's `by` → value."""
    sessions: int
    cycles: int
    audio_ms: int
    connected_ms: int
    replayed_ms: int
    amount_units: int
    """Exact: see `policy.pricing`."""
    amount_usd: Decimal
    """The same, rounded to twelve decimals for display."""


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """One act of administration."""

    at_s: float
    actor: str
    """`cli`, `admin`, or a key's id."""
    action: str
    """`key.create`, `key.disable`, `key.rotate`, `key.update`, `token.mint`, …"""
    subject: str
    """A key's id or a token's jti; never a secret."""
    detail: dict[str, str]


class Store(Protocol):
    """See the module's docstring. Every method may raise `StoreUnavailable`."""

    @property
    def name(self) -> str:
        """For messages; without password."""

    @property
    def threads_max(self) -> int:
        """How many calls at the same time gain anything; 0: it is in this process's memory and needs no thread."""

    def migrate(self) -> None:
        """Bring the schema to this version, forward only.

        Raises:
            NewerSchema: the database is ahead of this version.
        """

    def close(self) -> None:
        """Release connections."""

    def adopt_secret(self, fingerprints: Sequence[str]) -> bool:
        """Remember which server secret the keys here are hashed with.

        Args:
            fingerprints: of every line of the secret (`policy.secrets.Secrets.fingerprints`).

        Returns:
            False: there are keys, and none of these lines can have made them. Nothing has changed then.
        """

    def add_key(self, key: Key, hash: bytes, audit: Audit) -> None:
        """Keep a new key.

        Raises:
            ValueError: there is one of that id, or its budget is no amount (`policy.pricing.micro_usd`).
        """

    def set_key(self, key: Key, audit: Audit, hash: bytes | None = None) -> None:
        """Replace a key's record; ``hash``: its secret has been rotated.

        Raises:
            ValueError: there is none of that id, or its budget is no amount.
        """

    def keys(self, account: str | None = None) -> list[Key]: ...

    def key(self, key_id: str) -> tuple[Key, bytes] | None:
        """A key's record and the keyed hash of its secret."""

    def refused(self, key_ids: Collection[str]) -> dict[str, Refusal]:
        """Those of ``key_ids`` that have been disabled or have expired."""

    def join(self, node: Node) -> int:
        """A node's lease begins, or begins again after it was lost.

        What earlier processes of the same id left open is closed at once. Returns how many lines those were.
        """

    def open(self, opening: Opening) -> Opened | Refusal:
        """Begin a line. `StoreUnavailable` may mean that it has begun: end it with a mark, whatever comes of that."""

    def settle(self, node: Node, marks: Sequence[Mark]) -> list[Settled]:
        """Take marks down, in any order and any number of times, and grant what is wanted and within the budget.

        A mark opens its line again when a sweep has closed it although the same process of ``node`` still streams,
        unless the stream counts against a limit of concurrency: its place may be somebody else's. Marks of other
        processes (a spool that one left behind) only count. Returns one answer per (session, leg).
        """

    def heartbeat(self, node: Node) -> bool:
        """Renew the lease of the node and its open lines; False: it has been swept, its places are gone."""

    def sweep(self) -> int:
        """Close what dead nodes left open. Returns how many lines. Also forgets burnt tokens that have expired."""

    def usage(self, query: UsageQuery, *, within_s: float = REPORT_S) -> list[UsageRow]:
        """Sums over lines; one row per group, in order of the groups.

        Raises:
            ReportTooLong: after ``within_s``.
        """

    def total(self, query: UsageQuery, *, within_s: float = REPORT_S) -> UsageRow:
        """The same lines added up to one row; ``by`` is ignored. Raises what `usage` does."""

    def lines(self, session_id: str) -> list[Line]: ...

    def audit(self, entry: Audit) -> None: ...

    def audits(self, limit: int = 100) -> list[Audit]: ...
