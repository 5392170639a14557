"""A lock that the kernel gives back when its holder ends."""

import subprocess
from pathlib import Path

import pytest

from ackfirst.shared.embedded.lock import FileLock
from tests.support.waiting import wait_until


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    one, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")

    assert one.take()
    assert not other.take()
    one.release()
    assert other.take()
    other.release()


def test_asking_does_not_take_it(tmp_path: Path) -> None:
    one, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")

    assert one.is_free()
    assert other.take()
    assert not one.is_free()
    assert not other.is_free()
    other.release()


def test_a_process_that_inherited_it_holds_it_until_it_is_killed(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.take()
    holder = subprocess.Popen(["sleep", "60"], pass_fds=(lock.fileno(),))
    lock.release()

    assert not lock.is_free()
    holder.kill()
    holder.wait()
    wait_until(lock.is_free)


def test_it_says_who_signed_it(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.take()

    assert lock.signature() == "process unknown"
    lock.sign(4711)
    assert FileLock(tmp_path / "lock").signature() == "process 4711"
    lock.release()


def test_a_lock_that_is_not_held_has_no_descriptor(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not locked"):
        FileLock(tmp_path / "lock").fileno()
