"""Read why a message failed, in the three ways in which the provider says it."""

from collections.abc import Mapping
from typing import Any, Final

from ackfirst.shared.nexmo.event import EventError
from ackfirst.shared.nexmo.values import given, members

#: ``err-code`` of a delivery receipt (SMS API reference and help article). Unknown codes are carried without a meaning.
RECEIPT_MEANINGS: Final[Mapping[str, str]] = {
    "1": "unknown reason",
    "2": "subscriber absent, temporarily",
    "3": "subscriber absent, permanently",
    "4": "barred by the user",
    "5": "portability problem",
    "6": "rejected as spam by the carrier",
    "7": "handset busy",
    "8": "network error",
    "9": "illegal number, or the recipient opted out",
    "10": "illegal message parameter",
    "11": "unroutable",
    "12": "destination unreachable",
    "13": "subscriber under the required age",
    "14": "blocked by the carrier",
    "15": "prepaid subscriber without credit",
    "50": "regulation: entity id",
    "51": "regulation: header (sender)",
    "52": "regulation: content id",
    "53": "regulation: consent",
    "54": "regulation: other",
    "95": "unknown",
    "99": "general error of the route",
}


def message_error(error: Any) -> EventError | None:
    """Read the ``error`` of a Messages callback: v1 ``title``, ``detail``, v0.1 ``code``, ``reason``, or plain text.

    The code is text in v1 and a number in v0.1 and older v1 payloads; without one, the fragment of the ``type`` URL
    has it. A second ``error`` object inside (Kotlin SDK test) is unwrapped.
    """
    if not isinstance(error, dict):
        return EventError(code) if (code := given(error)) else None
    if isinstance(error.get("error"), dict):
        return message_error(members(error["error"]))
    kind = given(error.get("type"))
    code = given(error.get("title")) or given(error.get("code")) or (kind or "").rpartition("#")[2]
    reason = given(error.get("detail")) or given(error.get("reason"))
    return EventError(code, reason, kind, given(error.get("instance"))) if code or reason else None


def receipt_error(status: str | None, code: Any) -> EventError | None:
    """Read the ``err-code`` of a delivery receipt. Code 0 and that of an ``accepted`` message mean nothing."""
    text = given(code)
    if text is None or status == "accepted" or not text.strip("0"):
        return None
    return EventError(text, RECEIPT_MEANINGS.get(text))
