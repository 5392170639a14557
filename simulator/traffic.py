"""Plan the traffic of one run before anything is sent. Pure: the same seed and start give the same callbacks."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from random import Random
from typing import Final

from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.identity import event_id
from ackfirst.simulator.account import SigningAccount
from ackfirst.simulator.content import RECIPES, Content, Recipe, Scene
from ackfirst.simulator.planned import (
    PARAMETER_TAMPERINGS,
    TOKEN_TAMPERINGS,
    Kind,
    Planned,
    Tampering,
    expected_verdict,
)

#: Distance between the callbacks of one message, in callbacks of the whole traffic.
_STEP: Final = (5.0, 40.0)
#: Distance by which a callback that shall arrive out of order is delayed.
_DELAY: Final = (30.0, 150.0)
#: Distance of a duplicate from its original; a third of them follow it at once.
_DUPLICATE_DISTANCE: Final = (1.0, 200.0)

# Captured requests of the SMS API carry one of these or no header at all; the Messages API always says JSON.
_JSON_TYPES: Final = ("application/json", "application/json; charset=utf-8")
_FORM_TYPES: Final = ("application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=UTF-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Shares of the traffic (0 to 1) that are not simply genuine and in order."""

    duplicates: float = 0.05
    wrong_secret: float = 0.02
    unsigned: float = 0.02
    tampered: float = 0.02
    disorder: float = 0.1
    slow: float = 0.0
    """Share of all POST requests whose body is sent over two seconds."""

    def counts(self, total: int) -> dict[Kind, int]:
        """Return how many of ``total`` callbacks are of each kind."""
        counts = {
            Kind.DUPLICATE: round(total * self.duplicates),
            Kind.WRONG_SECRET: round(total * self.wrong_secret),
            Kind.UNSIGNED: round(total * self.unsigned),
            Kind.TAMPERED: round(total * self.tampered),
        }
        return {Kind.GENUINE: total - sum(counts.values()), **counts}

    @property
    def leave_something_genuine(self) -> bool:
        """False if no callback is left that a duplicate could repeat."""
        return self.duplicates + self.wrong_secret + self.unsigned + self.tampered < 1


class Traffic:
    """Plans callbacks for one account, all random choices drawn from ``rng``.

    The first callback has the timestamp ``start`` (Unix seconds), each next one is ``1 / rate`` seconds later.
    """

    def __init__(
        self,
        account: SigningAccount,
        shares: Shares,
        *,
        rng: Random,
        start: float,
        rate: float,
        recipes: Sequence[Recipe] = RECIPES,
    ) -> None:
        self._account = account
        self._recipes = recipes
        self._shares = shares
        self._rng = rng
        self._start = start
        self._rate = rate

    def plan(self, count: int) -> list[Planned]:
        """Return ``count`` callbacks in the order in which they are to be sent."""
        counts = self._shares.counts(count)
        contents = self._contents(count - counts[Kind.DUPLICATE])
        kinds = self._kinds(contents, counts)
        originals = [self._planned(content, kind) for content, kind in zip(contents, kinds, strict=True)]
        return self._slowed(self._with_duplicates(originals, counts[Kind.DUPLICATE]))

    def _contents(self, count: int) -> list[Content]:
        """Make the contents, each message's callbacks a little apart, some of them out of order."""
        placed = sorted(islice(self._placed(), count), key=lambda pair: pair[0])
        return [content for _, content in placed]

    def _placed(self) -> Iterator[tuple[float, Content]]:
        place = 0
        while True:
            for recipe in self._rng.sample(self._recipes, len(self._recipes)):
                scene = Scene(self._rng, self._start + place / self._rate)
                contents = recipe(scene)
                later = 0.0
                for content in contents:
                    yield place + later + self._delay(), content
                    later += self._rng.uniform(*_STEP)
                place += len(contents)

    def _delay(self) -> float:
        return self._rng.uniform(*_DELAY) if self._rng.random() < self._shares.disorder else 0.0

    def _kinds(self, contents: Sequence[Content], counts: dict[Kind, int]) -> list[Kind]:
        kinds = [Kind.GENUINE] * len(contents)
        # Family ``other`` has no timestamp, so a later run of the same seed would send the same unsigned body again.
        # The receiver answers an unsigned body that it has seen before with 200 instead of 503.
        unsigned = [at for at, content in enumerate(contents) if content.family is not Family.OTHER]
        self._mark(kinds, unsigned, Kind.UNSIGNED, counts)
        for kind in (Kind.WRONG_SECRET, Kind.TAMPERED):
            self._mark(kinds, [at for at, taken in enumerate(kinds) if taken is Kind.GENUINE], kind, counts)
        return kinds

    def _mark(self, kinds: list[Kind], free: list[int], kind: Kind, counts: dict[Kind, int]) -> None:
        for at in self._rng.sample(free, min(counts[kind], len(free))):
            kinds[at] = kind

    def _with_duplicates(self, originals: list[Planned], count: int) -> list[Planned]:
        places = [at for at, planned in enumerate(originals) if planned.kind is Kind.GENUINE]
        again = [self._rng.choice(places) for _ in range(count)] if places else []
        placed = [(float(at), planned) for at, planned in enumerate(originals)]
        placed += [(at + self._distance(), replace(originals[at], kind=Kind.DUPLICATE)) for at in again]
        return [planned for _, planned in sorted(placed, key=lambda pair: pair[0])]

    def _slowed(self, planned: list[Planned]) -> list[Planned]:
        if not self._shares.slow:
            return planned
        # A GET has no body that could be sent slowly.
        return [
            replace(one, slow=one.content.transport != "query" and self._rng.random() < self._shares.slow)
            for one in planned
        ]

    def _distance(self) -> float:
        return 0.5 if self._rng.random() < 1 / 3 else self._rng.uniform(*_DUPLICATE_DISTANCE)

    def _planned(self, content: Content, kind: Kind) -> Planned:
        content = self._addressed(content)
        body = self._json(content) if content.has_token else b""
        tampering = self._tampering(content) if kind is Kind.TAMPERED else None
        return Planned(
            kind=kind,
            content=content,
            application_id=self._application() if content.has_token else None,
            body=body,
            content_type=self._content_type(content),
            tampering=tampering,
            event_id=event_id(content.family, self._account.api_key, content.fields, body),
            verdict=expected_verdict(kind, content, tampering, self._account.allow_unsigned),
        )

    def _addressed(self, content: Content) -> Content:
        """Add ``api-key`` to most callbacks of the SMS API, because not all captured ones have it."""
        if content.has_token or self._rng.random() < 0.3:  # noqa: PLR2004 - a share
            return content
        return replace(content, fields={**content.fields, "api-key": self._account.api_key})

    def _json(self, content: Content) -> bytes:
        """Encode compact or spaced, escaped or UTF-8, because the hash covers the bytes, not their meaning."""
        separators = self._rng.choice(((",", ":"), (", ", ": ")))
        text = json.dumps(content.fields, ensure_ascii=self._rng.random() < 1 / 2, separators=separators)
        return text.encode()

    def _tampering(self, content: Content) -> Tampering:
        return self._rng.choice(TOKEN_TAMPERINGS if content.has_token else PARAMETER_TAMPERINGS)

    def _application(self) -> str | None:
        return self._rng.choice((*self._account.applications, None))

    def _content_type(self, content: Content) -> str | None:
        match content.transport:
            case "query":
                return None
            case "form":
                return self._rng.choice(_FORM_TYPES)
            case "json" if content.has_token:
                return self._rng.choice(_JSON_TYPES)
            case _:
                return self._rng.choice((*_JSON_TYPES, None))
