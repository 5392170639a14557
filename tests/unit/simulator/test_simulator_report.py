"""The numbers of a run's report."""

import io
import json

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ackfirst.simulator.delivery import Attempt, Delivery
from ackfirst.simulator.planned import Kind
from ackfirst.simulator.report import Report, Run, latency, summarise
from ackfirst.simulator.screen import show_report
from tests.support.simulated import one


def attempt(status: int | None, seconds: float = 0.01, *, signed: bool = True) -> Attempt:
    return Attempt(signed=signed, status=status, seconds=seconds, error=None if status else "no answer (TimeoutError)")


def report(*deliveries: Delivery, interrupted: bool = False) -> Report:
    run = Run(target="http://h", seed=5, planned=10, seconds=2.0, interrupted=interrupted)
    return summarise(run, deliveries)


@given(st.lists(st.floats(min_value=0, max_value=100), min_size=1, max_size=300))
def test_percentiles_are_ordered_and_really_occurred(seconds: list[float]) -> None:
    found = latency(seconds)
    assert found is not None
    values = [found.p50, found.p95, found.p99, found.max]
    assert values == sorted(values)
    assert set(values) <= {round(value * 1000, 2) for value in seconds}


def test_percentiles_of_a_hundred_known_values() -> None:
    found = latency([number / 1000 for number in range(1, 101)])
    assert found is not None
    assert (found.p50, found.p95, found.p99, found.max) == (50.0, 95.0, 99.0, 100.0)


def test_a_run_without_answers_has_no_latency() -> None:
    assert latency([]) is None
    assert report(Delivery(one(Kind.GENUINE), [attempt(None)])).latency_ms is None


def test_equal_answers_of_equal_callbacks_are_one_row() -> None:
    genuine = one(Kind.GENUINE)
    found = report(
        Delivery(genuine, [attempt(200)]), Delivery(genuine, [attempt(200)]), Delivery(genuine, [attempt(401)])
    )
    assert [(row.answers, row.count, row.problem) for row in found.answers] == [
        ((200,), 2, None),
        ((401,), 1, "answered 401, not 200"),
    ]
    assert (found.sent, found.acknowledged, found.unexpected) == (3, 2, 1)


def test_latency_is_that_of_first_answers() -> None:
    delivery = Delivery(one(Kind.UNSIGNED), [attempt(503, 0.02, signed=False), attempt(200, 0.5)])
    found = report(delivery)
    assert found.latency_ms is not None
    assert found.latency_ms.max == 20.0
    assert (found.retries, found.acknowledged) == (1, 1)


def test_a_report_as_json_says_what_was_planned_and_what_was_sent() -> None:
    found = json.loads(json.dumps(report(Delivery(one(Kind.GENUINE), [attempt(200)]), interrupted=True).as_dict()))
    assert (found["planned"], found["sent"], found["seed"], found["interrupted"]) == (10, 1, 5, True)
    assert found["answers"][0]["answers"] == [200]
    assert found["per_second"] == 0.5


def test_the_tables_name_what_is_wrong() -> None:
    text = io.StringIO()
    deliveries = (Delivery(one(Kind.GENUINE), [attempt(503), attempt(None)]), Delivery(one(Kind.GENUINE)))
    show_report(report(*deliveries), Console(file=text, width=160))
    assert "503, then no answer" in text.getvalue()
    assert "no answer (TimeoutError), not 200" in text.getvalue()
    assert "unexpected    1" in text.getvalue()


def test_an_outage_is_one_row_however_often_each_callback_was_tried() -> None:
    text = io.StringIO()
    genuine = one(Kind.GENUINE)
    deliveries = [Delivery(genuine, [*[attempt(None)] * failed, attempt(200)]) for failed in (1, 40, 7)]
    show_report(report(*deliveries, Delivery(genuine, [attempt(200)])), Console(file=text, width=100))
    assert "no answer ×1-40, then 200 │     3 │" in text.getvalue()  # noqa: RUF001 - a sign of times
    assert "genuine   │ verified │ 200 " in text.getvalue()
