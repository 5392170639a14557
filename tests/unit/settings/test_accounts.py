"""Accounts, and the lane that each event goes to."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.accounts import Account, Accounts, Application, is_lane, is_lane_name

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
        ("plain", "app-named", "plain.app-named"),
        ("plain", None, "plain"),
        ("stranger", "app-mapped", "stranger.app-mapped"),
        (None, "app-mapped", "default.app-mapped"),
        (None, None, "default"),
        ("", "", "default"),
    ],
)
def test_the_nearest_mapping_names_the_lane(account: str | None, application: str | None, lane: str) -> None:
    assert ACCOUNTS.lane_of(account, application) == lane


@given(st.none() | st.text(), st.none() | st.text(alphabet=st.characters()))
def test_a_lane_is_always_a_name_that_redis_and_urls_can_carry(account: str | None, application: str | None) -> None:
    lane = ACCOUNTS.lane_of(account, application)
    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", lane)
    assert is_lane(lane)
    assert lane == ACCOUNTS.lane_of(account, application)


@pytest.mark.parametrize("application", ["a:intermediate", "a b", "x" * 65, "é", "a\n", "\ud800"])
def test_an_unfit_name_becomes_a_short_hash_of_itself(application: str) -> None:
    assert not is_lane_name(application)
    lane = ACCOUNTS.lane_of("plain", application)
    assert re.fullmatch(r"plain\.x-[0-9a-f]{16}", lane)
    assert lane != ACCOUNTS.lane_of("plain", application + "!")


def test_two_accounts_with_the_same_application_id_have_lanes_of_their_own() -> None:
    both = Accounts([Account(api_key="a", secrets=(b"x",)), Account(api_key="b", secrets=(b"y",))])
    assert both.lane_of("a", "c4a1e7d0") == "a.c4a1e7d0"
    assert both.lane_of("b", "c4a1e7d0") == "b.c4a1e7d0"


@given(
    application=st.text() | st.sampled_from(["shop", "b", "b.shop", "a.shop", "default", "."]),
    configured=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True) | st.sampled_from(["shop", "a", "a-shop", "b"]),
)
def test_no_application_id_of_one_account_names_a_lane_of_another(application: str, configured: str) -> None:
    shop = Application(id="shop", lane=configured)
    both = Accounts(
        [Account(api_key="a", secrets=(b"x",)), Account(api_key="b", secrets=(b"y",), applications={"shop": shop})]
    )
    lanes = {both.lane_of("b", one) for one in ("shop", "other", application, None)}
    lane = both.lane_of("a", application or "x")
    assert lane not in lanes | {configured}


@given(st.tuples(st.text(min_size=1), st.text(min_size=1)), st.tuples(st.text(min_size=1), st.text(min_size=1)))
def test_no_two_applications_share_a_lane_by_default(one: tuple[str, str], two: tuple[str, str]) -> None:
    assert (Accounts().lane_of(*one) == Accounts().lane_of(*two)) is (one == two)


def test_the_configuration_may_join_lanes_of_accounts() -> None:
    accounts = (Account(api_key=key, secrets=(b"x",), lane="shared") for key in ("a", "b"))
    joined = Accounts(accounts)
    assert joined.lane_of("a", "one") == joined.lane_of("b", "two") == "shared"


@pytest.mark.parametrize(
    ("lane", "is_one"),
    [("shop", True), ("k7m2p9qa.c4a1e7d0", True), ("a.b.c", False), (".a", False), ("a.", False), ("a b", False),
     ("x" * 64, True), ("x" * 65, False), (f"{'x' * 40}.{'y' * 40}", False)],
)  # fmt: skip
def test_a_worker_may_be_pinned_to_configured_and_to_default_lanes(lane: str, is_one: bool) -> None:
    assert is_lane(lane) is is_one


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
