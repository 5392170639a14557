"""The accounts file: what it may say, and what is said of its mistakes."""

from pathlib import Path

import pytest

from ackfirst.shared.accounts import Application
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.settings.accounts_toml import parse_accounts

ROOT = Path(__file__).resolve().parents[3]


def refusal(content: bytes) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_accounts(content, "ackfirst.toml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_describes_accounts_and_their_applications() -> None:
    first, second = parse_accounts(
        b"""\xef\xbb\xbf
        [accounts.abcd1234]
        name = "Shop"
        secrets = ["new", "old \xc3\xa9"]
        sms_signature_method = "sha256"
        lane = "shop"
        [accounts.abcd1234.applications.c4a1e7d0]
        name = "Staging"
        lane = "test"
        [accounts.efgh5678]
        allow_unsigned = ["inbound-sms", "delivery-receipt"]
        url_token = "lantern"
        """,
        "ackfirst.toml",
    )
    assert (first.api_key, first.name, first.lane) == ("abcd1234", "Shop", "shop")
    assert first.secrets == (b"new", "old é".encode())
    assert first.sms_signature_method == "sha256"
    assert first.applications == {"c4a1e7d0": Application(id="c4a1e7d0", name="Staging", lane="test")}
    assert second.allow_unsigned == {Family.INBOUND_SMS, Family.DELIVERY_RECEIPT}
    assert second.url_token == "lantern"
    assert second.sms_signature_method == "md5hash"


def test_the_example_file_is_a_valid_one() -> None:
    accounts = parse_accounts((ROOT / "ackfirst.example.toml").read_bytes(), "ackfirst.example.toml")
    assert [account.api_key for account in accounts] == ["abcd1234", "efgh5678"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x =", "ackfirst.toml is not valid TOML: Invalid value (at end of document)"),
        (b"\xff", "ackfirst.toml is not UTF-8 text (byte 0)"),
        (b"[account.a]", "ackfirst.toml: 'account' is not a key here; did you mean accounts?"),
        (b"accounts = 3", "ackfirst.toml, accounts: it should be a table"),
        (b"[accounts]\na = 3", "ackfirst.toml, account a: it should be a table"),
        (b"[accounts.a]\nlanes = 'x'", "ackfirst.toml, account a: 'lanes' is not a key here; did you mean lane?"),
        (b"[accounts.a]\nsecrets = ['x', '']", "ackfirst.toml, account a, secrets, entry 2: the value is blank"),
        (b"[accounts.a]\nsecrets = 'x'", 'ackfirst.toml, account a, secrets: it should be a list, such as ["…"]'),
        (b"[accounts.a]\nsecrets = [5]", "ackfirst.toml, account a, secrets, entry 1: it should be a text in quotes"),
        (b"[accounts.a]\nurl_token = ''", "ackfirst.toml, account a, url_token: the value is blank"),
        (
            b"[accounts.a]\nsms_signature_method = 'md4'",
            (
                "ackfirst.toml, account a, sms_signature_method: "
                "it should be 'md5hash', 'md5', 'sha1', 'sha256' or 'sha512'"
            ),
        ),
        (
            b"[accounts.a.applications.x]\nlane = 'a b'",
            (
                "ackfirst.toml, account a, application x, lane: "
                "a lane's name is 1 to 64 letters, digits, hyphens and underscores"
            ),
        ),
        (
            b"[accounts.a.applications.x]\nlan = 'a'",
            "ackfirst.toml, account a, application x: 'lan' is not a key here; did you mean lane?",
        ),
    ],
)
def test_a_mistake_is_named_by_file_account_and_key(content: bytes, message: str) -> None:
    assert refusal(content) == message


def test_an_unknown_family_is_refused_with_the_known_ones() -> None:
    message = refusal(b"[accounts.a]\nallow_unsigned = ['sms']")
    assert message.startswith("ackfirst.toml, account a, allow_unsigned, entry 1: it should be 'inbound-message'")


def test_a_file_nested_without_end_is_refused() -> None:
    assert "not valid TOML" in refusal(b"a = " + b"[" * 50_000)


def test_a_secret_in_a_refused_file_is_not_repeated() -> None:
    assert "orchid" not in refusal(b"[accounts.a]\nsecrets = 'orchid'\nurl_token = ['orchid']")
