"""Dead letters: grouped by cause and window, then one by one; replay or drop them, with the plan first."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

import structlog
from flask import Blueprint, g, redirect, render_template, request, url_for
from redis.exceptions import RedisError
from werkzeug.exceptions import BadRequest, Conflict, NotFound
from werkzeug.wrappers import Response

from ackfirst.ops.record import dead_acts, replay_plan
from ackfirst.ops.record.dead_letters import (
    DeadFilter,
    all_groups,
    grouped,
    queued_letters,
    unrecorded_letters,
    with_recorded,
)
from ackfirst.ops.record.replay_plan import ReplayError
from ackfirst.ops.web.filters import sentence
from ackfirst.ops.web.live import live
from ackfirst.ops.web.messages import live_queue
from ackfirst.ops.web.selected import WINDOWS, chosen_selection, decoded, words_of
from ackfirst.ops.web.sources import Sources, sources
from ackfirst.shared.errors import StoreUnavailableError
from ackfirst.shared.store import Cursor, DeadGroup, DeadLetter

blueprint = Blueprint("dead", __name__, url_prefix="/dead")

#: Letters of one page.
PAGE_SIZE: Final = 30
#: Letters of the record's stream that are added to those of the record.
_MOST_UNRECORDED: Final = 1_000
#: Letters that are read in RQ while there is no record.
_MOST_QUEUED: Final = 1_000
_LONGEST_REASON: Final = 400

log = structlog.get_logger(__name__)


@blueprint.get("/")
def index() -> str:
    """Group the dead letters by handler and error, for the last hour, day and week."""
    found = sources()
    groups, trouble = _groups(found)
    return render_template("web/dead.html", groups=groups, trouble=trouble, windows=WINDOWS)


@blueprint.get("/list")
def listing() -> str:
    """List the dead letters of a cause and a window, newest first."""
    found = sources()
    chosen, window = chosen_letters(request.args, now=found.clock())
    letters, older, trouble = _letters(found, chosen, _cursor())
    conditions = conditions_of(request.args)
    since = f" --since {WINDOWS[window][1]}" if window is not None else ""
    named = "".join(f" --{name} {conditions[name]}" for name in ("handler", "error") if conditions.get(name))
    return render_template(
        "web/dead_list.html",
        letters=letters,
        trouble=trouble,
        chosen=chosen,
        window=window,
        windows=WINDOWS,
        conditions=conditions,
        without_window={name: value for name, value in conditions.items() if name != "window"},
        older=url_for("dead.listing", **conditions, after=str(older)) if older else None,
        newer=url_for("dead.listing", **conditions) if "after" in request.args else None,
        command=f"ackfirst dead list --each{named}{since}",
    )


@blueprint.get("/drop")
def plan_drop() -> str:
    """Say which dead letters would be dropped; nothing is changed."""
    found = sources()
    try:
        plan = replay_plan.plan(found.store, found.redis, chosen_selection(request.args, now=found.clock()))
    except ReplayError as error:
        raise Conflict(sentence(str(error))) from error
    count = plan.states.get("dead", 0)
    if not count:
        raise NotFound("None of these is a dead letter any more.")
    return render_template(
        "web/dead_drop.html",
        plan=plan,
        count=count,
        selection=words_of(plan.selection),
        encoded=plan.selection.encode(),
        command="ackfirst dead drop" + "".join(f" --event {one}" for one in plan.selection.events[:3]),
    )


@blueprint.post("/drop")
def drop() -> Response:
    """Drop the dead letters of the plan: their events end as discarded, and stay in the record."""
    found = sources()
    selection = decoded(request.form.get("selection", ""))
    if selection is None or not (selection.events or selection.filter.state == "dead"):
        raise BadRequest("The form holds no selection of dead letters.")
    reason = request.form.get("reason", "").strip()[:_LONGEST_REASON]
    count = dead_acts.drop(found.store, found.redis, selection, who=g.user, reason=reason)
    log.info("web.dead-dropped", user=g.user, count=count, remote=request.remote_addr)
    live().forget()
    return redirect(url_for("dead.index", done="dropped"), code=303)


def chosen_letters(given: Mapping[str, str], *, now: float) -> tuple[DeadFilter, str | None]:
    """Read which letters an address or a form means, and the name of the window."""
    window = given.get("window", "")
    since = now - WINDOWS[window][0] if window in WINDOWS else None
    chosen = DeadFilter(handler=given.get("handler"), error_type=given.get("error"), since=since)
    return chosen, window if window in WINDOWS else None


def conditions_of(given: Mapping[str, str]) -> dict[str, Any]:
    """Return the conditions of an address, to be passed on."""
    return {name: given[name] for name in ("handler", "error", "window") if name in given}


def _groups(found: Sources) -> tuple[list[DeadGroup], str | None]:
    now = found.clock()
    try:
        return all_groups(found.store, lambda after: _unrecorded(found, DeadFilter(), after=after), now=now), None
    except StoreUnavailableError as error:
        letters = list(islice(queued_letters(live_queue(found), DeadFilter()), _MOST_QUEUED))
        return grouped(letters, now=now), _from_rq(error, letters)


def _letters(
    found: Sources, chosen: DeadFilter, after: Cursor | None
) -> tuple[Sequence[DeadLetter], Cursor | None, str | None]:
    try:
        newest = _unrecorded(found, chosen, after=found.store.position()) if after is None else []
        rows = found.store.dead(
            chosen.handler, chosen.error_type, chosen.since, chosen.until, after=after, limit=PAGE_SIZE + 1
        )
    except StoreUnavailableError as error:
        letters = list(islice(queued_letters(live_queue(found), chosen), _MOST_QUEUED))
        return letters, None, _from_rq(error, letters)
    shown = rows[:PAGE_SIZE]
    older = Cursor(shown[-1].dead_at, f"{shown[-1].event_id} {shown[-1].handler}") if len(rows) > PAGE_SIZE else None
    return list(with_recorded(newest, shown)), older, None


def _unrecorded(found: Sources, chosen: DeadFilter, *, after: str) -> list[DeadLetter]:
    try:
        return unrecorded_letters(found.redis, chosen, after=after, limit=_MOST_UNRECORDED)
    except RedisError:  # the menu says so; what is recorded is shown all the same
        return []


def _from_rq(error: StoreUnavailableError, letters: Sequence[DeadLetter]) -> str:
    cut = f", the first {_MOST_QUEUED:,} of them" if len(letters) == _MOST_QUEUED else ""
    return f"{sentence(str(error))} What RQ still holds is shown instead{cut}."


def _cursor() -> Cursor | None:
    try:
        return Cursor.parse(request.args["after"])
    except (KeyError, ValueError):
        return None
