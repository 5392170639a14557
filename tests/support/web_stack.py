"""A real ingest, worker, record and page for a browser, on a Redis that the test can stop."""

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.factories import API_KEY, SECRET, inbound_message
from tests.support.nexmo import signed_headers
from tests.support.ports import free_port
from tests.support.processes import Cli
from tests.support.redis_process import RedisProcess
from tests.support.waiting import wait_until

PASSWORD, VIEWER_PASSWORD = "larch-7", "birch-7"

HANDLERS = """
from pathlib import Path
from ackfirst import on

@on("inbound-message")
def answer(event):
    if Path("broken").exists():
        raise ConnectionError("crm.internal refused")
    return "answered"
"""


@dataclass
class WebStack:
    """What a test does with the stack."""

    folder: Path
    redis: RedisProcess
    public: str
    page: str

    def post(self, *, secret: str = SECRET, **fields: Any) -> str:
        """Send a signed callback; its message id."""
        message_id = f"6f1d2b0e-3c55-4d8a-9b6e-{time.time_ns() % 10**12:012d}"
        body = json.dumps(inbound_message(message_uuid=message_id, **fields)).encode()
        headers = signed_headers(body, secret=secret)
        request = urllib.request.Request(f"{self.public}/webhooks/inbound-message", body, headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.status == 200
        return message_id

    def break_handler(self) -> None:
        (self.folder / "broken").touch()

    def repair_handler(self) -> None:
        (self.folder / "broken").unlink(missing_ok=True)


@contextmanager
def web_stack(folder: Path, redis: RedisProcess) -> Iterator[WebStack]:
    """Start everything; stop it at the end of the block."""
    ports = {name: free_port() for name in ("listen", "admin", "web")}
    (folder / "browserhandlers.py").write_text(HANDLERS)
    env = {
        "ACKFIRST_REDIS_URL": redis.url,
        "ACKFIRST_DATA_DIR": str(folder / "data"),
        "ACKFIRST_STORE_URL": f"sqlite:///{folder / 'data' / 'record.db'}",
        "ACKFIRST_LISTEN": f"127.0.0.1:{ports['listen']}",
        "ACKFIRST_ADMIN_LISTEN": f"127.0.0.1:{ports['admin']}",
        "ACKFIRST_WEB_LISTEN": f"127.0.0.1:{ports['web']}",
        "ACKFIRST_WEB_PASSWORD": PASSWORD,
        "ACKFIRST_WEB_VIEWER_PASSWORD": VIEWER_PASSWORD,
        "ACKFIRST_API_KEY": API_KEY,
        "ACKFIRST_SIGNATURE_SECRET": SECRET,
        "ACKFIRST_HANDLERS": "browserhandlers",
        "ACKFIRST_RETRY_SCHEDULE": "0s",
        "ACKFIRST_ACK_DEADLINE": "10",
        "ACKFIRST_LOG_FORMAT": "json",
        "PYTHONPATH": str(folder),
    }
    with ExitStack() as processes:
        clis = {
            name: processes.enter_context(Cli(name, cwd=folder, env=env, name=name))
            for name in ("ingest", "worker", "web")
        }
        clis["ingest"].wait_for_output("ingest.listening", timeout=60)
        clis["web"].wait_for_output("web.started", timeout=60)
        wait_until((folder / "data" / "record.db").exists, timeout=60, message="the record is made")
        yield WebStack(folder, redis, f"http://127.0.0.1:{ports['listen']}", f"http://127.0.0.1:{ports['web']}")
