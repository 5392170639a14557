"""One run from plan to report: what ``ackfirst simulate`` and ``ackfirst demo`` have in common."""

import asyncio
import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import uvloop
from yarl import URL

from ackfirst.simulator.account import SigningAccount
from ackfirst.simulator.content import RECIPES, Wanted, choose
from ackfirst.simulator.delivery import Delivery
from ackfirst.simulator.looking import watch
from ackfirst.simulator.pace import Pace
from ackfirst.simulator.planned import Planned
from ackfirst.simulator.report import Report, Run, summarise
from ackfirst.simulator.sender import Sender, probe, wire
from ackfirst.simulator.signing import Signer
from ackfirst.simulator.snapshot import Snapshot
from ackfirst.simulator.traffic import Shares, Traffic

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
    wanted: Wanted = field(default_factory=Wanted)
    moments: Sequence[float] | None = None
    """Seconds from the start at which each callback is created; None: by the pace."""
    must_answer: bool = True
    """Whether a target that is silent from the start ends the run at once; else it is a receiver in trouble."""


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
    recipes = choose(RECIPES, plan.wanted)
    if not recipes:
        return []
    return Traffic(plan.account, plan.shares, rng=rng, start=start, rate=rate, recipes=recipes).plan(plan.count)


def run(
    plan: Plan,
    callbacks: Sequence[Planned],
    *,
    on_answer: Callable[[], None] = lambda: None,
    on_look: Callable[[Snapshot], object] | None = None,
) -> Result:
    """Send the callbacks. Ctrl-C ends the run early, with a result of what was sent so far.

    Args:
        plan: Where and how.
        callbacks: What, in the order in which it is created.
        on_answer: Called when a callback has its first answer, or none.
        on_look: Called ten times a second with how it stands.

    Raises:
        Unreachable: Nobody answers at the target.
    """
    sent: list[Delivery] = []
    interrupted = False
    gc.freeze()  # the plan is large and stays: a collection that walks through it would show as latency
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(deliver(plan, callbacks, sent, on_answer=on_answer, on_look=on_look))
    except KeyboardInterrupt:
        interrupted = True
    finally:
        gc.unfreeze()
    return Result(_report(plan, callbacks, sent, interrupted=interrupted), sent)


def _report(plan: Plan, callbacks: Sequence[Planned], sent: Sequence[Delivery], *, interrupted: bool) -> Report:
    facts = Run(
        target=str(plan.target),
        seed=plan.seed,
        planned=len(callbacks),
        seconds=_seconds(sent),
        interrupted=interrupted,
        policy=plan.pace.policy.value,
        speed=plan.pace.speed,
    )
    return summarise(facts, sent)


def _seconds(sent: Sequence[Delivery]) -> float:
    """From the moment at which the first was due until the last answer: what was signed ahead is no part of it."""
    attempts = [attempt for delivery in sent for attempt in delivery.attempts]
    if not attempts:
        return 0.0
    return max(attempt.at for attempt in attempts) - min(attempt.at - attempt.seconds for attempt in attempts)


async def deliver(
    plan: Plan,
    callbacks: Sequence[Planned],
    sent: list[Delivery],
    *,
    on_answer: Callable[[], None] = lambda: None,
    on_look: Callable[[Snapshot], object] | None = None,
) -> None:
    """Send the callbacks within a running event loop; ``sent`` fills with what was sent so far.

    Raises:
        Unreachable: Nobody answers at the target.
    """
    signer = Signer(plan.account, Random(plan.seed + 1))  # noqa: S311 - ids and nonces of a test, not keys
    line = wire(plan.target, plan.pace)
    watching: asyncio.Task[None] | None = None
    try:
        if plan.must_answer:
            await probe(line, plan.target)
        sender = Sender(line, plan.target, signer, plan.pace, sent=sent, on_answer=on_answer)
        if on_look is not None:
            watching = asyncio.create_task(watch(sender, len(callbacks), on_look))
        await sender.send(callbacks, plan.moments)
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.wait([watching])
        await line.close()
