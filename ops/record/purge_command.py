"""``ackfirst purge``: delete old events from the record."""

import time
from typing import Final

import click

from ackfirst.ops.record.acts import note_act
from ackfirst.ops.record.options import local as local_option
from ackfirst.ops.record.render import Times, say_json
from ackfirst.ops.record.sources import recorded
from ackfirst.ops.terminal import MOMENT
from ackfirst.ops.terminal import as_json as json_option
from ackfirst.shared.plural import plural
from ackfirst.shared.store.retention import wait_between_deletes
from ackfirst.shared.store.rows import EventFilter

#: Most events that are counted before the question whether to delete them.
MOST_COUNTED: Final = 10_000


@click.command()
@click.option("--older-than", "before", type=MOMENT, required=True, help="Received before: 90d, 2026-03-04T09:15Z.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--no-pauses", is_flag=True, help="On SQLite many times as fast, but it may delay what shares the disk.")
@local_option
@json_option
def command(*, before: float, yes: bool, no_pauses: bool, local: bool, as_json: bool) -> None:
    """Delete events from the record for good, with their attempts and dead letters.

    A worker does this by itself, every hour, with what is older than ACKFIRST_STORE_KEEP. Events that wait in Redis are
    not touched. May be stopped and run again at any time.
    """
    if before > time.time():
        raise click.UsageError("--older-than must be in the past")
    when = Times(local=local).second(before)
    with recorded() as (_, store):
        counted = store.count(EventFilter(until=before), cap=MOST_COUNTED)
        if counted and not yes:
            more = "more than " if counted >= MOST_COUNTED else ""
            question = f"Delete {more}{plural(counted, 'event')} received before {when} for good?"
            click.confirm(question, abort=True, err=True)
        pause = (lambda: None) if no_pauses else wait_between_deletes
        purged = store.purge(before, exact=True, pause=pause)
        note_act(store, "events-purged", f"received before {Times().iso(before)}", plural(purged, "event"))
    if as_json:
        say_json({"purged": purged, "received_before": Times(local=local).iso(before)})
    else:
        click.echo(f"{plural(purged, 'event')} received before {when} deleted")
