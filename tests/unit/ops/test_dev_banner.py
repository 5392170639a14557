"""The banner of ``ackfirst dev``."""

from pathlib import Path

import pytest

from ackfirst.ops.banner import banner, url
from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.settings import Address, load_settings

ONE_ACCOUNT = Accounts([Account(api_key="k7m2p9qa", secrets=(b"orchid-Lantern-42",), name="Harbour")])


def text(accounts: Accounts = ONE_ACCOUNT, **environ: str) -> str:
    return banner(load_settings(environ), accounts, environ, queue="unix:///x")


@pytest.mark.parametrize("name", ["inbound-message", "message-status", "inbound-sms", "delivery-receipt"])
def test_it_gives_every_webhook_url(name: str) -> None:
    assert f"http://127.0.0.1:18080/webhooks/{name}\n" in text(ACKFIRST_LISTEN=":18080")


def test_it_says_where_to_look_and_how_to_get_in() -> None:
    said = text(ACKFIRST_ADMIN_LISTEN="[::1]:18081", ACKFIRST_WEB_LISTEN="127.0.0.1:19181", ACKFIRST_DATA_DIR="d")

    assert "http://[::1]:18081/readyz" in said
    assert "http://127.0.0.1:19181/" in said
    assert "user ackfirst, password in d/web-password" in said
    assert str(Path("d").resolve()) in said


def test_no_secret_is_shown() -> None:
    said = text(ACKFIRST_WEB_PASSWORD="tidal-Compass")

    assert "tidal-Compass" not in said
    assert "password in ACKFIRST_WEB_PASSWORD" in said
    assert "orchid-Lantern-42" not in said


def test_it_names_the_file_that_the_password_came_from(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("tidal-Compass")
    assert f"password in {file}\n" in text(ACKFIRST_WEB_PASSWORD_FILE=str(file))


def test_it_names_the_account_and_the_handlers() -> None:
    said = text(ACKFIRST_HANDLERS="myapp.callbacks,myapp.receipts")

    assert "k7m2p9qa (Harbour)" in said
    assert "myapp.callbacks, myapp.receipts" in said


@pytest.mark.parametrize(("policy", "answer"), [("never-stall", "200"), ("strict", "401")])
def test_without_an_account_it_says_what_happens_to_callbacks(policy: str, answer: str) -> None:
    said = text(Accounts(), ACKFIRST_POLICY=policy)

    assert f"answered {answer} and kept in quarantine" in said
    assert "ACKFIRST_SIGNATURE_SECRET" in said


def test_without_handlers_it_says_what_happens_to_events() -> None:
    assert "Set ACKFIRST_HANDLERS to your module" in text()


def test_it_fits_a_terminal() -> None:
    assert max(map(len, text(Accounts(), ACKFIRST_DATA_DIR="/d").splitlines())) <= 100


def test_a_server_on_all_interfaces_is_found_at_the_loopback_address() -> None:
    assert Address("0.0.0.0", 80).local() == Address("127.0.0.1", 80)
    assert url(Address("::", 80)) == "http://[::1]:80"
    assert url(Address("10.0.0.7", 80)) == "http://10.0.0.7:80"
