"""Check the queue: workers, lanes without a worker, dead letters, rejects, the quarantine."""

from datetime import UTC, datetime
from typing import Any, Final

import redis
from redis.exceptions import ResponseError

from ackfirst.ops.doctor.finding import Findings, error, warning
from ackfirst.shared.queue import keys

#: Seconds that the oldest event of a lane may wait.
LONGEST_WAIT_SECONDS: Final = 60.0
#: Names that one finding lists.
_SHOWN: Final = 5


def queue_findings(client: redis.Redis, *, now: float) -> Findings:
    """Yield what waits for a person in Redis.

    Args:
        client: The server.
        now: Unix seconds.

    Raises:
        RedisError: It does not answer.
    """
    lanes = sorted(_text(name) for name in _ask(client.smembers(keys.LANES)))
    served, any_worker = _served(client)
    with client.pipeline(transaction=False) as pipeline:
        for lane in lanes:
            pipeline.lindex(keys.queue(lane), 0)
            pipeline.zcard(keys.failed(lane))
        answers = pipeline.execute(raise_on_error=False)
    heads, dead = dict(zip(lanes, answers[::2], strict=True)), dict(zip(lanes, answers[1::2], strict=True))
    waiting = [lane for lane, head in heads.items() if isinstance(head, bytes)]
    if not any_worker:
        yield error(
            "workers-none",
            "no worker is running: events are kept, and no handler sees them",
            "ackfirst worker, or docker compose up -d worker",
        )
    elif unserved := [lane for lane in waiting if keys.queue_name(lane) not in served]:
        yield error(
            "lane-unserved",
            f"events wait in lanes that no worker serves: {_some(unserved)}",
            "start a worker without --lane, or with --lane for each of them",
        )
    late = [lane for lane in waiting if _age(client, heads[lane], now) > LONGEST_WAIT_SECONDS]
    if late and any_worker:
        yield warning(
            "lane-waits",
            f"events wait longer than {LONGEST_WAIT_SECONDS:.0f} s in {_some(late)}",
            "start more workers (docker compose up -d --scale worker=3), and look for slow handlers",
        )
    if failed := {lane: count for lane, count in dead.items() if isinstance(count, int) and count}:
        yield warning(
            "dead-letters",
            f"{sum(failed.values())} dead letters lie in {_some(sorted(failed))}: handlers failed too often",
            "look at their errors in the dashboard, fix the handler, then requeue them there",
        )
    if rejects := client.xlen(keys.REJECTS):
        yield warning(
            "rejects", f"{rejects} entries of lanes are no jobs that a worker could run", "ackfirst rejects list"
        )
    if quarantined := client.xlen(keys.QUARANTINE):
        yield warning(
            "quarantine",
            f"{quarantined} callbacks that could not be verified are in quarantine",
            "ackfirst quarantine list",
        )


def _served(client: redis.Redis) -> tuple[set[str], bool]:
    """Return the queues that living workers serve, and whether there is a living worker."""
    with client.pipeline(transaction=False) as pipeline:
        for worker in _ask(client.smembers(keys.RQ_WORKERS)):
            pipeline.hget(_text(worker), "queues")
        found = [answer for answer in pipeline.execute(raise_on_error=False) if isinstance(answer, bytes)]
    return {queue for answer in found for queue in answer.decode().split(",")}, bool(found)


def _age(client: redis.Redis, job_id: bytes, now: float) -> float:
    """Return the seconds since a job was queued; 0 if its hash does not say."""
    try:
        queued_at: Any = client.hget(keys.job(_text(job_id)), "enqueued_at")
        moment = datetime.fromisoformat(_text(queued_at or b""))
    except (ValueError, ResponseError):
        return 0.0
    return now - (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _ask(answer: Any) -> Any:
    """redis-py types every answer as possibly awaitable."""
    return answer


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
