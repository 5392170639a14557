"""Which answers are right for which callback."""

import pytest

from ackfirst.shared.policy import Verdict
from ackfirst.simulator.delivery import Attempt, Delivery
from ackfirst.simulator.planned import Kind, Planned
from tests.support.simulated import one, plan

GENUINE = one(Kind.GENUINE)
UNSIGNED = one(Kind.UNSIGNED)
WRONG_SECRET = one(Kind.WRONG_SECRET)
FORGED = next(made for made in plan(500) if made.verdict is Verdict.FORGED)


def answered(planned: Planned, *statuses: int | None) -> Delivery:
    """Answers to attempts, of which only the first may be unsigned."""
    attempts = [
        Attempt(
            signed=planned.kind is not Kind.UNSIGNED or number > 0,
            status=status,
            seconds=0.01,
            error=None if status else "no answer (TimeoutError)",
        )
        for number, status in enumerate(statuses)
    ]
    return Delivery(planned, attempts)


@pytest.mark.parametrize(
    ("planned", "statuses"),
    [
        (GENUINE, (200,)),
        (GENUINE, (503, 200)),
        (GENUINE, (None, 429, 200)),
        (WRONG_SECRET, (200,)),
        (WRONG_SECRET, (401,)),
        (WRONG_SECRET, (429,)),
        (UNSIGNED, (503, 200)),
        (UNSIGNED, (503, 503, 200)),
        (UNSIGNED, (503,)),
        (UNSIGNED, (None, 200)),
        (UNSIGNED, (401,)),
        (FORGED, (401,)),
    ],
)
def test_these_answers_are_right(planned: Planned, statuses: tuple[int | None, ...]) -> None:
    assert answered(planned, *statuses).problem is None


@pytest.mark.parametrize(
    ("planned", "statuses", "problem"),
    [
        (GENUINE, (401,), "answered 401, not 200"),
        (GENUINE, (204,), "answered 204, not 200"),
        (GENUINE, (503, 503), "answered 503, not 200"),
        (GENUINE, (None,), "no answer (TimeoutError), not 200"),
        (WRONG_SECRET, (500,), "answered 500, not 200 or 401 or 429 or 503"),
        (UNSIGNED, (200,), "answered 200, not 401 or 429 or 503"),
        (UNSIGNED, (503, 401), "answered 401, not 200"),
        (UNSIGNED, (None,), "no answer (TimeoutError), not 401 or 429 or 503"),
        (FORGED, (200,), "answered 200, not 401"),
        (FORGED, (503,), "answered 503, not 401"),
    ],
)
def test_these_answers_are_wrong(planned: Planned, statuses: tuple[int | None, ...], problem: str) -> None:
    assert answered(planned, *statuses).problem == problem


def test_what_was_not_answered_yet_is_no_problem() -> None:
    assert Delivery(GENUINE).problem is None
    assert not Delivery(GENUINE).acknowledged


@pytest.mark.parametrize(
    ("planned", "statuses", "acknowledged", "quarantined"),
    [
        (GENUINE, (200,), True, False),
        (GENUINE, (503,), False, False),
        (WRONG_SECRET, (200,), False, True),
        (WRONG_SECRET, (401,), False, False),
        (UNSIGNED, (503, 200), True, False),
        (UNSIGNED, (200,), False, True),
        (FORGED, (200,), False, True),
    ],
)
def test_only_a_200_for_something_genuine_is_an_acknowledgement(
    planned: Planned, statuses: tuple[int, ...], acknowledged: bool, quarantined: bool
) -> None:
    delivery = answered(planned, *statuses)
    assert (delivery.acknowledged, delivery.quarantined) == (acknowledged, quarantined)
