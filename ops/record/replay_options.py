"""Give ``ackfirst replay`` and ``ackfirst dead replay`` their options, the plan in words, and the question."""

import time
from collections.abc import Callable, Container, Sequence
from functools import wraps
from typing import Any, Final

import click
from redis import Redis

from ackfirst.ops.record.acts import operator
from ackfirst.ops.record.render import Column, Times, console, duration, say_json, show_table
from ackfirst.ops.record.replay_plan import DEFAULT_RATE, Plan, ReplayError, plan
from ackfirst.ops.record.replays import start
from ackfirst.ops.record.sources import Sources
from ackfirst.ops.terminal import CommandGroup
from ackfirst.ops.terminal import as_json as json_option
from ackfirst.shared.plural import plural
from ackfirst.shared.queue import keys
from ackfirst.shared.record import named_record
from ackfirst.shared.replay.endings import read_endings
from ackfirst.shared.replay.selection import Selection
from ackfirst.shared.store import FINAL_STATES, Replay, Store

#: Seconds between two looks of ``--wait``.
LOOK_SECONDS: Final = 0.5
#: Seconds without a change after which ``--wait`` gives up: a retry may come in hours.
PATIENCE_SECONDS: Final = 60.0

_DAY_COLUMNS: Final = (Column("day"), Column("family"), Column("state"), Column("events", is_number=True))


@named_record
class Orders:
    """The way in which a replay is to run."""

    rate: float
    fresh: bool
    name: str
    reason: str
    dry_run: bool
    yes: bool
    wait: bool
    as_json: bool
    times: Times


_OPTIONS: Final = (
    click.option(
        "--rate",
        type=click.FloatRange(min=0, min_open=True),
        default=DEFAULT_RATE,
        show_default=True,
        help="Most events a second.",
    ),
    click.option("--fresh", is_flag=True, help="Give handlers idempotency keys that no earlier run has used."),
    click.option("--name", default="", help="What to call it: the incident."),
    click.option("--reason", default="", help="Why, for the record."),
    click.option("--dry-run", is_flag=True, help="Print the plan, and change nothing."),
    click.option("--yes", is_flag=True, help="Do not ask for confirmation."),
    click.option("--wait", is_flag=True, help="Return when all have ended; exit code 1 if one died again or none ran."),
    click.option("--local", is_flag=True, help="Show times of this machine's time zone instead of UTC."),
    json_option,
)


def ordered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a replay; the command gets them as one ``orders``."""

    @wraps(function)
    def with_orders(
        *,
        rate: float,
        fresh: bool,
        name: str,
        reason: str,
        dry_run: bool,
        yes: bool,
        wait: bool,
        local: bool,
        as_json: bool,
        **others: Any,
    ) -> Any:
        orders = Orders(
            rate=rate,
            fresh=fresh,
            name=name,
            reason=reason,
            dry_run=dry_run,
            yes=yes,
            wait=wait,
            as_json=as_json,
            times=Times(local=local),
        )
        return function(orders=orders, **others)

    command: Callable[..., Any] = with_orders
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


class EventsCommand(click.Command):
    """A command whose ``--event`` takes several ids: ``--event A B C``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, with the option before each id."""
        return super().parse_args(ctx, _spread(args, ()))


class EventsGroup(CommandGroup):
    """A group whose own ``--event`` takes several ids."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, with the option before each id."""
        return super().parse_args(ctx, _spread(args, self.commands))


def _spread(args: Sequence[str], commands: Container[str]) -> list[str]:
    found: list[str] = []
    rest = iter(args)
    takes_more = False
    for arg in rest:
        if takes_more and not arg.startswith("-") and arg not in commands:
            found += ["--event", arg]
            continue
        found.append(arg)
        takes_more = arg == "--event"
        if takes_more and (first := next(rest, None)) is not None:
            found.append(first)
    return found


events_option = click.option("--event", "events", multiple=True, metavar="ID...", help="These events.")


def carry_out(
    sources: Sources,
    store: Store,
    selection: Selection,
    handlers: Sequence[str],
    orders: Orders,
    *,
    only_dead: bool = False,
) -> None:
    """Show the plan, ask, start the replay, and wait for it if that was asked for.

    ``only_dead`` refuses events that are no dead letters: all their handlers would run again.

    Raises:
        ClickException: It cannot be started, or was waited for and has not gone well.
    """
    try:
        chosen = plan(store, sources.redis, selection, handlers=handlers, rate=orders.rate, fresh=orders.fresh)
        if only_dead:
            _require_dead(chosen)
        _show(chosen, orders)
        if orders.dry_run:
            return
        if chosen.total and not orders.yes:
            click.confirm(f"Replay {plural(chosen.total, 'event')}?", abort=True, err=True)
        replay = start(store, sources.redis, chosen, who=operator(), name=orders.name, reason=orders.reason)
    except ReplayError as error:
        raise click.ClickException(str(error)) from error
    if orders.as_json:
        say_json(as_object(replay, orders.times))
    else:
        click.echo(f"Replay {replay.id} started: ackfirst replay show {replay.id}")
    if not sources.redis.exists(keys.RECORDER_LEASE):
        click.echo("ackfirst: no worker runs here: the replay begins when one does", err=True)
    if orders.wait:
        wait_for_end(sources.redis, store, replay)


