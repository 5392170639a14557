"""Prepare records for output, as JSON: the line of a list, or everything about one of them."""

from datetime import UTC, datetime
from typing import Any

from ackfirst.ops.quarantine import masked
from ackfirst.ops.quarantine.recheck import Finding, callback_of
from ackfirst.ops.terminal import printable
from ackfirst.shared.nexmo.classify import classify
from ackfirst.shared.nexmo.reading import read, read_as
from ackfirst.shared.nexmo.token import TokenError, parse
from ackfirst.shared.quarantine.review import Entry
from ackfirst.shared.quarantine.stream import QuarantineRecord
from ackfirst.shared.verification import Verification
from ackfirst.shared.verification.token_path import bearer_token


def row(entry: Entry, *, now: float) -> dict[str, Any]:
    """Return the line of a list; ``now`` in Unix seconds."""
    record = entry.record
    if record is None:
        return {**_place(entry, entry.parked_at, now), "verdict": None, "reason": "unknown-version"}
    reading = read(callback_of(record))
    return {
        **_place(entry, record.received_at, now),
        "verdict": record.verdict,
        "reason": record.reason,
        "account": account(record),
        "family": classify(reading).value if reading else None,
        "bytes": entry.bytes,
    }


def everything(entry: Entry, today: Verification | None, *, personal: bool, now: float) -> dict[str, Any]:
    """Return all of one record but its token; ``today`` is how it would be verified now."""
    record = entry.record
    if record is None:
        return row(entry, now=now)
    return {
        **row(entry, now=now),
        "today": today and {"verdict": today.verdict.value, "reason": today.reason},
        "method": masked.line(record.method),
        "path": masked.line(record.path),
        "query": _fields("query", record, personal=personal),
        "content_type": masked.line(record.content_type) or None,
        "authorization": _authorization(record.authorization),
        "user_agent": masked.line(record.user_agent) or None,
        "trace": masked.line(record.trace) or None,
        "body_bytes": len(record.body),
        "body": _body(record, personal=personal),
    }


def finding(found: Finding) -> dict[str, Any]:
    """Return one record of a recheck, with the reason of its verdict then and now."""
    record = found.entry.record
    return {
        "id": found.entry.id,
        "received_at": _iso(record.received_at if record else found.entry.parked_at),
        "account": account(record) if record else None,
        "outcome": found.outcome.value,
        "event_id": found.event_id,
        "verdict": found.verdict,
        "reason": found.reason,
        "reason_then": record.reason if record else None,
    }


def account(record: QuarantineRecord) -> str | None:
    """Return the account that the callback claims. Anyone can write one, but ``--account`` needs it."""
    return printable(record.account[: masked.MAX_CHARACTERS]) or None


def _place(entry: Entry, received_at: float, now: float) -> dict[str, Any]:
    return {"id": entry.id, "received_at": _iso(received_at), "age_seconds": round(max(0.0, now - received_at), 1)}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _authorization(header: str) -> Any:
    """Return what the token claims, without the token."""
    if not header:
        return None
    text = bearer_token(header)
    if not text:
        return "not a bearer token"
    try:
        claims = parse(text).claims
    except TokenError as error:
        return str(error)
    named = {name: getattr(claims, name) for name in ("application_id", "iat", "jti", "iss")}
    shown = {name: masked.line(value) if isinstance(value, str) else value for name, value in named.items()}
    return {"api_key": claims.api_key and printable(claims.api_key[: masked.MAX_CHARACTERS]), **shown}


def _body(record: QuarantineRecord, *, personal: bool) -> Any:
    if not record.body:
        return None
    reading = read(callback_of(record))
    if reading and reading.encoding != "query":
        return masked.fields(reading.fields, personal=personal)
    return masked.fields({"body": record.body.decode(errors="surrogateescape")}, personal=personal)["body"]


def _fields(encoding: Any, record: QuarantineRecord, *, personal: bool) -> Any:
    reading = read_as(encoding, body=b"", query=record.query) if record.query else None
    return masked.fields(reading.fields, personal=personal) if reading else None
