"""One demo from the first process to the balanced ledger."""

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from yarl import URL

from ackfirst.simulator.account import SigningAccount, made_up_applications
from ackfirst.simulator.delivery import Delivery
from ackfirst.simulator.handled import handled
from ackfirst.simulator.ledger import Balance, Entry, as_lines, balance, entry, expected_ids
from ackfirst.simulator.pace import Pace
from ackfirst.simulator.progress import progress
from ackfirst.simulator.report import Report
from ackfirst.simulator.run import Plan, Result, run, traffic
from ackfirst.simulator.sender import Unreachable
from ackfirst.simulator.stack import Stack, StackFailed

ROOT: Final = Path(__file__).resolve().parent.parent
"""The checkout: the example handlers are no part of an installed package."""

HANDLERS: Final = "examples.handlers"

#: Seconds without any progress after which the handlers are believed to have seen all that they will see.
PATIENCE: Final = 15.0
POLL: Final = 0.2


class DemoFailed(Exception):  # noqa: N818 - what happened, not a mistake
    """There is nothing to compare; the message says why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the demo found."""

    report: Report
    deliveries: Sequence[Delivery]
    balance: Balance

    @property
    def is_good(self) -> bool:
        """Something was expected, nothing of it is missing, nothing forged was handled, and every answer was right."""
        return self.balance.holds and self.balance.expected > 0 and not self.report.unexpected


class DemoRun:
    """Starts a stack in ``folder``, sends ``count`` callbacks to it, and compares."""

    def __init__(self, console: Console, folder: Path, *, count: int, seed: int, pace: Pace) -> None:
        self._console = console
        self._folder = folder
        self._count = count
        self._seed = seed
        self._pace = pace
        api_key = secrets.token_hex(4)
        self._account = SigningAccount(
            api_key=api_key, secret=secrets.token_hex(32).encode(), applications=made_up_applications(api_key)
        )

    def play(self) -> Outcome:
        """Everything, with a line for each step.

        Raises:
            DemoFailed: The stack did not come up, or nobody answered.
            KeyboardInterrupt: Ctrl-C; the stack is stopped by then.
        """
        stack = Stack(self._folder, root=ROOT, account=self._account, handlers=HANDLERS)
        try:
            with self._step("starting Valkey, ingest, worker and dashboard"):
                stack.start()
            result, entries = self._send(stack)
            with self._step("waiting until the handlers have seen everything"):
                self._wait_until_handled(stack, entries)
            with self._step("stopping"):
                stack.stop()
        except (StackFailed, Unreachable) as error:
            raise DemoFailed(str(error)) from error
        finally:
            stack.stop()
        return Outcome(result.report, result.deliveries, balance(entries, handled(self._folder)))

    def _send(self, stack: Stack) -> tuple[Result, list[Entry]]:
        plan = Plan(target=URL(stack.url), account=self._account, count=self._count, seed=self._seed, pace=self._pace)
        callbacks = traffic(plan, start=time.time())
        with (
            self._step(f"sending {self._count:,} callbacks as Nexmo would", spin=False),
            progress(len(callbacks)) as advance,
        ):
            result = run(plan, callbacks, on_answer=advance)
        if result.report.interrupted:
            raise KeyboardInterrupt
        entries = [entry(delivery) for delivery in result.deliveries]
        (self._folder / "ledger.jsonl").write_text(as_lines(entries), encoding="utf-8")
        return result, entries

    def _wait_until_handled(self, stack: Stack, entries: Sequence[Entry]) -> None:
        """Return when nothing is missing and no event waits any more, or when nothing moves any more."""
        expected = expected_ids(entries)
        moved, before = time.monotonic(), -1
        while time.monotonic() - moved < PATIENCE:
            seen = handled(self._folder)
            if expected <= seen.keys() and stack.is_idle():
                return
            if len(seen) != before:
                moved, before = time.monotonic(), len(seen)
            time.sleep(POLL)

    @contextmanager
    def _step(self, what: str, *, spin: bool = True) -> Iterator[None]:
        """A line once it is done; meanwhile something that turns, where there is a terminal and no bar."""
        begun = time.monotonic()
        with self._console.status(what) if spin else nullcontext():
            yield
        self._console.print(f"  {what}  [dim]{time.monotonic() - begun:.1f} s[/]")
