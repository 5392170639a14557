"""Find a Docker engine: the one of this machine, or a stand-in that COMPOSE_TEST_ENGINE names."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]

#: A program that starts an engine of its own with images in place of the official ones: ``up``, ``env``, ``down``.
STAND_IN: Final = os.environ.get("COMPOSE_TEST_ENGINE")

#: Seconds. The first start of a stand-in installs packages and builds images.
_STAND_IN_TIMEOUT: Final = 900
_ASK_TIMEOUT: Final = 30
_PULL_TIMEOUT: Final = 600


class NoEngine(Exception):  # noqa: N818 - a state of the world, not a mistake
    """Nothing runs containers here; the message says what was looked for."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A Docker engine and how to speak to it."""

    what: str
    """In words, for the report."""
    env: Mapping[str, str]
    """The whole environment of every command."""
    compose: tuple[str, ...]
    """The command: the plugin, or the program of former years."""
    is_stand_in: bool = False


@contextmanager
def engine(images: tuple[str, ...]) -> Iterator[Engine]:
    """An engine that has ``images`` or can pull them; one that was started for this is stopped at the end.

    Raises:
        NoEngine: There is none, and no stand-in either.
    """
    environ = dict(os.environ)
    if (found := _answering(environ, "the Docker engine of this machine")) and _has(found, images):
        yield found
        return
    if not STAND_IN:
        raise NoEngine(
            "no Docker engine answers (docker info), or the images cannot be pulled: install Docker, start it, "
            f"and see that `docker pull {images[0]}` works, or set COMPOSE_TEST_ENGINE"
        )
    was_running = _answering(_stand_in_env(environ), "")
    _run_stand_in("up", timeout=_STAND_IN_TIMEOUT)
    try:
        found = _answering(_stand_in_env(environ), "a stand-in engine, Debian's packages in place of official images")
        if found is None:
            raise NoEngine("the stand-in engine has started, but does not answer")
        yield Engine(found.what, found.env, found.compose, is_stand_in=True)
    finally:
        if was_running is None:
            _run_stand_in("down", timeout=_ASK_TIMEOUT)


def _answering(environ: dict[str, str], what: str) -> Engine | None:
    compose = next((command for command in _COMPOSE if _succeeds([*command, "version"], environ)), None)
    if compose is None or not _succeeds(["docker", "info"], environ):
        return None
    shown = subprocess.run([*compose, "version", "--short"], env=environ, capture_output=True, text=True, check=False)
    return Engine(f"{what} (Compose {shown.stdout.strip()})", environ, compose)


_COMPOSE: Final = (("docker", "compose"), ("docker-compose",))


def _has(found: Engine, images: tuple[str, ...]) -> bool:
    return all(
        _succeeds(["docker", "image", "inspect", image], dict(found.env))
        or _succeeds(["docker", "pull", "--quiet", image], dict(found.env), timeout=_PULL_TIMEOUT)
        for image in images
    )


def _succeeds(command: list[str], environ: dict[str, str], *, timeout: float = _ASK_TIMEOUT) -> bool:
    if shutil.which(command[0], path=environ.get("PATH")) is None:
        return False
    try:
        return not subprocess.run(command, env=environ, capture_output=True, timeout=timeout, check=False).returncode
    except subprocess.TimeoutExpired:
        return False


def _run_stand_in(verb: str, *, timeout: float) -> str:
    assert STAND_IN
    done = subprocess.run([STAND_IN, verb], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=timeout, check=True)
    return done.stdout


def _stand_in_env(environ: dict[str, str]) -> dict[str, str]:
    """``export NAME=value NAME=value`` as an environment."""
    words = _run_stand_in("env", timeout=_ASK_TIMEOUT).split()[1:]
    given = dict(word.split("=", 1) for word in words)
    path = given.pop("PATH", "$PATH").replace("$PATH", environ.get("PATH", ""))
    return {**environ, **given, "PATH": path}
