"""Replays: plan one, start it, watch it, pause, resume or stop it."""

import math
from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, g, redirect, render_template, request, url_for
from werkzeug.exceptions import BadRequest, Conflict, NotFound
from werkzeug.wrappers import Response

from ackfirst.ops.record import replay_plan, replays
from ackfirst.ops.record.replay_plan import DEFAULT_RATE, Plan, ReplayError
from ackfirst.ops.web.filters import sentence
from ackfirst.ops.web.live import live
from ackfirst.ops.web.search import SearchError, parse_search
from ackfirst.ops.web.selected import chosen_selection, decoded, words_of
from ackfirst.ops.web.sources import sources
from ackfirst.shared.replay.selection import Selection
from ackfirst.shared.store import Replay

blueprint = Blueprint("replays", __name__, url_prefix="/replays")

#: Replays that are listed, newest first.
LISTED: Final = 50
#: Fastest replay that the form takes, events a second.
MOST_RATE: Final = 10_000.0
#: Characters of a name and of a reason that are kept.
_LONGEST_NAME: Final = 80
_LONGEST_REASON: Final = 400


@blueprint.get("/")
def index() -> str:
    """List the replays, newest first."""
    found = sources()
    newest = replays.newest(found.store, found.redis, LISTED)
    return render_template("web/replays.html", replays=[_row(replay) for replay in newest])


@blueprint.get("/<replay_id>")
def show(replay_id: str) -> str:
    """Show one replay: how far it is, and how its events have ended."""
    found = sources()
    try:
        state = replays.look(found.store, found.redis, replay_id)
    except ReplayError as error:
        raise NotFound(sentence(str(error))) from error
    return render_template(
        "web/replay.html",
        state=state,
        row=_row(state.replay, moved=state.moved, skipped=state.skipped, died=state.died),
        selection=words_of(decoded(state.replay.filter)),
    )


@blueprint.get("/new")
def plan_new() -> str:
    """Show what a replay would do; nothing is changed."""
    found = sources()
    selection = _selection()
    handlers = tuple(name for name in request.args.getlist("only") if name)
    try:
        plan = replay_plan.plan(found.store, found.redis, selection, handlers=handlers, rate=_rate(request.args))
    except ReplayError as error:
        raise Conflict(sentence(str(error))) from error
    return render_template(
        "web/replay_plan.html",
        plan=plan,
        selection=words_of(plan.selection),
        encoded=plan.selection.encode(),
        only=handlers,
        given=[(name, value) for name, value in request.args.items(multi=True) if name not in ("only", "rate")],
        command=_command(plan),
    )


@blueprint.post("/")
def start() -> Response:
    """Start the replay of the plan that was shown."""
    found = sources()
    selection = decoded(request.form.get("selection", ""))
    if selection is None:
        raise BadRequest("The form holds no selection of events.")
    handlers = tuple(name for name in request.form.getlist("only") if name)
    fresh = request.form.get("fresh") == "1"
    try:
        plan = replay_plan.plan(
            found.store, found.redis, selection, handlers=handlers, rate=_rate(request.form), fresh=fresh
        )
        replay = replays.start(
            found.store,
            found.redis,
            plan,
            who=g.user,
            name=request.form.get("name", "").strip()[:_LONGEST_NAME],
            reason=request.form.get("reason", "").strip()[:_LONGEST_REASON],
        )
    except ReplayError as error:
        raise Conflict(sentence(str(error))) from error
    live().forget()
    return redirect(url_for("replays.show", replay_id=replay.id, done="replayed"), code=303)


@blueprint.post("/<replay_id>/pause")
def pause(replay_id: str) -> Response:
    """Queue nothing more until it is resumed."""
    return _steered(replay_id, replays.pause)


@blueprint.post("/<replay_id>/resume")
def resume(replay_id: str) -> Response:
    """Go on where it was."""
    return _steered(replay_id, replays.resume)


@blueprint.post("/<replay_id>/stop")
def stop(replay_id: str) -> Response:
    """End it for good."""
    return _steered(replay_id, replays.stop)


def _steered(replay_id: str, act: Any) -> Response:
    try:
        act(sources().store, replay_id, who=g.user)
    except ReplayError as error:
        raise Conflict(sentence(str(error))) from error
    return redirect(url_for("replays.show", replay_id=replay_id), code=303)


def _selection() -> Selection:
    """Read which events are meant: named ones, dead letters of a cause, or those that the search box finds."""
    text = request.args.get("q")
    if text is None:
        return chosen_selection(request.args, now=sources().clock())
    try:
        search = parse_search(text, now=sources().clock())
    except SearchError as error:
        raise BadRequest(str(error)) from error
    if search.word is not None:
        raise BadRequest("Search by from: or to: instead of a bare number to replay what was found.")
    return Selection(filter=search.filter)


def _rate(given: Mapping[str, str]) -> float:
    try:
        rate = float(given.get("rate") or DEFAULT_RATE)
    except ValueError:
        rate = math.nan
    if not 0 < rate <= MOST_RATE:
        raise BadRequest(f"The rate is a number of events a second, at most {MOST_RATE:,.0f}.")
    return rate


def _row(replay: Replay, *, moved: int | None = None, skipped: int | None = None, died: int | None = None) -> Any:
    done = (replay.moved if moved is None else moved) + (replay.skipped if skipped is None else skipped)
    left = max(0, replay.total - done)
    return {
        "replay": replay,
        "moved": replay.moved if moved is None else moved,
        "skipped": replay.skipped if skipped is None else skipped,
        "died": replay.died if died is None else died,
        "done": done,
        "left_seconds": left / replay.rate if replay.state == "running" and left and replay.rate else None,
    }


def _command(plan: Plan) -> str:
    handlers = "".join(f" --handler {name}" for name in plan.handlers)
    if plan.selection.events:
        return "ackfirst replay" + "".join(f" --event {one}" for one in plan.selection.events[:3]) + handlers
    chosen = plan.selection.filter
    if chosen.state == "dead":
        error = f" --error {chosen.error_type}" if chosen.error_type else ""
        handler = f" --handler {chosen.handler}" if chosen.handler else ""
        return f"ackfirst dead replay{handler}{error}" if handler or error else "ackfirst dead replay --all"
    return "ackfirst replay --since …" + handlers
