"""What an operator does with the stack, in order, each under the eyes of a ledger."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from yarl import URL

from tests.compose.documented import shell_blocks
from tests.compose.ledger import Line, settle
from tests.compose.load import Load
from tests.compose.look import rq_info, screenshot
from tests.compose.stack import IMAGE, Stack
from tests.compose.tls import certificate, https_status
from tests.support.factories import API_KEY, SECRET, inbound_message
from tests.support.nexmo import Nexmo
from tests.support.waiting import wait_until

#: Seconds of traffic before and after what a step does.
BEFORE: Final = 3.0
AFTER: Final = 3.0

#: Seconds for a thing that takes one or two.
SOON: Final = 60

OWN_TEXT: Final = "a handler of one's own was here"
#: The files of an image with a handler, as docs/deployment.md has them.
OWN_IMAGE: Final = {
    "myapp/Dockerfile": f"FROM {IMAGE}\nCOPY callbacks.py /srv/app/\n",
    "myapp/callbacks.py": f"""
from pathlib import Path
from ackfirst import on

@on("inbound-message")
def leave_a_note(event):
    if event.text == "an incident" and not Path("/var/lib/ackfirst/repaired").exists():
        raise ConnectionError("crm.internal refused")
    Path("/var/lib/ackfirst/own").write_text("{OWN_TEXT}")
""",
    "docker-compose.override.yml": """
services:
  worker:
    image: ackfirst-test-own
    build: {context: ./myapp}
    environment: {ACKFIRST_HANDLERS: "callbacks,handlers", ACKFIRST_RETRY_SCHEDULE: 0s}
