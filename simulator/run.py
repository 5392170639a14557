"""One run from plan to report: what ``ackfirst simulate`` and ``ackfirst demo`` have in common."""

import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import uvloop
from yarl import URL

from simulator.account import SigningAccount
from simulator.delivery import Delivery
from simulator.pace import Pace
from simulator.planned import Planned
from simulator.report import Report, Run, summarise
from simulator.sender import Sender, probe, wire
from simulator.signing import Signer
from simulator.traffic import Shares, Traffic

#: Callbacks a second that the content's own times assume when the pace is "as fast as possible".
_ASSUMED_RATE = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to send, where and how."""

    target: URL
    account: SigningAccount
    count: int
    seed: int
    shares: Shares = field(default_factory=Shares)
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True, slots=True)
class Result:
    """What a run was answered."""

    report: Report
    deliveries: Sequence[Delivery]


def traffic(plan: Plan, *, start: float) -> list[Planned]:
    """The callbacks of that plan; ``start`` (unix seconds) is when the first of them happened."""
    # Repeatable traffic is the point of a seed: nothing here keeps a secret.
    rng = Random(plan.seed)  # noqa: S311 - as above
    rate = plan.pace.rate or _ASSUMED_RATE
    return Traffic(plan.account, plan.shares, rng=rng, start=start, rate=rate).plan(plan.count)


def run(plan: Plan, callbacks: Sequence[Planned], *, on_answer: Callable[[], None] = lambda: None) -> Result:
    """Send the callbacks. Ctrl-C ends the run early, with a result of what was sent so far.

    Raises:
        Unreachable: Nobody answers at the target.
    """
    sent: list[Delivery] = []
    interrupted = False
    begun = time.perf_counter()
    gc.freeze()  # the plan is large and stays: a collection that walks through it would show as latency
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_send(plan, callbacks, sent, on_answer))
    except KeyboardInterrupt:
        interrupted = True
    finally:
        gc.unfreeze()
    seconds = time.perf_counter() - begun
    facts = Run(
        target=str(plan.target), seed=plan.seed, planned=len(callbacks), seconds=seconds, interrupted=interrupted
    )
    return Result(summarise(facts, sent), sent)


async def _send(plan: Plan, callbacks: Sequence[Planned], sent: list[Delivery], on_answer: Callable[[], None]) -> None:
    signer = Signer(plan.account, Random(plan.seed + 1))  # noqa: S311 - ids and nonces of a test, not keys
    line = wire(plan.target, plan.pace)
    try:
        await probe(line, plan.target)
        sender = Sender(line, plan.target, signer, plan.pace, sent=sent, on_answer=on_answer)
        await sender.send(callbacks)
    finally:
        await line.close()
