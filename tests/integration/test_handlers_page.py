"""The examples of ``docs/handlers.md`` about threads do what the page says, in eight threads at once."""

import re
import sqlite3
import sys
import threading
import types
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.factories import make_envelope
from tests.support.jobs import burst, enqueue, statuses
from tests.support.processes import ROOT


def example(word: str) -> dict[str, Any]:
    """The names that the example with this word in it defines."""
    section = (ROOT / "docs" / "handlers.md").read_text().split("## Threads")[1]
    [code] = [block for block in re.findall(r"```python\n(.*?)```", section, re.DOTALL) if word in block]
    names: dict[str, Any] = {"__name__": f"example_{word}"}
    exec(code, names)
    return names


def test_sqlite_with_a_connection_a_call(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    envelopes = [make_envelope() for _ in range(60)]
    enqueue(redis_sync, *envelopes)
    burst(redis_url, example("sqlite3")["remember"])
    with sqlite3.connect("events.db") as db:
        assert {row[0] for row in db.execute("SELECT id FROM seen")} == {one.id for one in envelopes}


def test_djangos_orm_with_its_connections_closed_when_old(
    redis_sync: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[str] = []
    closed: Counter[int] = Counter()

    class Objects:
        def get_or_create(self, *, event_id: str) -> None:
            saved.append(event_id)

    def module(name: str, **names: Any) -> None:
        made = types.ModuleType(name)
        vars(made).update(names)
        monkeypatch.setitem(sys.modules, name, made)

    module("django")
    module("django.db", close_old_connections=lambda: closed.update([threading.get_ident()]))
    module("myapp")
    module("myapp.models", Message=types.SimpleNamespace(objects=Objects()))
    envelopes = [make_envelope() for _ in range(60)]
    enqueue(redis_sync, *envelopes)
    burst(redis_url, example("django")["save"])
    assert sorted(saved) == sorted(one.id for one in envelopes)
    assert closed.total() == 120
    assert threading.get_ident() not in closed


def test_a_client_session_for_each_thread(
    redis_sync: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: dict[int, set[int]] = {}

    class Session:
        def post(self, url: str, **_: Any) -> Any:
            used.setdefault(id(self), set()).add(threading.get_ident())
            return types.SimpleNamespace(raise_for_status=lambda: None)

    made = types.ModuleType("requests")
    made.Session = Session  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "requests", made)
    envelopes = [make_envelope() for _ in range(60)]
    enqueue(redis_sync, *envelopes)
    burst(redis_url, example("requests")["forward"])
    assert statuses(redis_sync, envelopes) == {"finished"}
    assert used
    assert all(len(threads) == 1 for threads in used.values())
