"""Everything that was acknowledged against everything that became of it. Pure but for ``stock``, which asks Redis."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import redis

from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.classify import classify
from ackfirst.shared.nexmo.identity import event_id
from ackfirst.shared.nexmo.reading import read_unverified
from ackfirst.shared.quarantine.stream import QuarantineRecord
from ackfirst.shared.queue import keys
from ackfirst.simulator.delivery import Delivery
from ackfirst.simulator.report import latency
from ackfirst.simulator.rules import OK
from tests.chaos.fault import Fault
from tests.chaos.notes import Notes
from tests.chaos.recorded import Recorded
from tests.chaos.world import ACCOUNT

_SMS_PATHS: Final = ("/webhooks/inbound-sms", "/webhooks/delivery-receipt")


#: Seconds within which the job of a killed worker runs again.
RESCUE: Final = 15.0


@dataclass(frozen=True, slots=True)
class Stock:
    """What lies in Redis."""

    dead: frozenset[str]
    quarantined: frozenset[str]
    waiting: int
    """Jobs that are queued, taken, running or scheduled."""


def stock(client: redis.Redis) -> Stock:
    """Look."""
    lanes = [lane.decode() for lane in client.smembers(keys.LANES)]
    dead = {job.decode() for lane in lanes for job in client.zrange(keys.failed(lane), 0, -1)}
    waiting = sum(client.llen(key(lane)) for lane in lanes for key in (keys.queue, keys.intermediate))
    waiting += sum(client.zcard(key(lane)) for lane in lanes for key in (keys.scheduled, keys.running))
    quarantined = [QuarantineRecord.decode(fields) for _, fields in client.xrange(keys.QUARANTINE)]
    return Stock(frozenset(dead), frozenset(filter(None, map(event_of, quarantined))), waiting)


def event_of(record: QuarantineRecord) -> str | None:
    """The id of the event that a quarantined callback would be."""
    callback = Callback(
        method=record.method,
        path=record.path,
        query=record.query,
        content_type=record.content_type,
        authorization=record.authorization,
        body=record.body,
        received_at=record.received_at,
    )
    reading = read_unverified(callback)
    if reading is None:
        return None
    return event_id(classify(reading), ACCOUNT.api_key, reading.fields, record.body or record.query.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """One row of the table."""

    fault: str
    load: str
    sent: int
    """Callbacks, each counted once however often it was tried."""
    acked: int
    """Events of genuine callbacks that were answered 200."""
    refused: Mapping[str, int]
    """Other answers to genuine callbacks → how many; ``none`` is no answer. The provider came again each time."""
    processed: int
    again: int
    """Events that a handler finished more than once."""
    dead: int
    quarantined: int
    missing: tuple[str, ...]
    p50: float
    p99: float
    max: float
    """Milliseconds from the moment at which a callback was due to its first answer."""
    recovery: float
    """Seconds from the end of the fault until every event that was acknowledged by then was handled."""
    recorded: int | None = None
    """Events that the record holds; None where none is kept."""
    rescue: float | None = None
    """Seconds from the kill of an engine until the job that it had in hand was finished, the slowest; None: no kill."""
    problems: tuple[str, ...] = field(default=())
    """Why the row does not hold; empty when it does."""

    @property
    def holds(self) -> bool:
        """Whether the promises were kept."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "holds": self.holds}


def unplayed(fault: Fault, load: str, why: str) -> Ledger:
    """The row of a fault that could not be brought about."""
    nothing = dict.fromkeys(("sent", "acked", "processed", "again", "dead", "quarantined"), 0)
    times = dict.fromkeys(("p50", "p99", "max", "recovery"), 0.0)
    return Ledger(fault=fault.name, load=load, refused={}, missing=(), problems=(why,), **nothing, **times)


