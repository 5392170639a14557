"""The id of an event: the same for every delivery of it, different for every other.

It is the dedupe key and RQ's job id.
"""

import re
from hashlib import sha256
from typing import Any, Final

from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.values import given, lowered

#: Any letter: the event may be of a family that a newer release knows.
_EVENT_ID: Final = re.compile(r"[a-z]-[0-9a-f]{32}").fullmatch


def event_id(family: Family, account: str | None, fields: dict[str, Any], body: bytes) -> str:
    """Make the id: family letter, ``-``, 32 hex digits of the SHA-256 over account, family and identifying fields.

    The family's facts name the fields. A family without any, or a callback in which one has no value, is identified by
    the SHA-256 of ``body``: the request's body, the bytes of a query, or what a ``sig`` covers. Times, ``jti``,
    ``nonce`` and ``sig`` have no part in the fields: a retry may carry new ones.
    """
    parts = _identifying(family, fields) or ("body", sha256(body).hexdigest())
    # The length before each part keeps ("ab", "c") apart from ("a", "bc").
    named = (str(family), "" if account is None else f"={account}", *parts)
    text = "".join([f"{len(part)}:{part}" for part in named])
    return f"{family.facts.letter}-{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def is_event_id(text: str) -> bool:
    """Return whether a text has the form of an event id."""
    return _EVENT_ID(text) is not None


def _identifying(family: Family, fields: dict[str, Any]) -> list[str]:
    """Get the values that identify the event; none if one is missing."""
    facts = family.facts
    parts = []
    for name in facts.identity:
        # The case of a status differs between the products.
        part = lowered(fields.get(name)) if name == "status" else given(fields.get(name))
        if part is None:
            return []
        parts.append(part)
    return parts + [given(fields.get(name)) or "" for name in facts.optional_identity]
