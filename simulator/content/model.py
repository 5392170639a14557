"""The meaning of one callback, before anybody signs it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ackfirst.shared.nexmo.family import Family
from ackfirst.simulator.content.scene import Scene

Transport = Literal["json", "form", "query"]
"""How the parameters travel: POST JSON, POST form, GET query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """One thing that the provider tells, and what a receiver should make of it."""

    family: Family
    channel: str | None
    """As a handler should see it: ``viber_service`` also where v0.1 says ``viber_service_msg``; None if not said."""
    fields: dict[str, Any]
    """JSON object or parameters, without the signature's own (``timestamp``, ``nonce``, ``sig``)."""
    content_type: str | None
    """As a handler should see it: ``text``, ``image``, …; None for statuses and receipts."""
    status: str | None = None
    """As a handler should see it; None for inbound messages."""
    transport: Transport = "json"

    @property
    def has_token(self) -> bool:
        """Signed with a token in ``Authorization``; the SMS API signs with a ``sig`` parameter instead."""
        return self.family not in (Family.INBOUND_SMS, Family.DELIVERY_RECEIPT)


Recipe = Callable[[Scene], Sequence[Content]]
"""Makes the callbacks of one message, in the order in which they happened."""
