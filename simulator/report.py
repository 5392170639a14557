"""What a run measured: who was answered what, and how fast. Pure; ``tables`` shows it."""

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
    """Milliseconds from the moment at which a callback was due until its first answer."""

    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRow:
    """How often callbacks of one kind got one sequence of answers."""

    kind: str
    verdict: str
    """What a receiver should find at the first attempt."""
    answers: tuple[int | None, ...]
    count: int
    problem: str | None
    """Why that is not what the kind should get; None if it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The provider's callbacks by their end; those of strangers are not among them. Seconds of the provider's time."""

    policy: str
    speed: float
    """Seconds of the provider's time that passed in a second."""
    created: int
    delivered: int
    dropped: int
    expired: int
    waiting: int
    """Not settled when the run was ended."""
    longest_wait: float
    """From a callback's creation until it was delivered."""

    @property
    def balances(self) -> bool:
        """Whether every callback is accounted for."""
        return self.created == self.delivered + self.dropped + self.expired + self.waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One run."""

    target: str
    seed: int
    planned: int
    sent: int
    seconds: float
    """From the first request to the last answer."""
    acknowledged: int
    """Genuine callbacks that were answered 200, duplicates included."""
    parked: int
    """Callbacks that were answered 200 although nobody could vouch for them."""
    retries: int
    unexpected: int
    """Callbacks whose answers are not what their kind should get."""
    interrupted: bool
    answers: tuple[AnswerRow, ...]
    latency_ms: Latency | None
    """None when nothing was answered."""
    provider: "Ended"
    """What became of the provider's callbacks."""

    @property
    def per_second(self) -> float:
        """Callbacks sent per second."""
        return self.sent / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "per_second": round(self.per_second, 1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is known about a run besides its deliveries."""

    target: str
    seed: int
    planned: int
    seconds: float
    interrupted: bool = False
    policy: str = "per-message"
    speed: float = 1.0


def summarise(run: Run, deliveries: Sequence[Delivery]) -> Report:
    """Count and measure."""
    rows = _rows(deliveries)
    return Report(
        target=run.target,
        seed=run.seed,
        planned=run.planned,
        sent=len(deliveries),
        seconds=round(run.seconds, 3),
        acknowledged=sum(delivery.acknowledged for delivery in deliveries),
        parked=sum(delivery.parked for delivery in deliveries),
        retries=sum(max(0, len(delivery.attempts) - 1) for delivery in deliveries),
        unexpected=sum(row.count for row in rows if row.problem),
        interrupted=run.interrupted,
        answers=rows,
        provider=ended(deliveries, policy=run.policy, speed=run.speed),
        latency_ms=latency([d.attempts[0].seconds for d in deliveries if d.attempts and d.attempts[0].status]),
    )


def ended(deliveries: Sequence[Delivery], *, policy: str, speed: float) -> Ended:
    """Count the ends."""
    lives = [delivery.life for delivery in deliveries if delivery.life and not delivery.planned.kind.is_forged]
    stages = Counter(life.stage for life in lives)
    waits = (
        life.settled - life.created for life in lives if life.stage is Stage.DELIVERED and life.settled is not None
    )
    return Ended(
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
    """Percentiles by nearest rank: each is a latency that really occurred."""
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