""",
}


class Steps:
    """The steps; ``report`` is called with each line of what happened."""

    def __init__(self, stack: Stack, folder: Path, *, report: Callable[[str], None]) -> None:
        self._stack = stack
        self._folder = folder
        self._report = report
        self._seed = 0
        self.lines: list[Line] = []

    def start_with_nothing_configured(self) -> None:
        """``docker compose up -d`` in a fresh clone: a signed callback is answered 200 and quarantined."""
        self._stack.up("--build")
        for service in ("redis", "ingest", "edge", "worker", "web"):
            wait_until(lambda name=service: set(self._stack.health(name)) == {"healthy"}, timeout=SOON)
        said = self._stack.logs("init")
        assert "web-password" in said, "the first start says where passwords are"
        assert "accounts.none" in self._stack.logs("ingest"), "ingest says that it knows no account"
        status = self._post("quarantined-before-the-account-was-known")
        assert status == 200, f"a signed callback is answered {status}"
        wait_until(lambda: self._stack.readiness()["quarantine"]["records"] == 1, timeout=SOON)
        assert not self._stack.stored(), "nothing that is not verified reaches a handler"

    def configure_an_account(self) -> None:
        """An account in ``config/ackfirst.toml``: after a rolling restart what was quarantined is handled after all."""
        self._stack.configure({"ackfirst.toml": f'[accounts.{API_KEY}]\nsecrets = ["{SECRET}"]\n'})
        self._roll("ingest")
        self._stack.exec("ingest", "ackfirst", "quarantine", "recheck")
        wait_until(lambda: len(self._stack.stored()) == 1, timeout=SOON)
        assert self._post("known-account") == 200
        wait_until(lambda: len(self._stack.stored()) == 2, timeout=SOON)

    def scale_workers(self) -> None:
        """``--scale worker=3`` under load: RQ, the page and ``ps`` show three."""
        with self._load():
            self._stack.up("--no-recreate", "--scale", "worker=3")
            wait_until(lambda: self._stack.health("worker") == ["healthy"] * 3, timeout=SOON)
            wait_until(lambda: self._stack.readiness()["workers"] == 3, timeout=SOON)
            self._report(self._stack.compose("ps"))
            self._report(rq_info(self._stack))
            workers = self._stack.rq_dashboard("/rq/0/data/workers.json")["workers"]
            assert len(workers) == 3, workers
            queues = self._stack.rq_dashboard("/rq/0/data/queues.json")
            self._report(json.dumps(queues)[:400])
            for name, path in (("workers", "/0/view/workers"), ("queues", "/")):
                file = self._folder / f"page-{name}.png"
                seen = screenshot(self._stack, path, file)
                self._report(f"screenshot: {file}" if seen else "screenshot: no chromium here, hence none")

    def restart_redis(self) -> None:
        """``docker compose restart redis`` under load: ingest answers 200 from its spool."""
        with self._load():
            self._stack.compose("restart", "redis")
            wait_until(lambda: self._stack.health("redis") == ["healthy"], timeout=SOON)
            wait_until(lambda: not self._stack.readiness()["spool"]["records"], timeout=SOON)

    def kill_redis(self) -> None:
        """``kill -9`` of Redis under load, and a start of it."""
        with self._load():
            self._stack.compose("kill", "-s", "SIGKILL", "redis")
            time.sleep(BEFORE)
            self._stack.up("--no-recreate", "redis")
            wait_until(lambda: self._stack.health("redis") == ["healthy"], timeout=SOON)

    def roll_ingest(self) -> None:
        """Two ingest, replaced one after the other under load."""
        self._stack.up("--no-recreate", "--scale", "ingest=2", "--scale", "worker=3")
        wait_until(lambda: self._stack.health("ingest") == ["healthy"] * 2, timeout=SOON)
        before = set(self._stack.containers("ingest"))
        with self._load():
            self._roll("ingest")
        after = set(self._stack.containers("ingest"))
        assert len(after) == 2, after
        assert not before & after, "both were replaced"

    def roll_workers(self) -> None:
        """Three workers, replaced one after the other under load."""
        with self._load():
            self._roll("worker")
        assert len(self._stack.containers("worker")) == 3

    def restart_workers(self) -> None:
        """``docker compose restart worker`` under load: all at once."""
        with self._load():
            self._stack.compose("restart", "worker")

    def restart_web(self) -> None:
        """``docker compose restart web`` under load."""
        with self._load():
            self._stack.compose("restart", "web")
            wait_until(lambda: self._stack.health("web") == ["healthy"], timeout=SOON)

    def reload_edge(self) -> None:
        """nginx reads its configuration again under load, as for a new certificate."""
        with self._load():
            self._stack.run(["docker", "kill", "-s", "HUP", self._stack.containers("edge")[0]])

    def observe(self) -> None:
        """The profile ``observability``: Prometheus finds every ingest by name and has the rules."""
        with self._stack.changed(COMPOSE_PROFILES="observability"):
            self._stack.compose("run", "--rm", "--no-deps", "init")
            self._stack.up("--no-deps", "prometheus")
            count = len(self._stack.containers("ingest"))
            wait_until(lambda: self._targets_up() == count, timeout=SOON, message=f"Prometheus sees {count} ingest")
            groups = (self._stack.prometheus("/api/v1/rules") or {}).get("groups", [])
            rules = [rule["name"] for group in groups for rule in group["rules"]]
            assert rules, "the alert rules are loaded"
            self._report(f"{len(rules)} rules: {', '.join(rules)}")
            self._stack.compose("rm", "--stop", "--force", "prometheus")

    def serve_tls(self) -> None:
        """A certificate in ``config/tls/``: after a restart of the edge it serves TLS as well."""
        authority = certificate(self._folder)
        texts = {f"tls/{name}": (self._folder / name).read_text() for name in ("fullchain.pem", "privkey.pem")}
        self._stack.configure(texts)
        self._stack.compose("run", "--rm", "--no-deps", "init")
        self._stack.compose("restart", "edge")
        wait_until(lambda: self._stack.health("edge") == ["healthy"], timeout=SOON)
        assert https_status(self._stack.https_port, "/healthz", authority) == 200
        assert self._post("with-tls-on") == 200, "without TLS it still answers"

    def run_own_image(self) -> None:
        """Handlers in an image ``FROM`` ours, in place of the mounted example."""
        self._stack.write(OWN_IMAGE)
        self._stack.compose("build", "worker")
        self._stack.up("--no-deps", "--no-build", "--scale", "worker=1", "worker")
        wait_until(lambda: self._stack.health("worker") == ["healthy"], timeout=SOON)
        assert self._post("for-a-handler-of-ones-own") == 200
        wait_until(lambda: OWN_TEXT in self._stack.exec("worker", "cat", "/var/lib/ackfirst/own"), timeout=SOON)
        self._replay_an_incident()
        self._stack.remove(OWN_IMAGE)
        self._stack.up("--no-deps", "--no-build", "--scale", "worker=3", "worker")
        wait_until(lambda: self._stack.health("worker") == ["healthy"] * 3, timeout=SOON)

    def _replay_an_incident(self) -> None:
        """A handler that fails for good, found by ``dead list``, repaired, and replayed with a plan beside traffic."""
        if not self._has_record():
            return
        with self._load():
            assert [self._post(f"incident-{number}", text="an incident") for number in range(5)] == [200] * 5
            wait_until(lambda: len(self._dead()) == 5, timeout=SOON, message="the record has five dead letters")
            self._report(self._stack.exec("worker", "ackfirst", "dead", "list"))
            self._stack.exec("worker", "touch", "/var/lib/ackfirst/repaired")
            replay = ("ackfirst", "dead", "replay", "--handler", "callbacks.leave_a_note")
            self._report(self._stack.exec("worker", *replay, "--dry-run"))
            self._report(self._stack.exec("worker", *replay, "--yes", "--wait"))
            wait_until(lambda: not self._dead(), timeout=SOON, message="the record has no dead letter any more")

    def _dead(self) -> list[str]:
        return self._stack.exec("worker", "ackfirst", "dead", "list", "--json").splitlines()

    def _has_record(self) -> bool:
        """Return whether the stack's PostgreSQL runs; on an engine of stand-ins it may not."""
        if self._stack.health("postgres") == ["healthy"]:
            return True
        self._report("the record's commands were not run: its database is not healthy on this engine")
        return False

    def back_up_and_restore(self) -> None:
        """The commands of docs/deployment.md, word for word: what waited is there again after Redis has lost it."""
        back_up, restore, dump, restore_record = shell_blocks("### Backup")
        before = len(self._stack.stored())
        self._stack.compose("stop", "worker")
        names = [f"backed-up-{number}" for number in range(5)]
        assert [self._post(name) for name in names] == [200] * 5
        self._stack.shell(back_up)
        wait_until(lambda: self._stack.health("redis") == ["healthy"], timeout=SOON)
        password = 'REDISCLI_AUTH="$(cat /etc/ackfirst/redis-password)"'
        self._stack.exec("redis", "sh", "-c", f"{password} redis-cli flushall")
        self._stack.shell(restore)
        wait_until(lambda: self._stack.health("redis") == ["healthy"], timeout=SOON)
        self._stack.up("--no-recreate", "--scale", "worker=3", "worker")
        wait_until(lambda: len(self._stack.stored()) >= before + 5, timeout=SOON, message="what waited is handled")
        self._report(f"{(self._stack.folder / 'redis.tgz').stat().st_size} bytes of backup, 5 of 5 events handled")
        if not self._has_record():
            return
        count = ("psql", "-U", "ackfirst", "-At", "-c", "SELECT count(*) FROM events")
        wait_until(lambda: int(self._stack.exec("postgres", *count)) >= 5, timeout=SOON, message="they are recorded")
        self._stack.shell(dump)
        recorded = int(self._stack.exec("postgres", *count))
        self._stack.exec("postgres", "psql", "-U", "ackfirst", "-c", "DROP TABLE events CASCADE")
        self._stack.shell(restore_record)
        restored = int(self._stack.exec("postgres", *count))
        assert restored >= recorded, f"{restored} of {recorded} events of the record are back"

    def lose_the_master(self) -> None:
        """``deploy/compose.sentinel.yml``: the master's container and its volume are destroyed under load."""
        with self._stack.changed(COMPOSE_FILE="docker-compose.yml:deploy/compose.sentinel.yml"):
            self._stack.up("--scale", "ingest=2", "--scale", "worker=3")
            for service in ("redis-2", "sentinel-1", "sentinel-2", "sentinel-3", "ingest", "worker"):
                wait_until(lambda name=service: set(self._stack.health(name)) == {"healthy"}, timeout=SOON)
            wait_until(lambda: self._stack.readiness()["spool"]["circuit"] == "closed", timeout=SOON)
            with self._load():
                self._stack.compose("rm", "--stop", "--force", "init")
                self._stack.run(["docker", "rm", "--force", *self._stack.containers("redis")])
                self._stack.run(["docker", "volume", "rm", f"{self._stack.project}_redis-data"])
                time.sleep(BEFORE)
                self._stack.up("--no-recreate", "--scale", "ingest=2", "--scale", "worker=3", "redis")
                wait_until(lambda: self._stack.health("redis") == ["healthy"], timeout=SOON)
                wait_until(lambda: not self._stack.readiness()["spool"]["records"], timeout=2 * SOON)
            said = self._stack.logs("sentinel-1")
            assert "+switch-master" in said, "a Sentinel has promoted the replica"

    def restart_everything(self) -> None:
        """``docker compose stop`` and ``up`` with events that wait: nothing is forgotten."""
        self._stack.compose("stop", "worker")
        with self._load():
            pass
        self._stack.compose("stop")
        self._stack.up("--no-recreate", "--scale", "ingest=2", "--scale", "worker=3")
        self.lines[-1] = settle(self.lines[-1].sent, self._stack.stored)

    @contextmanager
    def _load(self) -> Iterator[None]:
        """Traffic around a block; then one more line in the ledger."""
        self._seed += 1
        with Load(self._stack.url, self._folder, seed=self._seed) as load:
            time.sleep(BEFORE)
            assert load.is_running, "the simulator has ended early"
            yield
            time.sleep(AFTER)
            sent = load.stop()
        has_worker = bool(self._stack.containers("worker"))
        line = settle(sent, self._stack.stored) if has_worker else Line(sent, frozenset(), 0)
        self.lines.append(line)
        self._report(str(line))

    def _targets_up(self) -> int:
        found = self._stack.prometheus("/api/v1/targets") or {}
        return sum(target["health"] == "up" for target in found.get("activeTargets", ()))

    def _roll(self, service: str) -> None:
        self._stack.run(["deploy/rolling-restart", service])

    def _post(self, message_id: str, **fields: str) -> int:
        return Nexmo(URL(self._stack.url).port or 80).post_json(inbound_message(message_uuid=message_id, **fields))
