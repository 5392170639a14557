"""The provider's model driven in virtual time: no clock, no network, a whole day in a moment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from ackfirst.simulator.provider import Life, Provider
from ackfirst.simulator.rules import ProviderPolicy, Rules


@dataclass(frozen=True, slots=True)
class Coming:
    """A callback that is to be created."""

    at: float
    account: str | None
    rules: Rules


@dataclass(frozen=True, slots=True)
class Made:
    """One attempt."""

    began: float
    ended: float
    status: int | None


@dataclass(slots=True, eq=False)
class Told:
    """A callback with everything that happened to it."""

    coming: Coming
    attempts: list[Made] = field(default_factory=list)
    life: Life["Told"] | None = None


#: The receiver: number of the callback, number of the attempt, moment → status and seconds that it took.
Receiver = Callable[[int, int, float], tuple[int | None, float]]


def play(coming: Sequence[Coming], receiver: Receiver, policy: ProviderPolicy) -> list[Told]:
    """Drive the model to its end: every callback settles."""
    provider: Provider[Told] = Provider(policy)
    told = [Told(one) for one in sorted(coming, key=lambda one: one.at)]
    arrivals, answers = list(enumerate(told)), []
    numbers = {one: number for number, one in arrivals}
    now = 0.0
    while True:
        moments = [provider.next_moment()] if provider.next_moment() is not None else []
        moments += [arrivals[0][1].coming.at] if arrivals else []
        moments += [answers[0][0]] if answers else []
        if not moments:
            return told
        now = max(now, min(moment for moment in moments if moment is not None))
        while answers and answers[0][0] <= now:
            ended, number, began, status = heappop(answers)
            told[number].attempts.append(Made(began, ended, status))
            provider.answer(told[number].life, status, ended)
        while arrivals and arrivals[0][1].coming.at <= now:
            one = arrivals.pop(0)[1]
            one.life = provider.create(one, rules=one.coming.rules, account=one.coming.account, now=now)
        while (life := provider.begin(now)) is not None:
            number = numbers[life.item]
            status, seconds = receiver(number, life.attempts, now)
            heappush(answers, (now + seconds, number, now, status))
