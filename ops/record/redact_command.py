"""``ackfirst redact``: take a person's data out of everything that is kept."""

import asyncio
import re
from typing import Final

import click

from ackfirst.ops.record.acts import note_act
from ackfirst.ops.record.options import number
from ackfirst.ops.record.redact_at_nexmo import redact_at_nexmo
from ackfirst.ops.record.redacted import Person, keyed_hash
from ackfirst.ops.record.redaction import Place, Redaction
from ackfirst.ops.record.redaction_key import REDACTION_ACT, check_same_key, named, redaction_key
from ackfirst.ops.record.render import Column, console, party, say_json, show_table
from ackfirst.ops.record.sources import FOUND, Sources, opened
from ackfirst.ops.terminal import as_json as json_option
from ackfirst.shared.settings.accounts_file import load_accounts

#: A phone number in its international form; ids of messages are longer or hold letters.
_NUMBER: Final = re.compile(r"[0-9]{7,15}")

_COLUMNS: Final = (Column("place"), Column("redacted", is_number=True), Column("not reached", folds=True))

#: Copies that no command of ours can reach.
_BEYOND: Final = (
    "Not reached by any command: backups of the record and of Redis, Redis's append-only file until its next rewrite "
    "(BGREWRITEAOF), spools of other machines, what your handlers stored."
)


@click.command()
@click.argument("subject", metavar="NUMBER|MESSAGE_ID")
@click.option("--as", "kind", type=click.Choice(["number", "message"]), help="What it is, where the form misleads.")
@click.option("--at-nexmo", is_flag=True, help="Make Nexmo forget the messages too (Redact API).")
@click.option("--new-key", is_flag=True, help="Accept that earlier redactions used another key.")
@click.option("--dry-run", is_flag=True, help="Count what would be redacted, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
def command(
    *, subject: str, kind: str | None, at_nexmo: bool, new_key: bool, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Take a person's data out of the record, dead letters, the queue, the quarantine and this machine's spool.

    Of a number: every event from or to it. Of a message (or an event id): the events of that message. Status, times
    and price stay, and a keyed hash in place of each number, so that equal ones can still be compared. An event that
    waits is processed without the data. Callbacks in quarantine are deleted.

    Exit code 1 if something was not reached; running it again does no harm.
    """
    person = _person(subject, kind)
    shown = party(person.text, personal=False) if person.number else person.text
    with opened() as sources:
        key = redaction_key(sources.settings)
        if sources.store is not None and not new_key:
            check_same_key(sources.store, key)
        if not dry_run and not yes:
            click.confirm(f"Take the data of {shown} out of everything, for good?", abort=True, err=True)
        places = _redact(sources, person, key, at_nexmo=at_nexmo, dry_run=dry_run)
    unreached = [place for place in places if place.unreached]
    if as_json:
        for place in places:
            say_json(
                {"place": place.name, "redacted": place.redacted, "unreached": place.unreached, "dry_run": dry_run}
            )
    else:
        show_table(console(), _COLUMNS, ((place.name, place.redacted, place.unreached or " ") for place in places))
        click.echo("Dry run: nothing was changed." if dry_run else _BEYOND)
    raise SystemExit(FOUND if unreached else 0)


def _person(subject: str, kind: str | None) -> Person:
    digits = number(subject)
    if kind == "number" or (kind is None and _NUMBER.fullmatch(digits)):
        return Person(number=digits)
    return Person(message_id=subject.strip())


def _redact(sources: Sources, person: Person, key: bytes, *, at_nexmo: bool, dry_run: bool) -> list[Place]:
    redaction = Redaction(sources, person, key, dry_run=dry_run)
    places = list(redaction.run())
    if at_nexmo:
        accounts = load_accounts(sources.settings)
        places += asyncio.run(redact_at_nexmo(redaction.transactions, accounts, sources.settings, dry_run=dry_run))
    if sources.store is not None and not dry_run:
        subject = f"number {keyed_hash(person.number, key)}" if person.number else f"message {person.text}"
        done = ", ".join(f"{place.name} {place.redacted}" for place in places if place.redacted) or "nothing found"
        left = ", ".join(place.name for place in places if place.unreached)
        details = [done, f"not reached: {left}", named(key)] if left else [done, named(key)]
        note_act(sources.store, REDACTION_ACT, subject, "; ".join(details))
    return places
