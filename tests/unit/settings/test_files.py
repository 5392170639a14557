"""Folders and files of ours that other users of the machine must not read."""

import os
import stat
from pathlib import Path

import pytest

from ackfirst.shared.private_folder import make_private_folder
from ackfirst.shared.settings import Settings, load_settings
from ackfirst.shared.settings.files import protect_files
from tests.support.ingest import RecordingLog


@pytest.fixture(autouse=True)
def _usual_umask() -> None:
    os.umask(0o022)


def settings(folder: Path) -> Settings:
    return load_settings({"ACKFIRST_DATA_DIR": str(folder / "a" / "data"), "ACKFIRST_CONFIG": str(folder / "my.toml")})


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_data_folder_and_those_above_it_are_created_for_their_owner_only(tmp_path: Path) -> None:
    log = RecordingLog()
    protect_files(settings(tmp_path), log)
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "data"), log.lines) == (0o700, 0o700, [])


def test_a_data_folder_that_exists_keeps_its_mode_and_its_parts_are_private(tmp_path: Path) -> None:
    ours = settings(tmp_path)
    ours.data_dir.mkdir(parents=True)
    ours.data_dir.chmod(0o755)
    protect_files(ours, RecordingLog())
    make_private_folder(ours.data_dir / "spool")
    assert (mode(ours.data_dir), mode(ours.data_dir / "spool")) == (0o755, 0o700)


@pytest.mark.parametrize("found", [0o755, 0o701, 0o770])
def test_a_data_folder_that_others_may_enter_or_change_is_a_warning(tmp_path: Path, found: int) -> None:
    ours = settings(tmp_path)
    ours.data_dir.mkdir(parents=True)
    ours.data_dir.chmod(found)
    log = RecordingLog()
    protect_files(ours, log)
    (line,) = log.of("files.exposed")
    assert (line["path"], line["mode"]) == (str(ours.data_dir), f"{found:04o}")


@pytest.mark.parametrize(
    ("found", "is_warned"), [(0o644, True), (0o602, True), (0o620, True), (0o600, False), (0o440, False)]
)
def test_a_file_of_accounts_that_others_may_read_or_change_is_a_warning(
    tmp_path: Path, found: int, is_warned: bool
) -> None:
    ours = settings(tmp_path)
    ours.config.touch()
    ours.config.chmod(found)
    log = RecordingLog()
    protect_files(ours, log)
    assert [line["path"] for line in log.of("files.exposed")] == [str(ours.config)] * is_warned


def test_a_data_folder_that_cannot_be_created_is_left_to_those_who_need_it(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    protect_files(settings(tmp_path), RecordingLog())
