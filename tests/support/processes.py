"""Real ``ackfirst`` processes, started and ended by a test."""

import functools
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.waiting import wait_until
from tests.support.warm import WarmProcess, WarmServer

ROOT = Path(__file__).resolve().parents[2]
#: Variables that are read when a program or a library is loaded: aiohttp loads the certificates then.
READ_BY_IMPORTS = ("LD_PRELOAD", "SSL_CERT_FILE")


def clean_environment(**settings: str) -> dict[str, str]:
    """This process's environment without any ``ACKFIRST_*`` name, plus ``settings``."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ACKFIRST_")}
    return {**inherited, "PYTHONUNBUFFERED": "1", **settings}


@functools.cache
def _warm_server() -> WarmServer:
    """Start the warm interpreter of this test process, once."""
    return WarmServer(clean_environment(PYTHONPATH=str(ROOT)), ROOT)


def start(
    args: Sequence[str], cwd: Path, env: Mapping[str, str], output: Path, errors: Path, *, warm: bool = True
) -> subprocess.Popen[bytes] | WarmProcess:
    """Start a command in a session of its own, with its output and its errors at the end of files that exist.

    In a test it is the fork of a warm interpreter, which saves a second of importing; elsewhere, and without ``warm``,
    a new interpreter.
    """
    is_like_ours = all(env.get(name) == os.environ.get(name) for name in READ_BY_IMPORTS)
    if warm and is_like_ours and "PYTEST_CURRENT_TEST" in os.environ:
        return _warm_server().start(args, cwd=cwd, env=env, output=output, errors=errors)
    with output.open("ab") as out, errors.open("ab") as err:
        return subprocess.Popen(
            [sys.executable, "-m", "ackfirst", *args],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )


class Cli:
    """One ``ackfirst ...`` process with its output in a file; killed at the end of the ``with`` block.

    A worker keeps no record unless ``env`` names a store.
    """

    def __init__(
        self, *args: str, cwd: Path, env: Mapping[str, str] | None = None, name: str = "cli", warm: bool = True
    ) -> None:
        self.args = args
        self._is_warm = warm
        self.cwd = cwd
        self.env = clean_environment(**(env or {}))
        if args[0] == "worker":
            # A process of its own writes the record, and a second of CPU is half of what a pool takes to start.
            self.env.setdefault("ACKFIRST_STORE_URL", "off")
        self.output_file = cwd / f"{name}.out"
        self.process: subprocess.Popen[bytes] | WarmProcess

    def __enter__(self) -> Self:
        # No empty part: Python would read it as the working folder.
        self.env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), self.env.get("PYTHONPATH")]))
        self.output_file.write_bytes(b"")
        self.process = start(self.args, self.cwd, self.env, self.output_file, self.output_file, warm=self._is_warm)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(timeout=10)
        if error is not None:
            sys.stderr.write(f"--- output of ackfirst {' '.join(self.args)}\n{self.output[-8000:]}\n")

    @property
    def output(self) -> str:
        return self.output_file.read_text(errors="replace")

    def wait(self, timeout: float = 20.0) -> int:
        """Exit code."""
        return self.process.wait(timeout=timeout)

    def terminate(self, timeout: float = 20.0) -> int:
        """SIGTERM; exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(timeout)

    def wait_for_output(self, text: str, timeout: float = 20.0) -> None:
        wait_until(lambda: text in self.output or self._died(), timeout=timeout, message=f"{text!r} in the output")
        assert text in self.output, f"ended with {self.process.returncode}:\n{self.output[-4000:]}"

    def _died(self) -> bool:
        return self.process.poll() is not None


def run_cli(
    *args: str, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 60.0, warm: bool = True
) -> Cli:
    """Run a command to its end; ``.process.returncode`` and ``.output`` tell the rest."""
    with Cli(*args, cwd=cwd, env=env, warm=warm) as cli:
        cli.wait(timeout)
    return cli


def command_output(
    *args: str, cwd: Path, env: Mapping[str, str], merged: bool = False, timeout: float = 90.0
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end in exactly this environment; with ``merged`` its errors are in its output."""
    with tempfile.TemporaryDirectory(prefix="af-") as folder:
        output = Path(folder, "output")
        errors = output if merged else Path(folder, "errors")
        output.touch()
        errors.touch()
        process = start(args, cwd, env, output, errors)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        said = "" if merged else errors.read_text()
        return subprocess.CompletedProcess(list(args), code, output.read_text(), said)
