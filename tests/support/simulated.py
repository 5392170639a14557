"""The simulator's values for tests: an account, planned traffic, and how a receiver would see a request."""

from collections.abc import Sequence
from random import Random
from typing import Any

from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.simulator.account import SigningAccount
from ackfirst.simulator.content import RECIPES, Recipe
from ackfirst.simulator.planned import Kind, Planned
from ackfirst.simulator.signing import Request
from ackfirst.simulator.traffic import Shares, Traffic
from tests.support.factories import API_KEY, APPLICATION, NOW, SECRET

ONLY_GENUINE = Shares(duplicates=0, wrong_secret=0, unsigned=0, tampered=0, disorder=0)
MIXED = Shares(duplicates=0.1, wrong_secret=0.1, unsigned=0.1, tampered=0.2, disorder=0.1)


def make_signing_account(**overrides: Any) -> SigningAccount:
    return SigningAccount(
        **{"api_key": API_KEY, "secret": SECRET.encode(), "applications": (APPLICATION,), **overrides}
    )


def receiver_of(account: SigningAccount, **overrides: Any) -> Accounts:
    """The receiver's side of the same account, with an older secret beside the one in use."""
    values: dict[str, Any] = {
        "api_key": account.api_key,
        "secrets": (b"the-secret-of-last-year-0123456789", account.secret),
        "sms_signature_method": account.sms_method,
        "allow_unsigned": account.allow_unsigned,
        "url_token": account.url_token,
        **overrides,
    }
    return Accounts([Account(**values)])


def plan(
    count: int,
    shares: Shares = MIXED,
    *,
    seed: int = 1,
    account: SigningAccount | None = None,
    start: float = NOW,
    rate: float = 200.0,
    recipes: Sequence[Recipe] = RECIPES,
) -> list[Planned]:
    account = account or make_signing_account()
    traffic = Traffic(account, shares, rng=Random(seed), start=start, rate=rate, recipes=recipes)
    return traffic.plan(count)


def one(kind: Kind, *, token: bool = True) -> Planned:
    """A planned callback of that kind, of the Messages API or of the SMS API."""
    return next(made for made in plan(500) if made.kind is kind and made.content.has_token is token)


def as_received(request: Request, *, at: float = NOW) -> Callback:
    """What a server makes of the request."""
    return request.received(at)
