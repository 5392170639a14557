"""Run traffic against a target from plan to report, for ``ackfirst simulate`` and ``ackfirst demo``."""

import asyncio
import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

import uvloop
from yarl import URL

from ackfirst.simulator.account import SigningAccount
from ackfirst.simulator.client import Client, Transport, probe
from ackfirst.simulator.content import RECIPES, Selection, choose
from ackfirst.simulator.course import Snapshot, watch
from ackfirst.simulator.delivery import Delivery
from ackfirst.simulator.planned import Planned
from ackfirst.simulator.report import Report, Run, summarise
from ackfirst.simulator.rules import Pace
from ackfirst.simulator.sender import Sender
from ackfirst.simulator.signing import Signer
from ackfirst.simulator.traffic import Shares, Traffic

#: Callbacks per second that the timestamps of the traffic assume when there is no rate.
_ASSUMED_RATE: Final = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Traffic, target and pace of a run."""

    target: URL
    account: SigningAccount
    count: int
    seed: int
    shares: Shares = field(default_factory=Shares)
    pace: Pace = field(default_factory=Pace)
    selection: Selection = field(default_factory=Selection)
    moments: Sequence[float] | None = None
    """Seconds from the start at which each callback is created; None: those of the pace."""
    must_answer: bool = True
    """Whether a target that does not answer the probe ends the run; else its failure is part of the run."""


@dataclass(frozen=True, slots=True)
class Result:
    """Outcome of a run."""

    report: Report
    deliveries: Sequence[Delivery]


def traffic(plan: Plan, *, start: float) -> list[Planned]:
    """Make the callbacks of the plan; the first has the timestamp ``start`` (Unix seconds)."""
    rng = Random(plan.seed)  # noqa: S311 - traffic must be repeatable, and nothing here is secret
    rate = plan.pace.rate or _ASSUMED_RATE
    recipes = choose(RECIPES, plan.selection)
    if not recipes:
        return []
    return Traffic(plan.account, plan.shares, rng=rng, start=start, rate=rate, recipes=recipes).plan(plan.count)


def run(
    plan: Plan,
    callbacks: Sequence[Planned],
    *,
    on_answer: Callable[[], None] = lambda: None,
    on_snapshot: Callable[[Snapshot], object] | None = None,
) -> Result:
    """Send the callbacks. Ctrl-C ends the run early, with a result of what was sent so far.

    Args:
        plan: Target and pace.
        callbacks: In the order of their creation.
        on_answer: Called after each callback's first attempt.
        on_snapshot: Called ten times a second with the state of the run.

    Raises:
        UnreachableError: The target does not answer the probe.
    """
    sent: list[Delivery] = []
    interrupted = False
    gc.freeze()  # the plan is large and lives on: a collection that walks through it would show as latency
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(deliver(plan, callbacks, sent, on_answer=on_answer, on_snapshot=on_snapshot))
    except KeyboardInterrupt:
        interrupted = True
    finally:
        gc.unfreeze()
    facts = Run(
        target=str(plan.target),
        seed=plan.seed,
        planned=len(callbacks),
        seconds=_seconds(sent),
        interrupted=interrupted,
        policy=plan.pace.policy.value,
        speed=plan.pace.speed,
    )
    return Result(summarise(facts, sent), sent)


async def deliver(
    plan: Plan,
    callbacks: Sequence[Planned],
    sent: list[Delivery],
    *,
    transport: Transport | None = None,
    on_answer: Callable[[], None] = lambda: None,
    on_snapshot: Callable[[Snapshot], object] | None = None,
) -> None:
    """Send the callbacks within a running event loop; ``sent`` fills meanwhile, and holds all after a cancellation.

    Raises:
        UnreachableError: The target does not answer the probe.
    """
    pace = plan.pace
    if transport is None:
        transport = Client(plan.target, connect_timeout=pace.connect_timeout, answer_timeout=pace.answer_timeout)
    watching: asyncio.Task[None] | None = None
    try:
        if plan.must_answer:
            await probe(transport, plan.target)
        signer = Signer(plan.account, Random(plan.seed + 1))  # noqa: S311 - ids and nonces of a test, not keys
        sender = Sender(transport, signer, pace, sent=sent, on_answer=on_answer)
        if on_snapshot is not None:
            watching = asyncio.create_task(watch(sender, len(callbacks), on_snapshot))
        if not pace.rate and plan.moments is None:
            sender.prepare(callbacks)
        await sender.send(callbacks, plan.moments)
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.wait([watching])
        await transport.close()


def _seconds(sent: Sequence[Delivery]) -> float:
    """Return the time from the first due attempt to the last answer; signing in advance is not part of it."""
    attempts = [attempt for delivery in sent for attempt in delivery.attempts]
    if not attempts:
        return 0.0
    return max(attempt.at for attempt in attempts) - min(attempt.at - attempt.seconds for attempt in attempts)
