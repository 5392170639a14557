"""Read how the events of a replay have ended. Workers write it (``workers/replay/outcomes.py``)."""

from collections.abc import Sequence
from typing import Final

from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.record import record

#: Newest passes that are kept one by one.
NEWEST: Final = 50


@record
class ReplayEndings:
    """The endings so far of the passes of a replay's events."""

    succeeded: int = 0
    retried: int = 0
    died: int = 0
    """Events that are dead letters again."""
    unwanted: int = 0
    """Events that no handler matches that was to run: nothing ran, and they stay in their state."""
    newest: Sequence[tuple[float, str]] = ()
    """Unix seconds and the failure as ``handler: error``, empty for a success; the newest first."""

    @property
    def passes(self) -> int:
        """Count the passes that have ended."""
        return self.ended + self.retried

    @property
    def ended(self) -> int:
        """Count the events that have ended."""
        return self.succeeded + self.died + self.unwanted


def read_deaths(redis: Redis, replay_ids: Sequence[str]) -> list[int]:
    """Read of each replay how many of its events are dead letters again, in one round trip."""
    with redis.pipeline(transaction=False) as pipeline:
        for replay_id in replay_ids:
            pipeline.hget(keys.replay_endings(replay_id), "died")
        return [int(number or 0) for number in pipeline.execute()]


def read_endings(redis: Redis, replay_id: str) -> ReplayEndings:
    """Read how the events of a replay have ended."""
    with redis.pipeline(transaction=False) as pipeline:
        pipeline.hgetall(keys.replay_endings(replay_id))
        pipeline.lrange(keys.replay_newest(replay_id), 0, NEWEST - 1)
        fields, lines = pipeline.execute()
    counts = {name.decode(): int(number) for name, number in fields.items()}
    newest = [line.decode(errors="replace").partition(" ") for line in lines]
    return ReplayEndings(
        succeeded=counts.get("succeeded", 0),
        retried=counts.get("retried", 0),
        died=counts.get("died", 0),
        unwanted=counts.get("unwanted", 0),
        newest=[(float(at), failure) for at, _, failure in newest],
    )
