"""Define the content of a callback, and draw the random parts of it: phone numbers, ids, timestamps, texts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, Final, Literal
from uuid import UUID

from ackfirst.shared.nexmo.family import Family

TEXTS: Final = (
    "Moor at berth 7?",
    "Tide table please",
    "Is the harbour office open on Sunday?",
    "Tea & cake = café?",
    "Danke, bis morgen früh!",
    "Нужна стоянка на две ночи",
    "潮の時刻を教えてください",
    "STOP",
    "100% sure; berth_7 + berth_8 <north>",
    "⚓ arriving at 9 👋",
    "We lost a fender near the slip, has anybody handed it in? It is blue, says 'Ilse' and has a white line on it.",
)
NAMES: Final = (("Ilse", "Brandt"), ("Amadou", "Keïta"), ("Noor", "de Wit"), ("Siân", "O'Rourke"), ("Mei", "Tan"))
NETWORKS: Final = ("23415", "23433", "26201", "310004", "20810")
SENDERS: Final = ("HARBOUR", "12015550142", "12015550173", "4930555017")


class Scene:
    """Draws random content from one seeded generator: the same seed and time give the same content."""

    def __init__(self, rng: Random, at: float) -> None:
        self.rng = rng
        self.at = at
        """Unix seconds of the next callback's own timestamp."""

    def chance(self, share: float) -> bool:
        """Return True with probability ``share`` (0 to 1)."""
        return self.rng.random() < share

    def uuid(self) -> str:
        """Return a random UUID, version 4."""
        return str(UUID(int=self.rng.getrandbits(128), version=4))

    def hex_id(self, digits: int = 16) -> str:
        """Return upper-case hex digits, as in the SMS API's message ids."""
        return f"{self.rng.getrandbits(4 * digits):0{digits}X}"

    def digits(self, count: int) -> str:
        """Return a decimal id, which may begin with zeros."""
        return f"{self.rng.randrange(10**count):0{count}d}"

    def phone(self) -> str:
        """Return a person's number from the ranges that regulators reserve for fiction."""
        return self.rng.choice(("447700900", "44808157", "12015550", "61491570")) + self.digits(3)

    def sender(self) -> str:
        """Return one of the account's own numbers or sender names."""
        return self.rng.choice(SENDERS)

    def text(self) -> str:
        """Return the text of a message."""
        return self.rng.choice(TEXTS)

    def name(self) -> tuple[str, str]:
        """Return a first and a last name."""
        return self.rng.choice(NAMES)

    def network(self) -> str:
        """Return a mobile country and network code."""
        return self.rng.choice(NETWORKS)

    def price(self) -> str:
        """Return a price in euro, as decimal text."""
        return f"0.{self.rng.randrange(10, 900):04d}"

    def url(self, suffix: str) -> str:
        """Return the URL of a file on Nexmo's media server."""
        return f"https://api.nexmo.com/v3/media/{self.uuid()}.{suffix}"

    def iso(self) -> str:
        """Return the timestamp as the Messages API writes it, with or without milliseconds."""
        moment = datetime.fromtimestamp(self.at, UTC)
        return moment.isoformat(timespec=self.rng.choice(("seconds", "milliseconds"))).replace("+00:00", "Z")

    def clock(self) -> str:
        """Return the timestamp as the SMS API writes it, in UTC."""
        return datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%d %H:%M:%S")

    def carrier_clock(self) -> str:
        """Return the timestamp as a carrier's ``scts``: ``YYMMDDHHMM``."""
        return datetime.fromtimestamp(self.at, UTC).strftime("%y%m%d%H%M")


Transport = Literal["json", "form", "query"]
"""How the parameters are sent: POST with JSON, POST with a form, or GET with a query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The content of one callback, and the fields that a handler should see in its event."""

    family: Family
    channel: str | None
    """``event.channel``: ``viber_service`` also where v0.1 spells it ``viber_service_msg``; None if there is none."""
    fields: dict[str, Any]
    """JSON object or parameters, without those of the signature (``timestamp``, ``nonce``, ``sig``)."""
    content_type: str | None
    """``event.content_type``: ``text``, ``image``, …; None for statuses and receipts."""
    status: str | None = None
    """``event.status``; None for inbound messages."""
    transport: Transport = "json"

    @property
    def has_token(self) -> bool:
        """True if a token in ``Authorization`` signs it; callbacks of the SMS API carry a ``sig`` parameter instead."""
        return self.family not in (Family.INBOUND_SMS, Family.DELIVERY_RECEIPT)


Recipe = Callable[[Scene], Sequence[Content]]
"""Makes all callbacks about one message, in the order in which they happened."""
