"""Lines about refusals: a few of each kind in a minute, then their number; what is kept has a line each."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry

from ackfirst.ingest.metrics import REFUSALS, IngestMetrics
from ackfirst.ingest.request_log import FINAL_REASONS, LINES_A_MINUTE, RequestLog, RequestRecord, Throttle
from ackfirst.shared.policy import Verdict
from ackfirst.shared.verification import Verification
from tests.support.callbacks import json_callback
from tests.support.factories import API_KEY, inbound_message
from tests.support.ingest import RecordingLog
from tests.support.waiting import await_until

CALLBACK = json_callback(inbound_message())


def record(verdict: Verdict, *, secret: int | None = None) -> RequestRecord:
    found = Verification(verdict=verdict, reason="said", account=API_KEY, secret=secret)
    return RequestRecord(CALLBACK.path, CALLBACK, verdict, "said", found)


async def test_a_throttle_lets_few_pass_and_says_how_many_did_not() -> None:
    log = RecordingLog()
    throttle = Throttle(log, lines=2, seconds=0.02)
    assert [throttle.admits("request.refused", "method") for _ in range(5)] == [True, True, False, False, False]
    assert throttle.admits("request.refused", "not-found"), "each kind has its own lines"
    await await_until(lambda: bool(log.of("log.summary")))
    (summary,) = log.of("log.summary")
    assert (summary["of"], summary["kind"], summary["left_out"]) == ("request.refused", "method", 3)
    assert throttle.admits("request.refused", "method"), "and then it begins anew"
    throttle.close()


async def test_what_a_secret_confirmed_or_what_is_kept_has_a_line_each() -> None:
    log = RecordingLog()
    request_log = RequestLog(log, IngestMetrics(CollectorRegistry()))
    for _ in range(LINES_A_MINUTE + 5):
        request_log.write(record(Verdict.UNAVAILABLE, secret=0))
        request_log.write(record(Verdict.SUSPECT))
        request_log.write(record(Verdict.UNAVAILABLE))
    assert log.verdicts.count("suspect") == LINES_A_MINUTE + 5
    assert log.verdicts.count("unavailable") == 2 * LINES_A_MINUTE + 5
    request_log.close()
    (summary,) = log.of("log.summary")
    assert summary["left_out"] == 5


def test_answers_of_one_turn_are_written_together_once_they_are_sent() -> None:
    log, later = RecordingLog(), list[Callable[[], None]]()
    request_log = RequestLog(log, IngestMetrics(CollectorRegistry()), soon=later.append)
    for verdict in (Verdict.VERIFIED, Verdict.DUPLICATE):
        request_log.write(record(verdict, secret=0))
    assert (log.verdicts, len(later)) == ([], 1)
    later.pop()()
    assert log.verdicts == ["verified", "duplicate"]
    request_log.write(record(Verdict.SUSPECT))
    assert len(later) == 1, "the next turn is planned anew"


def test_one_answer_that_cannot_be_written_does_not_take_its_neighbours_with_it() -> None:
    log, later = RecordingLog(), list[Callable[[], None]]()
    request_log = RequestLog(log, IngestMetrics(CollectorRegistry()), soon=later.append)
    broken = record(Verdict.VERIFIED, secret=0)
    broken.verification = object()  # type: ignore[assignment]
    for entry in (record(Verdict.VERIFIED, secret=0), broken, record(Verdict.DUPLICATE, secret=0)):
        request_log.write(entry)
    later.pop()()
    assert log.verdicts == ["verified", "duplicate"]
    assert len(log.of("callback.failed")) == 1


def test_what_was_answered_last_is_written_at_a_stop() -> None:
    log, later = RecordingLog(), list[Callable[[], None]]()
    request_log = RequestLog(log, IngestMetrics(CollectorRegistry()), soon=later.append)
    request_log.write(record(Verdict.VERIFIED, secret=0))
    request_log.close()
    later.pop()()
    assert log.verdicts == ["verified"]


def test_every_reason_of_a_final_refusal_is_counted_from_0() -> None:
    assert set(REFUSALS) >= FINAL_REASONS
    registry = CollectorRegistry()
    IngestMetrics(registry)
    for reason in REFUSALS:
        assert registry.get_sample_value("ackfirst_refused_requests_total", {"reason": reason}) == 0
