"""Simulate an ingest that is behind: which callbacks should it answer first, and which not at all?

One event loop serves turns. In a turn it takes what the kernel holds for it, in an order and up to a number that the
policy chooses, works through it, and answers after one write for all. The edge in front gives a request up after two
seconds and tries once more; then the provider gets a 504 and comes again, later and later. Strangers send as well.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

#: Seconds after which the edge gives a request up (deploy/edge/callbacks.conf), and its tries.
GIVE_UP_SECONDS: Final = 2.0
EDGE_TRIES: Final = 2

#: Waits of the provider after a 504 (simulator/rules.py, Messages).
PROVIDER_DELAYS_SECONDS: Final = (5.0, 10.0, 20.0, 40.0)

#: CPU seconds of a callback, of a request that is refused, of noticing that a sender has gone, and of one write.
CALLBACK_SECONDS: Final = 0.00045
REFUSAL_SECONDS: Final = 0.0002
CLOSED_SECONDS: Final = 0.00003
WRITE_SECONDS: Final = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The requests that come, and the share of a CPU that there is for them."""

    rate: float
    """Genuine callbacks a second."""
    strangers: float = 0.0
    """Other requests a second."""
    seconds: float = 30.0
    cpu: Callable[[float], float] = lambda _: 1.0
    """Share of a core that ingest gets at a time."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The make-up of a turn."""

    name: str
    limit: int = 1_000_000
    """Most requests of a turn; the others wait."""
    newest_first: bool = False
    skips_closed: bool = False
    """Whether it drops what its sender has given up."""
    knows_strangers: bool = False
    """Whether connections whose last request was refused get a quarter of the places only."""


POLICIES: Final = (
    Policy("all that is there, oldest first (as it was)"),
    Policy("the same, without what was given up", skips_closed=True),
    Policy("24 a turn, oldest first", limit=24, skips_closed=True),
    Policy("24 a turn, newest first", limit=24, newest_first=True, skips_closed=True),
    Policy("the same, strangers last (as it is)", 24, newest_first=True, skips_closed=True, knows_strangers=True),
)

#: Of the places of a turn, those that strangers get in any case.
STRANGERS_SHARE: Final = 0.25


@dataclass(slots=True, order=True)
class _Request:
    at: float
    """When it is there."""
    number: int
    created: float = field(compare=False)
    """When its callback was due."""
    is_genuine: bool = field(compare=False)
    tries: int = field(default=0, compare=False)
    attempts: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The fates of the genuine callbacks."""

    policy: str
    callbacks: int
    first_try: float
    """Share that the first attempt of the provider got a 200 for, in time."""
    p50: float
    p99: float
    """Milliseconds from due to answered, of those that got one."""
    requests: float
    """Requests a callback: 1 is no retry at all."""


@dataclass(slots=True)
class _Ledger:
    answered: dict[int, float] = field(default_factory=dict)
    first: int = 0
    sent: int = 0


def simulate(policy: Policy, load: Load, *, seed: int) -> Outcome:
    """Run a load against a policy."""
    coming = list(_arrivals(load, Random(seed)))
    heapq.heapify(coming)
    callbacks = sum(request.is_genuine for request in coming)
    ledger = _Ledger(sent=callbacks)
    waiting: dict[bool, deque[_Request]] = {True: deque(), False: deque()}
    now = 0.0
    while (coming or any(waiting.values())) and now < load.seconds * 3:
        if not any(waiting.values()) and coming[0].at > now:
            now = coming[0].at
        while coming and coming[0].at <= now:
            request = heapq.heappop(coming)
            waiting[request.is_genuine or not policy.knows_strangers].append(request)
        turn, work = _turn(policy, waiting, now, coming, ledger)
        now += (work + WRITE_SECONDS) / load.cpu(now)
        for request in turn:
            if not request.is_genuine:
                continue
            if now - request.at > GIVE_UP_SECONDS:
                _again(request, coming, ledger, now)
            elif request.number not in ledger.answered:
                ledger.answered[request.number] = now - request.created
                ledger.first += not request.attempts
    times = sorted(ledger.answered.values()) or [float("inf")]
    return Outcome(
        policy.name,
        callbacks,
        ledger.first / callbacks,
        1000 * times[len(times) // 2],
        1000 * times[min(len(times) - 1, int(0.99 * len(times)))],
        ledger.sent / callbacks,
    )


def _turn(
    policy: Policy, waiting: dict[bool, deque[_Request]], now: float, coming: list[_Request], ledger: _Ledger
) -> tuple[list[_Request], float]:
    """Choose the requests of a turn; return them, and the CPU seconds that all of it takes."""
    turn: list[_Request] = []
    work = 0.0
    while len(turn) < policy.limit and any(waiting.values()):
        strangers_due = waiting[False] and len(turn) % round(1 / STRANGERS_SHARE) == 0
        line = waiting[False] if strangers_due or not waiting[True] else waiting[True]
        request = line.pop() if policy.newest_first else line.popleft()
        if policy.skips_closed and now - request.at > GIVE_UP_SECONDS:
            work += CLOSED_SECONDS
            _again(request, coming, ledger, request.at + GIVE_UP_SECONDS)
            continue
        turn.append(request)
        work += CALLBACK_SECONDS if request.is_genuine else REFUSAL_SECONDS
    return turn, work


def _again(request: _Request, coming: list[_Request], ledger: _Ledger, given_up: float) -> None:
    """Let the edge try once more, or the provider come again."""
    if not request.is_genuine:
        return
    if request.tries + 1 < EDGE_TRIES:
        at, tries, attempts = given_up, request.tries + 1, request.attempts
    elif request.attempts < len(PROVIDER_DELAYS_SECONDS):
        at, tries, attempts = given_up + PROVIDER_DELAYS_SECONDS[request.attempts], 0, request.attempts + 1
    else:
        return
    again = _Request(at, request.number, request.created, is_genuine=True, tries=tries, attempts=attempts)
    heapq.heappush(coming, again)
    ledger.sent += 1


def _arrivals(load: Load, dice: Random) -> Iterator[_Request]:
    number = 0
    for rate, is_genuine in ((load.rate, True), (load.strangers, False)):
        at = 0.0
        while rate and (at := at + dice.expovariate(rate)) < load.seconds:
            number += 1
            yield _Request(at, number, at, is_genuine)


def burst(share: float, begins: float, ends: float) -> Callable[[float], float]:
    """Return a CPU of which only ``share`` is left for a while."""
    return lambda now: share if begins <= now < ends else 1.0


#: What is looked at: name → load.
LOADS: Final = {
    "300/s, a twentieth of a core for 10 s": Load(rate=300, cpu=burst(0.05, 5, 15)),
    "100/s and 3,000 strangers/s, half a core for 20 s": Load(rate=100, strangers=3000, cpu=burst(0.5, 5, 25)),
    "300/s and 6,000 strangers/s, a whole core": Load(rate=300, strangers=6000),
}


def table(seed: int) -> Iterator[tuple[str, Outcome]]:
    """Simulate every policy under every load."""
    for name, load in LOADS.items():
        for policy in POLICIES:
            yield name, simulate(policy, load, seed=seed)
