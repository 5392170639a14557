"""``ackfirst demo``: start the whole stack, send signed traffic, compare acknowledged callbacks with handled events."""

import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from yarl import URL

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.plural import plural
from ackfirst.simulator.account import SigningAccount, made_up_applications
from ackfirst.simulator.client import UnreachableError
from ackfirst.simulator.command import INTERRUPTED
from ackfirst.simulator.delivery import Delivery
from ackfirst.simulator.ledger import Balance, Entry, as_lines, balance, entry, expected_ids, handled_events
from ackfirst.simulator.report import Report
from ackfirst.simulator.rules import OK, Pace
from ackfirst.simulator.run import Plan, Result, run, traffic
from ackfirst.simulator.stack import Stack, StackError, raise_interrupt, require_example

COUNT: Final = 2000
RATE: Final = 300.0
HANDLERS: Final = "examples.handlers"

#: Time without progress after which events that are not handled count as missing.
PATIENCE_SECONDS: Final = 15.0
POLL_SECONDS: Final = 0.2

#: Ids of missing or forged events that are printed.
_MAX_NAMED: Final = 5

_NEXT_STEPS: Final = """
Next:
  make dev              the same stack until Ctrl-C; its first lines name the URLs for callbacks
                        and the operator's page, which shows messages, lanes and dead letters
  examples/handlers.py  the handlers that just ran: copy them, replace their code with yours, and
                        name your module in ACKFIRST_HANDLERS"""


class DemoError(Exception):
    """The demo has no result; the message says why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a demo."""

    report: Report
    deliveries: Sequence[Delivery]
    balance: Balance

    @property
    def is_good(self) -> bool:
        """True if events were expected, all of them and no forged one were handled, and every answer was right."""
        return self.balance.holds and self.balance.expected > 0 and not self.report.unexpected


@click.command()
@click.option("--count", type=click.IntRange(100, 100_000), default=COUNT, show_default=True, help="Callbacks to send.")
@click.option("--rate", type=click.FloatRange(0), default=RATE, show_default=True, help="Per second; 0: unlimited.")
@click.option("--seed", type=int, help="Repeat the messages of an earlier run. [default: random]")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep all data in a new folder in this one. [default: a temporary folder, kept only after a failure]",
)
def command(count: int, rate: float, seed: int | None, data_dir: Path | None) -> None:
    """Run the whole stack on this machine: a private Valkey, ingest, a worker with the example handlers, traffic.

    Sends callbacks of every family with duplicates, forgeries and disorder, and compares what was acknowledged with
    what the handlers saw. Exits with 0 only if no event is missing and no forged one was handled.
    """
    signal.signal(signal.SIGTERM, raise_interrupt)
    require_example("handlers.py")
    console = Console(highlight=False)
    folder = _new_folder(data_dir)
    seed = secrets.randbelow(2**32) if seed is None else seed
    demo = Demo(console, folder, count=count, seed=seed, pace=Pace(rate=rate))
    code = 1
    try:
        code = _run(demo, console)
    finally:
        if code != 1 and data_dir is None:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            console.print(f"\nKept for inspection: {folder} (stack.log, ledger.jsonl, events.db)", soft_wrap=True)
    sys.exit(code)


def _run(demo: "Demo", console: Console) -> int:
    """Return the exit code."""
    console.print("\n[bold]ackfirst demo[/]: signed callbacks through the whole stack, on this machine only\n")
    try:
        outcome = demo.run()
    except DemoError as error:
        console.print(f"\n[bold red]The demo could not run:[/] {error}", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    show(console, outcome)
    return 0 if outcome.is_good else 1


def _new_folder(parent: Path | None) -> Path:
    try:
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="ackfirst-demo-", dir=parent)).resolve()
    except OSError as error:
        raise ConfigurationError(f"no folder can be made in {parent}: {error.strerror}; check --data-dir") from error


