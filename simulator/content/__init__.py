"""The contents of callbacks: every family, channel, message type, status and transport, with made-up persons."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from ackfirst.shared.nexmo.family import Family
from ackfirst.simulator.content import conversations, messages_v0, messages_v1, other, sms
from ackfirst.simulator.content.scene import Content, Recipe, Scene

__all__ = ["RECIPES", "Content", "Recipe", "Scene", "Selection", "choose"]

RECIPES: Final[tuple[Recipe, ...]] = (
    *messages_v1.RECIPES,
    *messages_v0.RECIPES,
    *sms.RECIPES,
    *other.RECIPES,
    *conversations.RECIPES,
)
"""One of each, and conversations: traffic that uses them in turn covers everything every ``len(RECIPES)`` messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Families and channels to send. An empty set selects all."""

    families: frozenset[Family] = frozenset()
    channels: frozenset[str] = frozenset()

    def includes(self, content: Content) -> bool:
        """Return whether ``content`` is selected."""
        return (not self.families or content.family in self.families) and (
            not self.channels or content.channel in self.channels
        )


def choose(recipes: Iterable[Recipe], selection: Selection) -> tuple[Recipe, ...]:
    """Return the recipes that make selected callbacks, without the other callbacks that they make."""
    if selection == Selection():
        return tuple(recipes)
    filtered = (_Filtered(recipe, selection) for recipe in recipes)
    # Family and channel of a recipe do not depend on chance, so one trial shows whether it makes anything selected.
    return tuple(recipe for recipe in filtered if recipe(Scene(Random(0), 0.0)))  # noqa: S311 - no secret


class _Filtered:
    """A recipe that keeps only the selected callbacks of another one."""

    def __init__(self, recipe: Recipe, selection: Selection) -> None:
        self._recipe = recipe
        self._selection = selection

    def __call__(self, scene: Scene) -> Sequence[Content]:
        return [content for content in self._recipe(scene) if self._selection.includes(content)]
