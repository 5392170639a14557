"""Traffic through the edge: ``ackfirst simulate`` as a process of its own, until it is stopped."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from ackfirst.simulator.command import INTERRUPTED
from tests.support.factories import API_KEY, SECRET

#: Callbacks a second.
RATE: Final = 200

#: Seconds after which it ends by itself, whatever the step does.
LONGEST: Final = 240

#: Seconds to answer what is in flight and to write the ledger.
_LAST_WORDS: Final = 60


@dataclass(frozen=True, slots=True)
class Sent:
    """What the sender knows at the end."""

    callbacks: int
    acked: frozenset[str]
    """Events that were answered 200."""
    refused: Mapping[str, int]
    """Other answers → how many; ``none`` is no answer at all."""
    latency_ms: Mapping[str, float]


class Load:
    """Genuine callbacks, some of them twice, at a steady rate for as long as the block runs."""

    def __init__(self, url: str, folder: Path, *, seed: int) -> None:
        self._ledger = folder / f"ledger-{seed}.jsonl"
        self._output = folder / f"simulate-{seed}.json"
        self._argv = [
            *(sys.executable, "-m", "ackfirst", "simulate", url, "--rate", str(RATE), "--count", str(RATE * LONGEST)),
            *("--seed", str(seed), "--concurrency", "2000", "--duplicates", "0.03", "--disorder", "0.1"),
            *("--wrong-secret", "0", "--unsigned", "0", "--tampered", "0"),
            *("--json", "--ledger", str(self._ledger)),
        ]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ACKFIRST_")}
        self._env = {**kept, "ACKFIRST_API_KEY": API_KEY, "ACKFIRST_SIGNATURE_SECRET": SECRET}
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(self._argv, cwd=self._folder, env=self._env, stdout=output)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def is_running(self) -> bool:
        """Whether it still sends."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> Sent:
        """Send no more, and say what was sent."""
        assert self._process is not None
        if self.is_running:
            self._process.send_signal(signal.SIGINT)
        code = self._process.wait(_LAST_WORDS)
        report = json.loads(self._output.read_text())
        assert code in (0, 1, INTERRUPTED), f"the simulator ended with {code}"
        return _read([json.loads(line) for line in self._ledger.read_text().splitlines()], report)


def _read(entries: list[dict[str, Any]], report: dict[str, Any]) -> Sent:
    answers = Counter(answer for entry in entries for answer in entry["answers"])
    return Sent(
        callbacks=len(entries),
        acked=frozenset(entry["event_id"] for entry in entries if entry["acked"] and entry["event_id"]),
        refused={str(status or "none"): count for status, count in answers.items() if status != 200},
        latency_ms=report["latency_ms"] or {},
    )
