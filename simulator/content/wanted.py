"""A choice among all that the provider has to tell."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

from ackfirst.shared.nexmo.family import Family
from ackfirst.simulator.content.model import Content, Recipe
from ackfirst.simulator.content.scene import Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What traffic is to consist of. An empty set means everything."""

    families: frozenset[Family] = frozenset()
    channels: frozenset[str] = frozenset()

    def includes(self, content: Content) -> bool:
        """Whether that is wanted."""
        return (not self.families or content.family in self.families) and (
            not self.channels or content.channel in self.channels
        )


def choose(recipes: Iterable[Recipe], wanted: Wanted) -> tuple[Recipe, ...]:
    """The recipes that make anything wanted, without what they make besides."""
    if wanted == Wanted():
        return tuple(recipes)
    chosen = (_Chosen(recipe, wanted) for recipe in recipes)
    # What a recipe is about does not depend on chance, so one try tells.
    return tuple(recipe for recipe in chosen if recipe(Scene(Random(0), 0.0)))  # noqa: S311 - no secret


class _Chosen:
    """The recipe of what is wanted among another one's callbacks."""

    def __init__(self, recipe: Recipe, wanted: Wanted) -> None:
        self._recipe = recipe
        self._wanted = wanted

    def __call__(self, scene: Scene) -> Sequence[Content]:
        return [content for content in self._recipe(scene) if self._wanted.includes(content)]
