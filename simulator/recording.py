"""Write traffic to a file and read it back: one JSON object a line, without signatures or secrets.

``at`` (seconds from the start), ``transport`` and ``fields`` or ``body`` are enough for a line that is written by hand;
``body`` is text that is sent byte for byte.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.nexmo.classify import classify
from ackfirst.shared.nexmo.identity import event_id
from ackfirst.shared.nexmo.reading import read_as
from ackfirst.simulator.account import SigningAccount
from ackfirst.simulator.content import Content
from ackfirst.simulator.planned import Kind, Planned, Tampering, expected_verdict

_TRANSPORTS: Final = ("json", "form", "query")
_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"


def written(traffic: Sequence[Planned], moments: Iterable[float] | None) -> Iterator[str]:
    """Yield a line for each callback; ``moments`` is None when all are sent at once."""
    places = iter(moments) if moments is not None else iter(lambda: 0.0, None)
    for planned, at in zip(traffic, places, strict=False):
        content = planned.content
        payload = {"body": planned.body.decode()} if content.has_token else {"fields": content.fields}
        line = {
            "at": round(at, 6),
            "kind": planned.kind.value,
            "tampering": planned.tampering.value if planned.tampering else None,
            "slow": planned.slow or None,
            "transport": content.transport,
            "application": planned.application_id,
            "header": planned.content_type,
            "channel": content.channel,
            "status": content.status,
            "content_type": content.content_type,
            **payload,
        }
        yield json.dumps({name: value for name, value in line.items() if value is not None or name == "header"}) + "\n"


def read(lines: Iterable[str], account: SigningAccount, *, name: str) -> tuple[list[Planned], list[float]]:
    """Read the callbacks of a file and the seconds at which they are sent.

    Raises:
        ConfigurationError: A line is not a recorded callback; the message names it.
    """
    traffic: list[Planned] = []
    moments: list[float] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            planned, at = _planned(json.loads(line), account)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError(f"line {number} of {name} is not a recorded callback: {error}") from error
        traffic.append(planned)
        moments.append(max(at, moments[-1] if moments else 0.0))
    if not traffic:
        raise ConfigurationError(f"{name} holds no callback: check that it was written by --record")
    return traffic, moments


def _planned(line: dict[str, Any], account: SigningAccount) -> tuple[Planned, float]:
    transport = line.get("transport", "json")
    if transport not in _TRANSPORTS:
        raise ValueError(f"transport is one of {', '.join(_TRANSPORTS)}, not {transport!r}")
    body = line["body"].encode() if "body" in line else b""
    fields: dict[str, Any] = json.loads(body) if body else line["fields"]
    encoded = body or (json.dumps(fields) if transport == "json" else urlencode(fields)).encode()
    reading = read_as(transport, body=encoded, query=encoded.decode())
    if reading is None:
        raise ValueError("its fields are not an object")
    content = Content(
        family=classify(reading),
        channel=line.get("channel"),
        fields=fields,
        content_type=line.get("content_type"),
        status=line.get("status"),
        transport=transport,
    )
    kind = Kind(line.get("kind", Kind.GENUINE))
    tampering = Tampering(line["tampering"]) if line.get("tampering") else None
    planned = Planned(
        kind=kind,
        content=content,
        application_id=line.get("application"),
        body=encoded if content.has_token else b"",
        content_type=line.get("header", {"json": _JSON, "form": _FORM}.get(transport)),
        tampering=tampering,
        slow=bool(line.get("slow")),
        event_id=event_id(content.family, account.api_key, fields, encoded),
        verdict=expected_verdict(kind, content, tampering, account.allow_unsigned),
    )
    return planned, float(line.get("at", 0.0))
