"""Read what the ingest processes publish of their last minute, and add it up."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from redis import Redis

from ackfirst.shared.findings import Finding, Level
from ackfirst.shared.policy import Verdict
from ackfirst.shared.queue import keys

#: Steps of two seconds that count as "now".
_RECENT_STEPS: Final = 5
_STEP_SECONDS: Final = 2.0

#: Verdicts of callbacks that were not taken and come again: Nexmo waits.
NOT_TAKEN: Final = (Verdict.SHED.value, Verdict.UNAVAILABLE.value)

Buckets = dict[float, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestFigures:
    """The last minute of all ingest processes together."""

    processes: int = 0
    rate: float = 0.0
    """Answers a second, over the last ten seconds."""
    steps: Sequence[float] = ()
    """Answers a second in steps of two seconds, oldest first."""
    answers: Mapping[str, int] = field(default_factory=dict)
    """Verdict → answers of the last minute."""
    refused: int = 0
    ack: Mapping[float, int] = field(default_factory=dict)
    """Upper bound in seconds → answers that took so long."""
    lag: Mapping[float, int] = field(default_factory=dict)
    """Upper bound in seconds → events that the provider sent so long after they happened."""
    gauges: Mapping[str, float] = field(default_factory=dict)
    """Sums over all processes; ``*_seconds`` and ``quarantine_max_*`` are the largest."""
    findings: Sequence[Finding] = ()

    @property
    def total(self) -> int:
        """Callbacks answered in the last minute."""
        return sum(self.answers.values())

    @property
    def not_taken(self) -> int:
        """Callbacks of the last minute that Nexmo must send again."""
        return sum(self.answers.get(verdict, 0) for verdict in NOT_TAKEN)


def read_ingest(redis: Redis) -> IngestFigures:
    """Read the figures of all processes that have published in the last ten seconds.

    Raises:
        RedisError: Redis does not answer.
    """
    names: Any = redis.zrange(keys.INGEST_PROCESSES, 0, -1)
    texts: Any = redis.mget([keys.ingest_figures(name.decode()) for name in names]) if names else []
    return combined([json.loads(text) for text in texts if text])


def combined(published: Iterable[Mapping[str, Any]]) -> IngestFigures:
    """Add up the figures of several processes."""
    processes = list(published)
    answers: Counter[str] = Counter()
    ack: Counter[float] = Counter()
    lag: Counter[float] = Counter()
    gauges: dict[str, float] = {}
    findings: dict[tuple[str, str], Finding] = {}
    for figures in processes:
        answers.update({verdict: int(count) for verdict, count in figures["answers"].items()})
        ack.update(_buckets(figures["ack"]))
        lag.update(_buckets(figures["lag"]))
        for name, value in figures["gauges"].items():
            is_largest = name.endswith("_seconds") or "_max_" in name
            gauges[name] = max(gauges.get(name, 0.0), value) if is_largest else gauges.get(name, 0.0) + value
        for one in figures["findings"]:
            finding = Finding(one["id"], Level(one["level"]), one["what"], one["fix"])
            findings[finding.id, finding.what] = finding
    steps = _added([figures["steps"] for figures in processes])
    recent = steps[-_RECENT_STEPS:]
    return IngestFigures(
        processes=len(processes),
        rate=sum(recent) / len(recent) if recent else 0.0,
        steps=steps,
        answers=answers,
        refused=round(sum(figures["refused"] for figures in processes)),
        ack=ack,
        lag=lag,
        gauges=gauges,
        findings=list(findings.values()),
    )


def quantile(buckets: Mapping[float, int], share: float) -> float | None:
    """Estimate a quantile from a histogram, by a straight line within the bucket; None without observations."""
    total = sum(buckets.values())
    if not total:
        return None
    wanted = share * total
    lower, below = 0.0, 0
    for bound in sorted(buckets):
        count = buckets[bound]
        if count and below + count >= wanted:
            return lower if bound == float("inf") else lower + (bound - lower) * (wanted - below) / count
        lower, below = bound, below + count
    return lower


def _buckets(pairs: Sequence[tuple[float | None, int]]) -> Buckets:
    return {float("inf") if bound is None else float(bound): count for bound, count in pairs}


def _added(rows: Sequence[Sequence[float]]) -> list[float]:
    """Add up the steps of several processes from their ends, as rates."""
    longest = max(map(len, rows), default=0)
    padded = [[0.0] * (longest - len(row)) + list(row) for row in rows]
    return [sum(column) / _STEP_SECONDS for column in zip(*padded, strict=True)]
