"""Read which events a form or an address means, and say it in words. What was shown is what is acted on."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from werkzeug.exceptions import BadRequest

from ackfirst.ops.web.search import FIELDS
from ackfirst.shared.replay.selection import MOST_NAMED, Selection
from ackfirst.shared.store import EventFilter

if TYPE_CHECKING:
    from werkzeug.datastructures import MultiDict

#: Name of a window of dead letters → its seconds, and how ``ackfirst dead list --since`` writes it.
WINDOWS: Final[Mapping[str, tuple[int, str]]] = {
    "hour": (3_600, "1h"),
    "day": (86_400, "24h"),
    "week": (604_800, "7d"),
}

#: Ids of a selection that are shown.
_SHOWN: Final = 5

_TIMES: Final[Mapping[str, str]] = {
    "since": "received since",
    "until": "received before",
    "died_since": "died since",
    "died_until": "died before",
}


def chosen_selection(given: "MultiDict[str, str]", *, now: float) -> Selection:
    """Read named events, or the dead letters of a cause and a window, with the end of the time fixed.

    Raises:
        BadRequest: It means no event.
    """
    events = tuple(dict.fromkeys(one for one in given.getlist("event") if one))
    if len(events) > MOST_NAMED:
        raise BadRequest(f"At most {MOST_NAMED:,} events can be selected one by one.")
    if events:
        return Selection(events=events)
    if "dead" not in given and "handler" not in given and "error" not in given:
        raise BadRequest("Select at least one event.")
    window = given.get("window", "")
    return Selection(
        filter=EventFilter(
            state="dead",
            handler=given.get("handler"),
            error_type=given.get("error"),
            died_since=now - WINDOWS[window][0] if window in WINDOWS else None,
            died_until=now,
        )
    )


def decoded(text: str) -> Selection | None:
    """Read the selection that a form carries; None if it is none."""
    try:
        return Selection.decode(text)
    except (ValueError, TypeError):
        return None


def words_of(selection: Selection | None) -> list[tuple[str, Any]]:
    """Describe a selection as names and values, for the eye."""
    if selection is None:
        return []
    if selection.events:
        more = len(selection.events) - _SHOWN
        return [("events", ", ".join(selection.events[:_SHOWN]) + (f" and {more} more" if more > 0 else ""))]
    names = {field: name for name, field in reversed(list(FIELDS.items()))}
    shown = []
    for field, value in asdict(selection.filter).items():
        if value is None:
            continue
        if field in _TIMES:
            shown.append((_TIMES[field], f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC"))
        else:
            shown.append((names.get(field, field), value or "none"))
    return shown
