"""``ackfirst dead``: look at dead letters, the handlers that failed for good."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import click
from redis.exceptions import RedisError

from ackfirst.ops.record.dead_acts_command import drop, replay
from ackfirst.ops.record.dead_letters import (
    DeadFilter,
    all_groups,
    count_in_queue,
    grouped,
    queued_letters,
    recorded_letters,
    unrecorded_letters,
    with_recorded,
)
from ackfirst.ops.record.options import local as local_option
from ackfirst.ops.record.options import personal as personal_option
from ackfirst.ops.record.render import Column, Times, console, party, say_json, show_table
from ackfirst.ops.record.sources import Sources, opened
from ackfirst.ops.record.steps import Kind, Step
from ackfirst.ops.record.timeline import Timeline, timeline
from ackfirst.ops.terminal import MOMENT, CommandGroup
from ackfirst.ops.terminal import as_json as json_option
from ackfirst.shared.store.results import DeadGroup
from ackfirst.shared.store.rows import DeadLetter

#: Letters of the record's stream that a listing adds to those of the record.
MOST_UNRECORDED: Final = 1_000
#: Letters that a table shows without ``--limit``.
DEFAULT_LIMIT: Final = 50

#: What follows is the way through RQ and our own code to the handler: the same in every traceback.
_OF_RQ: Final = "\nThe above exception was the direct cause of the following exception:"

_GROUP_COLUMNS: Final = (
    Column("handler"),
    Column("error"),
    Column("1 h", is_number=True),
    Column("24 h", is_number=True),
    Column("7 d", is_number=True),
    Column("newest", rank=2),
    Column("oldest", rank=3),
    Column("newest error", rank=1, folds=True, least=16),
)
_LETTER_COLUMNS: Final = (
    Column("died"),
    Column("event"),
    Column("handler"),
    Column("attempts", rank=3, is_number=True),
    Column("message", rank=4),
    Column("lane", rank=5),
    Column("error", rank=2, folds=True, least=16),
)


@click.group(cls=CommandGroup)
def command() -> None:
    """Look at dead letters, handlers that failed for good; replay or drop them.

    A dead letter stays in the record when RQ has let go of it (ACKFIRST_FAILURE_TTL). Fix the handler, deploy it,
    then replay them.
    """


command.add_command(replay)
command.add_command(drop)


@command.command("list")
@click.option("--handler", help="Only of this handler.")
@click.option("--error", "error_type", metavar="TYPE", help="Only with errors of this type: TimeoutError.")
@click.option("--since", type=MOMENT, help="Only those that died since: 2h, 7d, 2026-03-04T09:15Z.")
@click.option("--until", type=MOMENT, help="Only those that died before.")
@click.option("--each", is_flag=True, help="Show every dead letter instead of groups, newest first.")
@click.option("--limit", type=click.IntRange(min=1), help="Most dead letters to show. [default: 50 in a table]")
@click.option("--queue", "from_queue", is_flag=True, help="Read them in RQ, not in the record.")
@local_option
@json_option
def list_(
    *,
    handler: str | None,
    error_type: str | None,
    since: float | None,
    until: float | None,
    each: bool,
    limit: int | None,
    from_queue: bool,
    local: bool,
    as_json: bool,
) -> None:
    """List dead letters, grouped by handler and error type.

    With --handler, --error, --since, --until or --each: one by one, newest first. With --json always one by one: a
    handler that failed for good with one event is one object.
    """
    chosen = DeadFilter(handler=handler, error_type=error_type, since=since, until=until)
    times = Times(local=local)
    with opened() as sources:
        if sources.trouble and not from_queue:
            click.echo(f"ackfirst: {sources.trouble}; read in RQ instead", err=True)
        from_queue = from_queue or sources.store is None
        if as_json:
            for letter in islice(_letters(sources, chosen, from_queue=from_queue), limit):
                say_json(as_object(letter, times))
        elif each or chosen != DeadFilter():
            most = limit or DEFAULT_LIMIT
            letters = list(islice(_letters(sources, chosen, from_queue=from_queue), most + 1))
            _show_letters(letters[:most], times, has_more=len(letters) > most)
        else:
            _show_groups(_groups(sources, from_queue=from_queue), times)
        if not from_queue:
            _say_unknown(sources)


@command.command()
@click.argument("key", metavar="ID")
@personal_option
@local_option
@json_option
def show(*, key: str, personal: bool, local: bool, as_json: bool) -> None:
    """Show the dead letters of an event or a message, with their tracebacks.

    RQ keeps the traceback for as long as the dead letter (ACKFIRST_FAILURE_TTL); the record keeps type and message.
    """
    times = Times(local=local)
    with opened() as sources:
        found = timeline(key, sources.store, sources.live)
        dead = {event.event_id for event in found.events if event.state == "dead"}
        live = sources.live.look(dead) if dead else {}
    if not dead:
        raise click.ClickException(
            f"no dead letter of {key!r} is known: ackfirst message {key} shows what became of it"
        )
    for event in found.events:
        if event.event_id not in dead:
            continue
        held = live.get(event.event_id)
        shown = {
            "event_id": event.event_id,
            "message_id": event.message_id,
            "family": event.family,
            "status": event.status,
            "lane": event.lane,
            "sender": party(event.sender, personal=personal),
            "recipient": party(event.recipient, personal=personal),
            "received_at": times.iso(event.received_at or None),
            "dead_at": times.iso(event.state_at or None),
            "handlers": list(_dead_handlers(found, event.event_id)),
            "expires_at": times.iso(held.expires_at) if held else None,
            "traceback": held.error if held else None,
        }
        if as_json:
            say_json(shown)
        else:
            _show_one(shown)


def as_object(letter: DeadLetter, times: Times) -> dict[str, Any]:
    """Return a dead letter as the object that ``--json`` prints."""
    return {
        "event_id": letter.event_id,
        "message_id": letter.message_id,
        "handler": letter.handler or None,
        "error": ": ".join(part for part in (letter.error_type, letter.error) if part),
        "dead_at": times.iso(letter.dead_at),
        "attempts": letter.attempts,
        "lane": letter.lane,
        "received_at": times.iso(letter.received_at or None),
    }


def _letters(sources: Sources, chosen: DeadFilter, *, from_queue: bool) -> Iterator[DeadLetter]:
    if from_queue or sources.store is None:
        return queued_letters(sources.live, chosen)
    newest = _unrecorded(sources, chosen, after=sources.store.position())
    return with_recorded(newest, recorded_letters(sources.store, chosen))


def _groups(sources: Sources, *, from_queue: bool) -> list[DeadGroup]:
    now = time.time()
    if from_queue or sources.store is None:
        return grouped(queued_letters(sources.live, DeadFilter()), now=now)
    return all_groups(sources.store, lambda after: _unrecorded(sources, DeadFilter(), after=after), now=now)


def _unrecorded(sources: Sources, chosen: DeadFilter, *, after: str) -> list[DeadLetter]:
    try:
        return unrecorded_letters(sources.redis, chosen, after=after, limit=MOST_UNRECORDED)
    except RedisError as error:
        click.echo(f"ackfirst: Redis does not answer ({error}): the newest dead letters may be missing", err=True)
        return []


def _say_unknown(sources: Sources) -> None:
    """Point at dead letters that only RQ has: they died before the record was switched on, or in a gap."""
    try:
        held = count_in_queue(sources.redis)
    except RedisError:
        return
    store = sources.store
    if not held or store is None:
        return
    position = store.position()  # before the record is read: a letter that is recorded meanwhile is in one of both
    if not _unrecorded(sources, DeadFilter(), after=position) and not store.dead(limit=1):
        click.echo(f"ackfirst: RQ holds {held:,} dead letters that the record does not have: add --queue", err=True)


def _show_groups(groups: list[DeadGroup], times: Times) -> None:
    if not groups:
        click.echo("There are no dead letters.")
        return
    out = console()
    rows = (
        (
            group.handler or "(no handler)",
            group.error_type,
            group.hour,
            group.day,
            group.week,
            times.fitting(group.newest, out.width),
            times.fitting(group.oldest, out.width),
            group.sample,
        )
        for group in groups
    )
    show_table(out, _GROUP_COLUMNS, rows)
    out.print(
        "ackfirst dead list --handler NAME shows them one by one; ackfirst dead show EVENT one with its traceback.",
        soft_wrap=True,
    )


def _show_letters(letters: list[DeadLetter], times: Times, *, has_more: bool) -> None:
    if not letters:
        click.echo("No dead letter matches.")
        return
    out = console()
    rows = (
        (
            times.fitting(letter.dead_at, out.width),
            letter.event_id,
            letter.handler or "(no handler)",
            letter.attempts,
            letter.message_id,
            letter.lane,
            ": ".join(part for part in (letter.error_type, letter.error) if part),
        )
        for letter in letters
    )
    show_table(out, _LETTER_COLUMNS, rows)
    out.print(f"{len(letters):,} shown" + ("; --limit shows more" if has_more else ""))


def _dead_handlers(found: Timeline, event_id: str) -> Iterator[dict[str, Any]]:
    newest: dict[str | None, Step] = {}
    for step in found.steps:
        if step.event_id != event_id:
            continue
        if step.kind is Kind.DEAD:
            newest[step.handler] = step
        elif step.kind is Kind.ATTEMPT and step.ending != "dead":  # a replay: what was dead before no longer counts
            newest.pop(step.handler, None)
    for handler, step in newest.items():
        yield {"handler": handler, "attempts": step.attempt, "error": step.error}


def _show_one(shown: dict[str, Any]) -> None:
    out = console()
    for name, value in shown.items():
        if name == "handlers":
            for one in value:
                tries = f" after {one['attempts']} attempts" if one["attempts"] else ""
                out.print(
                    f"{'handler':<12}{one['handler'] or '(no handler)'}{tries}: {one['error'] or 'no reason'}",
                    soft_wrap=True,
                )
        elif name != "traceback":
            out.print(f"{name:<12}{'-' if value is None else value}", soft_wrap=True)
    if shown["traceback"]:
        out.print(shown["traceback"].partition(_OF_RQ)[0].rstrip(), soft_wrap=True)
    else:
        out.print(
            "RQ has let go of it and of its traceback; the record keeps it, and it can be replayed.", soft_wrap=True
        )
