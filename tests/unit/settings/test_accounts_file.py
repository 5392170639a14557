"""The accounts of the file and of the environment together."""

from pathlib import Path

import pytest

from ackfirst.shared.accounts import Accounts
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.settings import load_settings
from ackfirst.shared.settings.accounts_file import load_accounts


def load(config: Path, **environ: str) -> Accounts:
    named = {f"ACKFIRST_{name}": value for name, value in environ.items()}
    return load_accounts(load_settings({"ACKFIRST_CONFIG": str(config), **named}))


def test_without_a_file_and_without_a_name_there_are_no_accounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(load_accounts(load_settings({}))) == 0


def test_a_named_file_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no\.toml does not exist: check ACKFIRST_CONFIG"):
        load(tmp_path / "no.toml")


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(tmp_path)


def test_an_account_without_any_way_to_confirm_it_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[accounts.abcd1234]\nname = 'Shop'")
    with pytest.raises(
        ConfigurationError, match=r"abcd1234 has no signature secret: list it under secrets in .*a\.toml"
    ):
        load(file)


def test_an_api_key_without_a_secret_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="ACKFIRST_SIGNATURE_SECRET"):
        load_accounts(load_settings({"ACKFIRST_API_KEY": "abcd1234"}))


def test_the_environment_alone_can_describe_one_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {
        "ACKFIRST_API_KEY": "abcd1234",
        "ACKFIRST_SIGNATURE_SECRET": "orchid",
        "ACKFIRST_SMS_SIGNATURE_METHOD": "sha512",
    }
    (account,) = load_accounts(load_settings(environ))
    assert (account.api_key, account.secrets) == ("abcd1234", (b"orchid",))
    assert account.sms_signature_method == "sha512"


def test_the_environments_secret_comes_before_those_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[accounts.a]\nsecrets = ['old', 'new']\nlane = 'x'\nsms_signature_method = 'sha1'\n")
    (account,) = load(file, API_KEY="a", SIGNATURE_SECRET="new")
    assert account.secrets == (b"new", b"old")
    assert account.lane == "x"
    assert account.sms_signature_method == "sha1"


def test_the_environments_method_wins_only_when_it_is_given(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[accounts.a]\nsecrets = ['old']\nsms_signature_method = 'sha1'\n")
    (account,) = load(file, API_KEY="a", SIGNATURE_SECRET="new", SMS_SIGNATURE_METHOD="md5")
    assert account.sms_signature_method == "md5"


def test_an_account_of_the_environment_stands_beside_those_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[accounts.a]\nsecrets = ['x']\n")
    assert [account.api_key for account in load(file, API_KEY="b", SIGNATURE_SECRET="y")] == ["a", "b"]
