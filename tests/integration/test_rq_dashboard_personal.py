"""Nothing personal is shown, unless the operator asks for it."""

import json
import re
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redis import Redis

from ackfirst.ops.rq_dashboard import personal
from ackfirst.shared import masking
from tests.support.web import ENVELOPE, LANE, NUMBER, TEXT, RqBrowser, answers, failed_job, lane, run_all

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def everything_shown(browser: RqBrowser, job_id: str, registry: str) -> str:
    shown = [browser.json(f"job/{job_id}.json"), browser.json(f"jobs/{LANE}/{registry}/8/asc/1.json")]
    return json.dumps(shown, ensure_ascii=False)


def test_a_failed_job_shows_neither_arguments_nor_what_its_traceback_quotes(redis_sync: Redis) -> None:
    failed_job(redis_sync)
    shown = everything_shown(RqBrowser(redis_sync), "m-failed", "failed")
    assert NUMBER not in shown
    assert TEXT not in shown
    assert "ValueError: no berth in '•••(16)' of 447•••••417" in shown


def test_a_job_without_a_description_of_its_own_shows_its_function_only(redis_sync: Redis) -> None:
    lane(redis_sync).enqueue(answers, ENVELOPE, job_id="m-plain", meta={"from": NUMBER}, result_ttl=60)
    run_all(redis_sync)
    shown = everything_shown(RqBrowser(redis_sync), "m-plain", "finished")
    assert NUMBER not in shown
    assert TEXT not in shown
    assert '"description": "tests.support.web.answers(…)"' in shown


def test_the_operator_can_ask_to_see_it_all(redis_sync: Redis) -> None:
    failed_job(redis_sync)
    shown = everything_shown(RqBrowser(redis_sync, log_personal="1"), "m-failed", "failed")
    assert NUMBER in shown
    assert TEXT in shown


@pytest.mark.parametrize(
    ("description", "shown"),
    [
        ("inbound-message m-0123456789abcdef0123456789abcdef", None),
        ("delivery-receipt c4a1e7d0-52b3-4f6f-1234-301234567890", None),
        ("nightly report (2 accounts)", None),
        ("ackfirst.workers.jobs.process('{\"v\":1')", "ackfirst.workers.jobs.process(…)"),
        ("call 447700900417", "call 447•••••417"),
    ],
)
def test_a_description_keeps_what_is_not_personal(description: str, shown: str | None) -> None:
    assert personal.without_arguments(description) == (shown or description)


@given(st.from_regex(r"[0-9]{10,15}", fullmatch=True), st.sampled_from(["{}", "from {}.", "+{}", '"{}"', "tel:{}\n"]))
def test_a_phone_number_never_survives(number: str, around: str) -> None:
    assert number not in masking.numbers(around.format(number))
    assert number not in json.dumps(personal.masked({"to": [int("1" + number[1:]), number], number: None}))


@pytest.mark.parametrize(
    "written",
    ["+44 7700 900417", "44-7700-900417", "(447700)900417", "id447700900417x", "59ccfabc-2321-4775-8007-447700900417"],
)
@pytest.mark.parametrize(
    "body",
    [{"from": "447700900417"}, {"to": 447700900417}, {"from": {"type": "sms", "number": "447700900417"}}],
)
def test_a_number_of_the_event_never_survives_in_a_traceback_however_it_is_written(
    written: str, body: dict[str, object]
) -> None:
    known = personal.numbers_in([json.dumps({"body": json.dumps(body)})])
    assert known == {"447700900417"}
    assert "900417" not in re.sub(r"\D", "", masking.numbers(f"no route to {written}", known))


@given(json_values)
def test_masking_takes_any_json_and_is_stable(value: object) -> None:
    once = personal.masked(value)
    json.dumps(once)
    assert personal.masked(once) == once


@given(st.text(min_size=1).filter(str.strip), st.sampled_from([repr, json.dumps]))
@example("000\\", repr)
def test_a_quoted_text_never_survives(text: str, quote: Callable[[str], str]) -> None:
    envelope = json.dumps({"body": json.dumps({"message": {"text": text}})})
    quoted = quote(text)
    assert personal.without_texts(f"§{quoted}§", [envelope]) == f"§{quoted[0]}•••({len(text)}){quoted[0]}§"


@pytest.mark.parametrize(
    ("traceback", "shown"),
    [
        ("no berth for Moor at 7?", "no berth for •••(10)"),
        ("no berth for 'Y', line 1: Yes", "no berth for '•••(1)', line 1: Yes"),
    ],
)
def test_a_form_is_read_for_texts_too(traceback: str, shown: str) -> None:
    form = urlencode({"msisdn": NUMBER, "text": "Moor at 7?", "keyword": "Y"})
    assert personal.without_texts(traceback, [json.dumps({"body": form})]) == shown


@given(st.text(), json_values)
def test_masking_texts_takes_any_arguments(text: str, value: object) -> None:
    personal.without_texts(text, [value, json.dumps(value)])


def test_a_deeply_nested_message_is_read_to_its_end() -> None:
    depth = 900
    body = '{"a":' * depth + json.dumps({"text": TEXT}) + "}" * depth
    assert personal.without_texts(TEXT, [json.dumps({"body": body})]) == "•••(16)"
