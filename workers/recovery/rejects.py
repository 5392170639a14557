"""Move entries that no worker can run out of their lane, and report each of them."""

from typing import TYPE_CHECKING, Any, Final, Literal

from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.rejects import LIMIT, LONGEST_ENTRY, Reject
from ackfirst.workers.processing.outcome import EventEnding, Outcome, OutcomeSink
from ackfirst.workers.replies import printable, text
from ackfirst.workers.scripts import script

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

Place = Literal["waiting", "taken", "scheduled", "running"]

#: Characters of a reason.
LONGEST_REASON: Final = 300
#: Entries that one round of the janitor logs one by one; of further ones it logs the number.
LINES_A_ROUND: Final = 20
#: Entries that one round reports.
ENTRIES_A_ROUND: Final = 200

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
        self._reject = script(redis, "reject")

    def put(
        self, lane: str, place: Place, entry: bytes | str, reason: str, *, job_id: str = "", engine: str = ""
    ) -> bool:
        """Take ``entry`` out of that place of the lane; returns whether it was still there.

        ``engine`` is the one that has it in flight. An interrupted call may be repeated.
        """
        return bool(
            self._reject(
                keys=[keys.REJECTS, _KEYS[place](lane), keys.in_flight(engine), keys.job(job_id)],
                args=[
                    *(entry, job_id if engine else "", lane, place, printable(reason)[:LONGEST_REASON]),
                    *(LIMIT, LONGEST_ENTRY, self._keep),
                ],
            )
        )


class RejectsReporter:
    """Logs each new entry of the record and writes its outcome, whichever script or process has rejected it.

    The position is kept in Redis: entries that were rejected while no janitor ran are reported by the next one.
    """

    def __init__(self, redis: Redis, *, sink: OutcomeSink, log: "FilteringBoundLogger") -> None:
        self._redis = redis
        self._sink = sink
        self._log = log

    def report(self) -> None:
        """Report what was rejected since the last report."""
        after: Any = self._redis.get(keys.REJECTS_REPORTED)
        rows: Any = self._redis.xrange(keys.REJECTS, b"(" + after if after else "-", "+", count=ENTRIES_A_ROUND)
        if not rows:
            return
        rejects = [Reject.decode(entry_id, fields) for entry_id, fields in rows]
        self._sink.write([_outcome(reject) for reject in rejects])
        self._redis.set(keys.REJECTS_REPORTED, text(rows[-1][0]))
        for reject in rejects[:LINES_A_ROUND]:
            self._log.error(
                "job.rejected", entry=reject.shown, lane=reject.lane, place=reject.place, reason=reject.reason
            )
        if len(rejects) > LINES_A_ROUND:
            self._log.error("jobs.rejected", count=len(rejects) - LINES_A_ROUND, hint="ackfirst rejects list")


def _outcome(reject: Reject) -> Outcome:
    return Outcome(
        event_id=reject.job_id or reject.shown,
        lane=reject.lane,
        ending=EventEnding.REJECTED,
        ended=reject.at,
        worker="",
        reason=reject.reason,
    )
