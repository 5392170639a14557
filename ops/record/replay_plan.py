"""Plan replays: what a selection means, how many events it has, and which handlers would run. Changes nothing."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from redis import Redis

from ackfirst.shared.errors import AckfirstError
from ackfirst.shared.queue import keys
from ackfirst.shared.record import named_record
from ackfirst.shared.replay.selection import MOST_NAMED, Selection
from ackfirst.shared.store import EventFilter, ReplayDay, Store

#: Events a second of a replay without ``--rate``. What has just recovered from an outage should not get more at once.
DEFAULT_RATE: Final = 200.0

#: Newest events of a selection that a plan looks at to say which handlers ran them.
SAMPLED: Final = 200

DAY_SECONDS: Final = 86_400


class ReplayError(AckfirstError):
    """A replay cannot be started or steered this way; the message says why."""


@named_record
class HandlerRuns:
    """A handler that a replay would run."""

    handler: str
    """Empty for those that have not finished with events that died without a handler's doing."""
    events: int | None
    """How many events it would run; None where that is not known before."""
    is_known: bool = True
    """Whether it has ever run: a name that was mistyped has not."""


@named_record
class Plan:
    """The plan of a replay, resolved: it means the same events whenever it runs."""

    selection: Selection
    handlers: tuple[str, ...]
    """Only these; empty for those that died, and all that match of events that are not dead."""
    fresh: bool
    rate: float
    total: int
    days: Sequence[ReplayDay]
    runs: Sequence[HandlerRuns]
    unknown: Sequence[str] = ()
    """Ids that were named and are not in the record."""

    @property
    def seconds(self) -> float:
        """Return the seconds that it takes at the least."""
        return self.total / self.rate

    @property
    def oldest(self) -> float | None:
        """Return the Unix second at which its oldest event was received."""
        return min((day.oldest for day in self.days), default=None)

    @property
    def newest(self) -> float | None:
        """Return the Unix second at which its newest event was received."""
        return max((day.newest for day in self.days), default=None)

    @property
    def states(self) -> Mapping[str, int]:
        """State → how many of its events are in it now."""
        states: Counter[str] = Counter()
        for day in self.days:
            states[day.state] += day.count
        return states


def plan(
    store: Store,
    redis: Redis,
    selection: Selection,
    *,
    handlers: Sequence[str] = (),
    rate: float = DEFAULT_RATE,
    fresh: bool = False,
) -> Plan:
    """Resolve a selection and look at what a replay of it would do; changes nothing.

    Raises:
        ReplayError: It means every event that was ever recorded, or names too many.
        StoreUnavailableError: The record does not answer.
        RedisError: Redis does not answer.
    """
    selection = selection.until(time.time())
    unknown: list[str] = []
    if selection.events:
        if len(selection.events) > MOST_NAMED:
            raise ReplayError(f"at most {MOST_NAMED:,} events can be named: choose more by a filter")
        days, dead, unknown = _named(store, selection.events)
        selection = Selection(events=tuple(one for one in selection.events if one not in set(unknown)))
    else:
        _require_range(selection.filter)
        days = store.replay_plan(selection.filter)
        dead = store.replay_handlers(selection.filter)
    total = sum(day.count for day in days)
    timed: Any = redis.hkeys(keys.HANDLER_TIMES)
    known = {name.decode().removesuffix(":runs") for name in timed}
    if handlers:
        runs = [HandlerRuns(handler=name, events=total, is_known=name in known) for name in handlers]
    else:
        runs = [HandlerRuns(handler=name, events=count) for name, count in sorted(dead.items())]
        if any(day.state != "dead" for day in days):
            others = _handlers_of_newest(store, selection) - {run.handler for run in runs}
            runs += [HandlerRuns(handler=name, events=None) for name in sorted(others)]
    return Plan(
        selection=selection,
        handlers=tuple(handlers),
        fresh=fresh,
        rate=rate,
        total=total,
        days=days,
        runs=runs,
        unknown=unknown,
    )


def _require_range(chosen: EventFilter) -> None:
    """Refuse a filter that has no beginning: what it means would be a matter of how long the record goes back."""
    if chosen.since is None and chosen.died_since is None and chosen.state != "dead":
        raise ReplayError("say of which time: a replay without a beginning could mean every event")


def _named(store: Store, event_ids: Iterable[str]) -> tuple[list[ReplayDay], Mapping[str, int], list[str]]:
    """Count events by day, their dead handlers, and ids that are not in the record."""
    found, unknown = [], []
    for event_id in event_ids:
        rows = [row for row in store.message(event_id) if row.event_id == event_id]
        if rows:
            found.append(max(rows, key=lambda row: row.received_at))
        else:
            unknown.append(event_id)
    groups: dict[tuple[float, str, str], list[float]] = {}
    for row in found:
        kind = (row.received_at // DAY_SECONDS * DAY_SECONDS, row.family, row.state)
        groups.setdefault(kind, []).append(row.received_at)
    days = [
        ReplayDay(day=day, family=family, state=state, count=len(times), oldest=min(times), newest=max(times))
        for (day, family, state), times in sorted(groups.items())
    ]
    dead_ids = [row.event_id for row in found if row.state == "dead"]
    newest = {(one.event_id, one.handler): one.ending for one in store.attempts(dead_ids)} if dead_ids else {}
    dead = Counter(handler for (_, handler), ending in newest.items() if ending == "dead")
    blamed = {event_id for (event_id, _), ending in newest.items() if ending == "dead"}
    if without := len(set(dead_ids) - blamed):
        dead[""] = without
    return days, dead, unknown


def _handlers_of_newest(store: Store, selection: Selection) -> set[str]:
    """Return the handlers that have run the newest events of a selection: those that match will run again."""
    if selection.events:
        ids: Sequence[str] = selection.events[:SAMPLED]
    else:
        ids = [row.event_id for row in store.events(selection.filter, limit=SAMPLED)]
    return {attempt.handler for attempt in store.attempts(ids)}
