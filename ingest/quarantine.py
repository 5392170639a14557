"""Put callbacks into quarantine, not faster than allowed and not longer than a sender may wait."""

import asyncio
from collections.abc import Callable
from typing import Final

from ackfirst.ingest.cancellation import cancel_all
from ackfirst.ingest.http import Arrival
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.policy import Verdict
from ackfirst.shared.quarantine.stream import Quarantine, QuarantineRecord
from ackfirst.shared.verification import Verification

#: Bytes of bodies that may wait for Redis. Reached only while Redis hangs; beyond it the answer is 503 at once.
UNWRITTEN_LIMIT_BYTES: Final = 16 * 1024 * 1024


class TokenBucket:
    """Lets ``rate`` things through per second, and as many (at least one) at once after a pause."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._burst = max(rate, 1.0)
        self._tokens = self._burst
        self._refilled_at = float("-inf")

    def take(self, now: float) -> bool:
        """Take one token at ``now`` (monotonic seconds); False when there is none."""
        gained = max(0.0, now - self._refilled_at) * self._rate
        self._tokens = min(self._burst, self._tokens + gained)
        self._refilled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class BoundedQuarantine:
    """The quarantine as ingest writes to it: within a rate, a deadline and a bound of memory.

    Args:
        quarantine: Stores the records.
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

    async def add(self, arrival: Arrival, verification: Verification, verdict: Verdict) -> bool:
        """Store a callback; False when the quarantine is over its rate or its size.

        Raises:
            QueueUnavailableError: Redis did not confirm it within the deadline, or has not confirmed too many others.
        """
        size = len(arrival.callback.body)
        if self._writes and self._unwritten + size > UNWRITTEN_LIMIT_BYTES:
            raise QueueUnavailableError(f"{self._unwritten} bytes already wait for the quarantine")
        # The rate limits unconfirmed senders: what one of our secrets has signed is the provider's own traffic.
        if verification.secret is None and not self._bucket.take(self._clock()):
            return False
        record = quarantine_record(arrival, verification, verdict)
        application_id, family = verification.claimed_application_id, verification.family
        write = asyncio.create_task(self._quarantine.add(record, application_id=application_id, family=family))
        self._writes[write] = size
        self._unwritten += size
        write.add_done_callback(self._forget)
        # Not cancelled when it is late: redis-py takes seconds to give up a connection that does not answer.
        await asyncio.wait((write,), timeout=self._deadline)
        if not write.done():
            raise QueueUnavailableError(f"Redis did not store the callback within {self._deadline:g} s")
        return write.result()

    async def close(self, *, within: float) -> None:
        """Cancel, in so many seconds, what Redis has not confirmed."""
        await cancel_all(list(self._writes), within=within)

    def _forget(self, write: asyncio.Task[bool]) -> None:
        self._unwritten -= self._writes.pop(write)
        if not write.cancelled():
            write.exception()  # marks it as seen: its sender may have been answered already


def quarantine_record(arrival: Arrival, verification: Verification, verdict: Verdict) -> QuarantineRecord:
    """Make the record from which ``quarantine recheck`` can verify the callback again."""
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
