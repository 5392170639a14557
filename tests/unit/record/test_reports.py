"""Nexmo's reports are read in each form in which they are handed out."""

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ackfirst.ops.record.reports import ReportError, provider_record, read_report

RECORD = {
    "account_id": "abcd1234",
    "message_id": "0A000000B0C9A1234",
    "client_ref": "order-17",
    "direction": "outbound",
    "from": "ACME",
    "to": "447700900417",
    "date_received": "2026-03-04T09:15:30+0000",
    "date_finalized": "2026-03-04T09:15:31+0000",
    "status": "Delivered",
    "currency": "EUR",
    "total_price": "0.0333",
}


def as_csv(*records: dict[str, Any]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=[name.upper() for name in RECORD])
    writer.writeheader()
    for record in records:
        writer.writerow({name.upper(): value for name, value in record.items()})
    return text.getvalue()


def test_every_form_of_a_file_gives_the_same_record(tmp_path: Path) -> None:
    contents = {
        "report_SMS_abcd1234_20260304.csv": as_csv(RECORD),
        "bom.csv": "\ufeff" + as_csv(RECORD),
        "answer.json": json.dumps({"request_status": "SUCCESS", "records": [RECORD]}),
        "list.json": json.dumps([RECORD]),
        "lines.jsonl": json.dumps(RECORD) + "\n" + json.dumps({**RECORD, "message_id": "0B"}) + "\n",
    }
    for name, text in contents.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "SMS_1234.zip", "w") as archive:
        archive.writestr("report_SMS_abcd1234_20260304.csv", as_csv(RECORD))
    for name in (*contents, "SMS_1234.zip"):
        found = next(read_report(tmp_path / name))
        assert (found.message_id, found.product, found.direction, found.status) == (
            "0A000000B0C9A1234",
            "SMS",
            "outbound",
            "delivered",
        )
        assert found.at == 1_772_615_730.0
        assert (found.account, found.client_ref) == ("abcd1234", "order-17")


def test_the_product_is_told_by_the_file_or_by_the_form_of_the_id(tmp_path: Path) -> None:
    uuid = {**RECORD, "message_id": "6f1d2b0e-3c55-4d8a-9b6e-1f20c7a4e913"}
    (tmp_path / "any.csv").write_text(as_csv(RECORD, uuid))
    assert [one.product for one in read_report(tmp_path / "any.csv")] == ["SMS", "MESSAGES"]
    (tmp_path / "report_MESSAGES_abcd1234_20260304.csv").write_text(as_csv(RECORD))
    assert [one.product for one in read_report(tmp_path / "report_MESSAGES_abcd1234_20260304.csv")] == ["MESSAGES"]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "{}", "\x00\x01", '{"records": 7}'])
def test_a_file_that_is_no_report_is_refused_with_what_a_report_has(tmp_path: Path, text: str) -> None:
    (tmp_path / "other.csv").write_text(text)
    with pytest.raises(ReportError, match=r"message_id|cannot be read"):
        list(read_report(tmp_path / "other.csv"))


@pytest.mark.parametrize("missing", ["message_id", "date_received", "direction"])
def test_a_record_without_what_tells_it_apart_is_left_out(missing: str) -> None:
    assert provider_record({name: value for name, value in RECORD.items() if name != missing}) is None
