"""Takes out of the way what stands in a lane and is no job that could run: it is kept on record, and stops nobody."""

from typing import TYPE_CHECKING, Any, Final, Literal

from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.rejects import LIMIT, LONGEST_ENTRY, Reject
from ackfirst.workers.replies import printable
from ackfirst.workers.scripts import script

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

Place = Literal["waiting", "taken", "scheduled", "running"]

#: Characters of a reason.
LONGEST_REASON: Final = 300
#: Entries of which each round of the janitor tells one by one; of the rest it tells the number.
TOLD: Final = 20

_KEYS: Final = {
    "waiting": keys.queue,
    "taken": keys.intermediate,
    "scheduled": keys.scheduled,
    "running": keys.running,
}


class Rejects:
    """Moves entries to the record. ``keep`` is how many seconds the job hash of one stays, if it has one."""

    def __init__(self, redis: Redis, *, keep: int) -> None:
        self._keep = keep
        self._rejects = script(redis, "reject")

    def put(
        self, lane: str, place: Place, entry: bytes | str, reason: str, *, job_id: str = "", hands: str = ""
    ) -> bool:
        """Take ``entry`` out of that place of the lane; whether it was still there.

        ``hands`` is the engine that has it in hand. An interrupted call may be repeated.
        """
        return bool(
            self._rejects(
                keys=[keys.REJECTS, _KEYS[place](lane), keys.hands(hands), keys.job(job_id)],
                args=[
                    *(entry, job_id if hands else "", lane, place, printable(reason)[:LONGEST_REASON]),
                    *(LIMIT, LONGEST_ENTRY, self._keep),
                ],
            )
        )


class RejectsAlarm:
    """Tells of what was set aside since it was last asked, by whichever process, and not more than a log can bear."""

    def __init__(self, redis: Redis, *, log: "FilteringBoundLogger") -> None:
        self._redis = redis
        self._log = log
        self._after: bytes | None = None

    def tell(self) -> None:
        """Log each new entry, or how many there are."""
        if self._after is None:  # what is older was told by a janitor before this one
            newest: Any = self._redis.xrevrange(keys.REJECTS, count=1)
            self._after = newest[0][0] if newest else b"0-0"
            return
        rows: Any = self._redis.xrange(keys.REJECTS, b"(" + self._after, "+", count=10 * TOLD)
        for entry_id, fields in rows[:TOLD]:
            record = Reject.decode(entry_id, fields)
            self._log.error(
                "job.rejected", entry=record.shown, lane=record.lane, place=record.place, reason=record.reason
            )
        if len(rows) > TOLD:
            self._log.error("jobs.rejected", at_least=len(rows) - TOLD, look="ackfirst rejects list")
            newest = self._redis.xrevrange(keys.REJECTS, count=1)
            self._after = newest[0][0]
        elif rows:
            self._after = rows[-1][0]
