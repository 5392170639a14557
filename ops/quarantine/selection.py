"""Which records of the quarantine a command is about, and since when."""

from dataclasses import dataclass
from datetime import UTC, datetime

from ackfirst.shared.quarantine.review import Entry
from ackfirst.shared.quarantine.stream import QuarantineRecord
from ackfirst.shared.settings.types import seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Conditions that all hold; None asks for nothing."""

    account: str | None = None
    """The account that a callback claims."""
    verdict: str | None = None
    since: float | None = None
    """Unix seconds: received then or later."""

    @property
    def is_everything(self) -> bool:
        """Whether no condition is set."""
        return self == Selection()

    def takes(self, entry: Entry) -> bool:
        """Whether the entry is meant. One that cannot be read meets no condition."""
        return self.is_everything or (entry.record is not None and self._meets(entry.record))

    def _meets(self, record: QuarantineRecord) -> bool:
        return (
            self.account in (None, record.account)
            and self.verdict in (None, record.verdict)
            and (self.since is None or record.received_at >= self.since)
        )


def moment(text: str, *, now: float) -> float:
    """Unix seconds of ``2h`` (so long before ``now``) or of an ISO 8601 date or time, UTC unless it says otherwise.

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
