"""The parts of ackfirst as real processes on loopback, for tests that look at the whole road."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.factories import API_KEY, SECRET
from tests.support.nexmo import Nexmo
from tests.support.ports import free_port
from tests.support.processes import Cli, run_cli
from tests.support.waiting import wait_until


def settings(redis_url: str, folder: Path, **more: str) -> dict[str, str]:
    """The environment of a one-account installation."""
    return {
        "ACKFIRST_REDIS_URL": redis_url,
        "ACKFIRST_DATA_DIR": str(folder / "data"),
        "ACKFIRST_API_KEY": API_KEY,
        "ACKFIRST_SIGNATURE_SECRET": SECRET,
        "ACKFIRST_LOG_FORMAT": "json",
        **more,
    }


@contextmanager
def ingest(folder: Path, env: Mapping[str, str], *args: str) -> Iterator[Nexmo]:
    """A running ``ackfirst ingest`` and a Nexmo that posts to it."""
    port, admin_port = free_port(), free_port()
    listen = {"ACKFIRST_LISTEN": f"127.0.0.1:{port}", "ACKFIRST_ADMIN_LISTEN": f"127.0.0.1:{admin_port}"}
    nexmo = Nexmo(port)
    with Cli("ingest", *args, cwd=folder, env={**env, **listen}, name="ingest") as process:
        wait_until(lambda: _answers(nexmo, process), timeout=20, message="ingest answers /healthz")
        yield nexmo


def _answers(nexmo: Nexmo, process: Cli) -> bool:
    assert process.process.poll() is None, process.output[-4000:]
    try:
        return nexmo.request("GET", "/healthz") == 200
    except OSError:
        return False


def work_until_empty(folder: Path, env: Mapping[str, str], *args: str) -> Cli:
    """Run ``ackfirst worker --burst`` to its end."""
    worker = run_cli("worker", "--burst", *args, cwd=folder, env=env)
    assert worker.process.returncode == 0, worker.output[-4000:]
    return worker
