"""Read counts of a span of time from the roll-ups."""

from collections import defaultdict
from typing import Any, Final

from sqlalchemy import Connection, func, select

from ackfirst.shared.store.part import StorePart
from ackfirst.shared.store.results import HandlerStats, LastCallback, Stats, StatsPoint
from ackfirst.shared.store.rollup_writes import STEPS
from ackfirst.shared.store.rows import Gap
from ackfirst.shared.store.tables import applications, counts, gaps, handler_counts, handler_errors

#: Longest span that is counted by minute; longer ones by hour.
MINUTES_SPAN_SECONDS: Final = 6 * 3_600
#: How long minutes are kept beside the hours.
MINUTES_KEPT_SECONDS: Final = 2 * 86_400
_LONGEST_LIST: Final = 1_000


class Statistics(StorePart):
    """Answers how much, how fast and how well."""

    def stats(self, since: float, until: float) -> Stats:
        """Count the events of a span of time, never by a scan of them.

        Up to 6 hours of the last two days come by minute, else by hour; both ends are moved outwards to whole steps.
        """
        with self._database.reading() as connection:
            step = _step(connection, since, until)
            since, until = since // step * step, -(-until // step) * step
            span = (counts.c.step == step, counts.c.at >= since, counts.c.at < until)
            query = select(counts.c.at, counts.c.kind, counts.c.name, counts.c.n).where(*span, counts.c.kind != "lag")
            points: dict[int, dict[str, dict[str, int]]] = {}
            totals: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
            for at, kind, name, n in connection.execute(query.order_by(counts.c.at)):
                points.setdefault(at, {}).setdefault(kind, {})[name] = n
                totals[kind][name] += n
            lag = select(counts.c.name, func.sum(counts.c.n)).where(*span, counts.c.kind == "lag")
            found = {float(name): int(n) for name, n in connection.execute(lag.group_by(counts.c.name))}
            missing = select(gaps).where(gaps.c.to_at >= since, gaps.c.from_at < until).order_by(gaps.c.from_at)
            return Stats(
                since=since,
                until=until,
                step=step,
                points=[StatsPoint(at=float(at), counts=kinds) for at, kinds in points.items()],
                totals={kind: dict(names) for kind, names in totals.items()},
                lag=dict(sorted(found.items())),
                handlers=_handlers(connection, step, since, until),
                gaps=[
                    Gap(row.from_at, row.to_at, row.n, row.reason)
                    for row in connection.execute(missing.limit(_LONGEST_LIST))
                ],
            )

    def applications(self) -> list[LastCallback]:
        """List the newest recorded callback of each application, newest first, at most 1,000."""
        query = select(applications).order_by(applications.c.last_at.desc()).limit(_LONGEST_LIST)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [LastCallback(row.account, row.application_id, row.last_at, row.n) for row in rows]


def _step(connection: Connection, since: float, until: float) -> int:
    minute, hour = STEPS
    if until - since > MINUTES_SPAN_SECONDS:
        return hour
    newest = connection.execute(select(func.max(counts.c.at)).where(counts.c.step == minute)).scalar()
    return minute if newest is None or since >= newest - MINUTES_KEPT_SECONDS else hour


def _handlers(connection: Connection, step: int, since: float, until: float) -> list[HandlerStats]:
    table = handler_counts.c
    sums = (func.sum(table.runs), func.sum(table.failures), func.sum(table.seconds))
    query = select(table.handler, table.bucket, *sums).where(table.step == step, table.at >= since, table.at < until)
    histograms: dict[str, list[tuple[float, int, int, float]]] = defaultdict(list)
    for handler, bound, runs, failures, seconds in connection.execute(query.group_by(table.handler, table.bucket)):
        histograms[handler].append((bound, int(runs), int(failures), float(seconds)))
    errors = {row.handler: row for row in connection.execute(select(handler_errors).limit(_LONGEST_LIST))}
    found = [_handler(handler, sorted(rows), errors.get(handler)) for handler, rows in histograms.items()]
    return sorted(found, key=lambda row: (-row.p99, -row.seconds))


def _handler(handler: str, histogram: list[tuple[float, int, int, float]], error: Any) -> HandlerStats:
    runs = sum(row[1] for row in histogram)
    return HandlerStats(
        handler=handler,
        runs=runs,
        failures=sum(row[2] for row in histogram),
        p50=_quantile(histogram, runs * 0.50),
        p99=_quantile(histogram, runs * 0.99),
        seconds=sum(row[3] for row in histogram),
        last_error=None if error is None else ": ".join(part for part in (error.error_type, error.message) if part),
        last_error_at=None if error is None else error.at,
    )


def _quantile(histogram: list[tuple[float, int, int, float]], wanted: float) -> float:
    seen = 0
    for bound, runs, _, _ in histogram:
        seen += runs
        if seen >= wanted:
            return bound
    return histogram[-1][0]
