"""A running ``ackfirst dev`` with ports of its own, and what it has started."""

import json
from pathlib import Path
from typing import Any

import redis

from ackfirst.shared.embedded import operator_settings
from ackfirst.shared.queue import keys
from tests.support.factories import API_KEY, SECRET
from tests.support.nexmo import Nexmo
from tests.support.ports import free_port
from tests.support.processes import Cli
from tests.support.supervised import is_alive

HANDLERS = """
from ackfirst import on

@on("inbound-message")
def note(event):
    with open("seen", "a") as seen:
        seen.write(event.text + "\\n")
"""


class Dev(Cli):
    """The process. ``settings`` are ``ACKFIRST_*`` names without the prefix; the data folder is ``.ackfirst``."""

    def __init__(self, folder: Path, *args: str, name: str = "dev", **settings: str) -> None:
        self.port, self.admin_port, self.web_port = free_port(), free_port(), free_port()
        (folder / "callbacks.py").write_text(HANDLERS)
        environ = {
            "LISTEN": f"127.0.0.1:{self.port}",
            "ADMIN_LISTEN": f"127.0.0.1:{self.admin_port}",
            "WEB_LISTEN": f"127.0.0.1:{self.web_port}",
            "API_KEY": API_KEY,
            "SIGNATURE_SECRET": SECRET,
            "HANDLERS": "callbacks",
            "LOG_FORMAT": "json",
            "ACK_DEADLINE": "5",  # a machine that is busy with other tests is no outage
            **settings,
        }
        environ = {f"ACKFIRST_{setting}": value for setting, value in environ.items()}
        super().__init__("dev", *args, cwd=folder, env=environ, name=name)
        self.nexmo = Nexmo(self.port)

    def wait_until_ready(self) -> None:
        self.wait_for_output("ackfirst is ready.", timeout=40)

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.splitlines() if line.startswith("{") and line.endswith("}")]

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line["event"] == event]

    @property
    def started(self) -> list[int]:
        """Every process that a supervisor has started, at any depth."""
        return [line["pid"] for line in self.logged("child.started")]

    @property
    def queue(self) -> int:
        """The process id of the embedded server."""
        return int((self.cwd / ".ackfirst" / "valkey" / "server.lock").read_text())

    @property
    def takes_stop_signals(self) -> bool:
        """Whether the processes that start last handle SIGTERM: before, the signal itself ends them."""
        settings = operator_settings({"ACKFIRST_DATA_DIR": str(self.cwd / ".ackfirst")}, str)
        with redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
            return client.exists(keys.JANITOR_LEASE, keys.RECORDER_LEASE) == 2

    @property
    def survivors(self) -> list[int]:
        return [pid for pid in self.started if is_alive(pid)]

    @property
    def seen(self) -> list[str]:
        """The texts that the handler has seen."""
        file = self.cwd / "seen"
        return file.read_text().splitlines() if file.exists() else []
