"""Publish what this process has done in the last minute to Redis, for the operator's page.

The figures are read from the metrics every two seconds, so counting them costs an answer nothing.
"""

import asyncio
import itertools
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from ackfirst.shared.findings import Finding
from ackfirst.shared.queue import keys
from ackfirst.shared.redis.client import FAILURES

PUBLISH_SECONDS: Final = 2.0
#: Figures of a process that was killed stand for so long.
EXPIRE_SECONDS: Final = 10
#: Processes that have been silent for so long leave the index.
FORGET_SECONDS: Final = 60
#: Samples that the window spans: a minute.
WINDOW_SAMPLES: Final = 30

_GAUGES: Final = (
    "ackfirst_connections",
    "ackfirst_spool_records",
    "ackfirst_spool_bytes",
    "ackfirst_spool_oldest_seconds",
    "ackfirst_spool_unusable",
    "ackfirst_circuit_open",
    "ackfirst_quarantine_max_records",
    "ackfirst_quarantine_max_bytes",
)
_NAMES: Final = (
    "ackfirst_callbacks_total",
    "ackfirst_refused_requests_total",
    "ackfirst_ack_seconds_bucket",
    "ackfirst_provider_lag_seconds_bucket",
    *_GAUGES,
)


@dataclass(slots=True)
class _Sample:
    """The totals of the process at one moment."""

    at: float
    answers: dict[str, float] = field(default_factory=dict)
    refused: float = 0.0
    ack: dict[str, float] = field(default_factory=dict)
    lag: dict[str, float] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)


class FiguresPublisher:
    """Writes the figures of the last minute to ``ackfirst:ingest:<host>:<pid>`` every two seconds.

    Args:
        redis: A client with a short time-out; while Redis does not answer, nothing is published.
        registry: The metrics of this process alone.
        findings: Returns what this process finds wrong with itself.
        clock: Unix seconds.
    """

    def __init__(
        self,
        redis: Redis,
        registry: CollectorRegistry,
        *,
        findings: Callable[[], Sequence[Finding]],
        clock: Callable[[], float],
    ) -> None:
        self._redis = redis
        self._findings = findings
        self._metrics = registry.restricted_registry(_NAMES)
        self._clock = clock
        self._process = f"{socket.gethostname()}:{os.getpid()}"
        self._samples: deque[_Sample] = deque(maxlen=WINDOW_SAMPLES + 1)

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            with suppress(*FAILURES):
                await self.publish()
            await asyncio.sleep(PUBLISH_SECONDS)

    async def publish(self) -> None:
        """Take a sample and write the figures, in one round trip.

        Raises:
            Exception: One of ``FAILURES``: Redis does not answer.
        """
        self._samples.append(self._sample())
        figures = orjson.dumps(self._figures())
        now = self._samples[-1].at
        async with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.set(keys.ingest_figures(self._process), figures, ex=EXPIRE_SECONDS)
            pipeline.zadd(keys.INGEST_PROCESSES, {self._process: now})
            pipeline.zremrangebyscore(keys.INGEST_PROCESSES, "-inf", now - FORGET_SECONDS)
            await pipeline.execute()

    def _sample(self) -> _Sample:
        sample = _Sample(self._clock())
        for metric in self._metrics.collect():
            for name, labels, value, *_ in metric.samples:
                if name == "ackfirst_callbacks_total":
                    verdict = labels["verdict"]
                    sample.answers[verdict] = sample.answers.get(verdict, 0.0) + value
                elif name == "ackfirst_refused_requests_total":
                    sample.refused += value
                elif name == "ackfirst_ack_seconds_bucket":
                    sample.ack[labels["le"]] = value
                elif name == "ackfirst_provider_lag_seconds_bucket":
                    sample.lag[labels["le"]] = value
                elif name in _GAUGES:
                    sample.gauges[name.removeprefix("ackfirst_")] = value
        return sample

    def _figures(self) -> dict[str, Any]:
        first, last = self._samples[0], self._samples[-1]
        totals = [sum(sample.answers.values()) for sample in self._samples]
        return {
            "at": last.at,
            "seconds": last.at - first.at,
            "answers": {verdict: total - first.answers.get(verdict, 0.0) for verdict, total in last.answers.items()},
            "refused": last.refused - first.refused,
            "ack": _counts(first.ack, last.ack),
            "lag": _counts(first.lag, last.lag),
            "steps": [round(late - early) for early, late in itertools.pairwise(totals)],
            "gauges": last.gauges,
            "findings": [finding.as_dict() for finding in self._findings()],
        }


def _counts(first: dict[str, float], last: dict[str, float]) -> list[tuple[float | None, int]]:
    """Return (upper bound, observations) of each bucket in the window; the last bound is None: no limit."""
    counts: list[tuple[float | None, int]] = []
    below = 0.0
    for bound, total in last.items():
        reached = total - first.get(bound, 0.0)
        counts.append((None if bound == "+Inf" else float(bound), round(reached - below)))
        below = reached
    return counts
