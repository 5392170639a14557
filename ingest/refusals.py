"""Write refused callbacks to the record, outside of the answer's path: a few one by one, of the rest how many."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from redis.asyncio import Redis

from ackfirst.ingest.cancellation import cancel_all
from ackfirst.ingest.request_log import RequestRecord
from ackfirst.shared.policy import Verdict
from ackfirst.shared.quarantine.stream import LONGEST_CLAIM
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.record import RecordedRequest, request_text
from ackfirst.shared.queue.scripts import source
from ackfirst.shared.redis.client import FAILURES

#: Time between two writes.
WRITE_SECONDS: Final = 1.0
#: Callbacks of one write that have an entry of their own; of the others, those that are alike share one.
SINGLES_A_WRITE: Final = 10
#: Entries of the stream above which nothing is added: any sender could fill Redis while no recorder runs.
BACKLOG_LIMIT: Final = 100_000
#: Time that the last write may take at a stop.
CLOSE_SECONDS: Final = 0.5


class Refusals:
    """Collects refused callbacks in memory, bounded whatever comes, and writes them once a second.

    Args:
        redis: A client of its own: it may hang without holding up a callback.
        is_recorded: Whether the record is on. If not, only ``keys.LAST_UNCONFIRMED`` is written.
        clock: Unix seconds.
    """

    def __init__(self, redis: Redis, *, is_recorded: bool, clock: Callable[[], float]) -> None:
        self._script = redis.register_script(source("ackfirst.shared.quarantine", "refused.lua"))
        self._is_recorded = is_recorded
        self._clock = clock
        self._singles: list[RecordedRequest] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self._applications: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Write what is left, if Redis takes it at once."""
        if self._task is not None:
            await cancel_all([self._task], within=CLOSE_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._write()

    def note(self, entry: RequestRecord) -> None:
        """Take a refused callback. Probes are none: Nexmo sends them when a URL is saved."""
        verdict, found = entry.verdict, entry.verification
        if verdict is Verdict.PROBE:
            return
        account = application_id = family = None
        if found is not None:
            account = (found.account or found.claimed_account or "")[:LONGEST_CLAIM] or None
            application_id = (found.claimed_application_id or "")[:LONGEST_CLAIM] or None
            family = found.family
        if application_id and len(self._applications) < SINGLES_A_WRITE:
            name = keys.application(account, application_id).encode(errors="backslashreplace").decode()
            self._applications[name] = self._clock()
        if len(self._singles) < SINGLES_A_WRITE:
            self._singles.append(
                RecordedRequest(
                    at=self._clock(),
                    verdict=verdict,
                    reason=entry.reason,
                    account=account,
                    application_id=application_id,
                    family=family,
                )
            )
        else:
            self._counts[verdict, entry.reason] += 1

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self._write()

    async def _write(self) -> None:
        if not (self._singles or self._counts):
            return
        singles, self._singles = self._singles, []
        counts, self._counts = self._counts, Counter()
        applications, self._applications = self._applications, {}
        requests = [
            *singles,
            *(
                RecordedRequest(at=self._clock(), verdict=verdict, reason=reason, count=count)
                for (verdict, reason), count in counts.items()
            ),
        ]
        try:
            await self._script(
                keys=[keys.LAST_UNCONFIRMED, keys.RECORD],
                args=[
                    *(keys.LAST_UNCONFIRMED_LIMIT, BACKLOG_LIMIT, len(applications)),
                    *(part for named in applications.items() for part in named),
                    *(map(request_text, requests) if self._is_recorded else ()),
                ],
            )
        except FAILURES:
            # Kept as counts, bounded by their kinds: most of what is refused during an outage is due to the outage.
            self._counts.update(counts)
            self._counts.update((single.verdict, single.reason) for single in singles)
