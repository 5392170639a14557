"""Read dead letters: handlers that failed for good, from the record, and from RQ what the record does not have."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from redis import Redis

from ackfirst.ops.record.backlog import Backlog
from ackfirst.ops.record.live import LiveEvent, LiveQueue, pages
from ackfirst.shared.queue import keys
from ackfirst.shared.store import Store
from ackfirst.shared.store.arrival import attempts_of
from ackfirst.shared.store.results import DeadGroup
from ackfirst.shared.store.rows import Cursor, DeadLetter

_HOUR, _DAY, _WEEK = 3_600.0, 86_400.0, 604_800.0

#: Times that record and stream are read together when the recorder moves on meanwhile.
TRIES: Final = 3
#: Dead letters that one query reads.
PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadFilter:
    """Which dead letters are meant; None is no condition."""

    handler: str | None = None
    error_type: str | None = None
    since: float | None = None
    """Unix seconds: died then or later."""
    until: float | None = None
    """Unix seconds: died before."""

    def takes(self, letter: DeadLetter) -> bool:
        """Return whether the letter meets all conditions."""
        return (
            self.handler in (None, letter.handler)
            and self.error_type in (None, letter.error_type)
            and (self.since is None or letter.dead_at >= self.since)
            and (self.until is None or letter.dead_at < self.until)
        )


def recorded_letters(store: Store, chosen: DeadFilter) -> Iterator[DeadLetter]:
    """Read the dead letters of the record, newest first, a page a query."""
    after: Cursor | None = None
    while True:
        page = store.dead(chosen.handler, chosen.error_type, chosen.since, chosen.until, after=after, limit=PAGE)
        yield from page
        if len(page) < PAGE:
            return
        after = Cursor(page[-1].dead_at, f"{page[-1].event_id} {page[-1].handler}")


def unrecorded_letters(redis: Redis, chosen: DeadFilter, *, after: str, limit: int) -> list[DeadLetter]:
    """Read those that died since the record's position, newest first.

    Raises:
        RedisError: Redis does not answer.
    """
    found: dict[tuple[str, str], DeadLetter] = {}
    for entry in Backlog(redis).entries(after=after):
        for outcome in entry.outcomes:
            for attempt in attempts_of(outcome):
                if attempt.ending != "dead":
                    continue
                letter = DeadLetter(
                    event_id=attempt.event_id,
                    received_at=attempt.received_at,
                    message_id=None,
                    lane=outcome.lane,
                    handler=attempt.handler,
                    error_type=attempt.error_type or "",
                    error=attempt.message or "",
                    attempts=attempt.number,
                    dead_at=attempt.started + attempt.seconds,
                )
                if chosen.takes(letter):
                    found.setdefault((letter.event_id, letter.handler), letter)
        if len(found) >= limit:
            break
    return _with_message_ids(redis, sorted(found.values(), key=lambda one: -one.dead_at)[:limit])


def with_recorded(newest: Sequence[DeadLetter], recorded: Iterable[DeadLetter]) -> Iterator[DeadLetter]:
    """Yield letters of the stream, then those of the record, each once: one may be recorded while they are read."""
    yield from newest
    known = {(letter.event_id, letter.handler) for letter in newest}
    yield from (letter for letter in recorded if (letter.event_id, letter.handler) not in known)


def all_groups(store: Store, unrecorded: Callable[[str], Sequence[DeadLetter]], *, now: float) -> list[DeadGroup]:
    """Group the letters of the record and of its stream, both read at one position of the recorder if it rests at all.

    ``unrecorded`` reads the letters of the stream behind a position.

    Raises:
        StoreUnavailableError: The record does not answer.
    """
    position = store.position()
    for _ in range(TRIES):
        newest, groups, before = unrecorded(position), store.dead_groups(now), position
        position = store.position()
        if position == before:
            break
    return added(groups, grouped(newest, now=now))


def queued_letters(live: LiveQueue, chosen: DeadFilter) -> Iterator[DeadLetter]:
    """Read the dead letters that RQ holds, lane by lane, newest first within a lane. Works without a record.

    Raises:
        RedisError: Redis does not answer.
    """
    for lane in sorted(_text(one) for one in _answer(live.redis.smembers(keys.LANES))):
        start = 0
        while ids := [_text(one) for one in _answer(live.redis.zrevrange(keys.failed(lane), start, start + PAGE - 1))]:
            for one, event in live.look(ids).items():
                yield from (letter for letter in _letters(one, event) if chosen.takes(letter))
            start += len(ids)


def count_in_queue(redis: Redis) -> int:
    """Count the jobs in RQ's failed registries of all lanes; entries that have expired count too."""
    total = 0
    for page in pages(_answer(redis.sscan_iter(keys.LANES))):
        with redis.pipeline(transaction=False) as pipeline:
            for lane in page:
                pipeline.zcard(keys.failed(_text(lane)))
            total += sum(answer for answer in pipeline.execute(raise_on_error=False) if isinstance(answer, int))
    return total


