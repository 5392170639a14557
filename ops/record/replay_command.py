"""``ackfirst replay``: run the handlers again for events that have ended."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import click

from ackfirst.ops.record import replays
from ackfirst.ops.record.acts import operator
from ackfirst.ops.record.options import filtered, fixed_range, is_unscoped
from ackfirst.ops.record.options import local as local_option
from ackfirst.ops.record.render import Column, Times, console, say_json, show_table
from ackfirst.ops.record.replay_options import EventsGroup, Orders, as_object, carry_out, events_option, ordered
from ackfirst.ops.record.replay_plan import ReplayError
from ackfirst.ops.record.sources import recorded
from ackfirst.ops.terminal import as_json as json_option
from ackfirst.shared.replay.selection import Selection
from ackfirst.shared.store import EventFilter, Replay

DEFAULT_LIMIT: Final = 20

_COLUMNS: Final = (
    Column("id"),
    Column("name", rank=2),
    Column("state"),
    Column("queued", is_number=True),
    Column("of", is_number=True),
    Column("passed over", is_number=True, rank=4),
    Column("died", is_number=True),
    Column("created", rank=1),
    Column("by", rank=5),
    Column("note", rank=3, folds=True),
)


@click.group(cls=EventsGroup, invoke_without_command=True, subcommand_metavar="[COMMAND]")
@events_option
@filtered
@click.option("--handler", "handlers", multiple=True, metavar="NAME", help="Run only this handler (module.function).")
@ordered
def command(*, chosen: EventFilter, events: tuple[str, ...], handlers: tuple[str, ...], orders: Orders) -> None:
    """Run the handlers again for events of the record.

    Choose events by id, or by a filter with --since. Of a dead letter the handlers that failed run again, of another
    event all that match it; with --handler only that one. The plan is shown first. A worker queues the events, oldest
    first, at the rate and no faster than live events allow. What still waits or is retried is passed over.
    """
    if subcommand := click.get_current_context().invoked_subcommand:
        if events or handlers or not is_unscoped(chosen):
            raise click.UsageError(f"options that choose events go without {subcommand}")
        return
    if bool(events) == (not is_unscoped(chosen)):
        raise click.UsageError("name events with --event, or choose them by --since and other options")
    with recorded() as (sources, store):
        selection = Selection(events=tuple(dict.fromkeys(events)))
        if not events:
            selection = Selection(filter=fixed_range(chosen, now=time.time()))
        carry_out(sources, store, selection, handlers, orders)


@command.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=DEFAULT_LIMIT, show_default=True, help="Most to show.")
@local_option
@json_option
def list_(*, limit: int, local: bool, as_json: bool) -> None:
    """List replays, newest first."""
    times = Times(local=local)
    with recorded() as (sources, store):
        found = replays.newest(store, sources.redis, limit)
    if as_json:
        for replay in found:
            say_json(as_object(replay, times))
        return
    if not found:
        click.echo("There are no replays.")
        return
    out = console()
    rows = (
        (
            replay.id,
            replay.name,
            replay.state,
            f"{replay.moved:,}",
            f"{replay.total:,}",
            f"{replay.skipped:,}",
            f"{replay.died:,}",
            times.fitting(replay.created_at, out.width),
            replay.who,
            replay.note,
        )
        for replay in found
    )
    show_table(out, _COLUMNS, rows)


@command.command()
@click.argument("replay_id", metavar="ID")
@local_option
@json_option
def show(*, replay_id: str, local: bool, as_json: bool) -> None:
    """Show how far a replay is, and how its events have ended."""
    times = Times(local=local)
    with recorded() as (sources, store):
        try:
            found = replays.look(store, sources.redis, replay_id)
        except ReplayError as error:
            raise click.ClickException(str(error)) from error
    shown: dict[str, Any] = {
        **as_object(found.replay, times),
        "moved": found.moved,
        "skipped": found.skipped,
        "passed_over": dict(found.passed_over),
        "succeeded": found.endings.succeeded,
        "retried": found.endings.retried,
        "died": found.died,
        "unwanted": found.endings.unwanted,
        "failures": sorted({failure for _, failure in found.endings.newest if failure}),
        "filter": found.replay.filter,
    }
    if as_json:
        say_json(shown)
        return
    out = console()
    for name, value in shown.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else value
        text = ", ".join(f"{count} {reason}" for reason, count in value.items()) if isinstance(value, dict) else text
        out.print(f"{name:<12}{text if text not in ('', None) else '-'}", soft_wrap=True)


@command.command()
@click.argument("replay_id", metavar="ID")
def pause(*, replay_id: str) -> None:
    """Pause a replay. What it has queued already runs."""
    _steer(replay_id, replays.pause)


@command.command()
@click.argument("replay_id", metavar="ID")
def resume(*, replay_id: str) -> None:
    """Let a paused replay go on where it was."""
    _steer(replay_id, replays.resume)


@command.command()
@click.argument("replay_id", metavar="ID")
def stop(*, replay_id: str) -> None:
    """End a replay for good. What it has queued already runs."""
    _steer(replay_id, replays.stop)


@command.command()
@click.argument("replay_id", metavar="ID")
@click.argument("number", metavar="EVENTS_A_SECOND", type=click.FloatRange(min=0, min_open=True))
def rate(*, replay_id: str, number: float) -> None:
    """Change the most events a second of a replay."""
    _steer(replay_id, partial(replays.change_rate, rate=number))


def _steer(replay_id: str, act: Callable[..., Replay]) -> None:
    with recorded() as (_, store):
        try:
            replay = act(store, replay_id, who=operator())
        except ReplayError as error:
            raise click.ClickException(str(error)) from error
    click.echo(f"Replay {replay.id} is {replay.state}: {replay.moved:,} of {replay.total:,} queued, {replay.rate:g}/s")
