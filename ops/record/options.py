"""Parse the options by which the record's commands choose events."""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, Final

import click

from ackfirst.ops.terminal import MOMENT
from ackfirst.shared.accounts import is_lane
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.store.rows import EventFilter

#: States that an event in the record can have.
STATES: Final = ("waiting", "retrying", "processed", "unhandled", "discarded", "dead", "rejected")

#: What people write between the digits of a number. ``+`` and ``00`` before it are not part of what Nexmo sends.
_PUNCTUATION: Final = str.maketrans("", "", " -./()\u00a0")

personal = click.option("--personal", is_flag=True, help="Show numbers and texts instead of masking them.")
local = click.option("--local", is_flag=True, help="Show times of this machine's time zone instead of UTC.")


def number(text: str) -> str:
    """Write a phone number as Nexmo does: all digits of its international form, without ``+``. Other ids stay."""
    digits = text.translate(_PUNCTUATION).removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        return text.strip()
    return digits.removeprefix("00") if text.lstrip().startswith("00") else digits


def _lane(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not is_lane(value):
        raise click.BadParameter("a lane is 1 to 64 characters of A-Z a-z 0-9 _ - and one dot")
    return value


def _number(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    return None if value is None else number(value)


_OPTIONS: Final = (
    click.option("--since", type=MOMENT, help="Received since then: 2h, 7d, 2026-03-04T09:15Z."),
    click.option("--until", type=MOMENT, help="Received before then."),
    click.option("--family", type=click.Choice([one.value for one in Family]), help="What the callback is about."),
    click.option("--status", metavar="STATUS", help="Status at Nexmo: delivered, rejected, …"),
    click.option("--state", type=click.Choice(STATES), help="What became of the event here."),
    click.option("--account", metavar="API_KEY", help="Of this account."),
    click.option("--application", metavar="ID", help="Of this application."),
    click.option("--lane", metavar="LANE", callback=_lane, help="Of this lane."),
    click.option("--to", metavar="NUMBER", callback=_number, help="With exactly this recipient."),
    click.option("--from-number", metavar="NUMBER", callback=_number, help="With exactly this sender."),
)


def filtered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose events; the command gets them as one ``chosen``, an ``EventFilter``."""

    @wraps(function)
    def with_filter(
        *,
        since: float | None,
        until: float | None,
        family: str | None,
        status: str | None,
        state: str | None,
        account: str | None,
        application: str | None,
        lane: str | None,
        to: str | None,
        from_number: str | None,
        **others: Any,
    ) -> Any:
        if since is not None and until is not None and since >= until:
            raise click.UsageError("--since must be before --until")
        chosen = EventFilter(
            since=since,
            until=until,
            family=family,
            status=status and status.strip().lower(),
            account=account,
            application_id=application,
            lane=lane,
            state=state,
            sender=from_number,
            recipient=to,
        )
        return function(chosen=chosen, **others)

    command: Callable[..., Any] = with_filter
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def is_unscoped(chosen: EventFilter) -> bool:
    """Return True if no option narrowed the filter: it means every event that was ever recorded."""
    return chosen == EventFilter()


def fixed_range(chosen: EventFilter, *, now: float) -> EventFilter:
    """Return the filter with both ends of its time range fixed, so that it means the same events at any later time.

    Raises:
        UsageError: It has no ``--since``: what changes events must not be able to mean all of them by accident.
    """
    if chosen.since is None:
        raise click.UsageError("say of which time: --since 2h, or --since 2026-03-04T09:15Z --until 2026-03-04T10:15Z")
    return replace(chosen, until=now if chosen.until is None else min(chosen.until, now))
