"""``ackfirst dead replay`` and ``dead drop``: run the handlers of dead letters again, or give them up."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from ackfirst.ops.record.acts import operator
from ackfirst.ops.record.dead_acts import drop as drop_letters
from ackfirst.ops.record.dead_acts import drop_in_queue, replay_in_queue
from ackfirst.ops.record.render import Times, say_json
from ackfirst.ops.record.replay_options import (
    EventsCommand,
    Orders,
    carry_out,
    events_option,
    ordered,
    plan_object,
    show_plan,
)
from ackfirst.ops.record.replay_plan import Plan, ReplayError, plan
from ackfirst.ops.record.sources import Sources, opened
from ackfirst.ops.terminal import MOMENT
from ackfirst.ops.terminal import as_json as json_option
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.plural import plural
from ackfirst.shared.replay.selection import Selection
from ackfirst.shared.store import EventFilter

_OPTIONS = (
    events_option,
    click.option("--handler", metavar="NAME", help="Dead letters of this handler."),
    click.option("--error", "error_type", metavar="TYPE", help="With errors of this type: TimeoutError."),
    click.option("--since", type=MOMENT, help="That died since: 2h, 7d, 2026-03-04T09:15Z."),
    click.option("--until", type=MOMENT, help="That died before."),
    click.option("--all", "everything", is_flag=True, help="All dead letters that are in the record now."),
)


def _selected(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose dead letters; the command gets a ``Selection``, and the one ``handler``."""

    @wraps(function)
    def with_selection(
        *,
        events: tuple[str, ...],
        handler: str | None,
        error_type: str | None,
        since: float | None,
        until: float | None,
        everything: bool,
        **others: Any,
    ) -> Any:
        by_filter = (handler, error_type, since, until) != (None, None, None, None)
        if everything and (events or by_filter):
            raise click.UsageError("--all goes without other options that choose dead letters")
        if events and (error_type, since, until) != (None, None, None):
            raise click.UsageError("name events with --event, or choose them by --handler, --error, --since")
        if not (events or by_filter or everything):
            raise click.UsageError("name events with --event, choose them by --handler, --error, --since, or use --all")
        now = time.time()
        chosen = EventFilter(
            state="dead",
            handler=handler,
            error_type=error_type,
            died_since=since,
            died_until=now if until is None else min(until, now),
        )
        selection = Selection(events=tuple(dict.fromkeys(events))) if events else Selection(filter=chosen)
        return function(selection=selection, handler=handler, **others)

    command: Callable[..., Any] = with_selection
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command(cls=EventsCommand)
@_selected
@ordered
def replay(*, selection: Selection, handler: str | None, orders: Orders) -> None:
    """Run the handlers that failed again, after showing the plan.

    With --handler only that one; the event stays a dead letter of any other. The finished handlers of an event do not
    run again. See ackfirst replay for how it goes on. Without a record, --event still works for dead letters that RQ
    holds.
    """
    handlers = (handler,) if handler else ()
    with opened() as sources:
        if sources.store is not None:
            carry_out(sources, sources.store, selection, handlers, orders, only_dead=True)
        else:
            _replay_in_queue(sources, selection, handlers, orders)


@click.command(cls=EventsCommand)
@_selected
@click.option("--reason", default="", help="Why, for the record.")
@click.option("--dry-run", is_flag=True, help="Print the plan, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
def drop(*, selection: Selection, handler: str | None, reason: str, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Give dead letters up: their events end as discarded.

    The record keeps the events, with their errors, and who has dropped them. They can still be replayed.
    """
    if selection.events and handler:
        raise click.UsageError("an event is dropped as a whole: --event goes without --handler")
    with opened() as sources:
        if sources.store is None:
            _drop_in_queue(sources, selection, yes=yes, dry_run=dry_run)
            return
        try:
            chosen = plan(sources.store, sources.redis, selection)
        except ReplayError as error:
            raise click.ClickException(str(error)) from error
        dead = chosen.states.get("dead", 0)
        if not dead and not dry_run:
            also = f" (not in the record: {', '.join(chosen.unknown)})" if chosen.unknown else ""
            raise click.ClickException(f"no dead letter matches: there is nothing to drop{also}")
        if not as_json:
            _show_drop(chosen)
        elif dry_run:
            say_json(plan_object(chosen, Times()))
        if dry_run:
            return
        if not yes:
            click.confirm(f"Drop {dead:,} dead letters?", abort=True, err=True)
        dropped = drop_letters(sources.store, sources.redis, chosen.selection, who=operator(), reason=reason)
    if as_json:
        say_json({"dropped": dropped})
    else:
        click.echo(f"{plural(dropped, 'dead letter')} dropped")


def _show_drop(chosen: Plan) -> None:
    show_plan(chosen, Times(), act="Drop of")
    for run in chosen.runs:
        if run.events is not None:  # of every dead handler: an event that is dropped is dropped for all of them
            click.echo(f"  {run.handler or '(no handler)'}: {plural(run.events, 'dead letter')}")


def _replay_in_queue(sources: Sources, selection: Selection, handlers: tuple[str, ...], orders: Orders) -> None:
    ids = _named(sources, selection)
    if orders.dry_run:
        click.echo(f"Replay of {plural(len(ids), 'event')}, as far as RQ holds them as dead letters")
        return
    if not orders.yes:
        click.confirm(f"Replay {plural(len(ids), 'event')}?", abort=True, err=True)
    options = sources.settings.job_options
    replay_id, moved = replay_in_queue(sources.redis, options, ids, handlers=handlers, fresh=orders.fresh)
    if orders.as_json:
        say_json({"id": replay_id, "moved": moved.moved, "passed_over": dict(moved.passed_over)})
    else:
        click.echo(f"Back in the lanes: {plural(moved.moved, 'event')}")
    if moved.moved < len(ids):
        raise click.ClickException(f"{len(ids) - moved.moved:,} are no dead letters that RQ holds")


def _drop_in_queue(sources: Sources, selection: Selection, *, yes: bool, dry_run: bool) -> None:
    ids = _named(sources, selection)
    if dry_run:
        click.echo(f"Drop of {plural(len(ids), 'event')}, as far as RQ holds them as dead letters")
        return
    if not yes:
        click.confirm(f"Drop {plural(len(ids), 'dead letter')} for good?", abort=True, err=True)
    dropped = drop_in_queue(sources.redis, ids, who=operator())
    click.echo(f"{plural(dropped, 'dead letter')} dropped")
    if dropped < len(ids):
        raise click.ClickException(f"{len(ids) - dropped:,} are no dead letters that RQ holds")


def _named(sources: Sources, selection: Selection) -> tuple[str, ...]:
    """Return the named events: without a record nothing else can be chosen.

    Raises:
        ConfigurationError: They are chosen by a filter.
    """
    if selection.events:
        return selection.events
    raise ConfigurationError(f"{sources.trouble or 'there is no record'}; without it only --event ID works")
