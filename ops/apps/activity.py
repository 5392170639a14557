"""Read what Redis and this machine's spool hold of each application."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from redis.asyncio import Redis

from ackfirst.ops.quarantine.recheck import callback_of
from ackfirst.shared.accounts import Accounts, default_lane
from ackfirst.shared.errors import EnvelopeError
from ackfirst.shared.quarantine.review import QuarantineReview
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.generation import written_at
from ackfirst.shared.spool.folder import slots, spool_folder
from ackfirst.shared.spool.segment import Segment, segment_paths
from ackfirst.shared.verification import Verifier

#: Jobs of lanes that several applications share, whose envelopes are read for one answer at most.
MOST_JOBS: Final = 20_000
#: Jobs that one round trip reads.
_PAGE: Final = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Events in Redis that are not done."""

    waiting: int = 0
    """Waiting or running."""
    retrying: int = 0
    dead: int = 0

    def __add__(self, other: "Held") -> "Held":
        return Held(
            waiting=self.waiting + other.waiting,
            retrying=self.retrying + other.retrying,
            dead=self.dead + other.dead,
        )


class TooManyJobsError(Exception):
    """Shared lanes hold more jobs than one answer reads."""


async def last_times(redis: Redis, key: str, accounts: Accounts) -> dict[tuple[str, str], float]:
    """Read ``LAST_CALLBACKS`` or ``LAST_UNCONFIRMED``: account and application id → Unix seconds."""
    found: Any = await redis.hgetall(key)
    times = {}
    for field, value in found.items():
        with suppress(ValueError):
            times[_parts(field.decode(errors="backslashreplace"), accounts)] = float(value)
    return times


def _parts(field: str, accounts: Accounts) -> tuple[str, str]:
    """Split ``<account>/<application id>``: a claimed id may hold a slash, too."""
    ours = (account.api_key for account in accounts if field.startswith(f"{account.api_key}/"))
    account = next(ours, field.partition("/")[0])
    return account, field[len(account) + 1 :]


async def watched_since(redis: Redis) -> float | None:
    """Return the Unix second since when this Redis knows of every callback; None if it does not say."""
    marker: Any = await redis.get(keys.GENERATION)
    return written_at(marker.decode(errors="replace")) if marker else None


async def held_in_lanes(redis: Redis, lanes: Sequence[str]) -> dict[str, Held]:
    """Count the events of whole lanes."""
    async with redis.pipeline(transaction=False) as pipeline:
        for lane in lanes:
            pipeline.llen(keys.queue(lane))
            pipeline.llen(keys.intermediate(lane))
            pipeline.zcard(keys.running(lane))
            pipeline.zcard(keys.scheduled(lane))
            pipeline.zcard(keys.failed(lane))
        answers = iter(await pipeline.execute(raise_on_error=False))
    counts = ([one if isinstance(one, int) else 0 for one in row] for row in zip(*(answers,) * 5, strict=True))
    return {
        lane: Held(waiting=queued + taken + running, retrying=retries, dead=dead)
        for lane, (queued, taken, running, retries, dead) in zip(lanes, counts, strict=True)
    }


async def held_of(redis: Redis, application_id: str, accounts: Accounts, account_keys: Iterable[str]) -> Held:
    """Count the events of one application, in its own lanes and in lanes that it may share.

    Raises:
        TooManyJobsError: Shared lanes hold more than ``MOST_JOBS`` events.
    """
    own = {default_lane(account or None, application_id) for account in ("", *account_keys)}
    names: Any = await redis.smembers(keys.LANES)
    # A lane that the configuration names has no dot in its name, also one that an older configuration named.
    shared = {lane for name in names if "." not in (lane := name.decode(errors="replace"))}
    shared |= {accounts.lane_of(account, application_id) for account in account_keys} - own
    total = sum((await held_in_lanes(redis, sorted(own))).values(), start=Held())
    left = MOST_JOBS
    for lane in sorted(shared):
        for name, key in (
            ("waiting", keys.queue(lane)),
            ("waiting", keys.intermediate(lane)),
            ("waiting", keys.running(lane)),
            ("retrying", keys.scheduled(lane)),
            ("dead", keys.failed(lane)),
        ):
            ids = await _job_ids(redis, key, left)
            left -= len(ids)
            if left <= 0:
                raise TooManyJobsError
            total += Held(**{name: await _count(redis, ids, application_id)})
    return total


async def _job_ids(redis: Redis, key: str, most: int) -> list[str]:
    kind: Any = await redis.type(key)
    members: Any = []
    if kind == b"list":
        members = await redis.lrange(key, 0, most)
    elif kind == b"zset":
        members = await redis.zrange(key, 0, most)
    return [member.decode(errors="replace").partition(":")[0] for member in members]


async def _count(redis: Redis, ids: Sequence[str], application_id: str) -> int:
    count = 0
    for start in range(0, len(ids), _PAGE):
        async with redis.pipeline(transaction=False) as pipeline:
            for id_ in ids[start : start + _PAGE]:
                pipeline.hget(keys.job(id_), "data")
            for data in await pipeline.execute(raise_on_error=False):
                count += _application_of(data) == application_id
    return count


def _application_of(data: Any) -> str | None:
    """Return the application of a job's event; None for a job that is gone or not ours."""
    try:
        _, _, (text, *_), _ = orjson.loads(data)
        return Envelope.decode(text).application_id
    except (EnvelopeError, ValueError, TypeError, AttributeError):
        return None


async def quarantined(review: QuarantineReview, verifier: Verifier, application_id: str) -> AsyncIterator[float]:
    """Yield when each quarantined callback arrived that names the application."""
    async for entry in review.newest_first():
        record = entry.record
        if record is None:
            continue
        claimed = verifier.verify(callback_of(record), now=record.received_at).claimed_application_id
        if claimed == application_id:
            yield record.received_at


def spooled_here(data_dir: Path, application_id: str) -> tuple[int, int]:
    """Count the events on this machine's disk: of one application, and all.

    Raises:
        OSError: The spool cannot be read.
    """
    of_it = total = 0
    for slot in slots(spool_folder(data_dir)):
        for path in segment_paths(slot.folder):
            with suppress(FileNotFoundError), closing(Segment.open(path)) as segment:  # drained meanwhile
                for record in segment.scan():
                    total += 1
                    of_it += record.frame is None or _names(record.frame.text, application_id)
    return of_it, total


def _names(text: bytes, application_id: str) -> bool:
    """Return whether a spooled event is of an application; True as well if that is not known."""
    try:
        return Envelope.decode(text.decode()).application_id == application_id
    except (EnvelopeError, UnicodeDecodeError):
        return True
