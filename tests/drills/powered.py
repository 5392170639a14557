"""One machine with one disk: Redis and ingest whose files lie on a file system that forgets what was not synced."""

import http.client
import itertools
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from ctypes.util import find_library
from pathlib import Path
from typing import Final, Literal

from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.identity import event_id
from ackfirst.shared.private_folder import make_private_folder
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.spool.folder import spool_folder
from tests.support.factories import API_KEY, inbound_message
from tests.support.forgetful_fs import ForgetfulMount, forgetful_mount
from tests.support.nexmo import signed_headers
from tests.support.ports import free_port
from tests.support.processes import Cli
from tests.support.redis_process import RedisProcess
from tests.support.spooled import all_frames
from tests.support.stack import settings

Part = Literal["redis", "ingest"]

#: Connections that send, each one callback after the other.
SENDERS: Final = 6

#: Small, so that power is lost in the middle of rewrites too.
REWRITE_FROM: Final = "200kb"


def without_sync() -> dict[str, str]:
    """The environment in which fsync, fdatasync and the like do nothing.

    Raises:
        FileNotFoundError: libeatmydata is not installed.
    """
    places = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/lib64", "/usr/lib/eatmydata")
    for place in places:
        if (file := Path(place) / "libeatmydata.so.1").exists():
            return {"LD_PRELOAD": str(file)}
    if found := find_library("eatmydata"):
        return {"LD_PRELOAD": found}
    raise FileNotFoundError("libeatmydata is not installed (Debian: apt-get install eatmydata)")


class Machine:
    """Starts, sends, loses power. ``folder`` must be short: a unix socket's path has 108 bytes."""

    def __init__(self, folder: Path, mount: ForgetfulMount, *, careless: frozenset[Part]) -> None:
        self._mount = mount
        self._folder = folder
        self._data = mount.folder
        lies = {part: without_sync() for part in careless}
        self.redis = RedisProcess(
            folder,
            data=self._data / "redis",
            **{"auto-aof-rewrite-min-size": REWRITE_FROM, "auto-aof-rewrite-percentage": "30"},
        )
        self._lies = lies
        self._ingest: Cli | None = None
        self._starts = itertools.count()
        self._numbers = itertools.count()
        self._port = 0
        self.acknowledged: dict[str, str] = {}
        """Event → its message id, of every answer 200 so far."""
        self.sent = 0
        self._sending = threading.Event()

    # Power
    def power_on(self, seed: int) -> bool:
        """Mount what is left, and start Redis on it; False when it cannot read that."""
        self._mount.start(seed)
        # As `ackfirst dev` does: Redis itself never syncs the name of this folder.
        make_private_folder(self._data / "redis" / "appendonlydir")
        try:
            self.redis.start()
        except AssertionError:
            if self.redis.is_running:
                raise
            return False
        if "redis" in self._lies and not self.redis.env:  # from its second start on, so that its first files are there
            self.redis.kill()
            self.redis.env = self._lies["redis"]
            self.redis.start()
        return True

    def lose_power(self, dice: random.Random) -> None:
        """End everything at this moment: what was not synced is gone."""
        self._sending.clear()
        ends = [self._mount.lose_power, self.redis.kill, self.kill_ingest]
        dice.shuffle(ends)
        for end in ends:
            end()

    # Processes
    def start_ingest(self) -> None:
        self._port = free_port()
        env = {
            **settings(self.redis.url, self._folder, ACKFIRST_DATA_DIR=str(self._data / "ingest" / "data")),
            "ACKFIRST_LISTEN": f"127.0.0.1:{self._port}",
            "ACKFIRST_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
            **self._lies.get("ingest", {}),
        }
        self._ingest = Cli("ingest", cwd=self._folder, env=env, name=f"ingest-{next(self._starts)}")
        self._ingest.__enter__()
        self._ingest.wait_for_output("ingest.listening", timeout=60)

    def kill_ingest(self) -> None:
        if self._ingest is not None:
            with suppress(ProcessLookupError):
                self._ingest.process.kill()
            self._ingest.process.wait(timeout=20)
            self._ingest = None

    # Traffic
    @contextmanager
    def traffic(self) -> Iterator[None]:
        """Send callbacks over several connections for as long as the block runs."""
        self._sending.set()
        senders = [threading.Thread(target=self._send, daemon=True) for _ in range(SENDERS)]
        for sender in senders:
            sender.start()
        try:
            yield
        finally:
            self._sending.clear()
            for sender in senders:
                sender.join(timeout=60)
            assert not any(sender.is_alive() for sender in senders), "every sender has ended"

    def _send(self) -> None:
        while self._sending.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            try:
                connection.connect()
                while self._sending.is_set():
                    self._send_one(connection)
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)
            finally:
                connection.close()

    def _send_one(self, connection: http.client.HTTPConnection) -> None:
        name = f"power-{next(self._numbers):07d}"
        payload = inbound_message(message_uuid=name)
        body = json.dumps(payload).encode()
        connection.request("POST", "/webhooks/inbound-message", body, signed_headers(body))
        self.sent += 1
        response = connection.getresponse()
        response.read()
        if response.status == 200:
            self.acknowledged[event_id(Family.INBOUND_MESSAGE, API_KEY, payload, body)] = name

    # What is left
    def in_spool(self) -> set[str]:
        """Events that lie on disk."""
        folder = spool_folder(self._data / "ingest" / "data")
        slots = sorted(folder.glob("spool-*/")) if folder.exists() else []
        return {Envelope.decode(frame.text.decode()).id for slot in slots for frame in all_frames(slot)}

    def in_redis(self) -> set[str]:
        """Events that Redis has, of those that were acknowledged."""
        events = list(self.acknowledged)
        with self.redis.client() as client, client.pipeline(transaction=False) as pipeline:
            for event in events:
                pipeline.exists(keys.job(event))
            there = pipeline.execute()
        return {event for event, exists in zip(events, there, strict=True) if exists}


@contextmanager
def machine(folder: Path, *, careless: frozenset[Part] = frozenset()) -> Iterator[Machine]:
    """A machine, which is gone at the end of the block.

    Args:
        folder: For everything that is not on the disk: sockets, logs.
        careless: Parts whose syncs do nothing.
    """
    with ExitStack() as stack:
        mount = stack.enter_context(forgetful_mount(folder))
        made = Machine(folder, mount, careless=careless)
        stack.callback(made.redis.kill)
        stack.callback(made.kill_ingest)
        yield made
