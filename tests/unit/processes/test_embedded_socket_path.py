"""Where the embedded server's socket lies."""

import os
from pathlib import Path

import pytest

from ackfirst.shared.embedded import socket_path
from ackfirst.shared.errors import ConfigurationError

LONG = Path("/" + "/".join(["a" * 50] * 4))


def test_in_the_servers_folder_where_the_path_is_short_enough() -> None:
    assert socket_path.choose(Path("/srv/ackfirst/valkey")) == Path("/srv/ackfirst/valkey/server.sock")


def test_a_long_path_is_replaced_by_a_short_one_in_a_folder_of_our_own(short_folder: Path) -> None:
    socket = socket_path.choose(LONG, temporary=short_folder)

    assert len(os.fsencode(socket)) <= socket_path.LONGEST_BYTES
    assert socket.parent.parent == short_folder
    assert socket.parent.stat().st_mode & 0o777 == 0o700


def test_the_short_path_is_always_the_same_for_a_folder_and_differs_between_folders(short_folder: Path) -> None:
    def choose(folder: Path) -> Path:
        return socket_path.choose(folder, temporary=short_folder)

    assert choose(LONG) == choose(LONG)
    assert choose(LONG) != choose(LONG / "other")


@pytest.mark.parametrize("length", [socket_path.LONGEST_BYTES, socket_path.LONGEST_BYTES + 1])
def test_the_limit_itself_fits(length: int, short_folder: Path) -> None:
    folder = Path("/" + "a" * (length - len("//server.sock")))

    assert len(os.fsencode(folder / "server.sock")) == length
    chosen = socket_path.choose(folder, temporary=short_folder)
    assert (chosen.parent == folder) == (length <= socket_path.LONGEST_BYTES)


@pytest.mark.parametrize("name", ["my project", "a=b", "two\nlines", "grün", "\udcff"])
def test_a_path_that_redis_py_could_not_read_back_is_replaced_too(name: str, short_folder: Path) -> None:
    chosen = socket_path.choose(Path("/srv") / name / "valkey", temporary=short_folder)

    assert chosen.parent.parent == short_folder


def test_where_the_temporary_folder_is_no_better_tmp_is_used(short_folder: Path) -> None:
    (short_folder / "not fit").mkdir()
    chosen = socket_path.choose(LONG, temporary=short_folder / "not fit")
    chosen.parent.rmdir()

    assert chosen.parent.parent == Path("/tmp")


def test_a_folder_that_others_may_enter_is_refused(short_folder: Path) -> None:
    planted = socket_path.choose(LONG / "planted", temporary=short_folder).parent
    planted.chmod(0o777)

    with pytest.raises(ConfigurationError, match=str(planted)):
        socket_path.choose(LONG / "planted", temporary=short_folder)


def test_a_link_to_somewhere_else_is_refused(short_folder: Path, tmp_path: Path) -> None:
    planted = socket_path.choose(LONG / "linked", temporary=short_folder).parent
    planted.rmdir()
    tmp_path.chmod(0o700)
    planted.symlink_to(tmp_path)

    with pytest.raises(ConfigurationError, match="set a shorter ACKFIRST_DATA_DIR"):
        socket_path.choose(LONG / "linked", temporary=short_folder)


def test_the_short_folder_goes_with_the_socket(short_folder: Path) -> None:
    socket = socket_path.choose(LONG / "gone", temporary=short_folder)
    socket.touch()

    socket_path.remove(socket, LONG / "gone")

    assert not socket.parent.exists()


def test_the_servers_own_folder_stays(tmp_path: Path) -> None:
    socket_path.remove(tmp_path / "server.sock", tmp_path)

    assert tmp_path.exists()
