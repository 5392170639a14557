"""Send traffic at its pace: create callbacks in the model of Nexmo, and make the attempts that are due.

An open loop: the clock of a callback starts when it is due, not when a connection is free. A receiver that stalls
therefore shows as latency of everything that was due meanwhile, not as a slower sender.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ackfirst.simulator.client import Transport
from ackfirst.simulator.delivery import Attempt, Delivery
from ackfirst.simulator.planned import Kind, Planned
from ackfirst.simulator.provider import Life, Provider
from ackfirst.simulator.rules import Pace, ProviderPolicy
from ackfirst.simulator.signing import Request, Signer

#: Callbacks that are signed before the clock starts when there is no rate. Bounds the memory of a long run.
MAX_PREPARED: Final = 100_000


@dataclass(frozen=True, slots=True)
class Clock:
    """Nexmo's time, which may pass faster than ours: seconds from the start of a run.

    ``steady`` gives real seconds. The event loop's own clock stands still within a turn and counts whole milliseconds:
    too coarse for latencies.
    """

    speed: float
    started: float
    steady: Callable[[], float] = time.perf_counter

    def now(self) -> float:
        """Return the seconds of Nexmo's time since the start."""
        return (self.steady() - self.started) * self.speed

    def real(self, moment: float) -> float:
        """Return the real time of that moment of Nexmo's time."""
        return self.started + moment / self.speed


