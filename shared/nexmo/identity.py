"""The id of an event: the same for every delivery of it, different for every other.

It is the dedupe key and RQ's job id.
"""

from hashlib import sha256
from typing import Any

from ackfirst.shared.nexmo.callback import Family
from ackfirst.shared.nexmo.values import given, lowered


def event_id(family: Family, account: str | None, fields: dict[str, Any], body: bytes) -> str:
    """Family letter, ``-``, first 32 hex digits of the SHA-256 over account, family and what identifies the event.

    Inbound: the message id. Message status: id and status. Delivery receipt: id, status and ``err-code``. Anything
    else, or one of these without a usable id: the SHA-256 of ``body`` (of a GET: the bytes of its query). Times,
    ``jti``, ``nonce`` and ``sig`` have no part in it: a retry may carry new ones.
    """
    parts = _identifying(family, fields) or ("body", sha256(body).hexdigest())
    # The length before each part keeps ("ab", "c") apart from ("a", "bc").
    named = (str(family), "" if account is None else f"={account}", *parts)
    text = "".join([f"{len(part)}:{part}" for part in named])
    return f"{family.letter}-{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def _identifying(family: Family, fields: dict[str, Any]) -> tuple[str, ...] | None:
    parts: tuple[str | None, ...]
    match family:
        case Family.INBOUND_MESSAGE:
            parts = (given(fields.get("message_uuid")),)
        case Family.MESSAGE_STATUS:
            parts = (given(fields.get("message_uuid")), lowered(fields.get("status")))
        case Family.INBOUND_SMS:
            parts = (given(fields.get("messageId")),)
        case Family.DELIVERY_RECEIPT:
            state = lowered(fields.get("status"))
            parts = (given(fields.get("messageId")), state, given(fields.get("err-code")) or "")
        case _:
            return None
    return None if None in parts else parts  # type: ignore[return-value]  # mypy does not see it
