"""Look at the lanes before a replay adds to them."""

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.record import record
from ackfirst.workers.replay.pace import StuckLanes
from ackfirst.workers.replies import text
from ackfirst.workers.scripts import script

#: Seconds that an event may have waited for a replay to go on.
MOST_WAITED_SECONDS: Final = 2.0
#: Seconds after which a lane that does not move no longer holds up replays of other lanes.
STUCK_SECONDS: Final = 10.0
#: Lanes that one look covers, those that have waited longest for their turn.
LANES_A_LOOK: Final = 200


@record
class Traffic:
    """The events that wait."""

    waiting: int
    """Jobs in the lanes of the replay."""
    lanes: frozenset[str]
    """Those of its lanes in which something waits."""
    obstacle: str
    """Why a replay must not go on now; empty if it may."""


class LiveTraffic:
    """Measures how long events wait. ``clock`` gives monotonic seconds."""

    def __init__(self, redis: Redis, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._heads = script(redis, "lane_heads")
        self._stuck = StuckLanes(seconds=STUCK_SECONDS, clock=clock)

    def look(self, own: Iterable[str], *, now: float) -> Traffic:
        """Look at the lanes with work; ``own`` are those of the replay, ``now`` is in Unix seconds."""
        own = frozenset(own)
        reply: Sequence[Any] = self._heads(
            keys=[keys.READY, keys.PAUSED], args=[LANES_A_LOOK, keys.queue(""), keys.job(""), *own]
        )
        rows = [
            (text(lane), int(waiting), text(head), _unix(queued_at), bool(paused))
            for lane, waiting, head, queued_at, paused in zip(*(reply[at::5] for at in range(5)), strict=True)
        ]
        stuck = self._stuck.look({lane: head for lane, _, head, _, _ in rows}) - own
        obstacle = ""
        oldest = now - MOST_WAITED_SECONDS
        for lane, _, _, queued_at, is_paused in rows:
            if is_paused and lane in own:
                return Traffic(0, own, f"lane {lane} is paused")
            if not is_paused and lane not in stuck and queued_at is not None and queued_at < oldest:
                oldest = queued_at
                obstacle = f"the oldest event of lane {lane} has waited {now - queued_at:.0f} s"
        busy = [row for row in rows if row[0] in own]
        return Traffic(sum(row[1] for row in busy), frozenset(row[0] for row in busy), obstacle)


def _unix(written: bytes | str) -> float | None:
    """Read a time as RQ writes it; None where there is none."""
    try:
        return datetime.fromisoformat(text(written)).timestamp()
    except ValueError:
        return None
