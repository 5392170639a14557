"""Setting a webhook URL changes addresses and nothing else, whatever else an application has."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.ops.nexmo_api import SmsSettings
from ackfirst.ops.webhooks.urls import (
    changes,
    check_public_url,
    content_of,
    has_messages,
    messages_url,
    wanted_messages_urls,
    wanted_sms_settings,
    with_messages_urls,
    with_messages_webhooks_of,
    without_token,
)
from ackfirst.shared.accounts import Account
from ackfirst.shared.errors import ConfigurationError

URLS = wanted_messages_urls("https://hooks.example.com/base")

_NAMES = st.sampled_from(["voice", "rtc", "video", "verify", "network_apis", "meetings", "vbc", "privacy", "x-new"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
_WEBHOOKS = st.dictionaries(
    st.sampled_from(["inbound_url", "status_url", "other_url"]),
    st.fixed_dictionaries({"address": st.text(max_size=9), "http_method": st.just("POST")}, optional={"x": _JSON}),
)
_MESSAGES = st.fixed_dictionaries(
    {},
    optional={"webhooks": _WEBHOOKS, "version": st.sampled_from(["v0.1", "v1"]), "authenticate_inbound_media": _JSON},
)


@st.composite
def applications(draw: st.DrawFn) -> dict[str, Any]:
    capabilities = draw(st.dictionaries(_NAMES, _JSON, max_size=4))
    if draw(st.booleans()):
        capabilities["messages"] = draw(_MESSAGES)
    other = draw(st.dictionaries(_NAMES, _JSON, max_size=3))
    return {**other, "id": "app", "name": "x", "capabilities": capabilities, "_links": {"self": {"href": "/x"}}}


@given(applications())
def test_only_the_two_addresses_change(application: dict[str, Any]) -> None:
    before = copy.deepcopy(application)
    content = with_messages_urls(application, URLS)
    assert application == before, "the object that was read stays as it is"
    webhooks = content["capabilities"]["messages"]["webhooks"]
    assert {name: webhooks[name]["address"] for name in URLS} == URLS
    assert {webhooks[name]["http_method"] for name in URLS} == {"POST"}
    for name in URLS:
        old = application["capabilities"].get("messages", {}).get("webhooks", {}).get(name, {"http_method": "POST"})
        webhooks[name] = {**webhooks[name], "address": old.get("address")}
    expected = content_of(application)
    kept = expected["capabilities"].setdefault("messages", {}).setdefault("webhooks", {})
    for name in URLS:
        kept.setdefault(name, {"http_method": "POST"}).setdefault("address", None)
    assert content == expected


@given(applications(), st.dictionaries(_NAMES, _JSON, max_size=3))
def test_restoring_brings_back_the_webhooks_and_keeps_what_else_changed_since(
    application: dict[str, Any], since: dict[str, Any]
) -> None:
    today = {**with_messages_urls(application, URLS), **since, "id": "app"}
    restored = with_messages_webhooks_of(today, application)
    assert restored == {**content_of(application), **since, "capabilities": restored["capabilities"]}
    old = application["capabilities"].get("messages")
    new = restored["capabilities"].get("messages")
    assert (old is None) == (new is None)
    assert (old or {}).get("webhooks") == (new or {}).get("webhooks")


def test_a_second_time_nothing_changes() -> None:
    once = with_messages_urls({"id": "a", "name": "x"}, URLS)
    assert list(changes(once, with_messages_urls(once, URLS))) == []


def test_changes_name_the_path_and_hide_secrets_of_urls() -> None:
    before, after = {"a": {"b": "https://x.test/p?token=secret"}}, {"a": {"b": "https://y.test/p?token=other"}}
    [change] = changes(before, after)
    assert str(change) == "a.b: https://x.test/p?token=••• → https://y.test/p?token=•••"
    assert str(next(changes({}, {"a": 1}))) == "a: (not set) → 1"


def test_urls_of_the_sms_api_carry_the_accounts_url_token() -> None:
    account = Account(api_key="k", secrets=(), url_token="a/b &c")
    assert wanted_sms_settings("https://h.test", account) == SmsSettings(
        "https://h.test/webhooks/inbound-sms?token=a%2Fb%20%26c",
        "https://h.test/webhooks/delivery-receipt?token=a%2Fb%20%26c",
    )
    assert without_token("https://h.test/x") == "https://h.test/x"


@pytest.mark.parametrize(
    "url", [None, "", "hooks.example.com", "ftp://x", "https://x/?a=1", "https://x/#f", "https://"]
)
def test_a_public_url_that_cannot_be_one_is_refused_by_name(url: str | None) -> None:
    with pytest.raises(ConfigurationError, match="ACKFIRST_PUBLIC_URL"):
        check_public_url(url)


def test_a_trailing_slash_of_the_public_url_does_not_count() -> None:
    assert check_public_url("https://hooks.example.com/base/") == "https://hooks.example.com/base"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:s3cret@h.test/x?key=s3cret", "https://•••@h.test/x?key=•••"),
        ("HTTPS://me:s3/cr@et@h.test/x", "HTTPS://•••@h.test/x"),
        ("https://[hooks", "https://[hooks"),
    ],
)
def test_a_password_in_a_url_is_not_shown_whatever_is_set_at_nexmo(url: str, shown: str) -> None:
    assert without_token(url) == shown


def test_a_password_deep_in_what_changes_as_a_whole_is_not_shown() -> None:
    webhooks = {"webhooks": {"status_url": {"address": "https://me:s3cret@h.test/?token=s3cret"}}}
    assert [str(change) for change in changes({"messages": [webhooks]}, {})] == [
        "messages: [{'webhooks': {'status_url': {'address': 'https://•••@h.test/?token=•••'}}}] → (not set)"
    ]


@pytest.mark.parametrize("capabilities", [None, ["messages"], {"messages": None}, {"messages": []}])
def test_an_application_of_an_unknown_shape_has_no_messages(capabilities: object) -> None:
    assert not has_messages({"id": "a", "capabilities": capabilities})
    assert messages_url({"id": "a", "capabilities": capabilities}, "inbound_url") == ""
