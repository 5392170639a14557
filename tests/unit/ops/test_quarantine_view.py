"""What is shown of a record: enough to see what is wrong, no person's words or numbers, and never a secret."""

import json
from collections import Counter
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ackfirst.ops.quarantine import masked, tables, view
from ackfirst.ops.quarantine.recheck import Outcome, callback_of
from ackfirst.ops.quarantine.selection import Selection
from ackfirst.ops.terminal import moment
from ackfirst.shared.quarantine.stream import QuarantineDepth, QuarantineRecord
from ackfirst.shared.verification import Verifier
from tests.support.callbacks import any_text, hostile_fields
from tests.support.factories import API_KEY, NOW, SECRET
from tests.support.ingest import ACCOUNTS
from tests.support.quarantined import entry, message, sms

URL_TOKEN = "tide-table-7731"
PERSONAL = ("447700900417", "12015550142", "Moor at berth 7?")


def shown(record: QuarantineRecord, *, personal: bool = False) -> dict[str, Any]:
    today = Verifier(ACCOUNTS).verify(callback_of(record), now=record.received_at)
    return view.everything(entry(record), today, personal=personal, now=NOW + 60)


def test_a_record_shows_what_is_wrong_with_it_then_and_now() -> None:
    found = shown(message())
    assert (found["verdict"], found["reason"]) == ("suspect", "signature-mismatch")
    assert found["today"] == {"verdict": "verified", "reason": "token"}
    assert (found["account"], found["family"], found["bytes"], found["age_seconds"]) == (
        API_KEY,
        "inbound-message",
        700,
        60.0,
    )
    assert found["authorization"]["api_key"] == API_KEY
    assert found["body"]["channel"] == "sms"
    assert found["body"]["from"] == "447•••••417"


@pytest.mark.parametrize("personal", [False, True])
def test_tokens_and_secrets_are_never_shown(personal: bool) -> None:
    record = message(query=f"token={URL_TOKEN}&tok%65n={URL_TOKEN}", user_agent="\x1b[2J")
    text = json.dumps(shown(record, personal=personal), ensure_ascii=False)
    assert URL_TOKEN not in text
    assert record.authorization.removeprefix("Bearer ").split(".")[2] not in text
    assert "\x1b" not in text
    signed = sms(1, secret=SECRET)
    assert signed.body.decode().partition("sig=")[2][:32] not in json.dumps(shown(signed, personal=personal))


RECORDS = [message(), sms(1), sms(2, body=b"Moor at berth 7?"), sms(3, body=b"[447700900417")]


@pytest.mark.parametrize("record", RECORDS)
def test_a_persons_numbers_and_words_are_masked_unless_asked_for(record: QuarantineRecord) -> None:
    text = json.dumps(shown(record), ensure_ascii=False)
    assert not any(word in text for word in PERSONAL)
    personal = json.dumps(shown(record, personal=True), ensure_ascii=False)
    assert any(word in personal for word in PERSONAL)


@given(fields=hostile_fields, personal=st.booleans())
def test_any_unverified_callback_can_be_shown_on_a_terminal(fields: dict[str, Any], personal: bool) -> None:
    found = masked.fields(fields, personal=personal)
    assert "".join(json.dumps(found, ensure_ascii=False).split()).isprintable()


@given(
    text=st.text(min_size=4).filter(lambda text: text not in masked._KNOWN),
    name=st.sampled_from(sorted(masked._NAMES - masked._HARMLESS)),
)
def test_a_persons_words_are_masked_wherever_they_stand(text: str, name: str) -> None:
    found = masked.fields({name: text, text: [{name: {"text": text}}]}, personal=False)
    assert text not in _texts(found)


def _texts(value: Any) -> set[str]:
    match value:
        case dict():
            return set(value).union(*map(_texts, value.values()))
        case list():
            return set().union(*map(_texts, value))
        case _:
            return {str(value)}


@given(text=any_text)
def test_every_line_of_a_header_is_printable(text: str) -> None:
    assert masked.line(text).isprintable()


def test_a_list_names_what_a_row_cannot_say() -> None:
    rows = [view.row(entry(message()), now=NOW + 3700), view.row(entry(None, 5), now=NOW)]
    out = StringIO()
    tables.show_list(rows, QuarantineDepth(7, 4321), Console(file=out, width=tables.WIDTH_COLUMNS))
    text = out.getvalue()
    assert entry(message()).id in text
    assert "suspect signature-mismatch inbound-message 700" in " ".join(text.split())
    assert "1 h 1 m" in text
    assert "unknown-version" in text
    assert "2 shown of 7 in quarantine, 4,321 bytes" in text


def test_a_report_has_a_line_for_each_reason() -> None:
    found = Counter(
        {
            (Outcome.QUEUED, None): 1200,
            (Outcome.DOUBTFUL, "suspect: signature-mismatch"): 3,
            (Outcome.DOUBTFUL, "unsigned: no-sig"): 2,
            (Outcome.UNKNOWN, None): 1,
        }
    )
    out = StringIO()
    tables.show_report(found, Console(file=out, width=100), dry_run=False)
    lines = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert "queued 1,200 verified now; waits for a worker" in lines
    assert "duplicate 0 verified now; was queued before" in lines
    assert "doubtful 3 suspect: signature-mismatch; stays" in lines
    assert "doubtful 2 unsigned: no-sig; stays" in lines
    assert "unknown-version 1 written by another release; stays" in lines


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (61, "1 m 1 s"), (3700, "1 h 1 m"), (90_000, "1 d 1 h"), (864_000, "10 d 0 h")]
)
def test_an_age_has_two_units(seconds: float, text: str) -> None:
    assert tables.age(seconds) == text


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(), True),
        (Selection(account=API_KEY, verdict="suspect", since=NOW), True),
        (Selection(account="other"), False),
        (Selection(verdict="unreadable"), False),
        (Selection(since=NOW + 1), False),
    ],
)
def test_all_conditions_of_a_selection_must_hold(selection: Selection, taken: bool) -> None:
    assert selection.takes(entry(message())) is taken
    assert selection.takes(entry(None)) is selection.is_everything


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", NOW - 7200),
        ("90", NOW - 90),
        ("2026-03-04T09:15:28Z", NOW),
        ("2026-03-04T09:15:28", NOW),
        ("2026-03-04T10:15:28+01:00", NOW),
        ("2026-03-04", NOW - 33_328),
    ],
)
def test_since_is_an_age_or_a_time(text: str, expected: float) -> None:
    assert moment(text, now=NOW) == expected


def test_what_is_neither_an_age_nor_a_time_is_refused() -> None:
    with pytest.raises(ValueError, match="2h or 7d"):
        moment("yesterday", now=NOW)
