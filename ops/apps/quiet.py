"""Judge whether an application can be deleted: it is quiet when nothing of it is, or will be, under way. Pure.

Deleting an application whose callbacks are still queued at Nexmo is what stalls an account: they can no longer be
delivered, and in the strictest reading of Nexmo's rules everything else waits behind them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from ackfirst.shared.plural import plural

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400


class State(StrEnum):
    """The state of a condition: met, not met, or not known."""

    MET = "met"
    NOT_MET = "not met"
    UNKNOWN = "unknown"
    """It could not be looked at: as good as not met."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of being quiet."""

    name: str
    state: State
    text: str
    at: float | None = None
    """Unix seconds of what it is about: the last callback, the start of the watch, or the count itself."""

    def as_dict(self) -> dict[str, Any]:
        """Return the condition as JSON."""
        at = None if self.at is None else moment(self.at)
        return {"condition": self.name, "state": self.state.value, "at": at, "what": self.text}


@dataclass(frozen=True, slots=True, kw_only=True)
class AtNexmo:
    """The application's settings at Nexmo."""

    exists: bool
    urls: tuple[str, ...] = ()
    """Addresses of its messages webhooks, without parameters."""
    urls_are_ours: bool | None = None
    """None: our public URL is not known."""
    numbers: tuple[str, ...] = ()
    """Numbers that are linked to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of one application. A reason (text) stands where something could not be looked at."""

    last_callback: float | None = None
    last_unconfirmed: float | None = None
    watched_since: float | None = None
    waiting: int | str = 0
    retrying: int | str = 0
    dead: int | str = 0
    quarantined: int = 0
    quarantined_at: float | None = None
    spooled: int | str = 0
    is_ingest_up: bool = True
    nexmo: AtNexmo | str

    @property
    def was_named(self) -> bool:
        """Return whether a callback has named it, as far as is known here."""
        counts = (self.spooled, self.waiting, self.retrying, self.dead, self.quarantined)
        times = (self.last_callback, self.last_unconfirmed)
        return any(at is not None for at in times) or any(isinstance(count, int) and count for count in counts)


def conditions(evidence: Evidence, *, period: float, now: float) -> list[Condition]:
    """Return every condition of being quiet for ``period`` seconds, at Unix time ``now``."""
    return [
        _silent("callbacks", "verified callback", evidence.last_callback, period, now),
        _silent("unconfirmed", "refused or quarantined callback", evidence.last_unconfirmed, period, now),
        _watched(evidence, period, now),
        _none("spool", "event", "spooled on disk", evidence.spooled, now),
        _none("waiting", "event", "waiting or running", evidence.waiting, now),
        _none("retrying", "event", "waiting for a retry", evidence.retrying, now),
        _none("dead", "dead letter", "", evidence.dead, now),
        _none("quarantine", "callback", "in quarantine", evidence.quarantined, now, newest=evidence.quarantined_at),
        *_at_nexmo(evidence, period, now),
    ]


def is_quiet(found: list[Condition]) -> bool:
    """Return True if every condition is met."""
    return all(condition.state is State.MET for condition in found)


def _silent(name: str, what: str, last: float | None, period: float, now: float) -> Condition:
    if last is None:
        return Condition(name, State.MET, f"no {what} is known")
    if now - last >= period:
        return Condition(name, State.MET, f"the last {what} came at {moment(last)}, {span(now - last)} ago", last)
    text = f"the last {what} came at {moment(last)}, {span(now - last)} ago: wait until {moment(last + period)}"
    return Condition(name, State.NOT_MET, text, last)


def _watched(evidence: Evidence, period: float, now: float) -> Condition:
    since = evidence.watched_since
    if not evidence.is_ingest_up:
        text = "no ingest answers: callbacks may be waiting at Nexmo for one"
        return Condition("watched", State.NOT_MET, text)
    if since is None:
        return Condition("watched", State.UNKNOWN, "Redis does not say since when it has known of callbacks")
    if now - since < period:
        text = f"callbacks are known only since {moment(since)}: wait until {moment(since + period)}"
        return Condition("watched", State.NOT_MET, text, since)
    return Condition("watched", State.MET, f"ingest answers; callbacks are known since {moment(since)}", since)


def _none(name: str, one: str, where: str, count: int | str, now: float, *, newest: float | None = None) -> Condition:
    if isinstance(count, str):
        return Condition(name, State.UNKNOWN, count, now)
    if not count:
        return Condition(name, State.MET, f"no {one}s {where}".rstrip(), now)
    when = "" if newest is None else f", the newest of {moment(newest)}"
    return Condition(name, State.NOT_MET, f"{plural(count, one)} {where}".rstrip() + when, newest or now)


def _at_nexmo(evidence: Evidence, period: float, now: float) -> Iterator[Condition]:
    nexmo = evidence.nexmo
    if isinstance(nexmo, str):
        yield Condition("numbers", State.UNKNOWN, nexmo, now)
        doubt = "" if evidence.was_named else "; no callback has ever named it: check the id"
        yield Condition("urls", State.UNKNOWN, nexmo + doubt, now)
        return
    if nexmo.numbers:
        text = f"linked at Nexmo: {', '.join(nexmo.numbers)}; unlink them first, or their messages are lost"
        yield Condition("numbers", State.NOT_MET, text, now)
    else:
        yield Condition("numbers", State.MET, "no number is linked to it at Nexmo", now)
    if not nexmo.exists and not evidence.was_named:
        text = "no account of ours has it, and no callback has ever named it: check the id"
        yield Condition("urls", State.UNKNOWN, text, now)
    elif not nexmo.exists:
        yield Condition("urls", State.MET, "it does not exist at Nexmo any more", now)
    elif not nexmo.urls:
        yield Condition("urls", State.MET, "it has no messages webhooks at Nexmo", now)
    elif nexmo.urls_are_ours is False:
        yield Condition("urls", State.MET, f"its webhooks do not point here: {', '.join(nexmo.urls)}", now)
    else:
        yield _sends_nothing(evidence, nexmo, period, now)


def _sends_nothing(evidence: Evidence, nexmo: AtNexmo, period: float, now: float) -> Condition:
    """Judge URLs that are ours, or may be: they do no harm while nothing is sent."""
    where = "still point here" if nexmo.urls_are_ours else "may point here (set ACKFIRST_PUBLIC_URL)"
    last = max((at for at in (evidence.last_callback, evidence.last_unconfirmed) if at is not None), default=None)
    if last is None:
        return Condition("urls", State.MET, f"its webhooks {where}, and nothing was ever sent", now)
    if now - last >= period:
        return Condition("urls", State.MET, f"its webhooks {where}, and nothing was sent for {span(now - last)}", last)
    return Condition("urls", State.NOT_MET, f"its webhooks {where}, and callbacks were sent: stop what sends", last)


def moment(at: float) -> str:
    """Write a time: UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def span(seconds: float) -> str:
    """Write a span of time in its two largest units."""
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < 2 * _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"
