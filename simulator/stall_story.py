"""The stall demo's scenario: the same callbacks to a plain application and to ackfirst, while a test application fails.

Ten callbacks a minute of Nexmo's time, a sixth of them for the test application. A minute passes in a second.
"""

import asyncio
import os
import secrets
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import uvloop
from yarl import URL

from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.processes.free_port import free_port
from ackfirst.simulator.account import SigningAccount, made_up_applications
from ackfirst.simulator.content import Selection
from ackfirst.simulator.course import Course, Snapshot
from ackfirst.simulator.delivery import Delivery
from ackfirst.simulator.planned import Planned
from ackfirst.simulator.report import Fates, fates
from ackfirst.simulator.rules import Pace, ProviderPolicy
from ackfirst.simulator.run import Plan, deliver, traffic
from ackfirst.simulator.stack import ROOT, Stack, StackError
from ackfirst.simulator.traffic import Shares

PLAIN: Final = "plain"
ACKFIRST: Final = "ackfirst"

SPEED: Final = 60.0
_RATE: Final = 10.0
#: Weight of the production application against one test application.
_PRODUCTION_WEIGHT: Final = 4

#: Shares of the scenario's time at which the test application breaks and is repaired.
_BREAKS: Final = 0.2
_REPAIRED: Final = 0.6

_START_TIMEOUT_SECONDS: Final = 30.0
_WORKER_TIMEOUT_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.1

#: Waits between the worker's attempts: short, so that the demo ends soon after its last callback.
_RETRY_SCHEDULE: Final = ",".join(["1", "2"] + ["3"] * 20)

OnSnapshot = Callable[[str, Snapshot], object]
"""Takes the name of the receiver and the state of its provider."""


@dataclass(frozen=True, slots=True)
class Story:
    """Length, seed and account of one run."""

    minutes: float
    seed: int
    account: SigningAccount
    test: str
    """Id of the test application."""

    @classmethod
    def new(cls, minutes: float, seed: int) -> "Story":
        """Return a story for a made-up account."""
        api_key = secrets.token_hex(4)
        production, test = made_up_applications(api_key)
        account = SigningAccount(
            api_key=api_key,
            secret=secrets.token_hex(32).encode(),
            applications=(*(production,) * _PRODUCTION_WEIGHT, test),
        )
        return cls(minutes, seed, account, test)

    @property
    def breaks(self) -> float:
        """Second at which the test application breaks."""
        return self.minutes * _BREAKS

    @property
    def repaired(self) -> float:
        """Second at which it works again."""
        return self.minutes * _REPAIRED

    def plan(self, url: str) -> Plan:
        """Return the plan for one receiver; the callbacks are the same for both."""
        return Plan(
            target=URL(url),
            account=self.account,
            count=round(self.minutes * _RATE),
            seed=self.seed,
            shares=Shares(duplicates=0, wrong_secret=0, unsigned=0, tampered=0),
            selection=Selection(families=frozenset({Family.INBOUND_MESSAGE, Family.MESSAGE_STATUS})),
            pace=Pace(rate=_RATE, retry_delays=None, speed=SPEED, policy=ProviderPolicy.PER_ACCOUNT),
        )


@dataclass(slots=True)
class Side:
    """The callbacks that one receiver got, and those that it has processed. Filled while the scenario runs."""

    sent: list[Delivery] = field(default_factory=list)
    course: Course = field(default_factory=Course)
    processed: Counter[str] = field(default_factory=Counter)
    """``production`` and ``test`` → callbacks, each counted once."""

    def fates(self) -> Fates:
        """Count the final stages of the callbacks."""
        return fates(self.sent, policy=ProviderPolicy.PER_ACCOUNT, speed=SPEED)

    def longest_wait(self, test: str, *, of_test: bool) -> float:
        """Return the longest wait in seconds of Nexmo's time, of the test application or of production."""
        now = self.course.snapshots[-1].at if self.course.snapshots else 0.0
        lives = [delivery.life for delivery in self._of(test, of_test=of_test)]
        waits = ((now if life.settled is None else life.settled) - life.created for life in lives if life)
        return max(waits, default=0.0)

    def created(self, test: str, *, of_test: bool) -> int:
        """Return the number of different events, of the test application or of production."""
        return len({delivery.planned.event_id for delivery in self._of(test, of_test=of_test)})

    def balances(self, story: Story) -> bool:
        """Return whether every callback was delivered and every event processed."""
        counts = self.fates()
        expected = {
            "production": self.created(story.test, of_test=False),
            "test": self.created(story.test, of_test=True),
        }
        return counts.created == counts.delivered and self.processed == expected

    def _of(self, test: str, *, of_test: bool) -> list[Delivery]:
        return [delivery for delivery in self.sent if (delivery.planned.application_id == test) is of_test]


