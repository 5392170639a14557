"""The text at the end of the demo."""

import io

import pytest
from rich.console import Console

from ackfirst.simulator.delivery import Attempt, Delivery
from ackfirst.simulator.demo import Outcome, show
from ackfirst.simulator.ledger import balance, entry
from ackfirst.simulator.planned import Kind
from ackfirst.simulator.report import Run, summarise
from tests.support.simulated import one


def outcome(handled: dict[str, int], *, genuine_status: int = 200) -> Outcome:
    """One genuine and one forged callback, of which ``handled`` reached the handlers."""
    deliveries = [
        Delivery(one(Kind.GENUINE), [Attempt(signed=True, status=genuine_status, seconds=0.002)]),
        Delivery(one(Kind.WRONG_SECRET), [Attempt(signed=True, status=200, seconds=0.003)]),
    ]
    report = summarise(Run(target="http://h", seed=1, planned=2, seconds=1.0), deliveries)
    return Outcome(report, deliveries, balance([entry(delivery) for delivery in deliveries], handled))


def said(found: Outcome) -> str:
    text = io.StringIO()
    show(Console(file=text, width=120), found)
    return text.getvalue()


GENUINE_ID = one(Kind.GENUINE).event_id
FORGED_ID = one(Kind.WRONG_SECRET).event_id


def test_a_balanced_ledger_ends_with_what_to_do_next() -> None:
    found = outcome({GENUINE_ID: 1})
    assert found.is_good
    text = said(found)
    assert "The ledger balances" in text
    assert "make dev" in text
    assert "examples/handlers.py" in text


@pytest.mark.parametrize(
    ("handled", "named"),
    [({}, f"missing: {GENUINE_ID}"), ({GENUINE_ID: 1, FORGED_ID: 1}, f"forged: {FORGED_ID}")],
)
def test_what_is_missing_or_forged_is_named(handled: dict[str, int], named: str) -> None:
    found = outcome(handled)
    assert not found.is_good
    assert named in said(found)
    assert "does not balance" in said(found)


def test_a_refused_genuine_callback_is_no_success_even_when_nothing_is_missing() -> None:
    found = outcome({}, genuine_status=401)
    assert found.balance.holds
    assert not found.is_good
    assert "answered 401, not 200" in said(found)
