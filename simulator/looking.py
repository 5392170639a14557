"""Looks at a run from outside, a few times a second."""

import asyncio
from collections.abc import Callable

from ackfirst.simulator.delivery import Delivery
from ackfirst.simulator.provider import Life, Provider, Stage
from ackfirst.simulator.sender import Sender
from ackfirst.simulator.snapshot import Blocker, Snapshot

#: Seconds of real time between two looks.
PERIOD = 0.1


async def watch(sender: Sender, planned: int, tell: Callable[[Snapshot], object], *, period: float = PERIOD) -> None:
    """Call ``tell`` every ``period`` seconds until this is cancelled, and then once more."""
    try:
        while True:
            tell(look(sender, planned))
            await asyncio.sleep(period)
    finally:
        tell(look(sender, planned))


def look(sender: Sender, planned: int) -> Snapshot:
    """How it stands now."""
    now = sender.clock.now()
    return Snapshot(
        at=now,
        planned=planned,
        created=sender.created,
        waiting=sender.provider.waiting,
        in_flight=sender.in_flight,
        attempts=sum(sender.answers.values()) + sender.in_flight,
        answers=dict(sender.answers),
        blocker=_blocker(sender.provider, now),
    )


def _blocker(provider: Provider[Delivery], now: float) -> Blocker | None:
    line = max(provider.lines(), key=lambda each: each.waiting, default=None)
    oldest = provider.oldest() if line is None else line.head
    if oldest is None:
        return None
    return Blocker(
        account=(line.account if line else None) or "",
        application=oldest.item.planned.application_id,
        age=max(0.0, now - oldest.created),
        attempts=oldest.attempts,
        answered=_answered(oldest),
        next_in=0.0 if oldest.stage is Stage.SENDING else max(0.0, oldest.due - now),
        behind=line.waiting - 1 if line else 0,
    )


def _answered(life: Life[Delivery]) -> str:
    attempts = life.item.attempts
    return str(attempts[-1].status or "no answer") if attempts else ""
