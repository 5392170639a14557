"""What ``ackfirst demo`` says: short enough to be read in twenty seconds."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from ackfirst.simulator.delivery import OK, Delivery
from ackfirst.simulator.demo_run import Outcome
from ackfirst.simulator.ledger import Balance
from ackfirst.simulator.report import Report

#: How many ids of lost or forged events are named.
_NAMED: Final = 5

_NEXT: Final = """
Next:
  make dev              the same stack for as long as you like; its first lines say where callbacks go
                        and where the dashboard is, which shows queues, workers and dead letters
  examples/handlers.py  the handlers that just ran: copy them, put your own code in, and name your
                        module in ACKFIRST_HANDLERS"""


def show(console: Console, outcome: Outcome) -> None:
    """The ledger, whether it balances, and what a newcomer does next."""
    console.print()
    console.print(_ledger(outcome))
    console.print(f"\nacknowledged within  {_latency(outcome.report)}")
    if outcome.is_good:
        console.print("\n[bold green]The ledger balances:[/] nothing was lost, nothing forged came through.")
        console.print(_NEXT, soft_wrap=True)
    else:
        console.print("\n[bold red]The ledger does not balance.[/]")
        _accuse(console, outcome)


def _ledger(outcome: Outcome) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right", style="bold")
    table.add_column(style="dim")
    for name, count, meaning in _sent(outcome.report, outcome.deliveries):
        table.add_row(name, f"{count:,}", meaning)
    table.add_row()
    for name, count, meaning, good in _events(outcome.balance):
        table.add_row(name, f"{count:,}" if good else f"[red]{count:,}[/]", meaning)
    return table


def _accuse(console: Console, outcome: Outcome) -> None:
    for row in outcome.report.answers:
        if row.problem:
            console.print(f"  {row.count:,} {row.kind}: {row.problem}")
    for name, ids in (("missing", outcome.balance.missing), ("forged", outcome.balance.forged_through)):
        if ids:
            console.print(f"  {name}: {', '.join(ids[:_NAMED])}{' …' if len(ids) > _NAMED else ''}")


def _sent(report: Report, deliveries: Sequence[Delivery]) -> list[tuple[str, int, str]]:
    refused = Counter(
        attempt.status for delivery in deliveries for attempt in delivery.attempts if attempt.status != OK
    )
    rows = [
        ("callbacks sent", report.sent, f"and {report.retries:,} retries"),
        ("acknowledged", report.acknowledged, "200: genuine, duplicates included"),
        ("parked", report.parked, "200, but kept from the handlers: suspect"),
    ]
    meanings = {401: "forged", 503: "unsigned: asked to come again with a signature", 429: "the quarantine was full"}
    for status, count in sorted(refused.items(), key=str):
        rows.append((f"refused with {status or 'no answer'}", count, meanings.get(status or 0, "")))
    return rows


def _events(balance: Balance) -> list[tuple[str, int, str, bool]]:
    return [
        ("events expected", balance.expected, "what was acknowledged, duplicates once", True),
        ("handled", balance.handled, "seen by the handlers", balance.handled == balance.expected),
        ("handled twice", len(balance.handled_twice), "allowed, for example after a crash", True),
        ("missing", len(balance.missing), "acknowledged and lost", not balance.missing),
        ("forged through", len(balance.forged_through), "forged and handled", not balance.forged_through),
    ]


def _latency(report: Report) -> str:
    if report.latency_ms is None:
        return "no answers"
    measured = report.latency_ms
    return f"{measured.p50} ms (half of them), {measured.p99} ms (99 %), {measured.max} ms (all)"