class Stage:
    """The two receivers, with all their files in ``folder``."""

    def __init__(self, folder: Path, story: Story) -> None:
        self._folder = folder
        self._story = story
        self._broken = folder / "broken"

    def set_broken(self, *, broken: bool) -> None:
        """Break or repair the test application, for both receivers."""
        if broken:
            self._broken.touch()
        else:
            self._broken.unlink(missing_ok=True)

    def processed(self, name: str) -> Counter[str]:
        """Return how many callbacks of ``production`` and ``test`` the receiver has processed, each counted once."""
        log = self._log(name)
        lines = set(log.read_text(encoding="utf-8").splitlines()) if log.exists() else set()
        return Counter(line.partition(" ")[0] for line in lines)

    @contextmanager
    def plain_app(self) -> Iterator[str]:
        """Run the application that processes before it answers; yields its base URL.

        Raises:
            StackError: It did not start.
        """
        port = free_port()
        settings = {**self._settings(PLAIN), "HARBOUR_SECRET": self._story.account.secret.decode()}
        output = self._folder / "plain.log"
        with output.open("wb") as file:
            process = subprocess.Popen(  # noqa: S603 - our own example
                [sys.executable, "-m", "examples.plain_app", str(port)],
                cwd=ROOT,
                env={**os.environ, **settings},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,  # Ctrl-C in the terminal must not end it before its ledger is read
            )
        try:
            _wait_for(process, port, output)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()

    @contextmanager
    def ackfirst(self) -> Iterator[Stack]:
        """Run ackfirst with the same processing in a handler.

        Raises:
            StackError: It did not start.
        """
        folder = self._folder / "stack"
        folder.mkdir()
        settings = {**self._settings(ACKFIRST), "ACKFIRST_RETRY_SCHEDULE": _RETRY_SCHEDULE}
        stack = Stack(folder, account=self._story.account, handlers="examples.stall_handlers", settings=settings)
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.txt"

    def _settings(self, name: str) -> dict[str, str]:
        return {
            "HARBOUR_LOG": str(self._log(name)),
            "HARBOUR_BROKEN": str(self._broken),
            "HARBOUR_TEST": self._story.test,
        }


def play(
    story: Story,
    stage: Stage,
    urls: dict[str, str],
    sides: dict[str, Side],
    on_snapshot: OnSnapshot,
    *,
    while_broken: Callable[[], object],
) -> None:
    """Send the callbacks to both receivers at once, and break the test application meanwhile. ``sides`` fill.

    ``while_broken`` is called in a thread in the middle of that time.

    Raises:
        UnreachableError: A receiver does not answer.
        KeyboardInterrupt: Ctrl-C.
    """
    callbacks = traffic(story.plan(""), start=time.time())

    async def all_at_once() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(_break_for_a_while(story, stage, while_broken))
            for name, url in urls.items():
                group.create_task(_send(story.plan(url), sides[name], callbacks, partial(on_snapshot, name)))

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(all_at_once())
    except ExceptionGroup as group:  # of the tasks: one of them failed, and the others were cancelled
        raise group.exceptions[0] from None


def wait_until_processed(story: Story, stage: Stage, sides: dict[str, Side]) -> None:
    """Wait until every event is processed, at most a minute, and count what was processed.

    An idle queue is not enough: an event that an engine has in hand waits in no lane, and is not processed yet.
    """
    deadline = time.monotonic() + _WORKER_TIMEOUT_SECONDS
    count_processed(stage, sides)
    while not all(side.balances(story) for side in sides.values()) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        count_processed(stage, sides)


def count_processed(stage: Stage, sides: dict[str, Side]) -> None:
    """Count what each receiver has processed so far."""
    for name, side in sides.items():
        side.processed = stage.processed(name)


async def _send(
    plan: Plan, side: Side, callbacks: Sequence[Planned], on_snapshot: Callable[[Snapshot], object]
) -> None:
    def keep_and_pass_on(snapshot: Snapshot) -> None:
        side.course.add(snapshot)
        on_snapshot(snapshot)

    await deliver(plan, callbacks, side.sent, on_snapshot=keep_and_pass_on)


async def _break_for_a_while(story: Story, stage: Stage, while_broken: Callable[[], object]) -> None:
    try:
        await asyncio.sleep(story.breaks)
        stage.set_broken(broken=True)
        repair = asyncio.get_running_loop().time() + story.repaired - story.breaks
        await asyncio.sleep((story.repaired - story.breaks) / 2)
        await asyncio.to_thread(while_broken)
        await asyncio.sleep(repair - asyncio.get_running_loop().time())
    finally:
        stage.set_broken(broken=False)


def _wait_for(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(_POLL_SECONDS)
    last_line = (output.read_text(errors="replace").strip().splitlines() or ["it printed nothing"])[-1]
    raise StackError(f"the plain application did not start: {last_line}")
