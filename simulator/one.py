"""One callback that somebody asked for, as the traffic of a run would hold it."""

import json

from ackfirst.shared.nexmo.identity import event_id
from ackfirst.shared.policy import Verdict
from ackfirst.simulator.account import SigningAccount
from ackfirst.simulator.content import Content
from ackfirst.simulator.planned import Kind, Planned

_HEADERS = {"json": "application/json", "form": "application/x-www-form-urlencoded", "query": None}


def planned_of(content: Content, account: SigningAccount, application: str | None) -> Planned:
    """A genuine callback of ``account``; ``application`` is the claim of the token, where there is one."""
    body = json.dumps(content.fields).encode() if content.has_token else b""
    return Planned(
        kind=Kind.GENUINE,
        content=content,
        application_id=application if content.has_token else None,
        body=body,
        content_type=_HEADERS[content.transport],
        event_id=event_id(content.family, account.api_key, content.fields, body),
        verdict=Verdict.VERIFIED,
    )
