"""Put the steps of a timeline into words, for the terminal and for the page."""

from ackfirst.ops.record.render import Times, duration
from ackfirst.ops.record.steps import Kind, Pending, Step
from ackfirst.ops.record.timeline import Timeline
from ackfirst.shared.plural import plural
from ackfirst.shared.store.rows import EventRow

_ENDINGS = {"done": "done", "discarded": "discarded", "retry": "failed", "dead": "failed for good"}


def words(step: Step, times: Times, *, before: Step | None = None) -> str:
    """Describe a step in one line, without its time, event and kind, and without what the step ``before`` has said."""
    number = f" #{step.attempt}" if step.attempt else ""
    who = f"{step.handler}{number}" if step.handler else ""
    said = ""
    match step.kind:
        case Kind.RECEIVED:
            said = " ".join(part for part in (step.family, step.status) if part)
            if step.lag is not None:
                said += f", {duration(step.lag)} after Nexmo's time"
        case Kind.DUPLICATE:
            said = "the same callback again" + (f", {step.count} times" if step.count else "")
        case Kind.REFUSED | Kind.QUARANTINED:
            said = f"{step.verdict}: {step.reason}"
        case Kind.REPLAYED:
            said = f"by replay {step.replay}"
        case Kind.ATTEMPT:
            took = "" if step.seconds is None else f" in {duration(step.seconds)}"
            result = step.error or (f'"{step.returned}"' if step.returned else "")
            said = f"{who} {_ENDINGS.get(step.ending or '', step.ending)}{took}" + (f": {result}" if result else "")
        case Kind.RETRY:
            said = f"{who} was scheduled" if step.due_at is None else f"{who} due at {times.clock(step.due_at)[:8]}"
        case Kind.DEAD:
            is_repeated = before is not None and (before.handler, before.error) == (step.handler, step.error)
            said = f"{who}: no retry is left" if is_repeated else ": ".join(part for part in (who, step.error) if part)
        case Kind.ENDED:
            said = ": ".join(part for part in (step.ending, step.reason) if part)
    return said


def waits(event: EventRow, pending: Pending, now: float, times: Times) -> str:
    """Describe what an event waits for; empty for one that has ended."""
    since = "" if pending.since is None else f" for {duration(max(0.0, now - pending.since))}"
    match pending.state:
        case "waiting":
            return f"waits in lane {event.lane}{since}"
        case "running":
            return f"is running{since}" + (f" on worker {pending.worker}" if pending.worker else "")
        case "retrying" if pending.due_at is not None:
            wait = max(0.0, pending.due_at - now)
            names = ", ".join(sorted(pending.due)) or "its handlers"
            return f"waits for the retry of {names}: in {duration(wait)}, at {times.clock(pending.due_at)[:8]}"
        case _:
            return ""


def unknown(found: Timeline) -> str:
    """Say that nothing is known of a message, or what little is."""
    if found.seen:
        return (
            f"{plural(found.seen, 'event')} of {found.key!r} came and ended within the last four days; "
            "the record has nothing of that: it was off, or was purged"
        )
    return f"nothing is known of {found.key!r}: it is neither in the record, nor in the queue, nor in quarantine"
