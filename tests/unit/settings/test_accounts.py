"""Accounts, and the lane that each event goes to."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.accounts import Account, Accounts, Application, is_lane_name

MAPPED = Application(id="app-mapped", lane="test")
NAMED = Application(id="app-named", name="Shop")
ACCOUNTS = Accounts(
    [
        Account(api_key="plain", secrets=(b"x",), applications={"app-mapped": MAPPED, "app-named": NAMED}),
        Account(api_key="laned", secrets=(b"y",), lane="main", applications={"app-mapped": MAPPED, "app-named": NAMED}),
    ]
)


@pytest.mark.parametrize(
    ("account", "application", "lane"),
    [
        ("plain", "app-mapped", "test"),
        ("laned", "app-mapped", "test"),
        ("laned", "app-named", "main"),
        ("laned", "app-unlisted", "main"),
        ("laned", None, "main"),
        ("plain", "app-named", "app-named"),
        ("plain", None, "plain"),
        ("stranger", "app-mapped", "app-mapped"),
        (None, "app-mapped", "app-mapped"),
        (None, None, "default"),
        ("", "", "default"),
    ],
)
def test_the_nearest_mapping_names_the_lane(account: str | None, application: str | None, lane: str) -> None:
    assert ACCOUNTS.lane_of(account, application) == lane


@given(st.none() | st.text(), st.none() | st.text(alphabet=st.characters()))
def test_a_lane_is_always_a_name_that_redis_and_urls_can_carry(account: str | None, application: str | None) -> None:
    lane = ACCOUNTS.lane_of(account, application)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", lane)
    assert lane == ACCOUNTS.lane_of(account, application)


@pytest.mark.parametrize("application", ["a:intermediate", "a b", "x" * 65, "é", "a\n", "\ud800"])
def test_an_unfit_name_becomes_a_short_hash_of_itself(application: str) -> None:
    assert not is_lane_name(application)
    lane = ACCOUNTS.lane_of("plain", application)
    assert re.fullmatch(r"x-[0-9a-f]{16}", lane)
    assert lane != ACCOUNTS.lane_of("plain", application + "!")


def test_accounts_keep_their_order_and_are_found_by_key() -> None:
    assert [account.api_key for account in ACCOUNTS] == ["plain", "laned"]
    assert len(ACCOUNTS) == 2
    assert ACCOUNTS.get("laned").lane == "main"
    assert ACCOUNTS.get("stranger") is None


def test_no_secret_is_shown() -> None:
    account = Account(api_key="k", secrets=(b"orchid",), url_token="lantern")
    shown = f"{account!r} {Accounts([account])!r}"
    assert "orchid" not in shown
    assert "lantern" not in shown
