"""Read what Nexmo says of messages: records of its Reports API, or files that were downloaded from it."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final

from ackfirst.ops.nexmo_api.records import Direction, ReportProduct
from ackfirst.shared.nexmo.values import given, instant, lowered
from ackfirst.shared.record import named_record

#: A larger JSON document is refused: it would have to be held in memory. CSV and JSON lines are read line by line.
MOST_JSON_BYTES: Final = 64 << 20

_PRODUCT_IN_NAME: Final = re.compile(r"(?:^|_)(SMS|MESSAGES)(?:_|\.)", re.IGNORECASE)
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


class ReportError(Exception):
    """A file is no report of messages; the message says why."""


@named_record
class ProviderRecord:
    """One message, as Nexmo has it."""

    message_id: str
    product: ReportProduct
    direction: Direction
    status: str | None
    at: float
    """Unix seconds at which Nexmo received the message."""
    account: str | None
    client_ref: str | None


def provider_record(
    fields: Mapping[str, Any], *, product: ReportProduct | None = None, direction: Direction | None = None
) -> ProviderRecord | None:
    """Read a record; None for one that is no message, or does not say which and when.

    Args:
        fields: Of JSON or of a line of CSV.
        product: What was asked for; None to tell it from the fields.
        direction: What was asked for; None to tell it from the fields.
    """
    message_id = given(fields.get("message_id"))
    moment = instant(fields.get("date_received"))
    said = direction or lowered(fields.get("direction"))
    if message_id is None or moment is None or said not in ("inbound", "outbound"):
        return None
    return ProviderRecord(
        message_id=message_id,
        product=product or _product(fields, message_id),
        direction="inbound" if said == "inbound" else "outbound",
        status=lowered(fields.get("status")),
        at=moment.timestamp(),
        account=given(fields.get("account_id")),
        client_ref=given(fields.get("client_ref")),
    )


def read_report(path: Path, *, product: ReportProduct | None = None) -> Iterator[ProviderRecord]:
    """Read the messages of a report, one after the other: CSV, the ZIP of it, JSON, or JSON lines.

    Raises:
        ReportError: It is none of these, or holds no message.
    """
    found = False
    product = product or _product_of_name(path.name)
    try:
        for fields in _rows(path):
            record = provider_record(fields, product=product)
            if record is not None:
                found = True
                yield record
    except (OSError, UnicodeDecodeError, csv.Error, zipfile.BadZipFile, json.JSONDecodeError) as error:
        raise ReportError(f"{path} cannot be read: {error}") from error
    if not found:
        raise ReportError(
            f"{path} holds no message: a report has the columns message_id, direction, date_received and status"
        )


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as member, _text(member) as lines:
                    yield from _lines(lines)
        return
    with path.open("rb") as file, _text(file) as lines:
        if path.stat().st_size <= MOST_JSON_BYTES and (records := _document(lines)) is not None:
            yield from records
            return
        lines.seek(0)
        yield from _lines(lines)


@contextmanager
def _text(file: IO[bytes]) -> Iterator[io.TextIOWrapper]:
    wrapper = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        yield wrapper
    finally:
        wrapper.detach()


def _document(lines: io.TextIOWrapper) -> list[Mapping[str, Any]] | None:
    """Read one JSON document: an answer of the API with its ``records``, or a list; None if it is none."""
    if not lines.read(1).strip().startswith(("{", "[")):
        return None
    lines.seek(0)
    try:
        found = json.load(lines)
    except json.JSONDecodeError:  # more than one: JSON lines
        return None
    records = found.get("records", [found]) if isinstance(found, dict) else found
    return [one for one in records if isinstance(one, dict)] if isinstance(records, list) else None


def _lines(lines: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    iterator = iter(lines)
    first = next(iterator, "")
    if first.lstrip().startswith("{"):
        for line in chain([first], iterator):
            if line.strip():
                found = json.loads(line)
                if isinstance(found, dict):
                    yield found
        return
    header = [name.strip().lower() for name in next(csv.reader([first]), [])]
    yield from csv.DictReader(iterator, fieldnames=header)


def _product(fields: Mapping[str, Any], message_id: str) -> ReportProduct:
    said = (given(fields.get("product")) or "").upper()
    if said in ("SMS", "MESSAGES"):
        return "SMS" if said == "SMS" else "MESSAGES"
    return "MESSAGES" if _UUID.fullmatch(message_id) else "SMS"


def _product_of_name(name: str) -> ReportProduct | None:
    found = _PRODUCT_IN_NAME.search(name)
    if found is None:
        return None
    return "SMS" if found[1].upper() == "SMS" else "MESSAGES"