@dataclass(slots=True)
class _Sums:
    hour: int = 0
    day: int = 0
    week: int = 0
    newest: DeadLetter | None = None
    oldest: float = field(default=float("inf"))


def grouped(letters: Iterable[DeadLetter], *, now: float) -> list[DeadGroup]:
    """Group dead letters by handler and error type, the most of the last hour first."""
    groups: defaultdict[tuple[str, str], _Sums] = defaultdict(_Sums)
    for letter in letters:
        sums, age = groups[letter.handler, letter.error_type], now - letter.dead_at
        sums.hour += age < _HOUR
        sums.day += age < _DAY
        sums.week += age < _WEEK
        sums.oldest = min(sums.oldest, letter.dead_at)
        if sums.newest is None or letter.dead_at > sums.newest.dead_at:
            sums.newest = letter
    return in_order(
        DeadGroup(
            handler=handler,
            error_type=error_type,
            hour=sums.hour,
            day=sums.day,
            week=sums.week,
            oldest=sums.oldest,
            newest=sums.newest.dead_at,
            sample=sums.newest.error,
            sample_event_id=sums.newest.event_id,
        )
        for (handler, error_type), sums in groups.items()
        if sums.newest is not None
    )


def in_order(groups: Iterable[DeadGroup]) -> list[DeadGroup]:
    """Sort groups for a reader who looks for what is wrong now."""
    return sorted(groups, key=lambda one: (-one.hour, -one.day, -one.week, -one.newest))


def added(groups: Iterable[DeadGroup], more: Iterable[DeadGroup]) -> list[DeadGroup]:
    """Add up two lists of groups."""
    sums = {(one.handler, one.error_type): one for one in groups}
    for one in more:
        known = sums.get((one.handler, one.error_type))
        if known is None:
            sums[one.handler, one.error_type] = one
            continue
        newer = one if one.newest > known.newest else known
        sums[one.handler, one.error_type] = DeadGroup(
            handler=one.handler,
            error_type=one.error_type,
            hour=known.hour + one.hour,
            day=known.day + one.day,
            week=known.week + one.week,
            oldest=min(known.oldest, one.oldest),
            newest=newer.newest,
            sample=newer.sample,
            sample_event_id=newer.sample_event_id,
        )
    return in_order(sums.values())


def _letters(one: str, live: LiveEvent) -> Iterator[DeadLetter]:
    for handler, error in (live.pending.dead or {"": ""}).items():
        kind, _, message = error.partition(": ")
        yield DeadLetter(
            event_id=one,
            received_at=live.event.received_at,
            message_id=live.event.message_id,
            lane=live.event.lane,
            handler=handler,
            error_type=kind.rpartition(".")[2],
            error=message,
            attempts=live.event.attempts,
            dead_at=live.event.state_at,
        )


def _with_message_ids(redis: Redis, letters: list[DeadLetter]) -> list[DeadLetter]:
    found = LiveQueue(redis).look(letter.event_id for letter in letters)
    return [
        replace(letter, message_id=found[letter.event_id].event.message_id) if letter.event_id in found else letter
        for letter in letters
    ]


def _answer(reply: Any) -> Any:
    """Pass on a reply: redis-py types every one as possibly awaitable."""
    return reply


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
