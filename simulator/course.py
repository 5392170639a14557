"""Take snapshots of a running sender, keep a bounded number of them, and draw them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ackfirst.simulator.chart import Chart, Line, Panel, Point, Span, draw, ticks, time_unit
from ackfirst.simulator.delivery import Delivery
from ackfirst.simulator.provider import Provider, Stage
from ackfirst.simulator.sender import Sender

PERIOD_SECONDS: Final = 0.1

#: Snapshots that a course keeps; when it is full, every second one is dropped.
MAX_SNAPSHOTS: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """The callback that has waited longest. Seconds of Nexmo's time."""

    account: str
    application: str | None
    age: float
    """Since its creation."""
    attempts: int
    answered: str
    """Answer to its last attempt; empty before that has ended."""
    next_in: float
    """Until its next attempt; 0 while one is in flight."""
    behind: int
    """Callbacks that wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """State of a run at one moment. Seconds of Nexmo's time."""

    at: float = 0.0
    """Since the start."""
    planned: int = 0
    created: int = 0
    waiting: int = 0
    """Created and not settled, those in flight included."""
    in_flight: int = 0
    attempts: int = 0
    answers: Mapping[str, int] = field(default_factory=dict)
    """Status or ``no answer`` → number of attempts."""
    blocker: Blocker | None = None
    """None when nothing waits."""

    @property
    def oldest(self) -> float:
        """Age of the callback that has waited longest; 0 when nothing waits."""
        return self.blocker.age if self.blocker else 0.0


class Course:
    """Snapshots of a run, evenly spread over it, however long it takes."""

    def __init__(self, most: int = MAX_SNAPSHOTS) -> None:
        self.snapshots: list[Snapshot] = []
        self._most = most
        self._every = 1
        self._seen = 0

    def add(self, snapshot: Snapshot) -> None:
        """Keep the snapshot, or drop it if the course has become sparser."""
        if self._seen % self._every == 0:
            self.snapshots.append(snapshot)
        self._seen += 1
        if len(self.snapshots) >= self._most:
            del self.snapshots[1::2]
            self._every *= 2


async def watch(
    sender: Sender, planned: int, on_snapshot: Callable[[Snapshot], object], *, period: float = PERIOD_SECONDS
) -> None:
    """Pass a snapshot to ``on_snapshot`` every ``period`` seconds until cancelled, and a last one then."""
    try:
        while True:
            on_snapshot(take_snapshot(sender, planned))
            await asyncio.sleep(period)
    finally:
        on_snapshot(take_snapshot(sender, planned))


def take_snapshot(sender: Sender, planned: int) -> Snapshot:
    """Return the state of the run now."""
    now = sender.clock.now()
    return Snapshot(
        at=now,
        planned=planned,
        created=sender.created,
        waiting=sender.provider.waiting,
        in_flight=sender.in_flight,
        attempts=sum(sender.answers.values()) + sender.in_flight,
        answers=dict(sender.answers),
        blocker=_blocker(sender.provider, now),
    )


def _blocker(provider: Provider[Delivery], now: float) -> Blocker | None:
    line = max(provider.lines(), key=lambda each: each.waiting, default=None)
    oldest = provider.oldest() if line is None else line.head
    if oldest is None:
        return None
    attempts = oldest.item.attempts
    return Blocker(
        account=(line.account if line else None) or "",
        application=oldest.item.planned.application_id,
        age=max(0.0, now - oldest.created),
        attempts=oldest.attempts,
        answered=str(attempts[-1].status or "no answer") if attempts else "",
        next_in=0.0 if oldest.stage is Stage.SENDING else max(0.0, oldest.due - now),
        behind=line.waiting - 1 if line else 0,
    )


def draw_courses(title: str, courses: Mapping[str, Sequence[Snapshot]], spans: Sequence[Span] = ()) -> str:
    """Draw queue length and age of the oldest callback over Nexmo's time, as SVG; a line for each course."""
    snapshots = [one for course in courses.values() for one in course]
    last = max((one.at for one in snapshots), default=0.0) or 1.0
    scale, unit = time_unit(last)
    age_scale, age_unit = time_unit(max((one.oldest for one in snapshots), default=0.0))
    panels = (
        Panel("callbacks waiting at Nexmo", _lines(courses, lambda one: one.waiting)),
        Panel(f"age of the oldest, {age_unit}", _lines(courses, lambda one: one.oldest / age_scale)),
    )
    marks = [(mark * scale, f"{mark:,.10g}") for mark in ticks(last / scale) if mark * scale <= 1.01 * last]
    return draw(Chart(title, panels, width=last, marks=marks, x_title=f"{unit} of Nexmo's time", spans=spans))


def _lines(courses: Mapping[str, Sequence[Snapshot]], value: Callable[[Snapshot], float]) -> Sequence[Line]:
    return [Line(name, [Point(one.at, value(one)) for one in course]) for name, course in courses.items()]
