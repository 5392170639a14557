"""Define what the store works out from its rows: groups of dead letters, statistics, the plan of a replay.

Times are Unix seconds.
"""

from collections.abc import Mapping, Sequence

from ackfirst.shared.record import named_record, record
from ackfirst.shared.store.rows import Gap


@named_record
class DeadGroup:
    """Dead letters of one handler that failed with errors of one type."""

    handler: str
    """Empty for events that died without a handler's doing."""
    error_type: str
    hour: int
    """How many died in the last hour that are still dead, to the minute;"""
    day: int
    """in the last 24 hours,"""
    week: int
    """in the last 7 days."""
    oldest: float
    newest: float
    sample: str
    """Masked message of the newest error."""
    sample_event_id: str


@named_record
class HandlerStats:
    """The figures of one handler."""

    handler: str
    runs: int
    failures: int
    p50: float
    """Seconds; the upper bound of the histogram's bucket."""
    p99: float
    seconds: float
    """Of all runs together."""
    last_error: str | None = None
    last_error_at: float | None = None


@named_record
class StatsPoint:
    """Counts of one step of time."""

    at: float
    counts: Mapping[str, Mapping[str, int]]
    """Kind → name → count. The kinds are those of ``Stats.totals``."""


@named_record
class Stats:
    """Counts of a span of time, from roll-ups: exact, and never a scan of the events."""

    since: float
    until: float
    step: int
    """Seconds of one point."""
    points: Sequence[StatsPoint]
    """The steps in which something happened, oldest first."""
    totals: Mapping[str, Mapping[str, int]]
    """``family`` (events by family), ``outcome`` (endings by state), ``request`` (by kind), ``verdict`` (of refused and
    quarantined callbacks)."""
    lag: Mapping[float, int]
    """Provider lag: upper bound of a bucket in seconds (the last also has everything above it) → events."""
    handlers: Sequence[HandlerStats]
    """The slowest first, by p99."""
    gaps: Sequence[Gap]


@record
class LastCallback:
    """The newest recorded callback of one application."""

    account: str
    application_id: str
    at: float
    count: int
    """Of all its recorded events."""


@named_record
class ReplayDay:
    """Events of one day that a replay would run, of one family and state."""

    day: float
    """Unix seconds of midnight UTC."""
    family: str
    state: str
    count: int
    oldest: float
    newest: float


@named_record
class Redacted:
    """The number of rows that personal data was taken out of."""

    events: int = 0
    attempts: int = 0
    dead_letters: int = 0
    replays: int = 0
