"""Choose the records that a subcommand of ``ackfirst quarantine`` works on, by the same options everywhere."""

import time
from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Final

import click

from ackfirst.shared.policy import TABLE, Fate, Policy
from ackfirst.shared.quarantine.review import Entry
from ackfirst.shared.quarantine.stream import QuarantineRecord
from ackfirst.shared.settings.types import seconds

#: Verdicts that a record can have.
VERDICTS: Final = tuple(
    verdict.value
    for verdict, row in TABLE.items()
    if any(row.under(policy).fate is Fate.QUARANTINED for policy in Policy)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Conditions that a record must meet, all of them; None is no condition."""

    account: str | None = None
    """The account that a callback claims."""
    verdict: str | None = None
    since: float | None = None
    """Unix seconds: received then or later."""

    @property
    def is_everything(self) -> bool:
        """True without any condition."""
        return self == Selection()

    def takes(self, entry: Entry) -> bool:
        """Return whether the entry meets all conditions. One that cannot be read meets none."""
        return self.is_everything or (entry.record is not None and self._meets(entry.record))

    def _meets(self, record: QuarantineRecord) -> bool:
        return (
            self.account in (None, record.account)
            and self.verdict in (None, record.verdict)
            and (self.since is None or record.received_at >= self.since)
        )


async def matching(entries: AsyncIterable[Entry], selection: Selection) -> AsyncIterator[Entry]:
    """Yield the entries that meet all conditions."""
    async for entry in entries:
        if selection.takes(entry):
            yield entry


def moment(text: str, *, now: float) -> float:
    """Parse ``2h`` (so long before ``now``) or an ISO 8601 date or time, UTC by default, into Unix seconds.

    Raises:
        ValueError: It is neither.
    """
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        pass
    else:
        return (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp()
    try:
        return now - float(seconds(text))
    except ValueError:
        raise ValueError("use an age such as 2h or 7d, or a time such as 2026-03-04T09:15Z") from None


class _Moment(click.ParamType[float]):
    name = "age|time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return moment(str(value), now=time.time())
        except ValueError as error:
            self.fail(str(error), param, ctx)


def selected(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose records; the command gets them as one ``selection``."""

    @click.option("--account", help="Only callbacks that claim this account (its API key).")
    @click.option("--verdict", type=click.Choice(VERDICTS), help="Only callbacks with this verdict.")
    @click.option("--since", type=_Moment(), help="Only callbacks received since: 2h, 7d, 2026-03-04T09:15Z.")
    @wraps(function)
    def with_selection(*, account: str | None, verdict: str | None, since: float | None, **others: Any) -> Any:
        return function(selection=Selection(account=account, verdict=verdict, since=since), **others)

    return with_selection
