"""Real ``ackfirst`` processes, started and ended by a test."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]


def clean_environment(**settings: str) -> dict[str, str]:
    """This process's environment without any ``ACKFIRST_*`` name, plus ``settings``."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ACKFIRST_")}
    return {**inherited, "PYTHONUNBUFFERED": "1", **settings}


class Cli:
    """One ``ackfirst ...`` process with its output in a file; killed at the end of the ``with`` block.

    A worker keeps no record unless ``env`` names a store.
    """

    def __init__(self, *args: str, cwd: Path, env: Mapping[str, str] | None = None, name: str = "cli") -> None:
        self.args = args
        self.cwd = cwd
        self.env = clean_environment(**(env or {}))
        if args[0] == "worker":
            # A process of its own writes the record, and a second of CPU is half of what a pool takes to start.
            self.env.setdefault("ACKFIRST_STORE_URL", "off")
        self.output_file = cwd / f"{name}.out"
        self.process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        # No empty part: Python would read it as the working folder.
        self.env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), self.env.get("PYTHONPATH")]))
        with self.output_file.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ackfirst", *self.args],
                cwd=self.cwd,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
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


def run_cli(*args: str, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 60.0) -> Cli:
    """Run a command to its end; ``.process.returncode`` and ``.output`` tell the rest."""
    with Cli(*args, cwd=cwd, env=env) as cli:
        cli.wait(timeout)
    return cli
