"""Secrets that are kept in files."""

from pathlib import Path

import pytest

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.settings import load_settings


def test_a_secret_may_come_from_a_file_without_its_last_newline(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(" orchid lantern \r\n")
    settings = load_settings({"ACKFIRST_API_KEY": "k", "ACKFIRST_SIGNATURE_SECRET_FILE": str(file)})
    assert settings.signature_secret.get_secret_value() == " orchid lantern "


@pytest.mark.parametrize("content", [b"\xef\xbb\xbforchid\r\n", b"orchid\r", b"orchid\n\n", "\ufefforchid".encode()])
def test_a_byte_order_mark_and_line_ends_of_windows_are_no_part_of_a_secret(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    settings = load_settings({"ACKFIRST_API_KEY": "k", "ACKFIRST_SIGNATURE_SECRET_FILE": str(file)})
    assert settings.signature_secret is not None
    assert settings.signature_secret.get_secret_value() == "orchid"


def test_a_redis_url_from_a_file_counts_as_chosen(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("unix:///tmp/s")
    assert load_settings({"ACKFIRST_REDIS_URL_FILE": str(file)}).redis_url_given


def test_a_secret_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("unix:///tmp/s")
    with pytest.raises(ConfigurationError, match="ACKFIRST_REDIS_URL and ACKFIRST_REDIS_URL_FILE are both set"):
        load_settings({"ACKFIRST_REDIS_URL": "unix:///tmp/t", "ACKFIRST_REDIS_URL_FILE": str(file)})


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "cannot be read: No such file"), (b"\n", "is empty"), (b"\xff\xfe", "not UTF-8")],
)
def test_a_file_without_a_secret_is_refused_by_its_name(tmp_path: Path, content: bytes | None, problem: str) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=problem) as caught:
        load_settings({"ACKFIRST_WEB_PASSWORD_FILE": str(file)})
    assert "ACKFIRST_WEB_PASSWORD_FILE" in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_blank_file_is_refused_like_a_blank_value(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("   \n")
    with pytest.raises(ConfigurationError, match="ACKFIRST_WEB_PASSWORD: the value is blank"):
        load_settings({"ACKFIRST_WEB_PASSWORD_FILE": str(file)})