def _require_dead(chosen: Plan) -> None:
    others = {state: number for state, number in chosen.states.items() if state in FINAL_STATES - {"dead"}}
    if others:
        which = ", ".join(f"{number:,} {state}" for state, number in others.items())
        raise ReplayError(f"not all of these are dead letters ({which}): ackfirst replay runs events of any state")


def show_plan(chosen: Plan, times: Times, *, act: str) -> None:
    """Print a plan for the eye; ``act`` begins its first line."""
    for event_id in chosen.unknown:
        click.echo(f"ackfirst: no event {event_id!r} is in the record", err=True)
    if not chosen.total:
        click.echo("No event matches.")
        return
    zone = times.zone(chosen.oldest or 0.0)
    received = f"received {times.second(chosen.oldest)} to {times.second(chosen.newest)} {zone}"
    click.echo(f"{act} {plural(chosen.total, 'event')}, {received}")
    rows = ((times.day(day.oldest), day.family, day.state, f"{day.count:,}") for day in chosen.days)
    show_table(console(), _DAY_COLUMNS, rows)


def as_object(replay: Replay, times: Times) -> dict[str, Any]:
    """Return a replay as the object that ``--json`` prints."""
    return {
        "id": replay.id,
        "name": replay.name,
        "state": replay.state,
        "total": replay.total,
        "moved": replay.moved,
        "skipped": replay.skipped,
        "died": replay.died,
        "rate": replay.rate,
        "fresh": replay.fresh,
        "handlers": replay.handlers.split(",") if replay.handlers else [],
        "created_at": times.iso(replay.created_at),
        "updated_at": times.iso(replay.updated_at),
        "who": replay.who,
        "reason": replay.reason,
        "note": replay.note,
    }


def plan_object(chosen: Plan, times: Times) -> dict[str, Any]:
    """Return a plan as the object that ``--dry-run --json`` prints."""
    return {
        "events": chosen.total,
        "oldest": times.iso(chosen.oldest),
        "newest": times.iso(chosen.newest),
        "since": times.iso(chosen.selection.filter.since),
        "until": times.iso(chosen.selection.filter.until),
        "days": [
            {"day": times.day(day.day), "family": day.family, "state": day.state, "events": day.count}
            for day in chosen.days
        ],
        "handlers": [{"handler": run.handler or None, "events": run.events} for run in chosen.runs],
        "rate": chosen.rate,
        "seconds": round(chosen.seconds, 1),
        "fresh": chosen.fresh,
        "unknown": list(chosen.unknown),
    }


def _show(chosen: Plan, orders: Orders) -> None:
    if orders.as_json:
        if orders.dry_run:
            say_json(plan_object(chosen, orders.times))
        return
    show_plan(chosen, orders.times, act="Replay of")
    if not chosen.total:
        return
    click.echo("Handlers that run:")
    for run in chosen.runs:
        name = run.handler or "those that have not finished with an event that died without a handler's doing"
        number = "as far as they match" if run.events is None else plural(run.events, "event")
        if chosen.handlers:
            number = f"those of the {number} that it matches; the others stay as they are"
        doubt = "" if run.is_known else " (no run of it is known: check the name)"
        click.echo(f"  {name}: {number}{doubt}")
    if any(run.events is None for run in chosen.runs) or not chosen.runs:
        click.echo("  and any other handler that matches by then")
    click.echo(
        f"At {chosen.rate:g} a second it takes {duration(chosen.seconds)} at the least, and waits while live events do."
    )
    if chosen.fresh:
        click.echo("Idempotency keys are new: what a handler has done already, it may do twice.")


def wait_for_end(redis: Redis, store: Store, replay: Replay) -> None:
    """Wait until the replay no longer runs and its events have ended.

    Raises:
        ClickException: It was paused or stopped, events are dead letters again, or some have not ended for a minute.
    """
    shown, since = "", time.monotonic()
    while True:
        known, endings = store.replay(replay.id) or replay, read_endings(redis, replay.id)
        line = (
            f"{known.moved:,} of {known.total:,} queued, {known.skipped:,} passed over, "
            f"{endings.succeeded:,} succeeded, {endings.died:,} died again"
        )
        line += f", {endings.unwanted:,} matched by no handler" if endings.unwanted else ""
        line += f"; {known.note}" if known.note else ""
        if line != shown:
            click.echo(line, err=True)
            shown, since = line, time.monotonic()
        if known.state not in ("running", "done"):
            raise click.ClickException(f"replay {known.id} is {known.state}: {known.note}")
        if known.state == "done" and endings.ended >= known.moved:
            break
        if known.state == "done" and time.monotonic() - since >= PATIENCE_SECONDS:
            left = known.moved - endings.ended
            raise click.ClickException(
                f"{plural(left, 'event')} without an end for a minute, because of a retry, a pause or a lack of "
                f"workers: ackfirst replay show {known.id}"
            )
        time.sleep(LOOK_SECONDS)
    if endings.died:
        raise click.ClickException(f"{plural(endings.died, 'event')} died again: ackfirst dead list")
    if not endings.succeeded:
        raise click.ClickException("no handler has run")
