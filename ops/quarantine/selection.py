"""Choose the records that a subcommand of ``ackfirst quarantine`` works on, by the same options everywhere."""

import json
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final

import click

from ackfirst.ops.terminal import MOMENT
from ackfirst.shared.policy import TABLE, Fate, Policy
from ackfirst.shared.quarantine.review import Entry
from ackfirst.shared.quarantine.stream import QuarantineRecord

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

    @property
    def conditions(self) -> dict[str, Any]:
        """Return the conditions that are set, by the names of their options."""
        given = {"account": self.account, "verdict": self.verdict, "since": self.since}
        return {name: value for name, value in given.items() if value is not None}

    def subject(self, ids: Sequence[str] = ()) -> str:
        """Name the chosen records for the audit, as JSON: their ids, the conditions, or that it was all."""
        return json.dumps({"ids": list(ids)} if ids else self.conditions or {"all": True})

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


def selected(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose records; the command gets them as one ``selection``."""

    @click.option("--account", help="Only callbacks that claim this account (its API key).")
    @click.option("--verdict", type=click.Choice(VERDICTS), help="Only callbacks with this verdict.")
    @click.option("--since", type=MOMENT, help="Only callbacks received since: 2h, 7d, 2026-03-04T09:15Z.")
    @wraps(function)
    def with_selection(*, account: str | None, verdict: str | None, since: float | None, **others: Any) -> Any:
        return function(selection=Selection(account=account, verdict=verdict, since=since), **others)

    return with_selection
