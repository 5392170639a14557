"""Decide which family a callback belongs to: by content, since one URL may receive every family and API version."""

from typing import Any, Final

from ackfirst.shared.nexmo.family import Family, Product
from ackfirst.shared.nexmo.reading import Reading, parameters
from ackfirst.shared.nexmo.values import given, with_replacements

_SMS: Final = tuple(family for family in Family if family.facts.product is Product.SMS)
_MESSAGES_FIRST: Final = (*(family for family in Family if family.facts.product is Product.MESSAGES), *_SMS)


def classify(reading: Reading) -> Family:
    """Find the family of a callback by its fields.

    ``OTHER`` for Dispatch reports, Verify events and later products. The Messages API sends JSON only, the SMS API any
    encoding.
    """
    for family in _MESSAGES_FIRST if reading.encoding == "json" else _SMS:
        if family.facts.fits(reading.fields):
            return family
    return Family.OTHER


def classify_parameters(reading: Reading) -> Family:
    """Find the family of a callback that proves itself by its ``sig``: never one of the Messages API.

    The parameters alone are signed, not their encoding. Otherwise a signed form with a ``message_uuid`` could be sent
    again as JSON and become an event of another family.
    """
    return classify(Reading("form", reading.fields))


def fields_of(family: Family, reading: Reading) -> dict[str, Any]:
    """Get the fields from which the event is made.

    Where ``sig`` is the signature these are the parameters as text, exactly the characters that it covers: a signed
    form with ``messageId=1E00000000000002`` can be sent again as JSON with that number, and must stay the same event.
    """
    if reading.encoding == "json" and is_signed_by_parameters(family, reading.fields):
        return parameters(reading.fields)
    return reading.fields


def is_signed_by_parameters(family: Family, fields: dict[str, Any]) -> bool:
    """True for families of the SMS API, and for callbacks of no known family that bring a ``sig``."""
    return family.facts.product is Product.SMS or (family is Family.OTHER and given(fields.get("sig")) is not None)


def message_id(family: Family, fields: dict[str, Any]) -> str | None:
    """Get Nexmo's id of the message, as text that UTF-8 can hold; None where the family has none, or it is unusable."""
    name = family.facts.message_id
    text = given(fields.get(name)) if name else None
    return with_replacements(text) if text else None
