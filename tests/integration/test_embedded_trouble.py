"""When the embedded server cannot start, one sentence says why and where to look."""

from pathlib import Path

import pytest

from ackfirst.shared.embedded import EmbeddedServer
from ackfirst.shared.errors import ConfigurationError
from tests.support.supervised import is_alive
from tests.support.waiting import wait_until


def _program(folder: Path, text: str) -> Path:
    program = folder / "server"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return program


def test_a_damaged_file_is_reported_with_the_servers_last_words_and_its_log(redis_folder: Path) -> None:
    with EmbeddedServer(redis_folder) as server:
        folder = server.folder
    manifest = next((folder / "appendonlydir").glob("*.manifest"))
    manifest.write_text("this is no manifest\n")

    with pytest.raises(ConfigurationError) as caught:
        EmbeddedServer(redis_folder).start()
    assert str(caught.value) == (
        f"the embedded server did not start: Invalid AOF manifest file format (log: {folder.resolve() / 'server.log'})"
    )


def test_after_a_failed_start_the_folder_is_free_again(redis_folder: Path) -> None:
    broken = _program(redis_folder, "echo out of luck; exit 1")
    with pytest.raises(ConfigurationError, match="did not start: out of luck"):
        EmbeddedServer(redis_folder, binary=lambda: broken).start()

    with EmbeddedServer(redis_folder) as server:
        assert is_alive(server.pid)


def test_a_server_that_never_answers_is_ended_and_reported(redis_folder: Path) -> None:
    silent = _program(redis_folder, f"echo $$ > {redis_folder}/pid; exec sleep 60")
    with pytest.raises(ConfigurationError, match="did not start: it printed nothing"):
        EmbeddedServer(redis_folder, binary=lambda: silent, patience=2).start()

    pid = int((redis_folder / "pid").read_text())
    wait_until(lambda: not is_alive(pid))


def test_a_binary_of_another_kind_of_machine_is_reported(redis_folder: Path) -> None:
    foreign = redis_folder / "server"
    foreign.write_bytes(b"\x7fELF not for us")
    foreign.chmod(0o755)

    with pytest.raises(ConfigurationError, match=f"cannot start {foreign}"):
        EmbeddedServer(redis_folder, binary=lambda: foreign).start()


def test_a_data_folder_that_is_a_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigurationError, match="check ACKFIRST_DATA_DIR"):
        EmbeddedServer(tmp_path / "file").start()