class Sender:
    """Sends the traffic of one run. Deliveries are in ``sent`` from their creation on, also after a cancellation."""

    def __init__(
        self,
        transport: Transport,
        signer: Signer,
        pace: Pace,
        *,
        sent: list[Delivery],
        now: Callable[[], float] = time.time,
        on_answer: Callable[[], None] = lambda: None,
    ) -> None:
        """``now`` gives the Unix time for signatures; ``on_answer`` is called after each callback's first attempt."""
        self.provider: Provider[Delivery] = Provider(pace.policy)
        self.clock = Clock(pace.speed, time.perf_counter())
        self.created = 0
        self.in_flight = 0
        self.answers: Counter[str] = Counter()
        """Status or ``no answer`` → number of attempts."""
        self._transport = transport
        self._signatures = _Signatures(signer, pace, now)
        self._account = signer.api_key
        self._pace = pace
        self._sent = sent
        self._on_answer = on_answer
        self._wake = asyncio.Event()

    def prepare(self, traffic: Sequence[Planned]) -> None:
        """Sign first attempts before the clock starts, so that a run without a rate does not measure signing."""
        self._signatures.prepare(traffic)

    async def send(self, traffic: Sequence[Planned], moments: Iterable[float] | None = None) -> None:
        """Send everything; return when nothing waits any more.

        Args:
            traffic: Callbacks in the order of their creation.
            moments: Real seconds from now at which each is created; by default those of the pace.
        """
        moments = self._pace.moments(len(traffic)) if moments is None else moments
        pending = _Pending(traffic, moments)
        self.clock = Clock(self._pace.speed, time.perf_counter())
        async with asyncio.TaskGroup() as attempts:
            while True:
                self._start_due(pending, attempts)
                if not pending.left and not self.provider.waiting:
                    return
                await self._wait(pending)

    def _start_due(self, pending: "_Pending", attempts: asyncio.TaskGroup) -> None:
        now = self.clock.now()
        while pending.moment is not None and pending.moment * self._pace.speed <= now:
            self._create(pending.take(), pending.taken_at * self._pace.speed)
        while self.in_flight < self._pace.concurrency:
            life = self.provider.begin(now)
            if life is None and self._may_create_early(pending):
                self._create(pending.take(), now)
                life = self.provider.begin(now)
            if life is None:
                return
            self.in_flight += 1
            attempts.create_task(self._attempt(life))

    def _may_create_early(self, pending: "_Pending") -> bool:
        """Without a rate, a callback is created when it can be attempted at once."""
        if pending.moment is not None or not pending.left:
            return False
        waits_in_line = self._pace.policy is ProviderPolicy.PER_ACCOUNT
        return not waits_in_line or self.provider.waiting < self._pace.concurrency

    def _create(self, planned: Planned, now: float) -> None:
        delivery = Delivery(planned)
        self._signatures.created(delivery)
        account = None if planned.kind.is_forged else self._account
        delivery.life = self.provider.create(delivery, rules=self._pace.rules(planned), account=account, now=now)
        self.created += 1
        self._sent.append(delivery)

    async def _wait(self, pending: "_Pending") -> None:
        """Wait for the next answer, creation or retry."""
        moments = [] if pending.moment is None else [pending.moment * self._pace.speed]
        if self.in_flight < self._pace.concurrency and (due := self.provider.next_moment()) is not None:
            moments.append(due)
        timer: asyncio.TimerHandle | None = None
        if moments:
            delay = self.clock.real(min(moments)) - time.perf_counter()
            timer = asyncio.get_running_loop().call_later(max(0.0, delay), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._wake.clear()

    async def _attempt(self, life: Life[Delivery]) -> None:
        delivery, first = life.item, life.attempts == 1
        signed = not (first and delivery.planned.kind is Kind.UNSIGNED)
        due = self.clock.real(life.due)
        request = self._signatures.request(delivery, signed=signed)
        answer = await self._transport.send(request, slow=delivery.planned.slow)
        at = time.perf_counter()
        self.in_flight -= 1
        attempt = Attempt(signed=signed, status=answer.status, seconds=at - due, error=answer.error, at=at)
        delivery.attempts.append(attempt)
        self.provider.answer(life, answer.status, self.clock.now())
        self.answers[str(answer.status or "no answer")] += 1
        if life.is_settled:
            self._signatures.settled(delivery)
        if first:
            self._on_answer()
        self._wake.set()


class _Pending:
    """Callbacks that are not created yet, with the seconds at which they will be."""

    def __init__(self, traffic: Sequence[Planned], moments: Iterable[float] | None) -> None:
        self.left = len(traffic)
        self.moment: float | None = None
        """When the next one is created, real seconds from the start; None without a rate, or when none is left."""
        self.taken_at = 0.0
        """Moment of the one that was taken last."""
        self._traffic = iter(traffic)
        self._moments: Iterator[float] | None = None if moments is None else iter(moments)
        self._advance()

    def take(self) -> Planned:
        """Return the next one."""
        self.left -= 1
        self.taken_at = self.moment or 0.0
        planned = next(self._traffic)
        self._advance()
        return planned

    def _advance(self) -> None:
        self.moment = None if self._moments is None or not self.left else next(self._moments)


class _Signatures:
    """Signs each attempt when it is due, in advance (``prepare``), or once for all attempts (``keep_token``)."""

    def __init__(self, signer: Signer, pace: Pace, now: Callable[[], float]) -> None:
        self._signer = signer
        self._pace = pace
        self._now = now
        self._prepared: Iterator[Request | None] = iter(())
        self._kept: dict[Delivery, Request] = {}

    def prepare(self, traffic: Sequence[Planned]) -> None:
        """Sign the first attempts now; ``created`` assigns them in the same order."""
        # The first attempt of an unsigned callback is not what its retry repeats.
        self._prepared = iter(
            [None if one.kind is Kind.UNSIGNED else self._sign(one, signed=True) for one in traffic[:MAX_PREPARED]]
        )

    def created(self, delivery: Delivery) -> None:
        """Assign the next prepared request, if there is one."""
        request = next(self._prepared, None)
        if request is not None:
            self._kept[delivery] = request

    def request(self, delivery: Delivery, *, signed: bool) -> Request:
        """Return the request of the next attempt."""
        kept = self._kept.get(delivery) if self._pace.keep_token else self._kept.pop(delivery, None)
        if kept is not None:
            return kept
        made = self._sign(delivery.planned, signed=signed)
        if self._pace.keep_token and signed:
            self._kept[delivery] = made
        return made

    def settled(self, delivery: Delivery) -> None:
        """Forget a delivery that will not be attempted again."""
        self._kept.pop(delivery, None)

    def _sign(self, planned: Planned, *, signed: bool) -> Request:
        return self._signer.request(planned, signed=signed, now=self._now() + self._pace.skew)
