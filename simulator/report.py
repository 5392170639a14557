"""Summarise a run: answers by kind of callback, latencies, and what became of the callbacks at Nexmo. Pure."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from ackfirst.simulator.delivery import Delivery
from ackfirst.simulator.provider import Stage

_PERCENTILES: Final = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "max": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds from the time at which a callback was due to its first answer."""

    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRow:
    """Number of callbacks of one kind with the same sequence of answers."""

    kind: str
    verdict: str
    """The verdict that a receiver should reach at the first attempt."""
    answers: tuple[int | None, ...]
    count: int
    problem: str | None
    """Why these answers are wrong for the kind; None if they are right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fates:
    """Nexmo's callbacks by their final stage, without forged ones. Seconds of Nexmo's time."""

    policy: str
    speed: float
    """Seconds of Nexmo's time that passed in a second."""
    created: int
    delivered: int
    dropped: int
    expired: int
    waiting: int
    """Not settled when the run ended."""
    longest_wait: float
    """From creation to delivery."""

    @property
    def balances(self) -> bool:
        """True if every callback is accounted for."""
        return self.created == self.delivered + self.dropped + self.expired + self.waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Facts about a run that its deliveries do not contain."""

    target: str
    seed: int
    planned: int
    seconds: float
    interrupted: bool = False
    policy: str = "per-message"
    speed: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Summary of one run."""

    target: str
    seed: int
    planned: int
    sent: int
    seconds: float
    """From the first request to the last answer."""
    acknowledged: int
    """Genuine callbacks that were answered 200, duplicates included."""
    quarantined: int
    """Callbacks that were answered 200 although the receiver cannot have verified them."""
    retries: int
    unexpected: int
    """Callbacks whose answers are wrong for their kind."""
    interrupted: bool
    answers: tuple[AnswerRow, ...]
    latency_ms: Latency | None
    """None when nothing was answered."""
    provider: Fates

    @property
    def per_second(self) -> float:
        """Callbacks sent per second."""
        return self.sent / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary."""
        return {**asdict(self), "per_second": round(self.per_second, 1)}


def summarise(run: Run, deliveries: Sequence[Delivery]) -> Report:
    """Count and measure the deliveries of a run."""
    rows = _rows(deliveries)
    return Report(
        target=run.target,
        seed=run.seed,
        planned=run.planned,
        sent=len(deliveries),
        seconds=round(run.seconds, 3),
        acknowledged=sum(delivery.acknowledged for delivery in deliveries),
        quarantined=sum(delivery.quarantined for delivery in deliveries),
        retries=sum(max(0, len(delivery.attempts) - 1) for delivery in deliveries),
        unexpected=sum(row.count for row in rows if row.problem),
        interrupted=run.interrupted,
        answers=rows,
        provider=fates(deliveries, policy=run.policy, speed=run.speed),
        latency_ms=latency([d.attempts[0].seconds for d in deliveries if d.attempts and d.attempts[0].status]),
    )


def fates(deliveries: Sequence[Delivery], *, policy: str, speed: float) -> Fates:
    """Count the final stages of Nexmo's callbacks."""
    lives = [delivery.life for delivery in deliveries if delivery.life and not delivery.planned.kind.is_forged]
    stages = Counter(life.stage for life in lives)
    waits = (
        life.settled - life.created for life in lives if life.stage is Stage.DELIVERED and life.settled is not None
    )
    return Fates(
        policy=policy,
        speed=speed,
        created=len(lives),
        delivered=stages[Stage.DELIVERED],
        dropped=stages[Stage.DROPPED],
        expired=stages[Stage.EXPIRED],
        waiting=stages[Stage.WAITING] + stages[Stage.SENDING],
        longest_wait=round(max(waits, default=0.0), 3),
    )


def latency(seconds: Sequence[float]) -> Latency | None:
    """Return percentiles by nearest rank, so that each is a latency that occurred; None without latencies."""
    if not seconds:
        return None
    ranked = sorted(seconds)
    return Latency(**{name: _milliseconds(ranked, share) for name, share in _PERCENTILES.items()})


def _milliseconds(ranked: Sequence[float], share: float) -> float:
    return round(ranked[max(0, math.ceil(share * len(ranked)) - 1)] * 1000, 2)


def _rows(deliveries: Sequence[Delivery]) -> tuple[AnswerRow, ...]:
    counts = Counter(
        (d.planned.kind, d.planned.verdict.value, tuple(a.status for a in d.attempts), d.problem)
        for d in deliveries
        if d.attempts
    )
    return tuple(
        AnswerRow(kind=kind.value, verdict=verdict, answers=answers, count=count, problem=problem)
        for (kind, verdict, answers, problem), count in counts.most_common()
    )
