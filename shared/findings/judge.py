"""Judge a state of the queue: one pure function, so that ``/readyz``, ``doctor`` and the page say the same of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ackfirst.shared.findings.finding import Finding, Findings, Level, error, warning
from ackfirst.shared.plural import plural
from ackfirst.shared.queue.snapshot import QueueSnapshot

#: Seconds that the oldest event of a lane may wait: longer is slow, much longer is what the alert wakes a person for.
LANE_WAITS_SECONDS: Final = 60.0
LANE_STANDS_SECONDS: Final = 300.0
#: Seconds by which this machine's clock may differ from Redis's.
CLOCK_SECONDS: Final = 1.0
#: Shares of the quarantine and of the spool above which they will soon be full.
QUARANTINE_SHARE: Final = 0.8
SPOOL_SHARE: Final = 0.5
#: Seconds for which a loss of data in Redis is shown: nothing that could be measured brings the data back.
DATA_LOSS_SHOWN_SECONDS: Final = 3600.0
#: Seconds that the oldest entry may wait for the record.
RECORD_WAITS_SECONDS: Final = 120.0
#: Names that one finding lists.
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolState:
    """The spool of one ingest process, or of one machine."""

    records: int = 0
    set_aside: int = 0
    used_ratio: float = 0.0
    is_over_age: bool = False
    trouble: str | None = None
    """Why it cannot be written; None while it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordState:
    """The backlog of the record, and its gaps."""

    backlog: int = 0
    """Entries of the stream that wait."""
    oldest_seconds: float = 0.0
    gap_events: int = 0
    """Events that were let go unrecorded in the last day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnconfirmedAccount:
    """An account of which no callback is confirmed."""

    account: str
    is_ours: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemState:
    """All that is judged. Leave out what is not known where you ask: it is then not judged."""

    queue: QueueSnapshot | None
    """None: Redis does not answer."""
    redis_trouble: str | None = None
    """Why events go to the spool, in the words of ingest; None while Redis takes them."""
    data_lost: str | None = None
    """``wiped`` or ``rolled-back``."""
    data_lost_seconds: float = 0.0
    """How long ago that was noticed."""
    quarantine_max_records: int | None = None
    quarantine_max_bytes: int | None = None
    spool: SpoolState | None = None
    record: RecordState | None = None
    unconfirmed: tuple[UnconfirmedAccount, ...] = ()


def record_state(queue: QueueSnapshot, *, gap_events: int | None = None) -> RecordState:
    """Return the state of the record as Redis knows it, or with the gaps of the last day that the store knows."""
    recent = queue.record_recent_gap_events if gap_events is None else gap_events
    return RecordState(backlog=queue.record_entries, oldest_seconds=queue.record_oldest_seconds, gap_events=recent)


def judge(state: SystemState) -> list[Finding]:
    """Return what is not as it should be, errors first."""
    findings = [*_of_redis(state), *_of_spool(state)]
    if state.queue is not None:
        findings += [*_of_workers(state.queue), *_of_leftovers(state.queue), *_of_quarantine(state, state.queue)]
    findings += [*_of_accounts(state.unconfirmed), *_of_record(state.record)]
    return errors_first(findings)


def errors_first(findings: Iterable[Finding]) -> list[Finding]:
    """Sort findings by severity; of two with one id and one text, keep the first."""
    unique = {(finding.id, finding.what): finding for finding in findings}
    return sorted(unique.values(), key=lambda finding: finding.level is not Level.ERROR)


def _of_redis(state: SystemState) -> Findings:
    if state.queue is None:
        yield error(
            "redis-down",
            "Redis does not answer: callbacks are spooled on disk, and no handler runs",
            "start Redis, or check ACKFIRST_REDIS_URL",
        )
        if state.spool is not None and state.spool.trouble:
            yield error(
                "ingest-not-ready",
                "callbacks can be made durable neither in Redis nor on disk: they are answered 503",
                "bring Redis back, or make room on the disk of the data folder",
            )
    elif abs(skew := state.queue.clock_skew_seconds) > CLOCK_SECONDS:
        yield warning(
            "clock-redis",
            f"this machine's clock is {skew:+.1f} s off Redis's: retries follow Redis's clock, ages are shown wrong",
            "let both follow NTP: timedatectl status",
        )
    if state.data_lost and state.data_lost_seconds < DATA_LOSS_SHOWN_SECONDS:
        yield error(
            "redis-data-lost",
            f"Redis has lost data ({state.data_lost}): events that waited there are gone, duplicates count as new",
            "find the cause: the volume, the append-only file, a failover, FLUSHALL; restore a copy of the file",
        )


def _of_spool(state: SystemState) -> Findings:
    spool = state.spool or SpoolState()
    if state.redis_trouble:
        yield error(
            "spool-in-use",
            f"events go to disk, and {spool.records} wait there ({state.redis_trouble}): no handler sees them",
            "make Redis take writes; ackfirst spool",
        )
    elif spool.records:
        yield warning("spool-in-use", f"{plural(spool.records, 'event')} on disk, not queued yet", "ackfirst spool")
    if spool.trouble:
        yield error(
            "spool-unusable",
            f"ingest cannot write to its disk ({spool.trouble}): the next outage of Redis means 503",
            "df, and the owner of ACKFIRST_DATA_DIR",
        )
    if spool.used_ratio > SPOOL_SHARE:
        yield error(
            "spool-filling",
            f"the spool is {spool.used_ratio:.0%} full: once it is full, callbacks are answered 503",
            "make Redis take writes; a larger ACKFIRST_SPOOL_MAX_BYTES buys time",
        )
    if spool.is_over_age:
        yield error(
            "spool-over-age",
            "an event waits on disk for longer than ACKFIRST_SPOOL_MAX_AGE: it is late, and on one disk only",
            "ackfirst spool",
        )
    if spool.set_aside:
        yield warning(
            "spool-set-aside",
            f"{plural(spool.set_aside, 'record')} on disk that cannot be queued: answered 200, and seen by no handler",
            "ackfirst spool",
        )


def _of_workers(queue: QueueSnapshot) -> Findings:
    if paused := [name for name, lane in queue.lanes.items() if lane.is_paused and lane.waiting]:
        yield warning(
            "lane-paused",
            f"events wait in lanes that an operator has paused: {_some(paused)}",
            "ackfirst lanes resume LANE",
        )
    if not queue.workers:
        yield error(
            "workers-none",
            "no worker is running: events are kept, and no handler sees them",
            "ackfirst worker, or docker compose up -d worker",
        )
        return
    if unserved := [name for name, lane in queue.lanes.items() if lane.is_unserved]:
        yield error(
            "lane-unserved",
            f"events wait in lanes that no worker serves: {_some(unserved)}",
            "start a worker without --lane, or with --lane for each of them",
        )
    served = {name: lane for name, lane in queue.lanes.items() if not (lane.is_unserved or lane.is_paused)}
    waits = {name: lane.oldest_seconds for name, lane in served.items()}
    slow = {name: seconds for name, seconds in waits.items() if seconds > LANE_WAITS_SECONDS}
    if slow:
        longest = max(slow.values())
        make = error if longest > LANE_STANDS_SECONDS else warning
        yield make(
            "lane-waits",
            f"events wait for up to {longest:.0f} s in {_some(sorted(slow, key=slow.__getitem__, reverse=True))}",
            "start more workers (docker compose up -d --scale worker=3), and look for slow handlers",
        )


def _of_leftovers(queue: QueueSnapshot) -> Findings:
    if dead := {name: lane for name, lane in queue.lanes.items() if lane.dead_letters}:
        total = sum(lane.dead_letters for lane in dead.values())
        recent = sum(lane.dead_last_hour for lane in dead.values())
        yield warning(
            "dead-letters",
            f"{total} dead letters lie in {_some(sorted(dead))}, {recent} of the last hour: handlers failed too often",
            "ackfirst dead list names their errors; fix the handler, then ackfirst dead replay",
        )
    if queue.rejects:
        yield warning(
            "rejects", f"{queue.rejects} entries of lanes are no jobs that a worker could run", "ackfirst rejects list"
        )


def _of_quarantine(state: SystemState, queue: QueueSnapshot) -> Findings:
    limits = (
        (queue.quarantine_records, state.quarantine_max_records),
        (queue.quarantine_bytes, state.quarantine_max_bytes),
    )
    share = max((used / limit for used, limit in limits if limit), default=0.0)
    if share > QUARANTINE_SHARE:
        yield warning(
            "quarantine-full",
            f"the quarantine is {share:.0%} full: once it is full, what cannot be verified is answered 429",
            "ackfirst quarantine list; recheck what is yours, drop the rest",
        )
    elif queue.quarantine_records:
        yield warning(
            "quarantine",
            f"{plural(queue.quarantine_records, 'callback')} in quarantine that could not be verified",
            "ackfirst quarantine list",
        )


def _of_accounts(unconfirmed: tuple[UnconfirmedAccount, ...]) -> Findings:
    for account in unconfirmed:
        if account.is_ours:
            yield error(
                "account-unconfirmed",
                f"no callback of account {account.account} is confirmed by our secrets",
                "compare its signature secret with Nexmo's dashboard, then: ackfirst quarantine recheck",
            )
    if unknown := [account.account for account in unconfirmed if not account.is_ours]:
        yield warning(
            "accounts-unknown",
            f"callbacks name accounts that are not configured: {_some(unknown)}",
            "add yours to ackfirst.toml, restart ingest, then: ackfirst quarantine recheck",
        )


def _of_record(record: RecordState | None) -> Findings:
    if record is None:
        return
    if record.oldest_seconds > RECORD_WAITS_SECONDS:
        yield warning(
            "record-behind",
            f"waiting to be recorded: {record.backlog}, the oldest for {record.oldest_seconds:.0f} s",
            "a worker writes the record: is one running, and does the store of ACKFIRST_STORE_URL answer?",
        )
    if record.gap_events:
        yield error(
            "record-gap",
            f"processed in the last day and missing in the record: {record.gap_events}",
            "make the store quicker, or give Redis more memory",
        )


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = len(listed) - _SHOWN
    return ", ".join(listed[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
