"""What the provider has to tell: every family, channel, message type, status and transport, with made-up people."""

from typing import Final

from ackfirst.simulator.content import conversation, inbound_v0, inbound_v1, other, sms, status_v0, status_v1
from ackfirst.simulator.content.model import Content, Recipe
from ackfirst.simulator.content.scene import Scene
from ackfirst.simulator.content.wanted import Wanted, choose

RECIPES: Final[tuple[Recipe, ...]] = (
    *inbound_v1.RECIPES,
    *inbound_v0.RECIPES,
    *status_v1.RECIPES,
    *status_v0.RECIPES,
    *sms.RECIPES,
    *other.RECIPES,
    *conversation.RECIPES,
)
"""One of each, and conversations. Traffic that takes them in turn covers everything once every ``len(RECIPES)``
messages."""

__all__ = ["RECIPES", "Content", "Recipe", "Scene", "Wanted", "choose"]
