"""Messages: one search box, and the timeline of a message with everything that is known of it."""

import heapq
from collections.abc import Mapping, Sequence
from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from ackfirst.ops.record.live import LiveQueue
from ackfirst.ops.record.render import Times, party
from ackfirst.ops.record.steps import Kind, Step
from ackfirst.ops.record.timeline import Timeline, timeline
from ackfirst.ops.record.wording import unknown, waits, words
from ackfirst.ops.terminal import printable
from ackfirst.ops.web.audit import audit
from ackfirst.ops.web.filters import sentence
from ackfirst.ops.web.search import Search, SearchError, parse_search
from ackfirst.ops.web.sources import Sources, sources
from ackfirst.shared.errors import ConfigurationError, StoreUnavailableError
from ackfirst.shared.plural import plural
from ackfirst.shared.record import named_record
from ackfirst.shared.store import Cursor, EventFilter, EventRow, Store
from ackfirst.shared.store.redaction import is_hash

blueprint = Blueprint("messages", __name__)

#: Events of one page.
PAGE_SIZE: Final = 30
#: Events that are counted; more are "more than".
MOST_COUNTED: Final = 10_000
#: Bytes of a body that are shown.
_LONGEST_BODY: Final = 64 * 1024
#: Characters of a redacted number in a listing.
_BRIEF: Final = 15

_TONES: Final[Mapping[Kind, str]] = {
    Kind.RECEIVED: "accent",
    Kind.REPLAYED: "accent",
    Kind.REFUSED: "warn",
    Kind.QUARANTINED: "warn",
    Kind.RETRY: "warn",
    Kind.DEAD: "bad",
}


@named_record
class Page:
    """One page of a listing, newest first."""

    events: Sequence[EventRow]
    older: Cursor | None = None
    newer: Cursor | None = None


@blueprint.get("/messages/")
def index() -> str | Response:
    """List the newest events that match; an id that is known leads to its timeline at once."""
    found = sources()
    text = request.args.get("q", "")
    try:
        search = parse_search(text, now=found.clock())
    except SearchError as error:
        return render_template(
            "web/messages.html", search=Search(text=text), events=[], trouble=str(error), counted=None
        )
    if search.word is not None and search.filter == EventFilter() and _is_known(found, search):
        return redirect(url_for("messages.show", id=search.word), code=302)
    listed = page_of(found.store, search.filters(), after=_cursor("after"), before=_cursor("before"))
    return render_template(
        "web/messages.html",
        search=search,
        events=listed.events,
        trouble=None,
        counted=_count(found.store, search),
        most=MOST_COUNTED,
        older=url_for("messages.index", q=text, after=str(listed.older)) if listed.older else None,
        newer=url_for("messages.index", q=text, before=str(listed.newer)) if listed.newer else None,
        masked=_brief_party,
    )


@blueprint.get("/message")
def show() -> str:
    """Show the timeline of a message, masked."""
    return _show(_known_timeline(), is_personal=False)


@blueprint.post("/message")
def show_personal() -> str:
    """Show it with numbers and exact bodies; who looked is recorded first."""
    known = _known_timeline()
    audit("personal-shown", f"message {printable(known.key)}", must_be_kept=True)
    return _show(known, is_personal=True)


def page_of(
    store: Store, filters: Sequence[EventFilter], *, after: Cursor | None = None, before: Cursor | None = None
) -> Page:
    """Read one page of the events that any of the filters takes.

    Raises:
        StoreUnavailableError: The record does not answer.
    """
    lists = [store.events(one, after=after, before=before, limit=PAGE_SIZE + 1) for one in filters]
    merged: dict[tuple[float, str], EventRow] = {}
    for row in heapq.merge(*lists, key=_place, reverse=True):
        merged.setdefault(_place(row), row)
    rows = list(merged.values())
    has_more = len(rows) > PAGE_SIZE
    if before is not None:  # the page ends where the other one began
        rows = rows[-PAGE_SIZE:]
        newer, older = has_more, True
    else:
        rows = rows[:PAGE_SIZE]
        newer, older = after is not None, has_more
    return Page(
        events=rows,
        older=_at(rows[-1]) if rows and older else None,
        newer=_at(rows[0]) if rows and newer else None,
    )


