"""Ingest against the bare handler and against the textbook, in turns; and its ack latency at a steady rate."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager

import uvloop

from bench import servers
from bench.load import Run, closed_loop, open_loop
from bench.requests import signed_requests

_CONNECTIONS = 64


def rates(rounds: int, *, count: int, textbook_count: int) -> dict[str, list[Run]]:
    """``rounds`` times in turn: bare, ackfirst, textbook."""
    runs: dict[str, list[Run]] = {"bare": [], "ackfirst": [], "textbook": []}
    for _ in range(rounds):
        runs["bare"].append(_one(servers.bare, count))
        with servers.redis() as url:
            runs["ackfirst"].append(_one(lambda url=url: servers.ingest(url), count))  # type: ignore[misc]
        with servers.redis() as url:
            runs["textbook"].append(_one(lambda url=url: servers.textbook(url), textbook_count))  # type: ignore[misc]
    return runs


def _one(server: Callable[[], AbstractContextManager[int]], count: int) -> Run:
    requests = signed_requests(count)
    with server() as port:
        uvloop.run(closed_loop(port, signed_requests(200), connections=8))  # warm up
        run = uvloop.run(closed_loop(port, requests, connections=_CONNECTIONS))
    if set(run.statuses) != {200}:
        raise SystemExit(f"not every answer was 200: {dict(run.statuses)}")
    return run


def latency(rounds: int, *, rate: float, seconds: float) -> list[Run]:
    """Open loop at ``rate`` callbacks a second against ackfirst."""
    runs = []
    for _ in range(rounds):
        requests = signed_requests(int(rate * seconds))
        with servers.redis() as url, servers.ingest(url) as port:
            asyncio.run(open_loop(port, signed_requests(100), rate=rate, connections=16))
            runs.append(asyncio.run(open_loop(port, requests, rate=rate, connections=64)))
    return runs
