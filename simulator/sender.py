"""Drives the provider's model against a receiver: creates callbacks at their pace, makes the attempts that are due.

Open loop: a callback's clock starts when it is due, not when a connection is free, so a receiver that stalls shows
as latency instead of as a slower sender.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from yarl import URL

from ackfirst.shared.nexmo.family import Family
from ackfirst.simulator.clock import Clock
from ackfirst.simulator.delivery import Attempt, Delivery
from ackfirst.simulator.pace import Pace
from ackfirst.simulator.planned import Kind, Planned
from ackfirst.simulator.provider import Life, Provider, ProviderPolicy
from ackfirst.simulator.requests import Requests
from ackfirst.simulator.signing import PATHS, Request, Signer
from ackfirst.simulator.wire import Answer, Place, Slowness, Wire, encode

#: A slow connection brings a request in so many pieces, over so many seconds.
SLOWLY: Final = Slowness(pieces=5, seconds=2.0)


class Unreachable(Exception):  # noqa: N818 - a state of the world, not a mistake
    """Nobody answers at the target; the message says why."""


def wire(target: URL, pace: Pace) -> Wire:
    """Connections to ``target`` with the provider's time-outs; to be closed at the end."""
    return Wire(Place.of(target), connect_timeout=pace.connect_timeout, answer_timeout=pace.answer_timeout)


async def probe(line: Wire, target: URL) -> None:
    """Ask the target what the provider asks when a URL is saved: an empty GET.

    Raises:
        Unreachable: Nobody answers there.
    """
    question = Request(method="GET", path=PATHS[Family.INBOUND_MESSAGE])
    answer = await line.ask(encode(question, Place.of(target)))
    if answer.status is None:
        why = (answer.error or "").removeprefix("no answer (").removesuffix(")")
        raise Unreachable(f"nobody answers at {target}: {why}")


class Sender:
    """Sends one run's traffic. Every delivery is in ``sent`` from its creation on, also after a cancellation."""

    def __init__(
        self,
        line: Wire,
        target: URL,
        signer: Signer,
        pace: Pace,
        *,
        sent: list[Delivery],
        now: Callable[[], float] = time.time,
        on_answer: Callable[[], None] = lambda: None,
    ) -> None:
        self.provider: Provider[Delivery] = Provider(pace.policy)
        self.clock = Clock(pace.speed, time.perf_counter())
        self.created = 0
        self.in_flight = 0
        self.answers: Counter[str] = Counter()
        """Status, or ``no answer`` → attempts that ended so."""
        self._line = line
        self._requests = Requests(signer, Place.of(target), pace, now)
        self._pace = pace
        self._on_answer = on_answer
        self._sent = sent
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._alarm = 0.0
        self._coming = _Coming((), None)

    async def send(self, traffic: Sequence[Planned], moments: Iterable[float] | None = None) -> None:
        """Send everything, and return when nothing waits any more.

        Args:
            traffic: In the order in which it is created.
            moments: When each is created, seconds of real time from now; by the pace when not given.
        """
        moments = self._pace.moments(len(traffic)) if moments is None else moments
        if moments is None:
            self._requests.prepare(traffic)
        self._coming = _Coming(traffic, moments)
        self.clock = Clock(self._pace.speed, time.perf_counter())
        try:
            self._turn()
            await self._over
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _turn(self) -> None:
        """Do everything that is due, and see to it that the next thing is done in time."""
        if self._over.done():
            return
        try:
            self._do_what_is_due()
        except Exception as error:  # noqa: BLE001 - raised to who awaits ``send``; the event loop would only log it
            self._over.set_exception(error)

    def _do_what_is_due(self) -> None:
        now = self.clock.now()
        self._create(now)
        while self.in_flight < self._pace.concurrency:
            life = self.provider.begin(now)
            if life is None and self._create_one_more(now):
                life = self.provider.begin(now)
            if life is None:
                break
            self._attempt(life)
        if not self._coming.left and not self.provider.waiting:
            self._over.set_result(None)
        else:
            self._wake_in_time()

    def _create(self, now: float) -> None:
        while (moment := self._coming.moment) is not None and moment * self._pace.speed <= now:
            self._take_in(moment * self._pace.speed)

    def _create_one_more(self, now: float) -> bool:
        """As fast as possible: only what can be sent at once."""
        if self._coming.moment is not None or not self._coming.left:
            return False
        if self._pace.policy is ProviderPolicy.PER_ACCOUNT and self.provider.waiting >= self._pace.concurrency:
            return False
        self._take_in(now)
        return True

    def _take_in(self, now: float) -> None:
        planned = self._coming.take()
        delivery = Delivery(planned)
        self._requests.take_in(delivery)
        account = None if planned.kind.is_forged else self._requests.api_key
        delivery.life = self.provider.create(delivery, rules=self._pace.rules(planned), account=account, now=now)
        self.created += 1
        self._sent.append(delivery)

    def _wake_in_time(self) -> None:
        moments = [] if self._coming.moment is None else [self._coming.moment * self._pace.speed]
        if self.in_flight < self._pace.concurrency and (due := self.provider.next_moment()) is not None:
            moments.append(due)
        if not moments:
            return
        at = self.clock.real(min(moments))
        if self._timer is not None:
            if self._alarm <= at:  # rings early, finds nothing, and is set anew: cheaper than one for each answer
                return
            self._timer.cancel()
        self._alarm = at
        self._timer = self._loop.call_later(max(0.0, at - time.perf_counter()), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._turn()

    def _attempt(self, life: Life[Delivery]) -> None:
        delivery, first = life.item, life.attempts == 1
        signed = not (first and delivery.planned.kind is Kind.UNSIGNED)
        due = self.clock.real(life.due)
        self.in_flight += 1

        def done(answer: Answer) -> None:
            at = time.perf_counter()
            self.in_flight -= 1
            attempt = Attempt(signed=signed, status=answer.status, seconds=at - due, error=answer.error, at=at)
            delivery.attempts.append(attempt)
            self.provider.answer(life, answer.status, self.clock.now())
            self.answers[str(answer.status or "no answer")] += 1
            if life.is_settled:
                self._requests.forget(delivery)
            if first:
                self._on_answer()
            self._turn()

        slowly = SLOWLY if delivery.planned.slow else None
        self._line.send(self._requests.make(delivery, signed=signed), done, slowly=slowly)


class _Coming:
    """Callbacks that are still to be created, with their moments."""

    def __init__(self, traffic: Sequence[Planned], moments: Iterable[float] | None) -> None:
        self.left = len(traffic)
        self.moment: float | None = None
        """When the next one is created, real seconds from the start; None: there is none, or no pace to keep."""
        self._traffic = iter(traffic)
        self._moments: Iterator[float] | None = None if moments is None else iter(moments)
        self._advance()

    def take(self) -> Planned:
        """The next one."""
        self.left -= 1
        planned = next(self._traffic)
        self._advance()
        return planned

    def _advance(self) -> None:
        self.moment = None if self._moments is None or not self.left else next(self._moments)
