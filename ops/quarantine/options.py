"""What the subcommands of ``ackfirst quarantine`` have in common on the command line."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from ackfirst.ops.quarantine.selection import Selection, moment
from ackfirst.shared.policy import TABLE, Fate, Policy

#: Verdicts that a record can have.
VERDICTS = tuple(
    verdict.value
    for verdict, row in TABLE.items()
    if any(row.under(policy).fate is Fate.QUARANTINED for policy in Policy)
)


class _Moment(click.ParamType[float]):
    name = "age|time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return moment(str(value), now=time.time())
        except ValueError as error:
            self.fail(str(error), param, ctx)


as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


def selected(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose records, handed over as one ``selection``."""

    @click.option("--account", help="Only callbacks that claim to be of this account (its API key).")
    @click.option("--verdict", type=click.Choice(VERDICTS), help="Only callbacks with this verdict.")
    @click.option("--since", type=_Moment(), help="Only those received since: 2h, 7d, 2026-03-04T09:15Z.")
    @wraps(function)
    def with_selection(*, account: str | None, verdict: str | None, since: float | None, **others: Any) -> Any:
        return function(selection=Selection(account=account, verdict=verdict, since=since), **others)

    return with_selection
