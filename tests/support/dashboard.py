"""The dashboard as a test's browser sees it, and JSON jobs to look at."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from flask import Flask
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job
from werkzeug.datastructures import Authorization

from ackfirst.ops.rq_dashboard.access import Credentials, Hosts
from ackfirst.ops.rq_dashboard.app import create_app
from tests.support import factories

LANE = f"ackfirst-{factories.LANE}"
NUMBER = "447700900417"
TEXT = "Moor at berth 7?"
ENVELOPE = json.dumps({"v": 2}) + "\n" + json.dumps({"from": NUMBER, "text": TEXT})

CREDENTIALS = Credentials("ackfirst", "larch-Öl-7")
LOGIN = Authorization("basic", {"username": CREDENTIALS.username, "password": CREDENTIALS.password})
OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}


def dashboard(connection: Redis, *, hosts: Collection[str] = (), allow_delete: bool = True, **options: Any) -> Flask:
    app = create_app(
        connection,
        redis_name="redis://test",
        credentials=CREDENTIALS,
        hosts=Hosts(hosts),
        allow_delete=allow_delete,
        **options,
    )
    app.config["TESTING"] = False  # errors are answered, as in production
    return app


class Browser:
    """A browser that is logged in and clicks on the dashboard's own pages."""

    def __init__(self, connection: Redis, **options: Any) -> None:
        self.client = dashboard(connection, **options).test_client()

    def get(self, path: str, **options: Any) -> Any:
        return self.client.get(path, auth=LOGIN, buffered=True, **options)

    def json(self, path: str) -> Any:
        answer = self.get(f"/0/data/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json

    def post(self, path: str) -> Any:
        return self.client.post(path, auth=LOGIN, headers=OWN_PAGE)


def lane(connection: Redis, name: str = LANE) -> Queue:
    return Queue(name, connection=connection, serializer="json")


def run_all(connection: Redis, name: str = LANE) -> None:
    """Run what waits with RQ's own worker, in this process."""
    worker = SimpleWorker([lane(connection, name)], connection=connection, serializer="json")
    worker.work(burst=True, logging_level="CRITICAL")


def failed_job(connection: Redis, job_id: str = "m-failed", **options: Any) -> Job:
    job = lane(connection).enqueue(fails, ENVELOPE, job_id=job_id, description=f"inbound-message {job_id}", **options)
    run_all(connection)
    return job


def fails(envelope: str) -> None:
    """Quotes what it was given, as handlers do."""
    raise ValueError(f"no berth in {json.loads(envelope.partition(chr(10))[2])['text']!r} of {NUMBER}")


def answers(envelope: str) -> dict[str, Any]:
    return {"to": NUMBER, "length": len(envelope)}


def leaves_a_file(path: str) -> None:
    Path(path).touch()


def contents(connection: Redis) -> dict[bytes, bytes | None]:
    """Everything the database holds."""
    return {key: connection.dump(key) for key in connection.scan_iter()}
