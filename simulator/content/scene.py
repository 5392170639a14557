"""The made-up world that content is written in: numbers reserved for fiction, ids, moments, small talk."""

from datetime import UTC, datetime
from random import Random
from typing import Final
from uuid import UUID

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
    """Draws everything from one seeded source: the same source and moment give the same content."""

    def __init__(self, rng: Random, at: float) -> None:
        self.rng = rng
        self.at = at
        """Unix seconds at which what is told next happened."""

    def chance(self, share: float) -> bool:
        """True in that share of cases, 0 to 1."""
        return self.rng.random() < share

    def uuid(self) -> str:
        """A random UUID in its usual spelling."""
        return str(UUID(int=self.rng.getrandbits(128), version=4))

    def hex_id(self, digits: int = 16) -> str:
        """Upper-case hex digits, as the SMS API's message ids."""
        return f"{self.rng.getrandbits(4 * digits):0{digits}X}"

    def digits(self, count: int) -> str:
        """A decimal id; it may begin with zeros."""
        return f"{self.rng.randrange(10**count):0{count}d}"

    def phone(self) -> str:
        """A person's number, from the ranges that regulators keep for fiction."""
        return self.rng.choice(("447700900", "44808157", "12015550", "61491570")) + self.digits(3)

    def sender(self) -> str:
        """One of our own numbers or sender names."""
        return self.rng.choice(SENDERS)

    def text(self) -> str:
        """What a person might write."""
        return self.rng.choice(TEXTS)

    def name(self) -> tuple[str, str]:
        """First and last name."""
        return self.rng.choice(NAMES)

    def network(self) -> str:
        """Mobile country and network code."""
        return self.rng.choice(NETWORKS)

    def price(self) -> str:
        """Euro, as decimal text."""
        return f"0.{self.rng.randrange(10, 900):04d}"

    def url(self, suffix: str) -> str:
        """A file on the provider's media server."""
        return f"https://api.nexmo.com/v3/media/{self.uuid()}.{suffix}"

    def iso(self) -> str:
        """The moment as the Messages API writes it: with or without milliseconds."""
        moment = datetime.fromtimestamp(self.at, UTC)
        return moment.isoformat(timespec=self.rng.choice(("seconds", "milliseconds"))).replace("+00:00", "Z")

    def clock(self) -> str:
        """The moment as the SMS API writes it, UTC."""
        return datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%d %H:%M:%S")

    def carrier_clock(self) -> str:
        """The moment as a carrier's ``scts``: ``YYMMDDHHMM``."""
        return datetime.fromtimestamp(self.at, UTC).strftime("%y%m%d%H%M")
