"""The password that is made when none is configured."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ackfirst.ops.web.password import PASSWORD_FILE, load_or_create_password
from ackfirst.shared.errors import ConfigurationError


def test_processes_that_start_together_get_the_same_password(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    with ThreadPoolExecutor(8) as pool:
        passwords = set(pool.map(load_or_create_password, [folder] * 32))
    assert len(passwords) == 1
    assert [file.name for file in folder.iterdir()] == ["web-password"]


def test_each_data_folder_has_its_own_password(tmp_path: Path) -> None:
    assert load_or_create_password(tmp_path / "a") != load_or_create_password(tmp_path / "b")


def test_a_password_written_by_hand_is_used_and_protected(tmp_path: Path) -> None:
    (tmp_path / PASSWORD_FILE).write_text("harbour Öl\n", encoding="utf-8")
    (tmp_path / PASSWORD_FILE).chmod(0o644)
    assert load_or_create_password(tmp_path) == "harbour Öl"
    assert stat.S_IMODE((tmp_path / PASSWORD_FILE).stat().st_mode) == 0o600


def test_its_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    former = os.umask(0)
    try:
        load_or_create_password(tmp_path)
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / PASSWORD_FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b" \n"])
def test_an_empty_password_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / PASSWORD_FILE).write_bytes(content)
    with pytest.raises(ConfigurationError, match="web-password is empty"):
        load_or_create_password(tmp_path)


def test_a_password_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / PASSWORD_FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="it is not text"):
        load_or_create_password(tmp_path)
