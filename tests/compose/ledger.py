"""One line of the ledger: what was sent during a step against what handlers were given in the end."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.compose.load import Sent

#: Seconds without any progress after which the rest counts as missing.
PATIENCE: Final = 45.0
_POLL: Final = 1.0


@dataclass(frozen=True, slots=True)
class Line:
    """A step under load."""

    sent: Sent
    missing: frozenset[str]
    """Acknowledged, and given to no handler."""
    again: int
    """Events of this step that handlers were given more than once."""

    def __str__(self) -> str:
        other = ", ".join(f"{status}: {count}" for status, count in sorted(self.sent.refused.items())) or "none"
        times = self.sent.latency_ms
        return (
            f"{self.sent.callbacks} callbacks, {len(self.sent.acked)} events acknowledged, other answers {other}, "
            f"missing {len(self.missing)}, again {self.again}, "
            f"ack p50 {times.get('p50', 0):g} p99 {times.get('p99', 0):g} max {times.get('max', 0):g} ms"
        )


def settle(sent: Sent, stored: Callable[[], Mapping[str, int]]) -> Line:
    """Wait until handlers were given all that was acknowledged, or nothing moves any more."""
    before, moved = -1, time.monotonic()
    while True:
        seen = stored()
        missing = sent.acked - seen.keys()
        if not missing or time.monotonic() - moved > PATIENCE:
            again = sum(seen.get(event, 0) > 1 for event in sent.acked)
            return Line(sent, frozenset(missing), again)
        if len(seen) != before:
            before, moved = len(seen), time.monotonic()
        time.sleep(_POLL)