def acknowledged(deliveries: Sequence[Delivery]) -> dict[str, float]:
    """Event → when it was first acknowledged."""
    found: dict[str, float] = {}
    for delivery in deliveries:
        if delivery.acknowledged:
            at = min(attempt.at for attempt in delivery.attempts if attempt.status == OK)
            event = delivery.planned.event_id
            found[event] = min(at, found.get(event, at))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that a row has brought to light."""

    deliveries: Sequence[Delivery]
    notes: Notes
    stock: Stock
    fault_end: float
    """By ``time.perf_counter``, which is ``time.monotonic`` on Linux."""
    recorded: Recorded | None = None
    killed: Mapping[str, float]
    """Job in hand → when its engine was killed."""
    deaths: int = 0
    """How many engines a handler has ended."""


def draw_up(fault: Fault, load: str, findings: Findings, *, timed: bool) -> Ledger:
    """Compare. Limits of time count only where the row is ``timed``: not on a machine that runs other tests."""
    deliveries, notes, stock_, fault_end = findings.deliveries, findings.notes, findings.stock, findings.fault_end
    acked = acknowledged(deliveries)
    genuine = [delivery for delivery in deliveries if not delivery.planned.kind.is_forged]
    refused = Counter(attempt.status for delivery in genuine for attempt in delivery.attempts if attempt.status != OK)
    first = latency([delivery.attempts[0].seconds for delivery in genuine if delivery.attempts[0].status])
    owed = [notes.finished[event][0] for event, at in acked.items() if at <= fault_end and event in notes.finished]
    ledger = Ledger(
        fault=fault.name,
        load=load,
        sent=len(deliveries),
        acked=len(acked),
        refused={str(status or "none"): count for status, count in sorted(refused.items(), key=str)},
        processed=len(acked.keys() & notes.finished.keys()),
        again=notes.again,
        dead=len(acked.keys() & stock_.dead),
        quarantined=len(acked.keys() & stock_.quarantined - notes.finished.keys()),
        missing=tuple(sorted(acked.keys() - _accounted(notes, stock_))),
        p50=first.p50 if first else 0.0,
        p99=first.p99 if first else 0.0,
        max=first.max if first else 0.0,
        recovery=round(max(0.0, max(owed, default=fault_end) - fault_end), 2),
        recorded=findings.recorded and findings.recorded.events,
        rescue=_rescue(notes, findings.killed),
    )
    problems = [
        *_problems(fault, ledger, refused, findings),
        *_unrecorded(findings.recorded),
        *(_delays(fault, ledger) if timed else ()),
    ]
    return replace(ledger, problems=tuple(problems))


def _rescue(notes: Notes, killed: Mapping[str, float]) -> float | None:
    seconds = [took for job, when in killed.items() if (took := notes.after(job, when)) is not None]
    return round(max(seconds), 2) if seconds else None


def _accounted(notes: Notes, stock_: Stock) -> Collection[str]:
    return notes.finished.keys() | stock_.dead | stock_.quarantined


def _problems(fault: Fault, ledger: Ledger, refused: Mapping[int | None, int], findings: Findings) -> list[str]:
    found = []
    deliveries, notes, deaths = findings.deliveries, findings.notes, findings.deaths
    forged = {d.planned.event_id for d in deliveries if d.planned.kind.is_forged}
    if through := (forged & notes.finished.keys()) - acknowledged(deliveries).keys():
        found.append(f"{len(through)} forged callbacks were handled")
    if not ledger.acked:
        found.append("nothing was acknowledged: the row proves nothing")
    if ledger.missing:
        found.append(f"{len(ledger.missing)} acknowledged events are missing: {', '.join(ledger.missing[:3])}")
    if wrong := {status: count for status, count in refused.items() if status not in fault.refusals}:
        found.append(f"answers that this fault does not excuse: {wrong}")
    if never := sum(not d.acknowledged for d in deliveries if not d.planned.kind.is_forged):
        found.append(f"{never} genuine callbacks were never acknowledged, whatever the number of attempts")
    if fault.ack_longest is not None and ledger.max > fault.ack_longest:
        found.append(f"an answer took {ledger.max} ms, more than {fault.ack_longest:g} ms")
    if fault.again is not None and ledger.again > (most := fault.again + deaths * fault.again_a_death):
        found.append(f"{ledger.again} events were handled more than once, not at most {most}")
    if ledger.dead != fault.dead:
        found.append(f"{ledger.dead} dead letters, not {fault.dead}")
    return found


def _unrecorded(record: Recorded | None) -> list[str]:
    if record is None:
        return []
    found = []
    if record.missing:
        found.append(f"{len(record.missing)} events are missing in the record: {', '.join(record.missing[:3])}")
    if record.twice:
        found.append(f"{len(record.twice)} events are twice in the record: {', '.join(record.twice[:3])}")
    return found


def _delays(fault: Fault, ledger: Ledger) -> list[str]:
    found = []
    if ledger.rescue is not None and ledger.rescue > RESCUE:
        found.append(f"the job of a killed engine ran again after {ledger.rescue} s, not within {RESCUE:g} s")
    if ledger.recovery > fault.recovery:
        found.append(f"recovered after {ledger.recovery} s, not within {fault.recovery:g} s")
    if fault.ack_p99 is not None and ledger.p99 > fault.ack_p99:
        found.append(f"ack p99 {ledger.p99} ms, not within {fault.ack_p99:g} ms")
    return found