def _place(row: EventRow) -> tuple[float, str]:
    return row.received_at, row.event_id


def _at(row: EventRow) -> Cursor:
    return Cursor(row.received_at, row.event_id)


def _cursor(name: str) -> Cursor | None:
    try:
        return Cursor.parse(request.args[name])
    except (KeyError, ValueError):
        return None


def _is_known(found: Sources, search: Search) -> bool:
    """Return whether the word is the id of something. A number may be one too: an SMS id has digits only."""
    assert search.word is not None  # noqa: S101 - the caller's, for the type checker
    if found.store.message(search.word, limit=1):
        return True
    return search.party is None and bool(_timeline(found, search.word).steps)


def _count(store: Store, search: Search) -> int | None:
    """Count what matches, up to a bound; None for everything, which is too many and says nothing."""
    if search.is_everything:
        return None
    return min(MOST_COUNTED, sum(store.count(one, MOST_COUNTED) for one in search.filters()))


def _known_timeline() -> Timeline:
    key = request.values.get("id", "").strip()
    if not key:
        raise NotFound("The address names no message.")
    known = _timeline(sources(), key)
    if not known.steps:
        raise NotFound(sentence(unknown(known)))
    return known


def _timeline(found: Sources, key: str) -> Timeline:
    try:
        store: Store | None = found.store
    except StoreUnavailableError:
        store = None
    return timeline(key, store, live_queue(found))


def live_queue(found: Sources) -> LiveQueue:
    """Return the queue with the configured accounts, of which the ids of events are made."""
    try:
        accounts = [account.api_key for account in found.accounts()]
    except ConfigurationError:  # without secrets here: the names are enough
        accounts = list(found.names.accounts)
    return LiveQueue(found.redis, accounts=accounts)


def _show(known: Timeline, *, is_personal: bool) -> str:
    found = sources()
    now, times = found.clock(), Times()
    newest = known.events[-1] if known.events else None
    pending = [
        (event, said)
        for event in known.events
        if (one := known.pending.get(event.event_id)) is not None and (said := waits(event, one, now, times))
    ]
    return render_template(
        "web/message.html",
        known=known,
        newest=newest,
        letters={event.event_id: chr(ord("A") + index % 26) for index, event in enumerate(known.events)},
        steps=[_step(step, times) for step in known.steps],
        pending=pending,
        notes=[sentence(note) for note in known.notes],
        bodies=[(event, _body(event)) for event in known.events if event.received_at] if is_personal else [],
        shown=lambda value: party(value, personal=is_personal),
        is_personal=is_personal,
        title=(newest.message_id if newest else None) or known.key,
        command=f"ackfirst message {known.key}" + (" --personal" if is_personal else ""),
    )


def _step(step: Step, times: Times) -> dict[str, Any]:
    tone = _TONES.get(step.kind, "")
    if step.kind is Kind.ATTEMPT:
        tone = {"done": "good", "discarded": "", "retry": "warn", "dead": "bad"}.get(step.ending or "", "")
    elif step.kind is Kind.ENDED:
        tone = {"processed": "good", "dead": "bad", "rejected": "bad"}.get(step.ending or "", "")
    text = words(step, times)
    error = step.error if step.kind in (Kind.ATTEMPT, Kind.DEAD) else None
    if error:  # on a line of its own
        text = text.removesuffix(f": {error}")
    return {"step": step, "tone": tone, "text": text, "error": error}


def _body(event: EventRow) -> str | None:
    """Return the exact body as text, bytes that are none escaped; None if it was redacted."""
    if event.redacted_at is not None:
        return None
    raw = event.body or event.query.encode("utf-8", "surrogatepass")
    text = raw[:_LONGEST_BODY].decode("utf-8", "backslashreplace")
    return text + (f"\n… {plural(len(raw) - _LONGEST_BODY, 'more byte')}" if len(raw) > _LONGEST_BODY else "")


def _brief_party(value: str | None) -> str | None:
    """Show a sender or a recipient masked, and the hash of a redacted one by its first digits."""
    if value is not None and is_hash(value):
        return f"{value[:_BRIEF]}…"
    return party(value, personal=False)
