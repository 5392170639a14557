"""Puts callbacks into quarantine, not faster than allowed and not longer than a sender may wait."""

import asyncio
from collections.abc import Callable
from typing import Final

from ackfirst.ingest.ending import end
from ackfirst.ingest.http import Arrival
from ackfirst.ingest.token_bucket import TokenBucket
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.policy import Verdict
from ackfirst.shared.quarantine.stream import Quarantine, QuarantineRecord
from ackfirst.shared.verification import Verification

#: Bytes of bodies that may wait for Redis. Reached only while Redis hangs; beyond it the answer is 503 at once.
UNWRITTEN_LIMIT: Final = 16 * 1024 * 1024


class Parking:
    """The quarantine as the edge uses it.

    Args:
        quarantine: Where records go.
        rate: Records per second, of this process.
        deadline: Longest wait for Redis, in seconds.
        clock: Monotonic seconds.
    """

    def __init__(self, quarantine: Quarantine, *, rate: float, deadline: float, clock: Callable[[], float]) -> None:
        self._quarantine = quarantine
        self._bucket = TokenBucket(rate)
        self._deadline = deadline
        self._clock = clock
        self._writes: dict[asyncio.Task[bool], int] = {}
        self._unwritten = 0

    async def park(self, arrival: Arrival, verification: Verification, verdict: Verdict) -> bool:
        """Keep the callback; False when the quarantine is over its rate or its size.

        Raises:
            QueueUnavailableError: Redis did not confirm it within the deadline, or has not confirmed too many others.
        """
        size = len(arrival.callback.body)
        if self._writes and self._unwritten + size > UNWRITTEN_LIMIT:
            raise QueueUnavailableError(f"{self._unwritten} bytes already wait for the quarantine")
        # The rate is for strangers: what a secret of ours has signed is as much as the provider sends.
        if verification.secret is None and not self._bucket.take(self._clock()):
            return False
        write = asyncio.create_task(self._quarantine.add(_record(arrival, verification, verdict)))
        self._writes[write] = size
        self._unwritten += size
        write.add_done_callback(self._forget)
        # Not cancelled when it is late: redis-py takes seconds to give up a connection that does not answer.
        await asyncio.wait((write,), timeout=self._deadline)
        if not write.done():
            raise QueueUnavailableError(f"Redis did not park the callback within {self._deadline:g} s")
        return write.result()

    async def close(self, *, within: float) -> None:
        """Give up, in so many seconds, what is late already."""
        await end(list(self._writes), within=within)

    def _forget(self, write: asyncio.Task[bool]) -> None:
        self._unwritten -= self._writes.pop(write)
        if not write.cancelled():
            write.exception()  # marks it as seen: its sender may have been answered already


def _record(arrival: Arrival, verification: Verification, verdict: Verdict) -> QuarantineRecord:
    callback = arrival.callback
    return QuarantineRecord(
        method=callback.method,
        path=callback.path,
        query=callback.query,
        content_type=callback.content_type,
        authorization=callback.authorization,
        body=callback.body,
        received_at=callback.received_at,
        verdict=verdict.value,
        reason=verification.reason,
        account=verification.account or verification.claimed_account or "",
        user_agent=arrival.user_agent,
        trace=arrival.trace or "",
    )
