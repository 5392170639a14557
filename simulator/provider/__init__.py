"""A model of the provider: what it does with a callback from its creation to its end. Pure; time comes in as arguments.

Each callback has a life: created → attempts → delivered, dropped or expired. ``rules`` says when an attempt is made and
what an answer means, ``life`` is one callback, ``provider`` holds the lines in which they wait.
"""

from ackfirst.simulator.provider.life import Life, Stage
from ackfirst.simulator.provider.provider import Line, Provider, ProviderPolicy
from ackfirst.simulator.provider.rules import MESSAGES, SMS_INBOUND, SMS_RECEIPTS, Meaning, Rules, rules_of

__all__ = [
    "MESSAGES",
    "SMS_INBOUND",
    "SMS_RECEIPTS",
    "Life",
    "Line",
    "Meaning",
    "Provider",
    "ProviderPolicy",
    "Rules",
    "Stage",
    "rules_of",
]
