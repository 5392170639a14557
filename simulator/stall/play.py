"""Sends the same callbacks to both receivers at once, while the test application breaks and is mended."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import uvloop

from ackfirst.simulator.delivery import Delivery
from ackfirst.simulator.planned import Planned
from ackfirst.simulator.provider import ProviderPolicy
from ackfirst.simulator.report import Ended, ended
from ackfirst.simulator.run import Plan, deliver, traffic
from ackfirst.simulator.snapshot import Course, Snapshot
from ackfirst.simulator.stack import Stack
from ackfirst.simulator.stall.stage import Stage
from ackfirst.simulator.stall.story import SPEED, Story

PLAIN: Final = "plain"
ACKFIRST: Final = "ackfirst"

#: Seconds that the worker gets after the last callback.
_PATIENCE: Final = 60.0
_POLL: Final = 0.2

#: Is told the name of the receiver, and how its provider stands.
Look = Callable[[str, Snapshot], object]


@dataclass(slots=True)
class Side:
    """One receiver's part of the story."""

    sent: list[Delivery] = field(default_factory=list)
    course: Course = field(default_factory=Course)
    worked_on: Counter[str] = field(default_factory=Counter)

    def ended(self) -> Ended:
        """What became of the provider's callbacks."""
        return ended(self.sent, policy=ProviderPolicy.PER_ACCOUNT, speed=SPEED)

    def longest_wait(self, test: str, *, of_test: bool) -> float:
        """Seconds of the provider's time that a callback of production, or of the test application, had to wait."""
        now = self.course.moments[-1].at if self.course.moments else 0.0
        lives = [delivery.life for delivery in self._of(test, of_test=of_test)]
        return max((_waited(life.created, life.settled, now) for life in lives if life), default=0.0)

    def created(self, test: str, *, of_test: bool) -> int:
        """Different events among the callbacks of production, or of the test application."""
        return len({delivery.planned.event_id for delivery in self._of(test, of_test=of_test)})

    def _of(self, test: str, *, of_test: bool) -> list[Delivery]:
        return [delivery for delivery in self.sent if (delivery.planned.application_id == test) is of_test]


def play(story: Story, stage: Stage, urls: dict[str, str], sides: dict[str, Side], look: Look) -> None:
    """Play it to its end; ``sides`` fill meanwhile.

    Raises:
        Unreachable: A receiver is not there.
        KeyboardInterrupt: Ctrl-C.
    """
    callbacks = traffic(story.plan(""), start=time.time())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sendings = [
            partial(_send, story.plan(url), sides[name], callbacks, partial(look, name)) for name, url in urls.items()
        ]
        runner.run(_play(story, stage, sendings))


def wait_until_worked_on(stack: Stack, stage: Stage, sides: dict[str, Side]) -> None:
    """Return when the worker has nothing more to do, or its time is over."""
    deadline = time.monotonic() + _PATIENCE
    while not stack.is_idle() and time.monotonic() < deadline:
        time.sleep(_POLL)
    note_work(stage, sides)


def note_work(stage: Stage, sides: dict[str, Side]) -> None:
    """Read what each receiver has worked on so far."""
    for name, side in sides.items():
        side.worked_on = stage.worked_on(name)


async def _play(story: Story, stage: Stage, sendings: Sequence[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_trouble(story, stage))
        for send in sendings:
            group.create_task(send())


async def _send(plan: Plan, side: Side, callbacks: Sequence[Planned], look: Callable[[Snapshot], object]) -> None:
    def on_look(snapshot: Snapshot) -> None:
        side.course.add(snapshot)
        look(snapshot)

    await deliver(plan, callbacks, side.sent, on_look=on_look)


async def _trouble(story: Story, stage: Stage) -> None:
    try:
        await asyncio.sleep(story.breaks)
        stage.set_broken(broken=True)
        await asyncio.sleep(story.mended - story.breaks)
    finally:
        stage.set_broken(broken=False)


def _waited(created: float, settled: float | None, now: float) -> float:
    return (now if settled is None else settled) - created