class Demo:
    """Runs a stack in ``folder``, sends ``count`` callbacks to it, and compares."""

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

    def run(self) -> Outcome:
        """Run all steps, printing a line for each.

        Raises:
            DemoError: The stack did not start or did not answer.
            KeyboardInterrupt: Ctrl-C; the stack has been stopped.
        """
        stack = Stack(self._folder, account=self._account, handlers=HANDLERS)
        try:
            with self._step("starting Valkey, ingest, worker and page"):
                stack.start()
            result, entries = self._send(stack)
            with self._step("waiting for the handlers"):
                self._wait_until_handled(stack, entries)
            with self._step("stopping"):
                stack.stop()
        except (StackError, UnreachableError) as error:
            raise DemoError(str(error)) from error
        finally:
            stack.stop()
        return Outcome(result.report, result.deliveries, balance(entries, handled_events(self._folder)))

    def _send(self, stack: Stack) -> tuple[Result, list[Entry]]:
        plan = Plan(target=URL(stack.url), account=self._account, count=self._count, seed=self._seed, pace=self._pace)
        callbacks = traffic(plan, start=time.time())
        with (
            self._step(f"sending {plural(self._count, 'callback')} as Nexmo does", spin=False),
            _progress_bar(len(callbacks)) as advance,
        ):
            result = run(plan, callbacks, on_answer=advance)
        if result.report.interrupted:
            raise KeyboardInterrupt
        entries = [entry(delivery) for delivery in result.deliveries]
        (self._folder / "ledger.jsonl").write_text(as_lines(entries), encoding="utf-8")
        return result, entries

    def _wait_until_handled(self, stack: Stack, entries: Sequence[Entry]) -> None:
        """Return when every expected event is handled and no lane has work, or when there is no more progress."""
        expected = expected_ids(entries)
        progressed_at, before = time.monotonic(), -1
        while time.monotonic() - progressed_at < PATIENCE_SECONDS:
            handled = handled_events(self._folder)
            if expected <= handled.keys() and stack.is_idle():
                return
            if len(handled) != before:
                progressed_at, before = time.monotonic(), len(handled)
            time.sleep(POLL_SECONDS)

    @contextmanager
    def _step(self, description: str, *, spin: bool = True) -> Iterator[None]:
        """Print the step and its duration when it has ended; spin meanwhile on a terminal."""
        started = time.monotonic()
        with self._console.status(description) if spin else nullcontext():
            yield
        self._console.print(f"  {description}  [dim]{time.monotonic() - started:.1f} s[/]")


@contextmanager
def _progress_bar(total: int) -> Iterator[Callable[[], None]]:
    """Yield a function to call once per callback. Draws nothing where standard error is no terminal."""
    columns = (TextColumn("sending"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("sending", total=total)
        yield lambda: bar.advance(task)


def show(console: Console, outcome: Outcome) -> None:
    """Print the ledger, whether it balances, and the next steps."""
    measured = outcome.report.latency_ms
    latency = "no answers"
    if measured is not None:
        latency = f"{measured.p50} ms (median), {measured.p99} ms (99 %), {measured.max} ms (all)"
    console.print()
    console.print(_ledger(outcome))
    console.print(f"\nanswered within  {latency}")
    if outcome.is_good:
        console.print("\n[bold green]The ledger balances:[/] no event was lost, and no forged callback was handled.")
        console.print(_NEXT_STEPS, soft_wrap=True)
    else:
        console.print("\n[bold red]The ledger does not balance.[/]")
        _show_problems(console, outcome)


def _show_problems(console: Console, outcome: Outcome) -> None:
    for row in outcome.report.answers:
        if row.problem:
            console.print(f"  {row.count:,} {row.kind}: {row.problem}")
    for name, ids in (("missing", outcome.balance.missing), ("forged", outcome.balance.forged_through)):
        if ids:
            console.print(f"  {name}: {', '.join(ids[:_MAX_NAMED])}{' …' if len(ids) > _MAX_NAMED else ''}")


def _ledger(outcome: Outcome) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right", style="bold")
    table.add_column(style="dim")
    for name, count, meaning in _answer_rows(outcome.report, outcome.deliveries):
        table.add_row(name, f"{count:,}", meaning)
    table.add_row()
    for name, count, meaning, good in _event_rows(outcome.balance):
        table.add_row(name, f"{count:,}" if good else f"[red]{count:,}[/]", meaning)
    return table


def _answer_rows(report: Report, deliveries: Sequence[Delivery]) -> list[tuple[str, int, str]]:
    refused = Counter(
        attempt.status for delivery in deliveries for attempt in delivery.attempts if attempt.status != OK
    )
    rows = [
        ("callbacks sent", report.sent, f"and {report.retries:,} retries; --seed {report.seed}"),
        ("acknowledged", report.acknowledged, "200: genuine, duplicates included"),
        ("quarantined", report.quarantined, "200, but kept from the handlers: suspect"),
    ]
    meanings = {401: "forged", 503: "unsigned: asks for a signed retry", 429: "the quarantine was full"}
    for status, count in sorted(refused.items(), key=str):
        name = f"refused with {status}" if status else "no answer"
        rows.append((name, count, meanings.get(status or 0, "")))
    return rows


def _event_rows(balance: Balance) -> list[tuple[str, int, str, bool]]:
    return [
        ("events expected", balance.expected, "acknowledged, duplicates counted once", True),
        ("handled", balance.handled, "seen by the handlers", balance.handled == balance.expected),
        ("handled twice", len(balance.handled_twice), "allowed, for example after a crash", True),
        ("missing", len(balance.missing), "acknowledged and not handled", not balance.missing),
        ("forged", len(balance.forged_through), "forged and handled", not balance.forged_through),
    ]
