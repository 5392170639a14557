"""The operator's page as a test's browser sees it, and JSON jobs to look at."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from flask import Flask
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job
from werkzeug.datastructures import Authorization

from ackfirst.ops.web.access import Gate, Hosts
from ackfirst.ops.web.app import create_app
from ackfirst.ops.web.credentials import Credentials, Role
from ackfirst.ops.web.sources import Names, Record, Sources
from ackfirst.shared.settings import load_settings
from tests.support import factories

LANE = f"ackfirst-{factories.LANE}"
NUMBER = "447700900417"
TEXT = "Moor at berth 7?"
ENVELOPE = json.dumps({"v": 2}) + "\n" + json.dumps({"from": NUMBER, "text": TEXT})

CREDENTIALS = Credentials("ackfirst", "larch-Öl-7")
VIEWER = Credentials("viewer", "birch", Role.VIEWER)
LOGIN = Authorization("basic", {"username": CREDENTIALS.username, "password": CREDENTIALS.password})
VIEWER_LOGIN = Authorization("basic", {"username": VIEWER.username, "password": VIEWER.password})
OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}


def page(
    connection: Redis,
    *,
    hosts: Collection[str] = (),
    allow_delete: bool = True,
    lane_names: Mapping[str, str] | None = None,
    store_url: str = "off",
    **overrides: str,
) -> Flask:
    """The whole application; without a record unless there is a ``store_url``."""
    place = connection.connection_pool.connection_kwargs
    redis_url = f"unix://{place['path']}?db={place.get('db', 0)}"
    given = {"redis_url": redis_url, "store_url": store_url, **overrides}
    settings = load_settings({f"ACKFIRST_{name.upper()}": value for name, value in given.items()})
    app = create_app(
        Sources(
            redis=connection,
            settings=settings,
            names=Names(lanes=lane_names or {}),
            record=Record(settings.record_url),
        ),
        Gate([CREDENTIALS, VIEWER], Hosts(hosts)),
        allow_delete=allow_delete,
    )
    app.config["TESTING"] = False  # errors are answered, as in production
    return app


class Browser:
    """A browser that is logged in and clicks on the page's own forms."""

    prefix = ""

    def __init__(self, connection: Redis, *, login: Authorization = LOGIN, **options: Any) -> None:
        self.client = page(connection, **options).test_client()
        self.login = login

    def get(self, path: str, **options: Any) -> Any:
        return self.client.get(self.prefix + path, auth=self.login, buffered=True, **options)

    def post(self, path: str, **options: Any) -> Any:
        return self.client.post(self.prefix + path, auth=self.login, headers=OWN_PAGE, **options)


class RqBrowser(Browser):
    """The same, in rq-dashboard."""

    prefix = "/rq"

    def json(self, path: str) -> Any:
        answer = self.get(f"/0/data/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json


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
