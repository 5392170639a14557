"""Lanes and applications: what waits in each, when it was last heard of; pause and resume a lane."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, g, redirect, render_template, url_for
from redis import Redis
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from ackfirst.ops import lanes
from ackfirst.ops.terminal import printable
from ackfirst.ops.web.audit import audit
from ackfirst.ops.web.live import live
from ackfirst.ops.web.sources import Names, sources
from ackfirst.shared.queue import keys

blueprint = Blueprint("lanes", __name__, url_prefix="/lanes")

#: Applications that are listed.
_APPLICATIONS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationRow:
    """One application, or an account's callbacks without one."""

    account: str
    application_id: str
    name: str | None
    last_callback: float | None
    """Unix seconds of the last verified callback."""
    last_unconfirmed: float | None
    """Unix seconds of the last callback that could not be confirmed."""

    @property
    def last(self) -> float:
        """Return the Unix second at which it was last heard of, in any way."""
        return max(self.last_callback or 0.0, self.last_unconfirmed or 0.0)


@blueprint.get("/")
def index() -> str:
    """List lanes and applications."""
    found = sources()
    state = live().state()
    return render_template(
        "web/lanes.html",
        lanes=sorted(state.lanes, key=lambda lane: (-lane.waiting, -lane.running, lane.name)),
        most=max((lane.waiting for lane in state.lanes), default=0),
        applications=read_applications(found.redis, found.names)[:_APPLICATIONS],
        now=state.at,
    )


@blueprint.get("/<lane>")
def show(lane: str) -> str:
    """Show one lane."""
    state = live().state()
    found = next((one for one in state.lanes if one.name == lane), None)
    if found is None:
        raise NotFound("No lane of this name holds anything, or it is not among the fullest.")
    return render_template("web/lane.html", lane=found)


@blueprint.post("/<lane>/pause")
def pause(lane: str) -> Response:
    """Let workers take nothing more from the lane."""
    found = sources()
    try:
        lanes.pause(found.redis, lane, who=g.user, now=found.clock())
    except lanes.UnknownLaneError as error:
        raise NotFound("There is no lane of this name.") from error
    return _changed("lane-paused", lane, done="paused")


@blueprint.post("/<lane>/resume")
def resume(lane: str) -> Response:
    """Let workers take from the lane again."""
    lanes.resume(sources().redis, lane)
    return _changed("lane-resumed", lane, done="resumed")


def _changed(act: str, lane: str, *, done: str) -> Response:
    live().forget()
    audit(act, printable(lane))
    return redirect(url_for("lanes.index", done=done), code=303)


def read_applications(redis: Redis, names: Names) -> list[ApplicationRow]:
    """Read when each application was last heard of, the latest first.

    Raises:
        RedisError: Redis does not answer.
    """
    verified: Any = redis.hgetall(keys.LAST_CALLBACKS)
    unconfirmed: Any = redis.hgetall(keys.LAST_UNCONFIRMED)
    rows = []
    for field in verified.keys() | unconfirmed.keys():
        account, _, application_id = field.decode(errors="replace").partition("/")
        rows.append(
            ApplicationRow(
                account=account,
                application_id=application_id,
                name=names.applications.get(application_id) or names.accounts.get(account),
                last_callback=_seconds(verified, field),
                last_unconfirmed=_seconds(unconfirmed, field),
            )
        )
    return sorted(rows, key=lambda row: -row.last)


def _seconds(times: Mapping[bytes, bytes], field: bytes) -> float | None:
    try:
        return float(times[field])
    except (KeyError, ValueError):
        return None
