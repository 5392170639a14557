"""What the stall demo says at its end: two ledgers side by side."""

from typing import Final

from rich.console import Console
from rich.table import Table

from ackfirst.simulator.spans import span
from ackfirst.simulator.stall.play import ACKFIRST, PLAIN, Side
from ackfirst.simulator.stall.story import Story

NAMES: Final = {PLAIN: "plain application", ACKFIRST: "behind ackfirst"}


def show(console: Console, story: Story, sides: dict[str, Side]) -> None:
    """Both ledgers."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("")
    for name in sides:
        table.add_column(NAMES[name], justify="right")
    columns = [_rows(story, side) for side in sides.values()]
    for cells in zip(*columns, strict=True):
        table.add_row(cells[0][0], *(value for _, value in cells))
    console.print(table)


def balances(story: Story, side: Side) -> bool:
    """Whether every callback was delivered, and every event worked on."""
    ended = side.ended()
    wanted = {
        "production": side.created(story.test, of_test=False),
        "test": side.created(story.test, of_test=True),
    }
    return ended.created == ended.delivered and all(side.worked_on[name] == count for name, count in wanted.items())


def _rows(story: Story, side: Side) -> list[tuple[str, str]]:
    ended = side.ended()
    longest = max((moment.waiting for moment in side.course.moments), default=0)
    return [
        ("callbacks created", f"{ended.created:,}"),
        ("delivered", f"{ended.delivered:,}"),
        ("dropped or expired", f"{ended.dropped + ended.expired:,}"),
        ("still waiting", f"{ended.waiting:,}"),
        ("attempts", f"{sum(len(delivery.attempts) for delivery in side.sent):,}"),
        ("longest queue at Nexmo", f"{longest:,}"),
        ("production waited up to", span(side.longest_wait(story.test, of_test=False))),
        ("test application waited up to", span(side.longest_wait(story.test, of_test=True))),
        ("events of production", _share(side, story, "production")),
        ("events of the test application", _share(side, story, "test")),
        ("ledger", "balances" if balances(story, side) else "does not balance"),
    ]


def _share(side: Side, story: Story, whose: str) -> str:
    return f"{side.worked_on[whose]:,} of {side.created(story.test, of_test=whose == 'test'):,} worked on"
