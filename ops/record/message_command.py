"""``ackfirst message``: show what happened to a message."""

import sys
import time
from collections.abc import Iterator, Mapping
from string import ascii_uppercase
from typing import Any

import click

from ackfirst.ops.record.options import local as local_option
from ackfirst.ops.record.options import personal as personal_option
from ackfirst.ops.record.render import Column, Times, console, party, say_json, show_table
from ackfirst.ops.record.sources import opened
from ackfirst.ops.record.steps import Kind, Step
from ackfirst.ops.record.timeline import Timeline, timeline
from ackfirst.ops.record.wording import unknown, waits, words
from ackfirst.ops.terminal import as_json as json_option
from ackfirst.ops.terminal import printable
from ackfirst.shared.store.rows import EventRow


@click.command()
@click.argument("key", metavar="ID")
@click.option("--raw", is_flag=True, help="Print the body of an event exactly as it arrived, and nothing else.")
@personal_option
@local_option
@json_option
def command(*, key: str, raw: bool, personal: bool, local: bool, as_json: bool) -> None:
    """Show what happened to a message, step by step.

    ID is a message uuid, an SMS messageId, an event id, or the client_ref that the message was sent with. Shown are
    its arrivals, duplicates, attempts with their errors, and what it waits for: from the record, and from Redis what
    the record does not have yet.

    Exit code 1 if nothing is known of it.
    """
    with opened() as sources:
        found = timeline(key, sources.store, sources.live)
        notes = [note for note in (sources.trouble, *found.notes) if note]
    if raw:
        _print_raw(found)
        return
    for note in notes:
        click.echo(f"ackfirst: {note}", err=True)
    if not found.steps:
        raise click.ClickException(unknown(found))
    times = Times(local=local)
    if as_json:
        events = {event.event_id: event for event in found.events}
        for step in found.steps:
            say_json(_object(step, events, times, personal=personal))
    else:
        _show(found, times, personal=personal)


def _print_raw(found: Timeline) -> None:
    bodies = [event for event in found.events if event.received_at]
    if not bodies:
        raise click.ClickException(unknown(found))
    if len(bodies) > 1:
        names = ", ".join(event.event_id for event in bodies)
        raise click.UsageError(f"{found.key} has {len(bodies)} events: name one of {names}")
    event = bodies[0]
    if event.redacted_at is not None:
        raise click.ClickException(
            f"the body of {event.event_id} was taken out: {Times().second(event.redacted_at)} UTC"
        )
    sys.stdout.buffer.write(event.body or event.query.encode("utf-8", "surrogatepass"))
    sys.stdout.buffer.flush()


def _object(step: Step, events: Mapping[str, EventRow], times: Times, *, personal: bool) -> dict[str, Any]:
    fields = step.as_dict()
    fields["at"] = times.iso(step.at)
    if step.due_at is not None:
        fields["due_at"] = times.iso(step.due_at)
    if step.lag is not None:
        fields["lag"] = round(step.lag, 3)
    if step.seconds is not None:
        fields["seconds"] = round(step.seconds, 6)
    event = events.get(step.event_id or "")
    if step.kind is Kind.RECEIVED and event is not None:
        fields |= {
            "state": event.state,
            "message_id": event.message_id,
            "client_ref": event.client_ref,
            "account": event.account,
            "application_id": event.application_id,
            "channel": event.channel,
            "sender": party(event.sender, personal=personal),
            "recipient": party(event.recipient, personal=personal),
            "price": event.price,
        }
        if personal and event.redacted_at is None:
            fields["body"] = (event.body or event.query.encode("utf-8", "surrogatepass")).decode(errors="replace")
    return fields


def _show(found: Timeline, times: Times, *, personal: bool) -> None:
    out = console()
    names = {event.event_id: name for event, name in zip(found.events, _names(), strict=False)}
    events = (_event_row(names, event, times, personal=personal) for event in found.events)
    show_table(out, _EVENT_COLUMNS, events)
    day = ""
    before: Step | None = None
    rows: list[tuple[str, ...]] = []
    for step in found.steps:
        if times.day(step.at) != day:
            day = times.day(step.at)
            rows.append((f"{day} {times.zone(step.at)}", " ", " ", " "))
        said = words(step, times, before=before)
        rows.append((times.clock(step.at), names.get(step.event_id or "", " "), step.kind.value, said))
        before = step
    show_table(out, _STEP_COLUMNS, rows)
    for line in _now(found, names, times):
        out.print(line, soft_wrap=True)
    if personal:
        for event in found.events:
            body = event.body or event.query.encode("utf-8", "surrogatepass")
            if body and event.redacted_at is None:
                out.print(f"{names[event.event_id]}  {printable(body.decode(errors='replace'))}", soft_wrap=True)


_EVENT_COLUMNS = (
    Column(""),
    Column("event"),
    Column("what"),
    Column("state"),
    Column("received", rank=1),
    Column("from", rank=2),
    Column("to", rank=2),
    Column("lane", rank=3),
    Column("client_ref", rank=4),
)
_STEP_COLUMNS = (Column("time"), Column(""), Column("step"), Column("", folds=True))


def _event_row(names: Mapping[str, str], event: EventRow, times: Times, *, personal: bool) -> tuple[str | None, ...]:
    return (
        names[event.event_id],
        event.event_id,
        event.status or event.family,
        event.state + (" (redacted)" if event.redacted_at is not None else ""),
        times.second(event.received_at or None),
        party(event.sender, personal=personal),
        party(event.recipient, personal=personal),
        event.lane,
        event.client_ref,
    )


def _names() -> Iterator[str]:
    """Name events A, B, … Z, AA, AB, …: ids of 34 characters in each line hide what is different."""
    yield from ascii_uppercase
    for first in ascii_uppercase:
        for second in ascii_uppercase:
            yield first + second


def _now(found: Timeline, names: Mapping[str, str], times: Times) -> Iterator[str]:
    """Say what each event that has not ended waits for."""
    now = time.time()
    for event in found.events:
        pending = found.pending.get(event.event_id)
        if pending is not None and (said := waits(event, pending, now, times)):
            yield f"{names[event.event_id]} {said}"
