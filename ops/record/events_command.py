"""``ackfirst events``: search the recorded events, and follow new ones."""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import click
from redis.exceptions import RedisError

from ackfirst.ops.record.backlog import Backlog
from ackfirst.ops.record.options import filtered
from ackfirst.ops.record.options import local as local_option
from ackfirst.ops.record.options import personal as personal_option
from ackfirst.ops.record.render import Column, Times, console, duration, party, say_json, show_table
from ackfirst.ops.record.sources import Sources, recorded
from ackfirst.ops.terminal import as_json as json_option
from ackfirst.shared.plural import plural
from ackfirst.shared.store import Store
from ackfirst.shared.store.rows import Cursor, EventFilter, EventRow

#: Most events of one listing; more are found with ``--until``.
MOST_EVENTS: Final = 10_000
#: Most events that are counted: beyond it the listing says "more than".
MOST_COUNTED: Final = 10_000
#: Events that one query reads.
PAGE: Final = 500
#: Seconds between two looks for new events.
FOLLOW_SECONDS: Final = 1.0
#: Seconds that the record may be behind before a listing says so.
NOTICED_LAG_SECONDS: Final = 5.0

_COLUMNS: Final = (
    Column("received"),
    Column("event"),
    Column("what"),
    Column("state"),
    Column("to", rank=1),
    Column("from", rank=3),
    Column("family", rank=4),
    Column("attempts", rank=5, is_number=True),
    Column("message", rank=6),
    Column("lane", rank=7),
)


@click.command()
@filtered
@click.option(
    "--limit",
    type=click.IntRange(1, MOST_EVENTS),
    default=50,
    show_default=True,
    help="Most events to show, the newest of those that match.",
)
@click.option("--follow", is_flag=True, help="Go on and show new events until Ctrl-C.")
@personal_option
@local_option
@json_option
def command(*, chosen: EventFilter, limit: int, follow: bool, personal: bool, local: bool, as_json: bool) -> None:
    """Search the recorded events, newest last.

    All conditions must hold. A number is found if it is exactly the event's sender or recipient; output is masked all
    the same. `ackfirst message EVENT` shows what happened to one.
    """
    times = Times(local=local)
    with recorded() as (sources, store):
        newest = newest_last(store, chosen, limit)
        _show(newest, times, personal=personal, as_json=as_json, header=True)
        if not as_json:
            _summary(len(newest), store.count(chosen, cap=MOST_COUNTED))
        if (note := lag_note(sources, store)) is not None:
            click.echo(f"ackfirst: {note}", err=True)
        if follow:
            with suppress(KeyboardInterrupt):  # the usual end
                _follow(store, chosen, times, personal=personal, as_json=as_json)


def newest_last(store: Store, chosen: EventFilter, limit: int) -> list[EventRow]:
    """Read the newest events that match, and return them with the newest last."""
    found: list[EventRow] = []
    after: Cursor | None = None
    while len(found) < limit:
        size = min(PAGE, limit - len(found))
        page = store.events(chosen, after=after, limit=size)
        found += page
        if len(page) < size:
            break
        after = Cursor(page[-1].received_at, page[-1].event_id)
    return found[::-1]


def lag_note(sources: Sources, store: Store) -> str | None:
    """Say how far the record is behind, if an operator should know; None if it is not."""
    try:
        behind = Backlog(sources.redis).lag(after=store.position(), now=time.time())
    except RedisError as error:
        return f"Redis does not answer ({error}): how far the record is behind is not known"
    if behind < NOTICED_LAG_SECONDS:
        return None
    return f"the record is {duration(behind)} behind: newer events are not shown, is a worker running?"


def as_object(event: EventRow, times: Times, *, personal: bool) -> dict[str, Any]:
    """Return an event as the object that ``--json`` prints."""
    return {
        "event_id": event.event_id,
        "message_id": event.message_id,
        "client_ref": event.client_ref,
        "family": event.family,
        "channel": event.channel,
        "status": event.status,
        "account": event.account,
        "application_id": event.application_id,
        "lane": event.lane,
        "sender": party(event.sender, personal=personal),
        "recipient": party(event.recipient, personal=personal),
        "received_at": times.iso(event.received_at or None),
        "occurred_at": times.iso(event.occurred_at),
        "state": event.state,
        "attempts": event.attempts,
        "ended_at": times.iso(event.ended_at),
        "error": event.error,
        "price": event.price,
        "redacted_at": times.iso(event.redacted_at),
    }


def _follow(store: Store, chosen: EventFilter, times: Times, *, personal: bool, as_json: bool) -> None:
    for events in _new_events(store, chosen):
        _show(events, times, personal=personal, as_json=as_json, header=False)


def _new_events(store: Store, chosen: EventFilter) -> Iterator[list[EventRow]]:
    """Yield the events that are recorded from now on, in the order of their recording."""
    newest = store.follow(EventFilter(), None, limit=1)
    after = Cursor(newest[-1].recorded_at or 0.0, newest[-1].event_id) if newest else Cursor(0.0, "")
    while True:
        page = store.follow(chosen, after, limit=PAGE)
        if page:
            yield page
            after = Cursor(page[-1].recorded_at or 0.0, page[-1].event_id)
        if len(page) < PAGE:
            time.sleep(FOLLOW_SECONDS)


def _show(events: list[EventRow], times: Times, *, personal: bool, as_json: bool, header: bool) -> None:
    if as_json:
        for event in events:
            say_json(as_object(event, times, personal=personal))
        return
    out = console()
    if events:
        rows = (_row(event, times, out.width, personal=personal) for event in events)
        show_table(out, _COLUMNS, rows, header=header)


def _row(event: EventRow, times: Times, columns: int, *, personal: bool) -> tuple[Any, ...]:
    return (
        times.fitting(event.received_at or None, columns),
        event.event_id,
        event.status or event.family,
        event.state,
        party(event.recipient, personal=personal),
        party(event.sender, personal=personal),
        event.family,
        event.attempts,
        event.message_id,
        event.lane,
    )


def _summary(shown: int, counted: int) -> None:
    if counted > shown:
        more = "more than " if counted >= MOST_COUNTED else ""
        click.echo(f"{shown:,} shown of {more}{counted:,}; --limit, --since and --until show others")
    else:
        click.echo(plural(shown, "event"))
