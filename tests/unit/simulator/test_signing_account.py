"""The account in whose name the simulator signs."""

import pytest

from ackfirst.shared.accounts import Account, Accounts, Application
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.nexmo.family import Family
from ackfirst.simulator.account import AccountOptions, made_up_applications, signing_account

FIRST = Account(api_key="first", secrets=(b"one", b"old"), sms_signature_method="sha256")
SECOND = Account(
    api_key="second",
    secrets=(b"two",),
    applications={"app-1": Application(id="app-1")},
    allow_unsigned=frozenset({Family.INBOUND_SMS}),
    url_token="t",
)
UNSIGNED_ONLY = Account(api_key="bare", secrets=(), allow_unsigned=frozenset({Family.INBOUND_SMS}))


def test_the_first_configured_account_signs_with_its_first_secret() -> None:
    account = signing_account(AccountOptions(), Accounts([UNSIGNED_ONLY, FIRST, SECOND]))
    assert (account.api_key, account.secret, account.sms_method) == ("first", b"one", "sha256")


def test_an_account_that_is_named_brings_everything_that_is_configured_for_it() -> None:
    account = signing_account(AccountOptions(api_key="second"), Accounts([FIRST, SECOND]))
    assert (account.secret, account.applications, account.url_token) == (b"two", ("app-1",), "t")
    assert account.allow_unsigned == {Family.INBOUND_SMS}


def test_options_win_over_the_configuration() -> None:
    wanted = AccountOptions(api_key="first", secret="mine", sms_method="sha1", applications=("app-9",))
    account = signing_account(wanted, Accounts([FIRST]))
    assert (account.secret, account.sms_method, account.applications) == (b"mine", "sha1", ("app-9",))


def test_an_account_that_is_not_configured_needs_key_and_secret_only() -> None:
    account = signing_account(AccountOptions(api_key="new", secret="s"), Accounts())
    assert (account.api_key, account.secret, account.sms_method) == ("new", b"s", "md5hash")


def test_made_up_applications_are_the_same_in_every_run_and_differ_between_accounts() -> None:
    assert made_up_applications("a") == made_up_applications("a")
    assert set(made_up_applications("a")).isdisjoint(made_up_applications("b"))


@pytest.mark.parametrize("accounts", [Accounts(), Accounts([UNSIGNED_ONLY])])
def test_without_any_account_the_error_names_both_variables(accounts: Accounts) -> None:
    with pytest.raises(ConfigurationError, match=r"ACKFIRST_API_KEY and ACKFIRST_SIGNATURE_SECRET"):
        signing_account(AccountOptions(), accounts)


@pytest.mark.parametrize("api_key", ["bare", "unknown"])
def test_an_account_without_a_known_secret_is_refused_by_name(api_key: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{api_key}.*--secret"):
        signing_account(AccountOptions(api_key=api_key), Accounts([UNSIGNED_ONLY]))


def test_an_empty_secret_is_no_secret() -> None:
    with pytest.raises(ConfigurationError, match="--secret"):
        signing_account(AccountOptions(api_key="first", secret=""), Accounts([FIRST]))


def test_secrets_are_never_shown_by_repr() -> None:
    account = signing_account(AccountOptions(api_key="k", secret="hush-hush"), Accounts())
    assert "hush" not in repr(account)
    assert "hush" not in repr(AccountOptions(secret="hush-hush"))
