"""Read what a message cost, as the provider wrote it."""

from typing import Any, Final

from ackfirst.shared.nexmo.event import Price
from ackfirst.shared.nexmo.values import given, members

#: Where no currency is named: the SMS API bills in euro and never says so.
CURRENCY: Final = "EUR"


def price(amount: Any, currency: Any = None) -> Price | None:
    """Read a decimal number as text; None if there is no amount."""
    text = given(amount)
    return Price(text, given(currency) or CURRENCY) if text else None


def usage_price(usage: Any) -> Price | None:
    """Read the ``usage`` object of a Messages callback."""
    used = members(usage)
    return price(used.get("price"), used.get("currency"))
